"""The Fetch tasks in domain words: Reach, Push, Slide, PickAndPlace.

Here is what a task is: its numbers, its compiled model and starting pose, and how goals and objects are
drawn. `fetch_vec` steps it. The model files are the ones gymnasium-robotics ships.

Source of the tasks: Plappert et al. (2018), "Multi-Goal Reinforcement Learning", arXiv 1802.09464.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from wellposed.errors import UserError
from wellposed.types import Geometry, Mirror

SUBSTEPS = 20  # physics steps of 2 ms per environment step: control at 25 Hz
DISTANCE_THRESHOLD = 0.05  # metres
MAX_EPISODE_STEPS = 50
POSITION_SCALE = 0.05  # metres the hand's target moves for an action of 1
HAND_DOWN = np.array([1.0, 0.0, 1.0, 0.0])  # quaternion (w, x, y, z), not normalised, as in the original
_MIN_OBJECT_OFFSET = 0.1  # metres between object and hand at reset, in the plane
_AIR_SHARE, _AIR_HEIGHT = 0.5, 0.45  # of goals that may lie in the air: how many do, and up to how many metres above


@dataclass(frozen=True)
class FetchTask:
    """What distinguishes one Fetch task from another. Lengths in metres."""

    name: str
    model_file: str
    base_position: tuple[float, float, float]  # the robot's three base slides
    has_object: bool
    gripper_blocked: bool
    gripper_extra_height: float
    object_start: tuple[float, float, float] | None
    object_range: float  # object starts within this of the hand, in x and in y
    target_range: float  # goals lie within this of the hand
    target_offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    target_in_the_air: bool = False  # some goals are lifted


REACH = FetchTask("Reach", "reach.xml", (0.4049, 0.48, 0.0), False, True, 0.2, None, 0.15, 0.15)
PUSH = FetchTask("Push", "push.xml", (0.405, 0.48, 0.0), True, True, 0.0, (1.25, 0.53, 0.4), 0.15, 0.15)
SLIDE = FetchTask(
    "Slide", "slide.xml", (0.05, 0.48, 0.0), True, True, -0.02, (1.7, 1.1, 0.41), 0.1, 0.3, (0.4, 0.0, 0.0)
)
PICK_AND_PLACE = FetchTask(
    "PickAndPlace", "pick_and_place.xml", (0.405, 0.48, 0.0), True, False, 0.2, (1.25, 0.53, 0.4), 0.15, 0.15,
    target_in_the_air=True,
)  # fmt: skip
TASKS = (REACH, PUSH, SLIDE, PICK_AND_PLACE)


def model_path(task: FetchTask) -> Path:
    """Where gymnasium-robotics keeps the task's MJCF; found without importing the package."""
    spec = importlib.util.find_spec("gymnasium_robotics")
    if spec is None or spec.origin is None:
        raise UserError("gymnasium-robotics is not installed, and its model files are needed. Run `make setup`.")
    return Path(spec.origin).parent / "envs" / "assets" / "fetch" / task.model_file


@dataclass(frozen=True)
class GoalSpread:
    """How far goals lie from where the object starts, and how many of them in the air."""

    reach: float  # share of the way to the task's own goals, 0 to 1
    air: float  # share of goals that are lifted, 0 to 1, in a task that lifts any


OWN_SPREAD = GoalSpread(1.0, _AIR_SHARE)  # what the tasks themselves do


@dataclass(frozen=True)
class FetchScene:
    """A compiled task: the model, the state every episode starts from, and the ids that stepping needs."""

    task: FetchTask
    model: mujoco.MjModel
    initial_time: float
    initial_qpos: np.ndarray  # [nq]
    initial_qvel: np.ndarray  # [nv]
    initial_grip: np.ndarray  # [3] hand position at reset
    object_height: float  # height of a goal on the table
    hand_body: int
    grip_site: int
    object_site: int  # -1 without an object
    finger_qpos: slice  # right finger, then left
    finger_qvel: slice
    object_qpos: slice  # x, y, z, quaternion


def _id(model: mujoco.MjModel, kind: mujoco.mjtObj, name: str) -> int:
    found = mujoco.mj_name2id(model, kind, name)
    assert found != -1, f"the model has no {kind.name} {name!r}"
    return found


@cache
def load_scene(task: FetchTask) -> FetchScene:
    """Compile a task's model and let the arm settle into its starting pose, as the original does once."""
    obj = mujoco.mjtObj
    model = mujoco.MjModel.from_xml_path(str(model_path(task)))
    data = mujoco.MjData(model)
    for axis, value in enumerate(task.base_position):
        data.qpos[model.jnt_qposadr[_id(model, obj.mjOBJ_JOINT, f"robot0:slide{axis}")]] = value
    object_qpos = slice(0, 0)
    if task.object_start is not None:
        start = int(model.jnt_qposadr[_id(model, obj.mjOBJ_JOINT, "object0:joint")])
        object_qpos = slice(start, start + 7)
        data.qpos[object_qpos] = (*task.object_start, 1.0, 0.0, 0.0, 0.0)
    # The weld that drags the hand to the mocap body holds them at one pose, without offset.
    model.eq_data[model.eq_type == mujoco.mjtEq.mjEQ_WELD, :7] = (0, 0, 0, 0, 0, 0, 1)
    mujoco.mj_forward(model, data)
    grip_site = _id(model, obj.mjOBJ_SITE, "robot0:grip")
    object_site = _id(model, obj.mjOBJ_SITE, "object0") if task.has_object else -1
    data.mocap_pos[0] = data.site_xpos[grip_site] + (-0.498, 0.005, -0.431 + task.gripper_extra_height)
    data.mocap_quat[0] = HAND_DOWN
    mujoco.mj_step(model, data, nstep=10 * SUBSTEPS)
    right = _id(model, obj.mjOBJ_JOINT, "robot0:r_gripper_finger_joint")
    finger_qpos, finger_qvel = int(model.jnt_qposadr[right]), int(model.jnt_dofadr[right])
    return FetchScene(
        task=task,
        model=model,
        initial_time=data.time,
        initial_qpos=data.qpos.copy(),
        initial_qvel=data.qvel.copy(),
        initial_grip=data.site_xpos[grip_site].copy(),
        object_height=float(data.site_xpos[object_site][2]) if task.has_object else 0.0,
        hand_body=_id(model, obj.mjOBJ_BODY, "robot0:gripper_link"),
        grip_site=grip_site,
        object_site=object_site,
        finger_qpos=slice(finger_qpos, finger_qpos + 2),
        finger_qvel=slice(finger_qvel, finger_qvel + 2),
        object_qpos=object_qpos,
    )


