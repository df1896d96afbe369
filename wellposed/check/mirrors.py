"""What a mirror image does to every number of an observation, read off pairs of moments that are each other's image.

Pure functions on arrays.
"""

from dataclasses import dataclass

import numpy as np

CLEARLY = 0.5  # of the error of a number that keeps its place: two numbers change places if that halves both errors
FAINT = 1e-6  # of what a number varies by: an error that is none


@dataclass(frozen=True)
class Reflection:
    """Each number of an observation has the image offset + sign * x[order], all [size]; and how well that fits."""

    order: np.ndarray
    sign: np.ndarray
    offset: np.ndarray
    error: np.ndarray  # root mean square error, as a share of what the number varies by; 0 where it does not vary


def reflection(here: np.ndarray, there: np.ndarray, offset: np.ndarray) -> Reflection:
    """The reflection that takes observations `here` to those `there`, [n, size] each.

    Args:
        here: of one of the twins.
        there: of the other.
        offset: what a number and its image add up to if it is turned round [size]: 0 but for positions.
    """
    size = here.shape[1]
    scale = np.maximum(np.concatenate([here, there]).std(axis=0), 1e-12)
    turned_round = there[:, :, None] + here[:, None, :] - offset[:, None]  # [n, image, number]
    errors = np.stack([_rms(there[:, :, None] - here[:, None, :]), _rms(turned_round)]) / scale[:, None]
    order, negative = np.arange(size), errors[1] < errors[0] * (1 - FAINT)
    own = errors.min(axis=0)[order, order]
    swapped = errors.min(axis=0)
    for j in range(size):
        for k in range(j):
            better = [swapped[j, k] < CLEARLY * own[j], swapped[k, j] < CLEARLY * own[k]]
            if all(better) and min(own[j], own[k]) > FAINT and negative[j, k] == negative[k, j]:
                order[j], order[k] = k, j
    sign = np.where(negative[np.arange(size), order], -1, 1)
    error = swapped[np.arange(size), order]
    return Reflection(order, sign, np.where(sign < 0, offset, 0.0), np.where(scale > 1e-12, error, 0.0))


def turned_pairs(
    here: np.ndarray, there: np.ndarray, free: list[int], angle: float, first: bool
) -> list[tuple[int, int]]:
    """Which pairs of numbers are components of a vector in a plane that is turned by `angle`.

    Such a pair has the image that the reflection in the turned plane gives it, and neither of the two has one alone.

    Args:
        here: observations of one of the twins [n, size].
        there: of the other.
        free: numbers that may be such components.
        angle: of the plane, in radians.
        first: whether the reflection turns the first component round, else the second.
    """
    cos, sin = np.cos(2 * angle), np.sin(2 * angle)
    image = np.array([[-cos, -sin], [-sin, cos]]) if first else np.array([[cos, sin], [sin, -cos]])
    scale, found = np.maximum(here.std(axis=0), 1e-12), []
    for i in free:
        for j in free:
            taken = {number for pair in found for number in pair}
            if i == j or {i, j} & taken:
                continue
            error = _rms(there[:, [i, j]] - here[:, [i, j]] @ image.T) / scale[[i, j]]
            alone = np.minimum(_rms(there - here), _rms(there + here))[[i, j]] / scale[[i, j]]
            if (error < CLEARLY * alone).all() and (alone > FAINT).all():
                found.append((i, j))
    return found


def _rms(errors: np.ndarray) -> np.ndarray:
    return np.sqrt(np.mean(np.square(errors), axis=0))
