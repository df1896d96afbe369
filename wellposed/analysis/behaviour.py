"""Whether policies solve a task in qualitatively different ways: their paths on the same episodes.

Two policies solve an episode differently if a path, of the effector or of the achieved goal, lies elsewhere, wherever
in time the other one is: on the other side of an obstacle or an object, or with its motions in another order.
"""

from dataclasses import dataclass

import numpy as np

from wellposed.runs.record import Estimate

APART = 2.0  # success radii between paths from which on they count as different (Fetch: 0.1 m, two blocks)
RESAMPLES = 1_000


@dataclass(frozen=True)
class Behaviours:
    """In how many ways the seeds of a recipe solve a task."""

    episodes: int
    apart: float  # success radii from which on two paths count as different
    seeds: list[int]
    different: list[list[float]]  # of each pair of seeds, the share of episodes that they solve differently
    groups: list[list[int]]  # seeds that mostly do alike
    count: Estimate  # of groups; the interval is over episodes


def frechet(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The discrete Frechet distance of paths [..., t, d] and [..., u, d]: the shortest leash to walk both on.

    Speeds and pauses do not matter.

    Source: Eiter & Mannila (1994), "Computing discrete Frechet distance", TR CD-TR 94/64, Technische Universitaet Wien.
    """
    apart = np.linalg.norm(one[..., :, None, :] - other[..., None, :, :], axis=-1)
    leash = apart.copy()
    for i in range(leash.shape[-2]):
        for j in range(leash.shape[-1]):
            before = [leash[..., a, b] for a, b in ((i - 1, j), (i, j - 1), (i - 1, j - 1)) if a >= 0 and b >= 0]
            if before:
                leash[..., i, j] = np.maximum(np.minimum.reduce(before), apart[..., i, j])
    return leash[..., -1, -1]


def behaviours(paths: np.ndarray, seeds: list[int], radius: float, sample: int = 0) -> Behaviours:
    """Compare and group policies by their paths.

    Args:
        paths: of each policy in each episode, of one or more points such as effector and achieved goal:
            [policies, episodes, points, t, d].
        seeds: of the policies.
        radius: of success, in the unit of the paths.
        sample: seed of the bootstrap.
    """
    n, episodes = paths.shape[:2]
    different = np.zeros((n, n, episodes), bool)
    for i in range(n):
        for j in range(i):
            far = frechet(paths[i], paths[j]).max(axis=-1) > APART * radius
            different[i, j] = different[j, i] = far
    share, rng = different.mean(axis=2), np.random.default_rng(sample)
    groups = grouped(share < 0.5)
    chosen = rng.integers(episodes, size=(RESAMPLES, episodes))
    counts = [len(grouped(different[:, :, again].mean(axis=2) < 0.5)) for again in chosen]
    low, high = np.quantile(counts, [0.025, 0.975], method="nearest")
    count = Estimate(float(len(groups)), (min(float(low), len(groups)), max(float(high), len(groups))))
    named = [[seeds[i] for i in group] for group in groups]
    return Behaviours(episodes, APART, seeds, share.tolist(), named, count)


def grouped(alike: np.ndarray) -> list[list[int]]:
    """Members that are alike, or linked by others that are, of a symmetric matrix [n, n]; each in order."""
    left, groups = list(range(len(alike))), []
    while left:
        group, fresh = [], [left.pop(0)]
        while fresh:
            group += fresh
            fresh = [i for i in left if alike[i, fresh].any()]
            left = [i for i in left if i not in fresh]
        groups.append(sorted(group))
    return groups
