"""A policy that was written for the bare simulator, played through an action interface."""

from typing import Any

import numpy as np

from wellposed.envs.vector import Drive
from wellposed.envs.wrappers.control import Control
from wellposed.types import Carry, Obs, Policy, VecEnv, count

OVERSHOOT = 4 / 3  # of the way: the hand is slow where it is less, and returns for long where it is more


def through(policy: Policy, env: VecEnv) -> Policy:
    """The policy as it is best played through the control of an environment; itself where there is none."""
    control = getattr(env, "control", Control())
    return policy if control == Control() else ThroughControl(policy, control, env)


class ThroughControl:
    """Asks for what makes the policy's action arrive, as far as that can be known.

    Scale and filter are inverted, and a target is put where the policy wants the effector. An action that is held is
    spread over its steps. Under a delay the policy sees the effector where the actions under way will have moved it;
    what an object does meanwhile it does not know. What saturates, or is faster than the rate limit, cannot be undone.
    """

    def __init__(self, policy: Policy, control: Control, env: VecEnv):
        self.policy, self.control, self.size = policy, control, env.spec.action_dim
        driven = "drive" in env.capabilities
        self.drive: Drive | None = env.task.drive if driven else None  # type: ignore[attr-defined]
        self.effector = list(env.spec.geometry.effector) if driven and env.spec.geometry else []

    def initial_carry(self, n: int) -> Carry:
        """What the stages remember by the policy's own account, and its own memory."""
        return {
            "time": 0,
            "filter": np.zeros((n, self.size)),
            "sent": np.zeros((n, self.size)),
            "held": np.zeros((n, self.size)),
            "queue": np.zeros((n, self.control.delay, self.size)),
            "origin": None,
            "own": self.policy.initial_carry(n),
        }

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim] in the terms of the control."""
        control: Control = self.control
        now: dict[str, Any] = dict(carry or self.initial_carry(count(obs)))
        if now["origin"] is None and self.effector:
            now["origin"] = obs["observation"][:, self.effector]
        wish, now["own"] = self.policy.act(self._as_it_will_be(obs, now["queue"]), now["own"], rng)
        if now["time"] % control.hold == 0:
            now["held"] = self._spread(np.asarray(wish, np.float64))
        asked = (now["held"] - control.smoothing * now["filter"]) / (1 - control.smoothing)
        asked = np.clip(asked, -1, 1) if control.hold == 1 and control.target == "none" else now["held"]
        now["filter"], now["sent"] = control.passed_on(asked, now["filter"], now["sent"])
        now["queue"] = np.concatenate([now["queue"], now["sent"][:, None]], axis=1)[:, 1:]
        now["time"] += 1
        action = asked / control.scale if control.target == "none" else self._as_target(asked, obs, now["origin"])
        return np.clip(action, -1, 1).astype(np.float32), now

    def _spread(self, wish: np.ndarray) -> np.ndarray:
        """A wish for one step as an action that is held, whose steps together go beyond what it asks for by a third."""
        if self.drive is not None and self.control.target == "none":
            wish[:, list(self.drive.axes)] /= max(1.0, self.control.hold * self.drive.response / OVERSHOOT)
        return wish

    def _as_it_will_be(self, obs: Obs, queue: np.ndarray) -> Obs:
        """The observation with the effector where the actions under way [n, delay, a] will have moved it."""
        if self.drive is None or not self.control.delay or self.control.target != "none":
            return obs
        seen = obs["observation"].copy()
        way = queue[:, :, list(self.drive.axes)].sum(axis=1) * self.drive.length * self.drive.response
        seen[:, self.effector] += way
        return obs | {"observation": seen}

    def _as_target(self, wish: np.ndarray, obs: Obs, origin: np.ndarray | None) -> np.ndarray:
        """The target for which the controller asks for the wish, from where the effector is."""
        assert self.drive is not None
        assert origin is not None
        control, axes, here = self.control, list(self.drive.axes), obs["observation"][:, self.effector]
        base = here if control.target == "relative" else origin
        action = wish.copy()
        action[:, axes] = (here + self.drive.length * wish[:, axes] / control.gain - base) / control.reach
        return action / control.scale
