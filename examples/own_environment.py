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


class PushPuck(gym.Env[Any, np.ndarray]):
    """Actions [2] in -1..1 move the hand by at most 5 cm a step; the puck goes where the hand pushes it."""

    def __init__(self) -> None:
        box = {"observation": 6, "achieved_goal": 2, "desired_goal": 2}
        self.observation_space = Dict({name: Box(-2.0, 2.0, (size,)) for name, size in box.items()})
        self.action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """Puck and goal somewhere on the table, the hand beside the puck, so that chance will move it at times."""
        super().reset(seed=seed)
        self.goal, self.puck = self.np_random.uniform(-0.4, 0.4, (2, 2))
        angle, distance = self.np_random.uniform((0, HAND + PUCK), (2 * np.pi, 0.15))
        self.hand = self.puck + distance * np.array([np.cos(angle), np.sin(angle)])
        return self._observation(), {}

    def step(self, action: np.ndarray):
        """Four short moves, so that the hand cannot jump over the puck."""
        for _ in range(4):
            self.hand = np.clip(self.hand + 0.0125 * np.clip(action, -1, 1), -TABLE, TABLE)
            way = self.puck - self.hand
            if (distance := np.linalg.norm(way)) < HAND + PUCK:
                way *= (HAND + PUCK) / max(distance, 1e-9)
                self.puck = np.clip(self.hand + way, -TABLE, TABLE)
                self.hand = self.puck - way  # it stops where the puck does
        reward = float(self.compute_reward(self.puck, self.goal, {}))
        return self._observation(), reward, False, False, {"is_success": reward == 0}

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """0 where the goals [..., 2] are as close as the tolerance, else -1."""
        return np.where(np.linalg.norm(achieved - desired, axis=-1) < TOLERANCE, 0.0, -1.0)

    def _observation(self) -> dict[str, np.ndarray]:
        seen = np.concatenate([self.hand, self.puck, self.puck - self.hand])
        pair = {"observation": seen, "achieved_goal": self.puck, "desired_goal": self.goal}
        return {name: array.astype(np.float32) for name, array in pair.items()}


gym.register("PushPuck-v0", lambda **_: PushPuck(), max_episode_steps=50)
