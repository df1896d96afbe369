"""THE reward arithmetic of the suites, vectorised, written once.

Stepping, hindsight relabelling and evaluation all call these functions. Those of one distance follow gymnasium-robotics
to the sign of the comparison: at a distance of exactly the threshold the reward is 0 (not failed, `>`)
while success is False (not reached, `<`). There goals are positions in metres, arrays [..., 3].
"""

from collections.abc import Sequence

import numpy as np


def distance(achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
    """Euclidean distance in metres, [...].

    Raises:
        ValueError: if the shapes differ, which would otherwise broadcast into a wrong answer.
    """
    if achieved_goal.shape != desired_goal.shape:
        raise ValueError(f"goals must have one shape, got {achieved_goal.shape} and {desired_goal.shape}")
    return np.linalg.norm(achieved_goal - desired_goal, axis=-1)


def sparse_reward(achieved_goal: np.ndarray, desired_goal: np.ndarray, threshold: float) -> np.ndarray:
    """-1 while farther than `threshold` metres from the goal, 0 otherwise; float32 [...]."""
    return -(distance(achieved_goal, desired_goal) > threshold).astype(np.float32)


def dense_reward(achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
    """Minus the distance to the goal in metres, [...]."""
    return -distance(achieved_goal, desired_goal)


def success(achieved_goal: np.ndarray, desired_goal: np.ndarray, threshold: float) -> np.ndarray:
    """True where the goal is strictly closer than `threshold` metres; bool [...]."""
    return distance(achieved_goal, desired_goal) < threshold


def all_in_place(
    achieved_goal: np.ndarray, desired_goal: np.ndarray, parts: Sequence[Sequence[int]], tolerances: Sequence[float]
) -> np.ndarray:
    """True where each part of a goal [..., g] is within its own tolerance, bool [...].

    Args:
        achieved_goal: what is so.
        desired_goal: what should be.
        parts: the numbers of a goal that are of one thing; its distance is Euclidean in them.
        tolerances: up to which a part is in its place, the tolerance itself included.
    """
    apart = achieved_goal - desired_goal
    away = [np.linalg.norm(apart[..., list(part)], axis=-1) for part in parts]
    return np.all(np.stack(away, axis=-1) <= np.asarray(tolerances), axis=-1)
