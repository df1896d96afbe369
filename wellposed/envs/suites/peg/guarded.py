"""Guarded moves: a task that a policy without memory cannot solve, and the bounds that say so.

The hole lies at one of K cells. A step is one guarded move: the hand comes down on a cell until the peg is in or the
plate stops it, and then lifts to where it hovered. What it sees there is the same to the last bit whichever cell it
probed, so a policy without memory cannot know what it tried.
"""

from typing import Any

import mujoco
import numpy as np

from wellposed.envs.quantities import Quantities, Quantity
from wellposed.envs.suites.peg import model, task
from wellposed.envs.suites.peg.model import PegSimulation
from wellposed.envs.suites.peg.task import PegTask, peg_spec
from wellposed.errors import require

RING = 0.003  # metres from the middle of all cells to each
HOVER = 0.002  # metres of the tip above the plate
PRESS = 0.004  # metres below the hand to which its controller is drawn: 8 N
GUARD = 2.0  # N upwards at which a move stops
MOVES = 20  # control periods after which it stops at the latest; the bottom is reached in 6
JITTER = 2e-4  # metres by which the hole is off its cell on each axis; half the clearance is 5e-4
QUANTITIES = Quantities(
    observation=task.QUANTITIES.observation,
    goal=task.QUANTITIES.goal,
    action=tuple(Quantity(f"probe {axis}", "1", "from the middle of all cells, towards one") for axis in "xy"),
)


class GuardedSimulation(PegSimulation):
    """A hand that makes one guarded move in a step. A peg that is in stays in."""

    def advance(self, target: np.ndarray) -> None:
        """Come down at `target` [2]. The ways there and back are not simulated: they touch nothing."""
        if self.inserted:
            return
        self.place(np.array([*target, HOVER]))
        for _ in range(MOVES):
            super().advance(np.array([*target, self.readings[model.POSITION][2] - PRESS]))
            if self.readings[model.FORCE][2] > GUARD:
                break
        if not self.inserted:
            self.place(np.array([0.0, 0.0, HOVER]))

    @property
    def inserted(self) -> bool:
        """Whether the tip is below half the depth of the hole."""
        return self.readings[model.TIP][2] < -model.DEPTH / 2


class GuardedTask(PegTask):
    """K cells and T guarded moves. An action [2] names the cell in its direction; nothing shows the time."""

    def __init__(self, cells: int = 5):
        """`cells`: K, 2 to 8. Raises UserError if it is another number."""
        super().__init__(grasp=0.0)
        whole = isinstance(cells, int) and 2 <= cells <= 8
        require(whole, "env.kwargs cells", "must be a whole number from 2 to 8", cells)
        self.cells = cells
        self.spec = peg_spec(2, cells, dense=False)

    def simulate(self, data: mujoco.MjData, readings: np.ndarray) -> GuardedSimulation:  # type: ignore[name-defined]
        """The simulation of one env, which keeps its row of readings up to date."""
        return GuardedSimulation(data, readings)

    def restart(self, env: PegSimulation, rng: np.random.Generator) -> np.ndarray:
        """Begin an episode with the hand hovering; returns the bottom of the hole [3] in metres."""
        hole = self.place_of(rng.integers(self.cells)) + rng.uniform(-JITTER, JITTER, size=2)
        env.begin(np.array([0.0, 0.0, HOVER]), hole, np.zeros(3), rng.uniform(*self.friction))
        return np.array([*hole, -model.DEPTH])

    def control(self, readings: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Actions [n, 2] as the places [n, 2] to probe."""
        return self.place_of(self.cell_of(action))

    def place_of(self, cell: Any) -> np.ndarray:
        """Where cells [...] lie, [..., 2]."""
        angle = 2 * np.pi * np.asarray(cell) / self.cells
        return RING * np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    def cell_of(self, direction: np.ndarray) -> np.ndarray:
        """The cells [...] nearest in these directions [..., 2]."""
        turn = np.arctan2(direction[..., 1], direction[..., 0]) / (2 * np.pi)
        return np.round(turn * self.cells).astype(np.int64) % self.cells


def memoryless_bound(cells: int, probes: int) -> float:
    """Greatest success of a policy without memory over `probes` guarded moves, the hole being anywhere alike.

    It draws cell j with one probability p_j at every hover, and misses a hole there with (1 - p_j)^T. The mean of these
    over the cells is convex in p, so it is least where all p_j are 1/K: 1 - (1 - 1/K)^T. One that draws nothing
    probes one cell for ever, and succeeds with 1/K; one with memory probes each cell once.
    """
    return 1 - (1 - 1 / cells) ** probes


def probing_success(draws: np.ndarray) -> float:
    """Success of guarded moves that draw cell j with `draws[t, j]` at move t, by itself, the hole being anywhere alike.

    `draws`: [T, K], each row adds up to 1. A hole at cell j is missed by all moves with the product of 1 - draws[:, j].
    """
    return float(1 - np.prod(1 - draws, axis=0).mean())


def history_draws(cells: int, probes: int, remembered: int, *, greedy: bool) -> np.ndarray:
    """The best draws [T, K] of a policy that sees its last `remembered` observations, drawing nothing if `greedy`.

    All observations are alike, so it knows no more than how many there were, up to L = `remembered`. It probes another
    cell at each of the first L - 1 moves, and then, at all that follow, what is left with one probability.
    """
    draws = np.zeros((probes, cells))
    told = min(remembered - 1, cells - 1, probes)
    draws[np.arange(told), np.arange(told)] = 1.0
    draws[told:, told : told + 1 if greedy else cells] = 1.0 if greedy else 1 / (cells - told)
    return draws
