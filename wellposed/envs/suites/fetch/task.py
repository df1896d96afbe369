"""The Fetch tasks: what an action does, what is observed, how goals and objects are drawn, what is rewarded.

`model` has the numbers and the compiled model, `simulation` one arm; `envs.vector` steps the envs.
"""

from typing import Any

import mujoco
import numpy as np

from wellposed.envs import goals
from wellposed.envs.sensing import Sensed
from wellposed.envs.suites.fetch import model, simulation
from wellposed.envs.suites.fetch.dynamics import parameters
from wellposed.envs.suites.fetch.model import FetchScene, Variant, load_scene
from wellposed.envs.suites.fetch.quantities import fetch_quantities
from wellposed.envs.suites.fetch.simulation import FetchSimulation
from wellposed.envs.vector import Drive, GoalSpread
from wellposed.types import Field, Geometry, Mirror, Obs, Spec
from wellposed.units import goal_floor

CAPABILITIES = frozenset(
    {"state", "deterministic", "render", "oracle", "quantities", "goal spread", "sensors", "pixels", "drive"}
    | {"dynamics"}
)
_FLOOR = goal_floor(model.DISTANCE_THRESHOLD)  # a length that varies by less is constant
_ANGLE_FLOOR = 1e-3  # radians
_LEVER = 0.025  # metres from the object's centre to its faces, by which an angle is seen
_TURN, _CHANGE = 1 / _LEVER, float(np.sqrt(2))
SENSED = (  # what is measured, in the order of `simulation.assemble`; all but the way from hand to object
    Sensed("hand", "m", (1.0,) * 3),
    Sensed("fingers", "m", (1.0,) * 2),
    Sensed("hand_velocity", "m/step", (_CHANGE,) * 3),
    Sensed("finger_velocity", "m/step", (_CHANGE,) * 2),
    Sensed("object", "m", (1.0,) * 3),
    Sensed("object_angle", "rad", (_TURN,) * 3),
    Sensed("object_velocity", "m/step", (_CHANGE,) * 3),
    Sensed("object_turning", "rad/step", (_CHANGE * _TURN,) * 3),
)
_MIN_OBJECT_OFFSET = 0.1  # metres between object and hand at reset, in the plane
_AIR_SHARE, _AIR_HEIGHT = 0.5, 0.45  # share of goals in the air, and greatest height in metres
_RESPONSE = 0.664  # the weld's answer at frequency zero (analysis.closed_loop.Hand.response)
OWN_SPREAD = GoalSpread(1.0, _AIR_SHARE)  # what the tasks themselves do


def fetch_spec(scene: FetchScene, dense: bool) -> Spec:
    """The spec of a Fetch task. Lengths below a fiftieth of the radius count as constant."""
    numbers = fetch_quantities(scene.variant.has_object).observation
    floor = tuple(_ANGLE_FLOOR if number.unit.startswith("rad") else _FLOOR for number in numbers)
    return Spec(
        obs=(
            Field("observation", (len(numbers),), floor=floor),
            Field("achieved_goal", (3,), "goal", floor=(_FLOOR,)),
            Field("desired_goal", (3,), "goal", floor=(_FLOOR,)),
        ),
        action_dim=4,
        max_episode_steps=model.MAX_EPISODE_STEPS,
        geometry=fetch_geometry(scene),
        radius=model.DISTANCE_THRESHOLD,
        reward_range=None if dense else (-1.0, 0.0),
    )


