"""What a change of the world can do to a return, and what hindsight learns under noise. Closed forms.

Finite problems with s states and a actions: transitions [s, a, s], rewards [s, a], a policy [s, a]. A distance between
transitions is the total variation, half of the sum of absolute differences, largest over states and actions.
"""

from math import erf, sqrt

import numpy as np


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """The largest total variation between the rows of two transition matrices [..., s]."""
    return float(np.abs(one - other).sum(axis=-1).max() / 2)


def gaussian_total_variation(shift: float, std: float) -> float:
    """The total variation of two normal distributions of one standard deviation, their means apart by `shift`.

    It is the one between the next states of a linear system with noise, when a parameter moves the mean.
    """
    return erf(abs(shift) / (2 * sqrt(2) * std))


def values(transition: np.ndarray, reward: np.ndarray, policy: np.ndarray, gamma: float) -> np.ndarray:
    """The expected discounted return of the policy from each state [s], by solving Bellman's equation."""
    under = np.einsum("sa,sat->st", policy, transition)
    return np.linalg.solve(np.eye(len(under)) - gamma * under, (policy * reward).sum(axis=1))


def return_bound(gamma: float, variation: float, span: float) -> float:
    """The most by which the return of one policy can differ between two worlds, from any start.

    From V - V' = gamma (1 - gamma P')^-1 (P - P') V, and |(P - P') V| <= variation (max V - min V).

    Args:
        gamma: the discount.
        variation: total variation between the transitions of the two worlds.
        span: the largest minus the least value of one world; at most the range of rewards / (1 - gamma).

    Source: Kearns & Singh (2002), "Near-Optimal Reinforcement Learning in Polynomial Time", Machine Learning 49, the
    simulation lemma, with the span of V in place of its bound.
    """
    return gamma * variation * span / (1 - gamma)


def success_bound(steps: int, variation: float) -> float:
    """The most by which the probability of success after so many steps can differ between two worlds.

    Two episodes can be coupled so that they part at each step with probability `variation` at most.
    """
    return 1 - (1 - variation) ** steps


def hindsight_bias(k: float, rho: float, y: np.ndarray, w: np.ndarray, p: np.ndarray) -> float:
    """By how much a mean over relabelled transitions is off, for one goal: k Cov(y, w) / (rho + k E[w]).

    With noise one state and action lead to several outcomes. Those that reached a goal are replayed with it more often,
    so their target y weighs more than their probability. Chapter 4 derives it.

    Args:
        k: relabelled transitions for each that keeps its goal.
        rho: density of the goal among the goals that were pursued.
        y: what is averaged, for each outcome [o].
        w: density of the goal among those that an outcome is relabelled with, [o].
        p: probability of each outcome [o].
    """
    mean, weight = float(p @ y), float(p @ w)
    return k * float(p @ ((y - mean) * (w - weight))) / (rho + k * weight)
