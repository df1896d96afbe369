"""A gantry crane in the plane: a trolley on a rail carries a load on a rope, and the load sways.

    wellposed check examples/crane/crane.py:make    # can hindsight learn it?

The goal is a place of the load, which sways from the start, and nothing damps it. Nothing rewards standing still,
and the policy sees no clock: to be at the goal at the last step it has to stop a pendulum there, by its upper end.
"""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.spaces import Box, Dict

GRAVITY = 9.81  # m/s2
RAIL, SPEED, ACCELERATION = 1.0, 1.0, 1.0  # half of the rail, and what the trolley can do, in m, m/s and m/s2
ROPE, HOIST = (0.4, 1.0), 0.5  # shortest and longest in m, and how fast it is wound, in m/s
SWAY, TOLERANCE = 0.3, 0.03  # largest angle of the rope at the start, in radians; metres
STEP, SUBSTEPS = 0.1, 5  # seconds of a step, and the parts in which it is integrated


class Crane(gym.Env[Any, np.ndarray]):
    """Actions [2] in -1..1: the trolley's acceleration, and the speed at which the rope is let out."""

    def __init__(self) -> None:
        box = {"observation": 7, "achieved_goal": 2, "desired_goal": 2}
        self.observation_space = Dict({name: Box(-10.0, 10.0, (size,)) for name, size in box.items()})
        self.action_space = Box(-1.0, 1.0, (2,), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        """The trolley at rest, the load at a turning point of its sway, the goal where a load at rest can be."""
        super().reset(seed=seed)
        self.x, self.rope, self.angle = self.np_random.uniform((-0.8, ROPE[0], -SWAY), (0.8, ROPE[1], SWAY))
        self.goal = self.np_random.uniform((-0.8, -0.95), (0.8, -0.45))
        self.speed = self.turning = self.winding = 0.0
        return self._observation(), {}

    def step(self, action: np.ndarray):
        """One tenth of a second."""
        push, wind = np.clip(action, -1, 1).astype(float)
        for _ in range(SUBSTEPS):
            self._advance(ACCELERATION * push, HOIST * wind, STEP / SUBSTEPS)
        reward = float(self.compute_reward(self.load, self.goal, {}))
        return self._observation(), reward, False, False, {"is_success": reward == 0}

    def _advance(self, push: float, wind: float, dt: float) -> None:
        """A pendulum whose upper end accelerates and whose length changes: L a'' = -g sin a - x'' cos a - 2 L' a'."""
        speed = np.clip(self.speed + push * dt, -SPEED, SPEED)
        x = np.clip(self.x + speed * dt, -RAIL, RAIL)
        speed = (x - self.x) / dt  # a buffer at the end of the rail stops it
        rope = np.clip(self.rope + wind * dt, *ROPE)
        jolt, self.winding = (speed - self.speed) / dt, (rope - self.rope) / dt
        sway = GRAVITY * np.sin(self.angle) + jolt * np.cos(self.angle) + 2 * self.winding * self.turning
        self.turning += -sway / self.rope * dt
        self.angle += self.turning * dt
        self.x, self.speed, self.rope = x, speed, rope

    @property
    def load(self) -> np.ndarray:
        """Where the load is [2]: along the rail, and upwards from it, in metres."""
        return np.array([self.x + self.rope * np.sin(self.angle), -self.rope * np.cos(self.angle)])

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """0 where the goals [..., 2] are as close as the tolerance, else -1."""
        return np.where(np.linalg.norm(achieved - desired, axis=-1) < TOLERANCE, 0.0, -1.0)

    def _observation(self) -> dict[str, np.ndarray]:
        sine, cosine = np.sin(self.angle), np.cos(self.angle)
        swing = self.rope * self.turning
        velocity = [self.speed + self.winding * sine + swing * cosine, swing * sine - self.winding * cosine]
        seen = np.concatenate([[self.x, self.speed, self.rope], self.load, velocity])
        pair = {"observation": seen, "achieved_goal": self.load, "desired_goal": self.goal}
        return {name: array.astype(np.float32) for name, array in pair.items()}


def make() -> gym.Env:
    """The crane, for six seconds."""
    return gym.wrappers.TimeLimit(Crane(), 60)