class FetchTask:
    """A Fetch task for `MujocoVecEnv`, with the episodes of gymnasium-robotics' environment of the same name.

    Observations are float64; `quantities` names each of the 10 or 25 numbers, with unit and frame.
    """

    capabilities = CAPABILITIES
    own_spread = OWN_SPREAD
    drive = Drive((0, 1, 2), model.POSITION_SCALE, _RESPONSE)

    def __init__(self, variant: Variant, dense: bool = False):
        self.variant, self.dense, self.scene = variant, dense, load_scene(variant)
        self.model: mujoco.MjModel = self.scene.model  # type: ignore[name-defined]
        self.goal_spread = self.own_spread  # of the episodes that begin from now on
        self.readings = simulation.readings_width(variant)
        self.sensed = SENSED if variant.has_object else SENSED[:4]
        self.view = model.view(variant)
        self.dynamics = parameters(self.scene)
        self.spec = fetch_spec(self.scene, dense)
        self._dt = model.SUBSTEPS * self.model.opt.timestep

    def simulate(self, data: Any, readings: np.ndarray) -> FetchSimulation:
        """The simulation of one env, which keeps its row of readings up to date."""
        return FetchSimulation(self.scene, data, readings)

    def restart(self, env: FetchSimulation, rng: np.random.Generator) -> np.ndarray:
        """Begin an episode: object first, then goal, as the original draws them; returns the goal [3] in metres."""
        start, position = self.scene.initial_grip, None
        if self.variant.has_object:
            position = sample_object(self.scene, rng)
            start = np.array([*position, self.scene.object_height])
        env.restart(position)
        return sample_goal(self.scene, rng, start, self.goal_spread)

    def control(self, readings: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Actions [n, 4] as controls [n, 8]: position and orientation of the hand's target, and fingers."""
        position = readings[:, simulation.HAND_POSITION]
        quaternion = readings[:, simulation.HAND_QUATERNION] + model.HAND_DOWN
        # In float32 where the actions are: the original scales before it widens.
        return np.concatenate([position + action[:, :3] * model.POSITION_SCALE, quaternion, action[:, 3:]], axis=1)

    def observe(self, readings: np.ndarray, desired_goal: np.ndarray) -> Obs:
        """Goal observations of all envs, as new arrays."""
        achieved = readings[:, simulation.OBJECT if self.variant.has_object else simulation.GRIP].copy()
        observation = simulation.observation(self.variant, readings, self._dt)
        return {"observation": observation, "achieved_goal": achieved, "desired_goal": desired_goal.copy()}

    def failed(self, readings: np.ndarray) -> np.ndarray:
        """Always False [n]: a Fetch task has no failure."""
        return np.zeros(len(readings), bool)

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """The reward [n] of having achieved `achieved_goal` [n, 3] when `desired_goal` [n, 3] was wanted."""
        if self.dense:
            return goals.dense_reward(achieved_goal, desired_goal)
        return goals.sparse_reward(achieved_goal, desired_goal, model.DISTANCE_THRESHOLD)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Always False [n]: a Fetch task has no terminal state."""
        return np.zeros(achieved_goal.shape[:-1], bool)

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """True [n] where the goal is closer than 5 cm."""
        return goals.success(achieved_goal, desired_goal, model.DISTANCE_THRESHOLD)

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """PickAndPlace: "table" for goals at the height of an object on it, "air" above; else one kind, ""."""
        if not self.variant.target_in_the_air:
            return [""] * len(desired_goal)
        return ["air" if goal[2] > self.scene.object_height else "table" for goal in desired_goal]

    def measurement_errors(self, draws: np.ndarray) -> Obs:
        """Errors of what is shown, from errors of what is measured [n, numbers of `sensed`] as shares of its scale.

        Shares of 1 are those of sensors whose positions are off by 1 m. A position (hand, fingers, object) is off by 1
        on each axis. A velocity is the difference of two positions, one step apart, and is off by sqrt(2) a step. An
        angle is measured by points a lever of 2.5 cm away, and is off by 1 / lever; an angular velocity by sqrt(2)
        times that.

        Each quantity is measured once. The way from hand to object is the difference of the two measurements, and the
        achieved goal is the measured position: with another error, the mean of the two would be better than the sensor,
        and without one, the policy would see the truth. The desired goal is given, not measured.
        """
        scale = np.concatenate([one.scale for one in self.sensed])
        ends = np.cumsum([len(one.scale) for one in self.sensed])[:-1]
        parts = np.split(draws * scale, ends, axis=1)
        where = 4 if self.variant.has_object else 0  # of what achieves the goal
        return {"observation": simulation.assemble(*parts), "achieved_goal": parts[where]}


def fetch_geometry(scene: FetchScene) -> Geometry:
    """The symmetries of a Fetch task: shifts along the table, and the mirror image that swaps left and right (y).

    Both hold for the hand, which a weld drags, and for what it touches; the arm behind it breaks them by at most 5 mm
    (tests/envs/test_geometry.py). A reflection in y negates the x and z components of angles and angular velocities and
    swaps the fingers.

    Where goals are beyond the arm's reach (Slide) shifts are no symmetry: there the hand cannot follow the puck.
    """
    has_object = scene.variant.has_object
    order = list(range(25 if has_object else 10))
    for first in (9, 23) if has_object else (3, 8):  # positions, then velocities of the fingers
        order[first], order[first + 1] = first + 1, first
    odd = {1, 4, 7, 11, 13, 15, 17, 19, 21} if has_object else {1, 6}
    points = ((0, 1, 2), (3, 4, 5)) if has_object else ((0, 1, 2),)
    across = 2 * float(scene.initial_grip[1])  # y + y' of a point and its image
    shift_axes = () if any(scene.variant.target_offset) else (0, 1)
    absolute = {point[1] for point in points}
    mirror = Mirror(
        observation_order=tuple(order),
        observation_sign=tuple(-1 if i in odd else 1 for i in range(len(order))),
        observation_offset=tuple(across if i in absolute else 0.0 for i in range(len(order))),
        goal_sign=(1, -1, 1),
        goal_offset=(0.0, across, 0.0),
        action_sign=(1, -1, 1, 1),
    )
    return Geometry(effector=points[0], points=points, shift_axes=shift_axes, mirror=mirror)


def sample_goal(
    scene: FetchScene, rng: np.random.Generator, start: np.ndarray, spread: GoalSpread = OWN_SPREAD
) -> np.ndarray:
    """A goal [3] in metres, drawn in the order gymnasium-robotics draws it.

    With `spread.reach` below 1 it is start + reach * (goal - start), on the way from `start` [3], where the object
    rests (without one, the hand), to the goal that the task itself would have drawn.
    """
    variant = scene.variant
    goal = scene.initial_grip + rng.uniform(-variant.target_range, variant.target_range, size=3)
    if variant.has_object:
        goal += variant.target_offset
        goal[2] = scene.object_height
        if variant.target_in_the_air and rng.uniform() < spread.air:
            goal[2] += rng.uniform(0, _AIR_HEIGHT)
    # At 1 the task's own goal to the last bit, which the sum would round.
    return goal if spread.reach == 1 else start + spread.reach * (goal - start)


def sample_object(scene: FetchScene, rng: np.random.Generator) -> np.ndarray:
    """A start position [2] of the object in the plane, at least 0.1 m from the hand, in the original's order."""
    centre, reach = scene.initial_grip[:2], scene.variant.object_range
    position = centre
    while np.linalg.norm(position - centre) < _MIN_OBJECT_OFFSET:
        position = centre + rng.uniform(-reach, reach, size=2)
    return position


def solved_at_reset(variant: Variant) -> float | None:
    """The probability that a goal is reached before the first action, by integration over what `sample_goal` and
    `sample_object` draw from; None for goals that are not drawn around the hand (Slide).

    Chapter 1 derives it: chapters/ch01_anatomy/chapter.md.
    """
    radius, side = model.DISTANCE_THRESHOLD, 2 * variant.target_range
    if not variant.has_object:  # a ball in a cube, the hand in its middle
        return 4 / 3 * np.pi * radius**3 / side**3
    if any(variant.target_offset) or variant.object_range != variant.target_range:
        return None
    table = _goal_beside_object(radius, side)
    if not variant.target_in_the_air:
        return table
    lifted = np.linspace(0, radius, 2001)
    beside = _goal_beside_object(np.sqrt(radius**2 - lifted**2), side)
    return (1 - _AIR_SHARE) * table + _AIR_SHARE * float(np.trapezoid(beside, lifted)) / _AIR_HEIGHT


def _goal_beside_object(radius: Any, side: float) -> Any:
    """The probability that object and goal, drawn in a square on the table, are within `radius` of each other.

    The object stays out of a disc around the hand, in the middle. `radius` plus that of the disc must not exceed half
    the side.
    """
    inside = np.pi * radius**2 / side**2  # for an object far from the square's edge, as one in the disc is
    anywhere = inside - 8 * radius**3 / (3 * side**3) + radius**4 / (2 * side**4)
    square, disc = side**2, np.pi * _MIN_OBJECT_OFFSET**2
    return (square * anywhere - disc * inside) / (square - disc)
