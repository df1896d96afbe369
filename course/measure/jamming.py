"""The moment from which two walls hold a peg: by the jamming diagram, and in the simulator."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import copy
from dataclasses import dataclass

import mujoco
import numpy as np

from course.measure.kinds import Context
from wellposed.envs.suites.peg import model
from wellposed.envs.suites.peg.model import peg_model
from wellposed.errors import UserError

CLEARANCE = 1e-3  # metres
DOWN = 3.0  # N
CREEP = 3e-4  # metres per second below which a peg is held: friction of MuJoCo gives way slowly
SETTLE, WATCH = 100, 50  # physics steps before the speed is read, and over which
BRACKET, HALVINGS = (0.5, 2.0), 7  # of the predicted moment, and how often it is halved


@dataclass(frozen=True)
class JammingSettings:
    """Loads on a peg at both walls: lists of the same length, one entry for each."""

    friction: list[float]
    depth: list[float]  # metres of the tip's corner below the mouth
    sideways: list[float]  # force towards the wall at the mouth, as a share of the force down

    def __post_init__(self) -> None:
        if not 0 < len(self.friction) == len(self.depth) == len(self.sideways):
            raise UserError("friction, depth and sideways must be lists of the same length, one entry for each load.")
        for friction, depth, sideways in zip(self.friction, self.depth, self.sideways, strict=True):
            if not (
                0 < friction <= 1 and friction * model.WIDTH < depth < model.DEPTH and abs(sideways) * friction < 1
            ):
                told = "depth must lie between friction times the peg's width and the depth of the hole"
                raise UserError(f"{told}, and sideways below 1 / friction.")


@dataclass(frozen=True)
class JammingRow:
    """One load. Moments are about the middle of the tip, and keep the peg tilted."""

    friction: float
    depth: float  # metres
    sideways: float
    moment: float  # N mm, from which the walls can hold the peg
    measured: float  # N mm, from which the simulator's do
    off: float  # share by which the measured one is larger


@dataclass(frozen=True)
class Jamming:
    """All loads."""

    rows: list[JammingRow]
    furthest: float  # largest size of `off`


def measure_jamming(settings: JammingSettings, context: Context) -> Jamming:
    """Find for each load the least moment that holds the peg, by bisection."""
    rows = []
    loads = list(zip(settings.friction, settings.depth, settings.sideways, strict=True))
    for friction, depth, sideways in context.over(loads, "loads"):
        due = -model.WIDTH / 2 * DOWN * holding_moment(depth, friction, sideways)
        low, high = BRACKET
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            held = _speed(friction, depth, sideways, -middle * due) < CREEP
            low, high = (low, middle) if held else (middle, high)
        found = (low + high) / 2
        rows.append(JammingRow(friction, depth, sideways, 1000 * due, 1000 * found * due, found - 1))
    return Jamming(rows, max(abs(row.off) for row in rows))


def holding_moment(depth: float, friction: float, sideways: float) -> float:
    """M / (r F_z) up to which two walls can hold the peg, r half its width (Whitney 1982)."""
    lam = depth / (friction * model.WIDTH)
    return -lam - friction * (1 + lam) * sideways


def tilt_at_both_walls(width: float, gap: float, down: float) -> float:
    """The tilt at which a peg touches the mouth's edge on one side and the wall `down` below it on the other."""
    angles = np.linspace(0, 0.5, 50_001)
    return float(angles[np.argmax(gap * np.cos(angles) - down * np.sin(angles) <= width)])


def tip_below(edge: tuple[float, float], width: float, below: float, tilt: float) -> tuple[float, float]:
    """The middle of the tip of a peg whose right side passes through `edge` and ends `below` along it."""
    along, across = np.array([np.sin(tilt), np.cos(tilt)]), np.array([np.cos(tilt), -np.sin(tilt)])
    x, y = np.array(edge) - below * along - width / 2 * across
    return float(x), float(y)


def _speed(friction: float, depth: float, sideways: float, moment: float) -> float:
    """Metres per second at which a peg at both walls sinks under a load, its hand let go of."""
    free = copy.copy(peg_model("square", CLEARANCE))
    free.actuator_gainprm[:], free.actuator_biasprm[:], free.jnt_stiffness[:] = 0, 0, 0
    free.geom_friction[free.geom("peg").id, 0] = friction
    free.dof_damping[:3] = model.DAMPING
    data, peg, gap = mujoco.MjData(free), free.body("peg").id, model.WIDTH + CLEARANCE
    tilt = tilt_at_both_walls(model.WIDTH, gap, depth)
    below = gap * np.sin(tilt) + depth * np.cos(tilt)
    x, z = tip_below((gap / 2, 0.0), model.WIDTH, below, tilt)
    data.qpos[[0, 2, 4]] = x + model.LENGTH * np.sin(tilt), z + model.LENGTH * (np.cos(tilt) - 1), tilt
    mujoco.mj_forward(free, data)
    heights = []
    for _ in range(SETTLE + WATCH):
        data.qfrc_applied[:] = 0
        force, torque = np.array([sideways * DOWN, 0, -DOWN]), np.array([0, -moment, 0])
        mujoco.mj_applyFT(free, data, force, torque, data.xpos[peg], peg, data.qfrc_applied)
        mujoco.mj_step(free, data)
        heights.append(data.xpos[peg, 2])
    return float(heights[SETTLE - 1] - heights[-1]) / (WATCH * model.TIMESTEP)
