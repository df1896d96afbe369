"""A small problem, and made-up experience in it, for tests of agents."""

import numpy as np

from wellposed.agents import ALGORITHMS
from wellposed.types import Batch, Dims, Rollout

DIMS = Dims(observation=3, goal=2, action=2, max_episode_steps=5)


def batches(u: int, b: int, seed: int = 0, dims: Dims = DIMS) -> Batch:
    """Random transitions [u, b]; nothing terminates, each reward is -1."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    ones = np.ones((u, b), np.float32)
    return Batch(
        normal(u, b, dims.observation), normal(u, b, dims.goal), np.tanh(normal(u, b, dims.action)), -ones,
        normal(u, b, dims.observation), normal(u, b, dims.goal), normal(u, b, dims.goal), 0 * ones,
    )  # fmt: skip


def rollout(b: int, seed: int = 0, dims: Dims = DIMS) -> Rollout:
    """Random steps [b] with random advantages."""
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    obs = normal(b, dims.observation), normal(b, dims.goal), normal(b, dims.goal)
    return Rollout(*obs, normal(b, dims.action), normal(b), normal(b))


def experience(algo: str, u: int, b: int, seed: int = 0) -> Batch | Rollout:
    """u b transitions or steps, as the algorithm's `update` takes them."""
    return rollout(u * b, seed) if ALGORITHMS[algo].on_policy else batches(u, b, seed)
