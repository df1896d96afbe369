"""Pictures of a MuJoCo model without a screen, by the first OpenGL back-end that works.

Rendering has its own model and data, so it cannot change the physics.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import importlib
import os
import subprocess
import sys
from functools import cache
from typing import NamedTuple

import mujoco
import numpy as np

from wellposed.errors import UserError

BACKENDS = ("egl", "osmesa", "glfw")
INSTALL_LINE = "sudo apt-get install -y libosmesa6 libegl1 libgl1"
REACHED, WANTED = (0.10, 0.68, 0.42, 0.9), (0.93, 0.33, 0.23, 0.9)  # goal marker: green once reached
_PROBE = (
    "import mujoco; from wellposed.envs.rendering import Camera, Renderer; "
    "drawn = Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 16, {backend!r}, Camera((0, 0, 0), 1.0))"
)


@cache
def probe_backend(backend: str) -> str | None:
    """None if the back-end renders, else why not. It is tried in another process, because a failure may crash it."""
    command = [sys.executable, "-c", _PROBE.format(backend=backend)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "no answer within 60 s"
    if result.returncode == 0:
        return None
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {result.returncode}"


def egl_device() -> str:
    """Who made what EGL draws on, and its name, as OpenGL says."""
    names = (
        "import OpenGL.GL as gl; print(gl.glGetString(gl.GL_VENDOR).decode(), gl.glGetString(gl.GL_RENDERER).decode())"
    )
    command = [sys.executable, "-c", f"{_PROBE.format(backend='egl')}; {names}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def working_backend() -> str:
    """The first back-end that renders here; one named in MUJOCO_GL is tried first.

    Raises UserError if none does, with the command that installs one.
    """
    wished = os.environ.get("MUJOCO_GL", "").lower()
    order = dict.fromkeys([wished, *BACKENDS] if wished in BACKENDS else BACKENDS)
    for backend in order:
        if probe_backend(backend) is None:
            return backend
    raise UserError(f"No OpenGL back-end works here ({', '.join(order)}), so nothing can be drawn. Run: {INSTALL_LINE}")


class Camera(NamedTuple):
    """Where pictures are taken from."""

    look_at: tuple[float, float, float]  # metres
    distance: float  # metres
    azimuth: float = 140.0  # degrees
    elevation: float = -22.0  # degrees


class View(NamedTuple):
    """How a task is seen by a policy that learns from pictures (capability "pixels")."""

    camera: Camera
    shown: tuple[str, ...]  # a body is seen if its name holds one of these; all else is hidden, goal markers too
    own: tuple[int, ...]  # numbers of the observation that the robot knows of itself, without looking


class Canvas:
    """An OpenGL context that draws square pictures of one model. Only the thread that made it may use it."""

    def __init__(self, model: mujoco.MjModel, size: int, backend: str, camera: Camera):
        """`size`: width and height in pixels; `backend`: one that `probe_backend` found working."""
        model.vis.global_.offwidth = model.vis.global_.offheight = size
        self.size, self.model, self.data = size, model, mujoco.MjData(model)
        self._context = importlib.import_module(f"mujoco.{backend}").GLContext(size, size)
        self._context.make_current()
        self.scene = mujoco.MjvScene(self.model, 1000)
        self._gl = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._gl)
        self._options = mujoco.MjvOption()
        self._options.sitegroup[:] = 0  # a model's own goal markers
        self.camera = mujoco.MjvCamera()
        self.place(camera)

    def place(self, camera: Camera) -> None:
        """Take pictures from there."""
        self.camera.lookat[:], self.camera.distance = camera.look_at, camera.distance
        self.camera.azimuth, self.camera.elevation = camera.azimuth, camera.elevation

    def pose(self, qpos: np.ndarray) -> None:
        """Put the model's parts where joint positions [nq] say, in the scene too."""
        self.data.qpos[:] = qpos
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)  # else the lamps stay at the origin
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self.model, self.data, self._options, None, self.camera, everything, self.scene)

    def picture(self) -> np.ndarray:
        """The scene, uint8 [size, size, 3]."""
        rect, image = mujoco.MjrRect(0, 0, self.size, self.size), np.empty((self.size, self.size, 3), np.uint8)
        mujoco.mjr_render(rect, self.scene, self._gl)
        mujoco.mjr_readPixels(image, None, rect, self._gl)
        return image[::-1]

    def close(self) -> None:
        """Release the OpenGL context."""
        self._gl.free()
        self._context.free()


class Renderer:
    """Draws square frames of a model for people, with the goal as a ball that turns green once reached."""

    def __init__(self, model: mujoco.MjModel, size: int, backend: str, camera: Camera):
        """As `Canvas`."""
        self.size, self._canvas = size, Canvas(model, size, backend, camera)

    def frame(self, qpos: np.ndarray, goal: np.ndarray, reached: bool) -> np.ndarray:
        """One frame, uint8 [size, size, 3], of joint positions [nq] and a goal [3] in metres."""
        self._canvas.pose(qpos)
        scene = self._canvas.scene
        draw_ball(scene.geoms[scene.ngeom], goal, REACHED if reached else WANTED)
        scene.ngeom += 1
        return self._canvas.picture()

    def close(self) -> None:
        """Release the OpenGL context."""
        self._canvas.close()


def draw_ball(geom: mujoco.MjvGeom, position: np.ndarray, rgba: tuple[float, ...]) -> None:
    """Make the marker of a goal [3] of a geom of a scene."""
    sphere, size = mujoco.mjtGeom.mjGEOM_SPHERE.value, np.full(3, 0.028)
    mujoco.mjv_initGeom(geom, sphere, size, np.asarray(position, float), np.eye(3).ravel(), np.array(rgba, "f4"))
    geom.emission = 0.4
