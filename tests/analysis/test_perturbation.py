"""Bounds on the change of a return hold, are reached, and would not hold without their factors; hindsight's bias."""

from itertools import product

import numpy as np
import pytest

from wellposed.analysis.perturbation import (
    gaussian_total_variation,
    hindsight_bias,
    return_bound,
    success_bound,
    total_variation,
    values,
)
from wellposed.data.hindsight import future, relabelled_share

GAMMA = 0.9


def world(rng: np.random.Generator) -> np.ndarray:
    return rng.dirichlet(np.ones(4), size=(4, 2))


def test_no_change_of_the_world_changes_a_return_by_more_than_the_bound():
    rng, tightest = np.random.default_rng(0), 0.0
    for share in np.linspace(0.01, 1, 60):
        one, reward, policy = world(rng), rng.random((4, 2)), rng.dirichlet(np.ones(2), size=4)
        other = (1 - share) * one + share * world(rng)
        first, second = (values(world_, reward, policy, GAMMA) for world_ in (one, other))
        bound = return_bound(GAMMA, total_variation(one, other), float(np.ptp(second)))
        assert np.abs(first - second).max() <= bound
        assert bound <= return_bound(GAMMA, total_variation(one, other), 1 / (1 - GAMMA))  # of rewards in [0, 1]
        tightest = max(tightest, np.abs(first - second).max() / bound)
    assert tightest > 0.02


def test_the_bound_is_reached_where_the_reward_is_lost_for_good():
    """A state that pays 1, and one that pays nothing and is never left; the other world falls into it by 5 %."""
    variation = 0.05
    stay, fall = np.eye(2)[:, None], np.array([[[1 - variation, variation]], [[0.0, 1.0]]])
    reward, policy = np.array([[1.0], [0.0]]), np.ones((2, 1))
    first, second = (values(one, reward, policy, GAMMA) for one in (stay, fall))
    assert total_variation(stay, fall) == pytest.approx(variation)
    change = float((first - second)[0])
    assert change == pytest.approx(return_bound(GAMMA, variation, float(np.ptp(second))))
    assert change > (1 - GAMMA) * return_bound(GAMMA, variation, float(np.ptp(second)))  # one step's loss is too little


def test_success_falls_by_at_most_the_chance_that_episodes_part():
    """Where every step may ruin the episode, and nothing else happens, it falls by exactly that."""
    assert success_bound(50, 0.01) == pytest.approx(1 - 0.99**50)
    assert success_bound(1, 0.3) == pytest.approx(0.3)
    assert success_bound(50, 0.01) < 50 * 0.01  # sharper than the sum


def test_normal_distributions_overlap_as_an_integral_says():
    x = np.linspace(-12, 12, 200_001)
    density = lambda mean: np.exp(-((x - mean) ** 2) / (2 * 1.5**2)) / (1.5 * np.sqrt(2 * np.pi))  # noqa: E731
    half = np.trapezoid(np.abs(density(0) - density(0.8)), x) / 2
    assert gaussian_total_variation(0.8, 1.5) == pytest.approx(half, abs=1e-8)
    assert gaussian_total_variation(0.0, 1.0) == 0.0


def test_hindsight_is_off_by_what_the_formula_says():
    """A walk of five noisy steps; of its first step, relabelled by the laboratory's own strategy, as goal the place 2.

    Steps are 1 with probability 0.7 and else -1. Goals that are pursued are uniform over eleven places.
    """
    length, up, k, goal, rng = 5, 0.7, 4, 2, np.random.default_rng(0)
    paths = np.array(list(product([1, -1], repeat=length)))
    chance = np.where(paths == 1, up, 1 - up).prod(axis=1)
    achieved = (paths.cumsum(axis=1) == goal).mean(axis=1)  # "future" from the first step: any later state
    first = [paths[:, 0] == outcome for outcome in (1, -1)]
    p = np.array([chance[one].sum() for one in first])
    w = np.array([(chance * achieved)[one].sum() / chance[one].sum() for one in first])
    y = np.array([1.0, 0.0])  # the share that goes up
    predicted = hindsight_bias(k, 1 / 11, y, w, p)

    n = 400_000
    walk = np.where(rng.random((n, length)) < up, 1, -1)
    places = np.concatenate([np.zeros((n, 1), int), walk.cumsum(axis=1)], axis=1)
    when = future(np.zeros(n, int), np.full(n, length), rng)
    goals = np.where(rng.random(n) < relabelled_share(k), places[np.arange(n), when], rng.integers(-5, 6, n))
    chosen = walk[goals == goal, 0] == 1
    error = float(chosen.std() / np.sqrt(len(chosen)))
    assert abs(float(chosen.mean()) - up - predicted) < 4 * error
    assert predicted > 20 * error
    assert abs(hindsight_bias(k, 0.0, y, w, p) - predicted) > 10 * error  # goals that are pursued count too
    assert hindsight_bias(0, 1 / 11, y, w, p) == 0.0
