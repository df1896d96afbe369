"""Policies written by hand, with the same `act` as an agent: baselines, and oracles that make contact.

The oracles read nothing but the observation. They exist so that tests and checks can show episodes in which
the hand pushes or carries the object, which random actions hardly ever do.
"""

from collections.abc import Callable

import numpy as np

from wellposed.types import GoalObs, Policy

_STEP = 0.05  # metres an action of 1 asks the hand to move
_FINGER = 0.03  # metres above the object at which the hand clears it


class RandomPolicy:
    """Uniform actions in [-1, 1]: the floor every learner is held against."""

    def __init__(self, action_dim: int, rng: np.random.Generator):
        self.action_dim, self.rng = action_dim, rng

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, action_dim]; `deterministic` is ignored, noise is all there is."""
        n = len(obs["observation"])
        return self.rng.uniform(-1.0, 1.0, (n, self.action_dim)).astype(np.float32)


class ProportionalReach:
    """Moves the hand straight towards the goal; solves Reach."""

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, 4]: the remaining way as a share of one step's reach."""
        return _towards(obs["desired_goal"] - obs["observation"][:, :3], self.gain)


class ScriptedPush:
    """Goes behind the object, seen from the goal, comes down and pushes; for Push and Slide."""

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, 4] of three phases: above the point behind the object, down, through the object."""
        hand, obj, goal = obs["observation"][:, :3], obs["observation"][:, 3:6], obs["desired_goal"]
        to_goal = goal[:, :2] - obj[:, :2]
        left = np.linalg.norm(to_goal, axis=1, keepdims=True)
        direction = to_goal / np.maximum(left, 1e-9)
        behind = np.concatenate([obj[:, :2] - 0.07 * direction, obj[:, 2:]], axis=1)
        off = np.linalg.norm(hand[:, :2] - behind[:, :2], axis=1)
        ahead = np.einsum("nd,nd->n", obj[:, :2] - hand[:, :2], direction)
        aside = np.linalg.norm(obj[:, :2] - hand[:, :2] - ahead[:, None] * direction, axis=1)
        low = hand[:, 2] < obj[:, 2] + _FINGER
        pushing = low & (ahead > 0) & (aside < 0.02)
        target = behind + np.where(off < 0.015, 0.0, 1.0)[:, None] * np.array([0.0, 0.0, 0.08])
        through = np.concatenate([obj[:, :2] + np.minimum(left, 0.03) * direction, obj[:, 2:]], axis=1)
        target = np.where(pushing[:, None], through, target)
        done = left[:, 0] < 0.02
        return _towards(np.where(done[:, None], 0.0, target - hand), 1.0)


class ScriptedPickAndPlace:
    """Opens over the object, comes down, closes, carries it to the goal; for PickAndPlace."""

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, 4]; the fourth opens (+1) or closes (-1) the gripper."""
        hand, obj, goal = obs["observation"][:, :3], obs["observation"][:, 3:6], obs["desired_goal"]
        width = obs["observation"][:, 9:11].sum(axis=1)
        aligned = np.linalg.norm(obj[:, :2] - hand[:, :2], axis=1) < 0.008
        around = aligned & (np.abs(obj[:, 2] - hand[:, 2]) < 0.012)
        held = around & (width < 0.054)
        target = obj + np.where(aligned, 0.0, 1.0)[:, None] * np.array([0.0, 0.0, 0.08])
        target = np.where(around[:, None], hand, target)
        target = np.where(held[:, None], goal, target)
        actions = _towards(target - hand, 1.0)
        actions[:, 3] = np.where(around, -1.0, 1.0)
        return actions


ORACLES: dict[str, Callable[[], Policy]] = {
    "Reach": ProportionalReach,
    "Push": ScriptedPush,
    "Slide": ScriptedPush,
    "PickAndPlace": ScriptedPickAndPlace,
}


def _towards(offset: np.ndarray, gain: float) -> np.ndarray:
    """Actions [n, 4] that move the hand along `offset` [n, 3] metres, gripper left alone."""
    move = np.clip(gain * offset / _STEP, -1.0, 1.0)
    return np.concatenate([move, np.zeros((len(move), 1))], axis=1).astype(np.float32)