def geometry(scene: FetchScene) -> Geometry:
    """What the table leaves unchanged: shifts along it, and the mirror image that swaps left and right (y).

    Both hold for the hand, which a weld drags, and for what it touches. The arm behind it obeys neither, which shows in
    5 mm at most (tests/envs/test_geometry.py). A reflection in y turns
    the x and z components of angles and angular velocities round, and swaps the fingers.

    Where goals lie beyond the arm's reach (Slide) shifts are no symmetry: at its edge the hand cannot follow the puck.
    """
    has_object = scene.task.has_object
    order = list(range(25 if has_object else 10))
    for first in (9, 23) if has_object else (3, 8):  # positions, then velocities of the fingers
        order[first], order[first + 1] = first + 1, first
    odd = {1, 4, 7, 11, 13, 15, 17, 19, 21} if has_object else {1, 6}
    points = ((0, 1, 2), (3, 4, 5)) if has_object else ((0, 1, 2),)
    across = 2 * float(scene.initial_grip[1])  # y + y' of a point and its image
    shift_axes = () if any(scene.task.target_offset) else (0, 1)
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

    Where `spread.reach` is less than 1 it lies on the way from `start` [3], where the object rests (the hand, without
    one), to the goal that the task itself would have drawn: start + reach * (goal - start).
    """
    task = scene.task
    goal = scene.initial_grip + rng.uniform(-task.target_range, task.target_range, size=3)
    if task.has_object:
        goal += task.target_offset
        goal[2] = scene.object_height
        if task.target_in_the_air and rng.uniform() < spread.air:
            goal[2] += rng.uniform(0, _AIR_HEIGHT)
    # At 1 the task's own goal to the last bit, which the sum would round.
    return goal if spread.reach == 1 else start + spread.reach * (goal - start)


def sample_object(scene: FetchScene, rng: np.random.Generator) -> np.ndarray:
    """A start position [2] of the object in the plane, at least 0.1 m from the hand, in the original's order."""
    centre, reach = scene.initial_grip[:2], scene.task.object_range
    position = centre
    while np.linalg.norm(position - centre) < _MIN_OBJECT_OFFSET:
        position = centre + rng.uniform(-reach, reach, size=2)
    return position


def solved_at_reset(task: FetchTask) -> float | None:
    """The probability that a goal is reached before the first action, by integration over what `sample_goal` and
    `sample_object` draw from; None for goals that are not drawn around the hand (Slide).

    Chapter 1 derives it: chapters/ch01_anatomy/chapter.md.
    """
    radius, side = DISTANCE_THRESHOLD, 2 * task.target_range
    if not task.has_object:  # a ball in a cube, the hand in its middle
        return 4 / 3 * np.pi * radius**3 / side**3
    if any(task.target_offset) or task.object_range != task.target_range:
        return None
    table = _goal_beside_object(radius, side)
    if not task.target_in_the_air:
        return table
    lifted = np.linspace(0, radius, 2001)
    beside = _goal_beside_object(np.sqrt(radius**2 - lifted**2), side)
    return (1 - _AIR_SHARE) * table + _AIR_SHARE * float(np.trapezoid(beside, lifted)) / _AIR_HEIGHT


def _goal_beside_object(radius: Any, side: float) -> Any:
    """The probability that object and goal, drawn in a square on the table, lie within `radius` of each other.

    The object keeps clear of a disc in the middle, around the hand. `radius` added to that of the disc must not exceed
    half the side.
    """
    inside = np.pi * radius**2 / side**2  # for an object far from the square's edge, as one in the disc is
    anywhere = inside - 8 * radius**3 / (3 * side**3) + radius**4 / (2 * side**4)
    square, disc = side**2, np.pi * _MIN_OBJECT_OFFSET**2
    return (square * anywhere - disc * inside) / (square - disc)


def euler_from_matrix(mat: np.ndarray) -> np.ndarray:
    """Euler angles [n, 3] (x, y, z; radians) of rotation matrices [n, 3, 3], gimbal lock included.

    The convention is that of the tasks' observation: R = Rx Ry Rz read with negated angles.
    """
    cos_y = np.sqrt(mat[:, 2, 2] * mat[:, 2, 2] + mat[:, 1, 2] * mat[:, 1, 2])  # hypot rounds otherwise
    regular = cos_y > 4 * np.finfo(np.float64).eps
    x = np.where(regular, -np.arctan2(mat[:, 1, 2], mat[:, 2, 2]), 0.0)
    y = np.arctan2(mat[:, 0, 2], cos_y)
    z = np.where(regular, -np.arctan2(mat[:, 0, 1], mat[:, 0, 0]), np.arctan2(mat[:, 1, 0], mat[:, 1, 1]))
    return np.stack([x, y, z], axis=-1)
