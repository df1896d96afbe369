"""A point that has to get around an obstacle, which can be done on either side."""

from typing import Any

import numpy as np

from wellposed.types import Field, Moment, Spec, Step

GOALS = (Field("achieved_goal", (2,), "goal"), Field("desired_goal", (2,), "goal"))
DETOUR = Spec((Field("observation", (2,)), *GOALS), action_dim=2, max_episode_steps=60, radius=0.1)


class Detour:
    """Twelve points start near (0, 0) and want to (1, 0). It has of `VecEnv` what a path needs."""

    num_envs, spec = 12, DETOUR

    def reset(self, *, seed):
        self.place = np.stack([np.zeros(12), np.random.default_rng(seed[0]).uniform(-0.05, 0.05, 12)], axis=1)
        self.t, self.now = 0, self.moment()
        return self.now

    def moment(self):
        goal = np.tile([1.0, 0.0], (12, 1))
        truth = {"observation": self.place.copy(), "achieved_goal": self.place.copy(), "desired_goal": goal}
        return Moment(truth, truth)

    def step(self, action):
        before, no = self.now, np.zeros(12, bool)
        self.place, self.t = self.place + 0.1 * np.clip(action, -1, 1), self.t + 1
        self.now = self.moment()
        ended = no | (self.t == self.spec.max_episode_steps)
        return Step(*before, action, action, np.zeros(12), no, ended, no, *self.now, {})


class Goes:
    """By the point (0.5, 0.5) above the obstacle or (0.5, -0.5) below it, as fast as its seed says."""

    def __init__(self, side: int, seed: int):
        self.side, self.pace = side, 0.4 + 0.1 * seed

    def initial_carry(self, n):
        return np.zeros((n, 1), bool)  # whether it has passed that point

    def act(self, obs: Any, carry: Any = (), rng: Any = None):
        place = obs["achieved_goal"]
        aim = np.where(carry, obs["desired_goal"], [0.5, 0.5 * self.side])
        way = aim - place
        size = np.linalg.norm(way, axis=1, keepdims=True)
        return self.pace * way / np.maximum(size, 0.1 * self.pace), carry | (size < 0.06)
