"""Pictures of the Fetch arm without a screen: the first OpenGL back-end that works, and a scene made to be looked at.

Rendering has its own model and data, so it can neither slow nor change the physics.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import importlib
import os
import subprocess
import sys
from functools import cache

import mujoco
import numpy as np

from wellposed.envs import fetch
from wellposed.errors import UserError

BACKENDS = ("egl", "osmesa", "glfw")
INSTALL_LINE = "sudo apt-get install -y libosmesa6 libegl1 libgl1"
_REACHED, _WANTED = (0.10, 0.68, 0.42, 0.9), (0.93, 0.33, 0.23, 0.9)  # goal marker: green once reached
_PROBE = "from wellposed.envs.rendering import FetchRenderer, fetch; FetchRenderer(fetch.REACH, 16, {backend!r})"


@cache
def probe_backend(backend: str) -> str | None:
    """None if the back-end renders, else why not. It is tried in a process of its own, for a failure may be fatal."""
    command = [sys.executable, "-c", _PROBE.format(backend=backend)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "no answer within 60 s"
    if result.returncode == 0:
        return None
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {result.returncode}"


def working_backend() -> str:
    """The first back-end that renders here; one named in MUJOCO_GL is tried first.

    Raises:
        UserError: if none does, with the line that installs one.
    """
    wished = os.environ.get("MUJOCO_GL", "").lower()
    order = dict.fromkeys([wished, *BACKENDS] if wished in BACKENDS else BACKENDS)
    for backend in order:
        if probe_backend(backend) is None:
            return backend
    raise UserError(f"No OpenGL back-end works here ({', '.join(order)}), so nothing can be drawn. Run: {INSTALL_LINE}")


class FetchRenderer:
    """Draws square frames of a Fetch task, with the goal as a ball that turns green once reached."""

    def __init__(self, task: fetch.FetchTask, size: int, backend: str):
        """`size`: width and height in pixels; `backend`: one that `probe_backend` found working."""
        self.size, self._model = size, _studio(task, size)
        self._data = mujoco.MjData(self._model)
        self._context = importlib.import_module(f"mujoco.{backend}").GLContext(size, size)
        self._context.make_current()
        self._scene = mujoco.MjvScene(self._model, 1000)
        self._gl = mujoco.MjrContext(self._model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self._gl)
        self._camera, self._options = mujoco.MjvCamera(), mujoco.MjvOption()
        self._options.sitegroup[:] = 0  # the model's own red goal markers
        slide = task is fetch.SLIDE
        self._camera.lookat[:] = (1.15, 0.75, 0.4) if slide else (1.25, 0.75, 0.6)
        self._camera.distance = 2.0 if slide else 1.55
        self._camera.azimuth, self._camera.elevation = 140.0, -22.0

    def frame(self, qpos: np.ndarray, goal: np.ndarray, reached: bool) -> np.ndarray:
        """One frame, uint8 [size, size, 3], of joint positions [nq] and a goal [3] in metres."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)  # without it the lamps stay in the origin
        everything = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._model, self._data, self._options, None, self._camera, everything, self._scene)
        self._add_ball(goal, _REACHED if reached else _WANTED)
        rect, image = mujoco.MjrRect(0, 0, self.size, self.size), np.empty((self.size, self.size, 3), np.uint8)
        mujoco.mjr_render(rect, self._scene, self._gl)
        mujoco.mjr_readPixels(image, None, rect, self._gl)
        return image[::-1]

    def close(self) -> None:
        """Release the OpenGL context."""
        self._gl.free()
        self._context.free()

    def _add_ball(self, position: np.ndarray, rgba: tuple[float, ...]) -> None:
        ball = self._scene.geoms[self._scene.ngeom]
        sphere, size = mujoco.mjtGeom.mjGEOM_SPHERE.value, np.full(3, 0.028)
        mujoco.mjv_initGeom(ball, sphere, size, np.asarray(position, float), np.eye(3).ravel(), np.array(rgba, "f4"))
        ball.emission = 0.4
        self._scene.ngeom += 1


def _studio(task: fetch.FetchTask, size: int) -> mujoco.MjModel:
    """The task's model in daylight: pale background, soft floor and table. For the eye only."""
    spec = mujoco.MjSpec.from_file(str(fetch.model_path(task)))
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
    spec.visual.global_.offwidth = spec.visual.global_.offheight = size
    return spec.compile()
