"""Policies written by hand: two searches that insert the peg, with memory and without, and three for guarded moves."""

from typing import Any

import numpy as np

from wellposed.envs.policies import Memoryless
from wellposed.envs.suites.peg.model import LENGTH
from wellposed.envs.suites.peg.task import SCALE
from wellposed.types import Carry, Obs, count

_NEAR, _CLEAR = 0.001, 0.002  # metres: beside the middle up to which the hand goes down, and above the plate before
_TOUCH = 0.5  # N by which contact is felt
_PRESS, _PUSH = 0.3, 0.8  # actions downwards, of 10 N: on the plate, and in the hole
_SUNK = 0.0015  # metres below the plate where the peg must be in the hole
_GAIN = 2.0  # of a way over the plate: friction holds the hand back
_STEER = 0.6  # action sideways against the lever arm: 6 N, more than friction takes of 3 N
_LEVEL, _LEAST = 0.002, 0.2  # metres of lever below which it steers less, and N by which a torque is divided at least
_LOW = 0.001  # metres above the plate below which the tip is about to touch


class SpiralSearch:
    """Comes down where the hole is said to be, slides over the plate along a spiral until the peg sinks, and pushes.

    The turns of the spiral lie `pitch` metres apart; a clearance of more than that cannot be missed. It advances by
    `speed` metres a step, and begins again beyond `reach` metres from the middle.
    """

    def __init__(self, pitch: float = 0.0006, speed: float = 0.0015, reach: float = 0.0045):
        self.pitch, self.speed, self.reach = pitch, speed, reach

    def initial_carry(self, n: int) -> Carry:
        """Of each env the length of the spiral so far, -1 before contact, and whether the peg has sunk."""
        return {"length": np.full(n, -1.0), "sunk": np.zeros(n, bool)}

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, 3]."""
        seen: dict[str, Any] = carry or self.initial_carry(count(obs))
        hand, force = obs["observation"][:, :3], obs["observation"][:, 14]
        touched = (seen["length"] >= 0) | (force > _TOUCH)
        length = np.where(touched, np.maximum(seen["length"], 0.0) + self.speed * (seen["length"] >= 0), -1.0)
        length = np.where(length > np.pi * self.reach**2 / self.pitch, 0.0, length)
        sunk = seen["sunk"] | (touched & (hand[:, 2] < -_SUNK))
        way = spiral_points(np.maximum(length, 0.0), self.pitch) - hand[:, :2]
        return _pressed(hand, _GAIN * way / SCALE, touched, sunk), {"length": length, "sunk": sunk}


class TorqueSearch(Memoryless):
    """Comes down where the hole is said to be, and steers against the lever arm of what it feels; pushes when it sinks.

    The plate carries a peg that is partly over the hole on the far side of it, so the force acts away from the peg's
    middle, and the torque says where. Nothing is remembered.
    """

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, 3]."""
        seen = obs["observation"]
        hand, lever, low = seen[:, :3], lever_arm(seen), seen[:, 2] < _LOW
        against = -_STEER * lever / np.maximum(np.linalg.norm(lever, axis=1, keepdims=True), _LEVEL)
        across = np.where(low[:, None], against, -_GAIN * hand[:, :2] / SCALE)
        return _pressed(hand, across, low, hand[:, 2] < -_SUNK), ()


def _pressed(hand: np.ndarray, across: np.ndarray, touching: np.ndarray, sunk: np.ndarray) -> np.ndarray:
    """Actions [n, 3] of hands [n, 3] that are to go `across` [n, 2]: down on the plate, and straight into the hole."""
    above = np.linalg.norm(hand[:, :2], axis=1) > _NEAR
    down = np.where(above & ~touching, (_CLEAR - hand[:, 2]) / SCALE, -_PRESS)
    down = np.where(sunk, -_PUSH, down)
    across = np.where(sunk[:, None], 0.0, across)
    return np.clip(np.concatenate([across, down[:, None]], axis=1), -1, 1).astype(np.float32)


def spiral_points(length: np.ndarray, pitch: float) -> np.ndarray:
    """The points [n, 2] of an Archimedean spiral after these lengths [n], in metres, its turns `pitch` apart.

    r = pitch angle / 2 pi. A length covers a strip `pitch` wide: pitch length = pi r^2.
    """
    angle = np.sqrt(4 * np.pi * length / pitch)
    return (pitch * angle / (2 * np.pi))[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def lever_arm(seen: np.ndarray) -> np.ndarray:
    """From the peg's middle to where the force on its tip acts, [n, 2] in metres, of observations [n, 18].

    A force F at the place p, from the wrist, is the torque p x F there; the tip is a peg's length below.
    """
    force, torque = seen[:, 12:15], seen[:, 15:18]
    x, y = -torque[:, 1] - LENGTH * force[:, 0], torque[:, 0] - LENGTH * force[:, 1]
    return np.stack([x, y], axis=1) / np.maximum(force[:, 2:], _LEAST)


class OneProbe(Memoryless):
    """Probes one cell for ever: deterministic, without memory."""

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, 2] in one direction."""
        return _towards(np.zeros(count(obs))), ()


class AnyProbe(Memoryless):
    """Probes any cell with one probability: the best without memory."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, 2] in directions that are drawn uniformly."""
        return _towards(self.rng.uniform(0, 2 * np.pi, count(obs))), ()


class EachProbe:
    """Probes the cells one after another, and remembers how many it has tried."""

    def __init__(self, cells: int = 5):
        self.cells = cells

    def initial_carry(self, n: int) -> Carry:
        """How many were tried, [n]."""
        return np.zeros(n, np.int64)

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, 2] in the direction of the next cell."""
        tried = self.initial_carry(count(obs)) if isinstance(carry, tuple) else carry
        return _towards(2 * np.pi * tried / self.cells), tried + 1


def _towards(angle: np.ndarray) -> np.ndarray:
    """Actions [n, 2] in these directions [n]."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
