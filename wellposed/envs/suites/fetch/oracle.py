"""Policies written by hand, with the same `act` as an agent, that solve the tasks.

They read only the observation. With them, tests and checks can show episodes in which the hand pushes or carries the
object, which random actions hardly ever do.
"""

from collections.abc import Callable

import numpy as np

from wellposed.envs.policies import Memoryless
from wellposed.types import Carry, Obs, Policy

_STEP = 0.05  # metres an action of 1 asks the hand to move
_CLEAR = 0.06  # metres above the object at which the hand passes over it
_GLIDE = 2  # steps that an object which is pushed slides on
_GENTLY = 0.1  # metres a step for each metre to the goal


class ProportionalReach(Memoryless):
    """Moves the hand straight towards the goal; solves Reach."""

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, 4]: the remaining way as a share of one step's reach."""
        return _towards(obs["desired_goal"] - obs["observation"][:, :3], self.gain), ()


class ScriptedPush(Memoryless):
    """Goes round the object, comes down behind it as seen from the goal, and pushes, more gently near the goal.

    It accounts for sliding: the goal is seen from where the object will stop. An object that slipped aside is
    approached again, from above. For Push and, as far as the arm reaches, for Slide.
    """

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, 4] of four phases: up, across to above the point behind the object, down, through the object."""
        seen, goal = obs["observation"], obs["desired_goal"][:, :2]
        hand, obj = seen[:, :3], seen[:, 3:6]
        glide = _GLIDE * (seen[:, 14:16] + seen[:, 20:22])  # its velocity is given relative to the hand's
        to_goal = goal - obj[:, :2] - glide
        left = np.linalg.norm(to_goal, axis=1, keepdims=True)
        direction = to_goal / np.maximum(left, 1e-9)
        to_object = obj[:, :2] - hand[:, :2]
        ahead = np.einsum("nd,nd->n", to_object, direction)
        aside = to_object - ahead[:, None] * direction
        height = hand[:, 2] - obj[:, 2]
        pushing = (height < 0.03) & (ahead > 0.03) & (np.linalg.norm(aside, axis=1) < 0.02)

        behind = obj[:, :2] - 0.07 * direction
        above = np.linalg.norm(hand[:, :2] - behind, axis=1) < 0.015
        up = np.concatenate([hand[:, :2], obj[:, 2:] + _CLEAR + 0.02], axis=1)
        across, down = (np.concatenate([behind, obj[:, 2:] + rise], axis=1) for rise in (_CLEAR, 0.0))
        target = np.where(above[:, None], down, np.where((height < _CLEAR - 0.02)[:, None], up, across))
        through = np.concatenate([np.minimum(_STEP, _GENTLY * left) * direction + aside, -height[:, None]], axis=1)
        move = np.where(pushing[:, None], through, target - hand)
        done = np.linalg.norm(goal - obj[:, :2], axis=1) < 0.015
        return _towards(np.where(done[:, None], 0.0, move), 1.0), ()


class ScriptedPickAndPlace(Memoryless):
    """Opens over the object, comes down, closes, carries it to the goal; for PickAndPlace."""

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
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
        return actions, ()


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
