"""Frames of a peg and its hole, for people."""

import copy

import numpy as np

from wellposed.envs.rendering import REACHED, Camera, Renderer
from wellposed.envs.suites.peg.model import peg_model

CAMERA = Camera((0.0, 0.0, 0.008), 0.1, azimuth=130.0, elevation=-25.0)
PEG, PLATE = (0.16, 0.38, 0.62, 1.0), (0.55, 0.6, 0.65, 0.25)  # one sees into the hole


class PegRenderer(Renderer):
    """Draws the peg, which turns green at the bottom, and the plate with the hole where it truly is.

    The hole of the default shape and clearance stands for all; how the peg is held is not drawn.
    """

    def __init__(self, size: int, backend: str):
        """As `Renderer`, with a model of its own."""
        model = copy.copy(peg_model("square", 0.001))
        self._peg = model.geom("peg").id
        model.geom_rgba[:], model.vis.headlight.ambient[:] = PLATE, 0.5
        super().__init__(model, size, backend, CAMERA)

    def frame(self, qpos: np.ndarray, goal: np.ndarray, reached: bool) -> np.ndarray:
        """One frame, uint8 [size, size, 3], of joint positions [nq] and the bottom of the hole [3] in metres."""
        canvas = self._canvas
        canvas.model.geom_rgba[self._peg] = (*REACHED[:3], 1.0) if reached else PEG
        canvas.data.mocap_pos[0, :2] = goal[:2]
        canvas.pose(qpos)
        return canvas.picture()
