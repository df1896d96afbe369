"""Policies that know nothing of a task."""

import numpy as np

from wellposed.types import Carry, Obs, count


class Memoryless:
    """A policy without memory."""

    def initial_carry(self, n: int) -> Carry:
        """Nothing."""
        return ()


class RandomPolicy(Memoryless):
    """Uniform actions in [-1, 1], the baseline of every learner."""

    def __init__(self, action_dim: int, rng: np.random.Generator):
        self.action_dim, self.rng = action_dim, rng

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim], drawn from `rng` or else from its own stream."""
        rng = self.rng if rng is None else rng
        return rng.uniform(-1.0, 1.0, (count(obs), self.action_dim)).astype(np.float32), ()
