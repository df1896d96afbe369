"""The Fetch tasks' numbers, their compiled models, and how they are drawn.

The model files are those of gymnasium-robotics. Source of the tasks: Plappert et al. (2018), "Multi-Goal Reinforcement
Learning", arXiv 1802.09464.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mujoco
import numpy as np

from wellposed.envs.rendering import Camera, Renderer, View
from wellposed.errors import UserError

SUBSTEPS = 20  # physics steps of 2 ms per environment step
RATE = 25.0  # environment steps in a second
DISTANCE_THRESHOLD = 0.05  # metres
MAX_EPISODE_STEPS = 50
POSITION_SCALE = 0.05  # metres the hand's target moves for an action of 1
HAND_DOWN = np.array([1.0, 0.0, 1.0, 0.0])  # quaternion (w, x, y, z), not normalised, as in the original


@dataclass(frozen=True)
class Variant:
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


REACH = Variant("Reach", "reach.xml", (0.4049, 0.48, 0.0), False, True, 0.2, None, 0.15, 0.15)
PUSH = Variant("Push", "push.xml", (0.405, 0.48, 0.0), True, True, 0.0, (1.25, 0.53, 0.4), 0.15, 0.15)
SLIDE = Variant("Slide", "slide.xml", (0.05, 0.48, 0.0), True, True, -0.02, (1.7, 1.1, 0.41), 0.1, 0.3, (0.4, 0.0, 0.0))
PICK_AND_PLACE = Variant(
    "PickAndPlace", "pick_and_place.xml", (0.405, 0.48, 0.0), True, False, 0.2, (1.25, 0.53, 0.4), 0.15, 0.15,
    target_in_the_air=True,
)  # fmt: skip
VARIANTS = (REACH, PUSH, SLIDE, PICK_AND_PLACE)


def model_path(variant: Variant) -> Path:
    """Where gymnasium-robotics keeps the task's MJCF; found without importing the package."""
    spec = importlib.util.find_spec("gymnasium_robotics")
    if spec is None or spec.origin is None:
        raise UserError("gymnasium-robotics is not installed, and its model files are needed. Run `make setup`.")
    return Path(spec.origin).parent / "envs" / "assets" / "fetch" / variant.model_file


@dataclass(frozen=True)
class FetchScene:
    """A compiled task: the model, the state at the start of every episode, and the ids that stepping needs."""

    variant: Variant
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
def load_scene(variant: Variant) -> FetchScene:
    """Compile a task's model and let the arm settle into its starting pose, as the original does once."""
    obj = mujoco.mjtObj
    model = mujoco.MjModel.from_xml_path(str(model_path(variant)))
    data = mujoco.MjData(model)
    for axis, value in enumerate(variant.base_position):
        data.qpos[model.jnt_qposadr[_id(model, obj.mjOBJ_JOINT, f"robot0:slide{axis}")]] = value
    object_qpos = slice(0, 0)
    if variant.object_start is not None:
        start = int(model.jnt_qposadr[_id(model, obj.mjOBJ_JOINT, "object0:joint")])
        object_qpos = slice(start, start + 7)
        data.qpos[object_qpos] = (*variant.object_start, 1.0, 0.0, 0.0, 0.0)
    # The weld that drags the hand to the mocap body holds them at one pose, without offset.
    model.eq_data[model.eq_type == mujoco.mjtEq.mjEQ_WELD, :7] = (0, 0, 0, 0, 0, 0, 1)
    mujoco.mj_forward(model, data)
    grip_site = _id(model, obj.mjOBJ_SITE, "robot0:grip")
    object_site = _id(model, obj.mjOBJ_SITE, "object0") if variant.has_object else -1
    data.mocap_pos[0] = data.site_xpos[grip_site] + (-0.498, 0.005, -0.431 + variant.gripper_extra_height)
    data.mocap_quat[0] = HAND_DOWN
    mujoco.mj_step(model, data, nstep=10 * SUBSTEPS)
    right = _id(model, obj.mjOBJ_JOINT, "robot0:r_gripper_finger_joint")
    finger_qpos, finger_qvel = int(model.jnt_qposadr[right]), int(model.jnt_dofadr[right])
    return FetchScene(
        variant=variant,
        model=model,
        initial_time=data.time,
        initial_qpos=data.qpos.copy(),
        initial_qvel=data.qvel.copy(),
        initial_grip=data.site_xpos[grip_site].copy(),
        object_height=float(data.site_xpos[object_site][2]) if variant.has_object else 0.0,
        hand_body=_id(model, obj.mjOBJ_BODY, "robot0:gripper_link"),
        grip_site=grip_site,
        object_site=object_site,
        finger_qpos=slice(finger_qpos, finger_qpos + 2),
        finger_qvel=slice(finger_qvel, finger_qvel + 2),
        object_qpos=object_qpos,
    )


def view(variant: Variant) -> View:
    """How a policy sees a task: from above and in front, hand, fingers, object and table without the arm."""
    high = 0.1 if variant.target_in_the_air or not variant.has_object else 0.0  # what is lifted comes nearer
    camera = Camera((1.32, 0.75, 0.45 + high), 0.75 + 2 * high, azimuth=180.0, elevation=-65.0)
    if variant is SLIDE:
        camera = camera._replace(look_at=(1.45, 0.75, 0.42), distance=1.6)
    hand = (*range(3), *range(9, 11), *range(20, 25))  # place, fingers, and the velocities of both
    return View(camera, ("gripper", "finger", "object", "table"), hand if variant.has_object else tuple(range(10)))


def renderer(variant: Variant, size: int, backend: str) -> Renderer:
    """Draws frames of `size` pixels of a Fetch task, with its own model, so it cannot change the physics."""
    camera = Camera((1.15, 0.75, 0.4), 2.0) if variant is SLIDE else Camera((1.25, 0.75, 0.6), 1.55)
    return Renderer(_studio(variant), size, backend, camera)


def _studio(variant: Variant) -> mujoco.MjModel:
    """The task's model with a pale background and soft colours, for drawing only."""
    spec = mujoco.MjSpec.from_file(str(model_path(variant)))
    for texture in spec.textures:
        if texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            texture.rgb1, texture.rgb2 = (0.93, 0.95, 0.97), (0.80, 0.85, 0.90)
    colours = {
        "floor_mat": (0.78, 0.81, 0.84, 1), "table_mat": (0.96, 0.94, 0.90, 1),
        "block_mat": (0.16, 0.22, 0.33, 1), "puck_mat": (0.16, 0.22, 0.33, 1),
    }  # fmt: skip
    for name, rgba in colours.items():
        spec.material(name).rgba = rgba
    for light in spec.lights:
        light.ambient, light.diffuse, light.specular = (0.0,) * 3, (0.45,) * 3, (0.1,) * 3
        light.dir = (-0.3, 0.2, -1.0)
    spec.visual.headlight.ambient, spec.visual.headlight.diffuse = (0.4,) * 3, (0.3,) * 3
    return spec.compile()
