"""A person's own goal environment in one file: what people do differently are its arguments."""

from typing import Any

import gymnasium as gym
import numpy as np


class Own(gym.Env):
    """A point that goes where it is told, 0.1 a step; its goal is reached within 0.1.

    Goals are told in another frame: `unit` times the position, plus `offset`. `sees`: in which frame the observation
    is, "its own" or that of "goals". `reward`: "sparse" (-1 and 0), two numbers, "dense" or "exp". `bound` and `dtype`:
    of the declared spaces. `tells`: whether info tells of success.
    """

    radius, speed = 0.1, 0.1

    def __init__(
        self, unit=1.0, offset=(0.0, 0.0), sees="its own", reward="sparse", bound=np.inf, dtype="float64", tells=True
    ):
        box = gym.spaces.Box(-bound, bound, (2,), np.dtype(dtype).type)
        self.observation_space = gym.spaces.Dict(observation=box, achieved_goal=box, desired_goal=box)
        self.action_space = gym.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.unit, self.offset, self.sees, self.tells = unit, np.array(offset), sees, tells
        self.kind = {"sparse": (-1.0, 0.0)}.get(reward, reward) if isinstance(reward, str) else tuple(reward)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal_place = self.np_random.uniform(-1, 1, (2, 2))
        return self.observe(), {}

    def told(self, place):
        return place * self.unit + self.offset

    def observe(self):
        seen = self.place if self.sees == "its own" else self.told(self.place)
        obs = {"observation": seen, "achieved_goal": self.told(self.place), "desired_goal": self.told(self.goal_place)}
        spaces: Any = self.observation_space
        return {key: value.astype(spaces[key].dtype) for key, value in obs.items()}

    def step(self, action):
        self.place = self.place + self.speed * np.asarray(action, float)
        obs = self.observe()
        reward = float(self.compute_reward(obs["achieved_goal"], obs["desired_goal"], {}))
        reached = bool(np.linalg.norm(self.place - self.goal_place) < self.radius)
        return obs, reward, False, False, {"is_success": reached} if self.tells else {}

    def compute_reward(self, achieved, desired, info):
        away = np.linalg.norm(achieved - desired, axis=-1) / self.unit
        if self.kind == "dense":
            return -away * self.unit
        if self.kind == "exp":
            return np.exp(-10 * away)
        low, high = self.kind
        return np.where(away < self.radius, high, low)


def make(**kwargs):
    return gym.wrappers.TimeLimit(Own(**kwargs), 50)


gym.register("Own-v0", entry_point="own:Own", max_episode_steps=50)
