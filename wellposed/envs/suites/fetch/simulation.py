"""One simulated Fetch arm: drag the hand, move the fingers, read what the tasks observe.

Episodes equal those of gymnasium-robotics v4 with the same MuJoCo, seed and actions to 1e-12 (tested). Nothing is
looked up by name in a step, and memory is allocated once.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import mujoco
import numpy as np

from wellposed.envs.suites.fetch.dynamics import lift
from wellposed.envs.suites.fetch.model import SUBSTEPS, FetchScene, Variant

# Columns of the readings: positions in metres, velocities per second.
GRIP, HAND_POSITION, HAND_QUATERNION = slice(0, 3), slice(3, 6), slice(6, 10)
FINGERS, FINGER_VELOCITY, HAND_VELOCITY = slice(10, 12), slice(12, 14), slice(14, 17)
OBJECT, OBJECT_ROTATION, OBJECT_LINEAR, OBJECT_ANGULAR = slice(17, 20), slice(20, 29), slice(29, 32), slice(32, 35)


class FetchSimulation:
    """One arm of a task, with the views and scratch memory of its step."""

    def __init__(self, scene: FetchScene, data: mujoco.MjData, readings: np.ndarray):
        """`readings` is the row [17 or 35] that `read` fills."""
        self.scene, self.data, self.readings = scene, data, readings
        self.model, self.substeps = data.model, SUBSTEPS  # the scene's model, or like it with other dynamics
        self.fingers, self.qvel = data.qpos[scene.finger_qpos], data.qvel
        self.mocap_pos, self.mocap_quat = data.mocap_pos[0], data.mocap_quat[0]
        self.hand_jacobian, self.hand_velocity = np.zeros((3, scene.model.nv)), np.zeros(3)
        hand, grip, finger_velocity = scene.hand_body, scene.grip_site, data.qvel[scene.finger_qvel]
        self.views = [data.site_xpos[grip], data.xpos[hand], data.xquat[hand], self.fingers, finger_velocity]
        self.views.append(self.hand_velocity)
        self.object_motion: tuple[np.ndarray, ...] = ()
        if scene.variant.has_object:
            jacobians, velocities = np.zeros((2, 3, scene.model.nv)), np.zeros((2, 3))
            self.object_motion = (*jacobians, *velocities)
            self.views += [data.site_xpos[scene.object_site], data.site_xmat[scene.object_site], *velocities]

    def advance(self, control: np.ndarray) -> None:
        """One environment step under a control [8]: move the mocap pose that drags the hand and the fingers, read."""
        model, data = self.model, self.data
        self.mocap_pos[:] = control[:3]
        self.mocap_quat[:] = control[3:7]
        if self.scene.variant.gripper_blocked:
            mujoco.mj_step(model, data, self.substeps)
            self.fingers[:] = 0.0
            # The part of the original's mj_forward that changes an observation, at a quarter of its cost.
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
        else:  # here nothing is recomputed after the step, so positions lag `qpos` by one substep, as in the original
            data.ctrl[0] = self.fingers[1] + control[7]  # actuators: left, then right
            data.ctrl[1] = self.fingers[0] + control[7]
            mujoco.mj_step(model, data, self.substeps)
        self.read()

    def restart(self, object_position: np.ndarray | None) -> None:
        """Put the simulation at the start of an episode, with the object at [2]."""
        scene, model, data = self.scene, self.model, self.data
        mujoco.mj_resetData(model, data)
        data.time = scene.initial_time
        data.qpos[:] = scene.initial_qpos
        data.qvel[:] = scene.initial_qvel
        if object_position is not None:
            data.qpos[scene.object_qpos][:2] = object_position
            if model is not scene.model:
                data.qpos[scene.object_qpos][2] += lift(scene, model)
        mujoco.mj_forward(model, data)
        self.read()

    def read(self) -> None:
        """Fill the readings. Velocities are Jacobian times `qvel`, like the original: `cvel` would lag."""
        model, data = self.model, self.data
        mujoco.mj_jacSite(model, data, self.hand_jacobian, None, self.scene.grip_site)
        np.dot(self.hand_jacobian, self.qvel, out=self.hand_velocity)
        if self.object_motion:
            linear_jacobian, angular_jacobian, linear, angular = self.object_motion
            mujoco.mj_jacSite(model, data, linear_jacobian, angular_jacobian, self.scene.object_site)
            np.dot(linear_jacobian, self.qvel, out=linear)
            np.dot(angular_jacobian, self.qvel, out=angular)
        np.concatenate(self.views, out=self.readings)


def readings_width(variant: Variant) -> int:
    """The number of readings of one arm."""
    return OBJECT_ANGULAR.stop if variant.has_object else HAND_VELOCITY.stop


def observation(variant: Variant, readings: np.ndarray, dt: float) -> np.ndarray:
    """The tasks' observation [n, 10 or 25] from readings [n, width]; `dt` turns velocities into motion per step."""
    measured = [readings[:, GRIP], readings[:, FINGERS]]
    measured += [readings[:, HAND_VELOCITY] * dt, readings[:, FINGER_VELOCITY] * dt]
    if variant.has_object:
        rotation = euler_from_matrix(readings[:, OBJECT_ROTATION].reshape(-1, 3, 3))
        measured += [readings[:, OBJECT], rotation, readings[:, OBJECT_LINEAR] * dt, readings[:, OBJECT_ANGULAR] * dt]
    return assemble(*measured)


def assemble(
    hand: np.ndarray,
    fingers: np.ndarray,
    hand_velocity: np.ndarray,
    finger_velocity: np.ndarray,
    *of_object: np.ndarray,
) -> np.ndarray:
    """The observation [n, 10 or 25] from what is measured, each [n, 2 or 3].

    `of_object`: its position, angles, linear and angular velocity, if there is one. The map is linear, so it also maps
    errors of measurement.
    """
    if not of_object:
        return np.concatenate([hand, fingers, hand_velocity, finger_velocity], axis=1)
    position, rotation, linear, angular = of_object
    parts = [hand, position, position - hand, fingers, rotation, linear - hand_velocity, angular]
    return np.concatenate([*parts, hand_velocity, finger_velocity], axis=1)


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
