"""Peg insertion under uncertainty: the policy feels contact, and sees neither the peg's tip nor the hole."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from wellposed.envs import goals
from wellposed.envs.quantities import Quantities, Quantity, vector
from wellposed.envs.sensing import Sensed
from wellposed.envs.suites.peg import model
from wellposed.envs.suites.peg.model import PegSimulation, peg_model
from wellposed.errors import require
from wellposed.types import Field, Obs, Spec
from wellposed.units import goal_floor

CAPABILITIES = frozenset({"state", "deterministic", "render", "oracle", "quantities", "sensors"})
RADIUS = 0.002  # metres from the bottom of the hole up to which the tip counts as there
MAX_EPISODE_STEPS = 100  # 5 s
SCALE = 0.005  # metres from the hand to the target of its controller, for an action of 1: 10 N where it cannot move
START, START_RANGE = np.array([0.0, 0.0, 0.012]), np.array([0.005, 0.005, 0.004])  # of the hand, metres
LOW, HIGH = np.array([-0.015, -0.015, -0.03]), np.array([0.015, 0.015, 0.03])  # of targets, metres
STEP = model.TIMESTEP * model.SUBSTEPS  # seconds
_TURN, _CHANGE = 1 / model.LENGTH, float(np.sqrt(2))
# What is measured, and what an error of a metre in the tip's place is in each unit: an angle is that of the peg, a
# velocity the difference of two places, a force that of the controller's spring, a torque that force at the tip.
SENSED = (
    Sensed("hand", "m", (1.0,) * 3),
    Sensed("hand_angle", "rad", (_TURN,) * 3),
    Sensed("hand_velocity", "m/step", (_CHANGE,) * 3),
    Sensed("hand_turning", "rad/step", (_CHANGE * _TURN,) * 3),
    Sensed("force", "N", (model.STIFFNESS,) * 3),
    Sensed("torque", "N m", (model.STIFFNESS * model.LENGTH,) * 3),
)
_SCALES = np.concatenate([one.scale for one in SENSED])
_NOMINAL = "axes of the plate, origin where the middle of the hole's mouth is said to be"
_TURNS = "joints of the wrist, about the x, the y and the z axis of the hand in turn"
_WRIST = "axes of the hand, on the hand at its wrist"
QUANTITIES = Quantities(
    observation=(
        *vector("hand", "m", f"{_NOMINAL}; where an upright peg in the middle of the hand has its tip"),
        *vector("hand angle", "rad", _TURNS),
        *vector("hand velocity", "m/step", "axes of the plate"),
        *vector("hand turning", "rad/step", _TURNS),
        *vector("force", "N", _WRIST),
        *vector("torque", "N m", _WRIST),
    ),
    goal=vector("tip", "m", _NOMINAL),
    action=tuple(Quantity(f"hand target {axis}", "5 mm", "axes of the plate, origin in the hand") for axis in "xyz"),
)


class PegTask:
    """Insertion for `MujocoVecEnv`. What an episode hides is drawn uniformly.

    The achieved goal is the true tip of the peg, the desired one the true bottom of the hole. The policy sees neither.
    """

    capabilities = CAPABILITIES
    readings = model.READINGS
    sensed = SENSED

    def __init__(
        self,
        shape: str = "square",
        clearance: float = 0.001,
        offset: Sequence[float] = (0.001, 0.003),
        grasp: float = 0.0005,
        friction: Sequence[float] = (0.1, 0.4),
        reward: str = "sparse",
    ):
        """Lengths in metres.

        Args:
            shape: of the peg and its hole, "square" or "round".
            clearance: how much wider than the peg the hole is.
            offset: least and greatest distance of the hole from where it is said to be, in any direction.
            grasp: greatest distance of the peg from the middle of the hand, on each axis.
            friction: least and greatest coefficient between peg and plate.
            reward: "sparse", -1 and 0, or "dense", minus the distance of the tip to the bottom in centimetres.

        Raises:
            UserError: if one of them is out of range.
        """
        require(shape in model.SHAPES, "env.kwargs shape", f"must be one of {', '.join(model.SHAPES)}", shape)
        require(reward in ("sparse", "dense"), "env.kwargs reward", "must be sparse or dense", reward)
        for name, length, low, high in (("clearance", clearance, 1e-4, 4e-3), ("grasp", grasp, 0.0, 2e-3)):
            sound = type(length) in (int, float) and low <= length <= high
            require(sound, f"env.kwargs {name}", f"must be a number from {low:g} to {high:g}", length)
        self.offset, self.friction = _range("offset", offset, 0.0, 5e-3), _range("friction", friction, 0.0, 2.0)
        self.grasp, self.dense = grasp, reward == "dense"
        self.model: mujoco.MjModel = peg_model(shape, clearance)  # type: ignore[name-defined]
        self.spec = peg_spec(3, MAX_EPISODE_STEPS, self.dense)

    def simulate(self, data: mujoco.MjData, readings: np.ndarray) -> PegSimulation:  # type: ignore[name-defined]
        """The simulation of one env, which keeps its row of readings up to date."""
        return PegSimulation(data, readings)

    def restart(self, env: PegSimulation, rng: np.random.Generator) -> np.ndarray:
        """Begin an episode; returns the bottom of the hole [3] in metres."""
        position = START + rng.uniform(-START_RANGE, START_RANGE)
        angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(*self.offset)
        hole = distance * np.array([np.cos(angle), np.sin(angle)])
        env.begin(position, hole, rng.uniform(-self.grasp, self.grasp, size=3), rng.uniform(*self.friction))
        return np.array([*hole, -model.DEPTH])

    def control(self, readings: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Actions [n, 3] as targets of the hand [n, 3], from where it is."""
        return np.clip(readings[:, model.POSITION] + SCALE * action, LOW, HIGH)

    def observe(self, readings: np.ndarray, desired_goal: np.ndarray) -> Obs:
        """The truth of all envs, as new arrays."""
        observation = readings[:, model.SEEN].copy()
        observation[:, model.VELOCITY] *= STEP
        achieved = readings[:, model.TIP].copy()
        return {"observation": observation, "achieved_goal": achieved, "desired_goal": desired_goal.copy()}

    def failed(self, readings: np.ndarray) -> np.ndarray:
        """Always False [n]: nothing breaks."""
        return np.zeros(len(readings), bool)

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """The reward [n] of having achieved `achieved_goal` [n, 3] when `desired_goal` [n, 3] was wanted."""
        if self.dense:
            return 100 * goals.dense_reward(achieved_goal, desired_goal)
        return goals.sparse_reward(achieved_goal, desired_goal, RADIUS)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Always False [n]: no state is terminal."""
        return np.zeros(achieved_goal.shape[:-1], bool)

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """True [n] where the goal is closer than 2 mm."""
        return goals.success(achieved_goal, desired_goal, RADIUS)

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """One kind, ""."""
        return [""] * len(desired_goal)

    def measurement_errors(self, draws: np.ndarray) -> Obs:
        """Errors of what is shown, from errors of what is measured [n, 18] as shares of its scale."""
        return {"observation": draws * _SCALES}


def peg_spec(action_dim: int, steps: int, dense: bool) -> Spec:
    """What is seen, the wrench and the hand, and what is true: that, the tip of the peg and the bottom of the hole."""
    floor = goal_floor(RADIUS)
    observation = Field("observation", (len(_SCALES),), floor=tuple((floor * _SCALES).tolist()))
    own = (Field(name, (3,), "goal", floor=(floor,)) for name in ("achieved_goal", "desired_goal"))
    return Spec(
        obs=(observation,),
        truth=(observation, *own),
        action_dim=action_dim,
        max_episode_steps=steps,
        radius=RADIUS,
        reward_range=None if dense else (-1.0, 0.0),
    )


def _range(name: str, asked: Any, low: float, high: float) -> tuple[float, float]:
    """What is drawn from, as (least, greatest). Raises UserError unless `low` <= least <= greatest <= `high`."""
    found = np.atleast_1d(np.array(asked, object))
    numbers = len(found) == 2 and all(type(one) in (int, float) for one in found)
    rule = f"must be two numbers, the least first, from {low:g} to {high:g}"
    require(numbers and low <= found[0] <= found[1] <= high, f"env.kwargs {name}", rule, asked)
    return float(found[0]), float(found[1])
