"""A goal environment in which nothing is wrong: a point that is pushed about on a plane with friction."""

from typing import Any

import gymnasium as gym
import numpy as np


def box(size: int, bound: float = np.inf, dtype: Any = np.float64) -> gym.spaces.Box:
    return gym.spaces.Box(-bound, bound, (size,), dtype)


def picture(position: np.ndarray) -> np.ndarray:
    """A white dot where the point is, [8, 8, 1]."""
    image = np.zeros((8, 8, 1), np.uint8)
    image[tuple(np.clip(4 * position + 4, 0, 7).astype(int))] = 255
    return image


class Point(gym.Env):
    max_episode_steps: int | None = 50
    radius = 0.1  # of success, in metres
    force = 0.05

    def __init__(self) -> None:
        self.observation_space = gym.spaces.Dict(
            {"observation": box(4), "achieved_goal": box(2), "desired_goal": box(2)}
        )
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.start()
        return self.observe(), {}

    def start(self):
        self.position, self.velocity = self.np_random.uniform(-0.5, 0.5, 2), np.zeros(2)
        self.goal, self.steps = self.np_random.uniform(-0.5, 0.5, 2), 0

    def move(self, action):
        self.velocity = 0.8 * self.velocity + self.force * np.asarray(action, np.float64)
        self.position = self.position + self.velocity

    def observe(self) -> Any:
        return {
            "observation": np.concatenate([self.position, self.velocity]),
            "achieved_goal": self.position.copy(),
            "desired_goal": self.goal.copy(),
        }

    def step(self, action) -> Any:
        self.move(np.clip(action, -1, 1))
        self.steps += 1
        obs = self.observe()
        return obs, self.reward_of(obs, action), self.ends(obs), self.steps >= 50, self.told(obs)

    def reward_of(self, obs, action):
        return self.compute_reward(obs["achieved_goal"], obs["desired_goal"], {})

    def ends(self, obs) -> bool:
        return False

    def told(self, obs):
        return {"is_success": self.distance(obs["achieved_goal"], obs["desired_goal"]) < self.radius}

    def distance(self, achieved, desired):
        return np.linalg.norm(achieved - desired, axis=-1)

    def compute_reward(self, achieved, desired, info) -> Any:
        return -(self.distance(achieved, desired) >= self.radius).astype(np.float64)
