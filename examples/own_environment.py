"""An environment of one's own: a disc hand pushes a disc puck across a table, in numpy.

    wellposed check PushPuck-v0 --plugin examples/own_environment.py    # can hindsight learn it?
    wellposed train PushPuck-v0 --plugin examples/own_environment.py --until-success 0.95

What wellposed asks of it: the three keys of a goal environment, a reward that can be computed of arrays of goals, and
"is_success" in the info. The way from hand to puck is in the observation because a policy learns faster
from differences.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict

HAND, PUCK, TOLERANCE, TABLE = 0.03, 0.05, 0.05, 0.6  # radii, and half of the table's side, in metres


class PushPuck(gym.Env[dict[str, np.ndarray], np.ndarray]):
    """Actions [2] in -1..1 move the hand by at most 5 cm a step; the puck goes where the hand pushes it."""

    def __init__(self) -> None:
        box = {"observation": 6, "achieved_goal": 2, "desired_goal": 2}
        self.observation_space = Dict({name: Box(-np.inf, np.inf, (size,)) for name, size in box.items()})
        self.action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Hand, puck and goal somewhere on the table; hand and puck do not touch."""
        super().reset(seed=seed)
        self.goal, self.puck = self.np_random.uniform(-0.4, 0.4, (2, 2))
        self.hand = self.puck
        while np.linalg.norm(self.hand - self.puck) < 2 * (HAND + PUCK):
            self.hand = self.np_random.uniform(-0.5, 0.5, 2)
        return self._observation(), {}

    def step(self, action: np.ndarray):
        """Four short moves, so that the hand cannot jump over the puck."""
        for _ in range(4):
            self.hand = np.clip(self.hand + 0.0125 * np.clip(action, -1, 1), -TABLE, TABLE)
            way = self.puck - self.hand
            if (distance := np.linalg.norm(way)) < HAND + PUCK:
                self.puck = np.clip(self.hand + way * (HAND + PUCK) / max(distance, 1e-9), -TABLE, TABLE)
        reward = float(self.compute_reward(self.puck, self.goal, {}))
        return self._observation(), reward, False, False, {"is_success": reward == 0}

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """0 where the goals [..., 2] are as close as the tolerance, else -1."""
        return np.where(np.linalg.norm(achieved - desired, axis=-1) < TOLERANCE, 0.0, -1.0)

    def _observation(self) -> dict[str, np.ndarray]:
        seen = np.concatenate([self.hand, self.puck, self.puck - self.hand])
        pair = {"observation": seen, "achieved_goal": self.puck, "desired_goal": self.goal}
        return {name: array.astype(np.float32) for name, array in pair.items()}


gym.register("PushPuck-v0", PushPuck, max_episode_steps=50)
