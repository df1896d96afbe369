"""Two groups of runs: closed forms, published values, coverage, and no claim that the data do not support."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from wellposed import stats
from wellposed.analysis.differences import (
    Ratio,
    _rank_sum_tail,
    better_share,
    difference,
    ratio_of_times,
    sooner_share,
)
from wellposed.analysis.survival import Times
from wellposed.stats import Interval

ALL = np.ones(5, bool)
NONE = ~ALL
TIMES = np.array([10.0, 12.0, 11.0, 13.0, 14.0])


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    # Newcombe (1998), table II, method 10: his examples.
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_difference_of_two_rates_is_newcombes(one, other, low, high):
    found = difference(stats.wilson(*one), stats.wilson(*other))
    assert found[1:] == pytest.approx((low, high), abs=6e-5)


def test_a_difference_stays_between_its_bounds_and_is_antisymmetric():
    perfect, nothing = stats.over_seeds(np.ones(5), 100), stats.over_seeds(np.zeros(5), 100)
    assert difference(perfect, nothing).high == 1.0
    there, back = difference(perfect, Interval(0.9, 0.8, 0.95)), difference(Interval(0.9, 0.8, 0.95), perfect)
    assert (there.estimate, there.low, there.high) == pytest.approx((-back.estimate, -back.high, -back.low))
    assert difference(perfect, perfect).low < 0 < difference(perfect, perfect).high, (
        "100 % twice is no proof of equality"
    )


@pytest.mark.parametrize(("n", "m"), [(1, 1), (3, 4), (5, 5), (8, 6)])
def test_the_distribution_of_u_is_scipys(n, m):
    rng = np.random.default_rng(0)
    for _ in range(5):
        found = mannwhitneyu(rng.random(n), rng.random(m), method="exact")
        u = int(min(found.statistic, n * m - found.statistic))
        assert min(1.0, 2 * _rank_sum_tail(n, m)[u]) == pytest.approx(found.pvalue)


def test_the_ratio_of_times_is_the_factor_between_them():
    found = ratio_of_times(Times(3 * TIMES, ALL), Times(TIMES, ALL))
    ratios = np.sort((3 * TIMES[:, None] / TIMES).reshape(-1))
    assert (found.at_least, found.at_most) == pytest.approx((np.median(ratios),) * 2)
    assert (found.low, found.high) == (ratios[2], ratios[-3]), "at 5 against 5, the third from either end"
    assert found.confidence == pytest.approx(1 - 2 * 4 / 252)
    assert found.decided


@pytest.mark.parametrize("factor", [1.0, 2.5])
def test_the_ratio_covers_the_factor(factor):
    rng, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        one, other = np.exp(rng.normal(0, 0.5, (2, 5)))
        found = ratio_of_times(Times(factor * one, ALL), Times(other, ALL))
        hits += found.low <= factor <= found.high
    assert 0.95 <= hits / 1000 <= 0.985


def test_three_against_three_cannot_decide_however_far_apart_they_are():
    three = np.ones(3, bool)
    found = ratio_of_times(Times(1000 * TIMES[:3], three), Times(TIMES[:3], three))
    assert found.confidence == pytest.approx(0.9)
    assert found.low > 100
    assert not found.decided


def test_censored_runs_make_the_ratio_wider_never_narrower():
    """Whatever the censored runs need in truth, its interval lies within what is said without knowing it."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        one, other = np.exp(rng.normal(0, 0.7, (2, 5)))
        there, other_there = rng.random((2, 5)) < 0.7
        truth = ratio_of_times(Times(one * np.where(there, 1, 1 + rng.random(5)), ALL), Times(other, ALL))
        seen = ratio_of_times(Times(one, there), Times(other, other_there))
        assert seen.low <= truth.low
        assert truth.high <= seen.high
        assert seen.at_least <= truth.at_least <= truth.at_most <= seen.at_most


def test_what_nobody_reached_is_not_compared():
    found = ratio_of_times(Times(TIMES, NONE), Times(TIMES, NONE))
    assert found == Ratio(0.0, np.inf, 0.0, np.inf, found.confidence)
    diverged = ratio_of_times(Times(np.full(5, np.inf), NONE), Times(TIMES, ALL))
    assert (diverged.low, diverged.decided) == (np.inf, True), "who diverged never gets there"
    late = ratio_of_times(Times(np.full(5, 60.0), NONE), Times(TIMES, ALL))
    assert late.decided
    assert (late.low, late.high) == (60 / 14, np.inf), "the least a pair's ratio can be; nothing is known of the most"


def test_who_was_there_before_the_first_update_needed_none():
    none = Times(np.zeros(5), ALL)
    at_once, never = ratio_of_times(none, Times(TIMES, ALL)), ratio_of_times(Times(TIMES, ALL), none)
    assert (at_once.at_least, at_once.high, at_once.decided) == (0.0, 0.0, True)
    assert (never.at_least, never.low, never.decided) == (np.inf, np.inf, True)
    assert ratio_of_times(none, none).unknown
    assert sooner_share(none, none).estimate == 0.5
    assert sooner_share(none, Times(TIMES, ALL)).estimate == 1.0


def test_the_probability_that_one_run_is_better_counts_pairs():
    assert better_share(np.array([1.0, 2.0]), np.array([1.0, 0.0])).estimate == (0.5 + 1 + 1 + 1) / 4
    one, other = better_share(TIMES, TIMES + 1.5), better_share(TIMES + 1.5, TIMES)
    assert (one.estimate, one.low, one.high) == pytest.approx((1 - other.estimate, 1 - other.high, 1 - other.low))


def test_where_every_run_is_better_it_is_still_not_certain():
    """The wrong variant, the bootstrap, gives an interval without a width."""
    found = better_share(TIMES + 10, TIMES)
    assert found.estimate == found.high == 1.0
    assert 0.6 < found.low < 0.7


def test_the_interval_of_that_probability_solves_newcombes_equation():
    share, n, m = 0.76, 5, 5
    found = better_share(np.array([1, 2, 3, 4, 5.0]), np.array([0, 0.5, 1.5, 2.5, 3.5]))
    assert found.estimate == share
    for theta in found[1:]:
        shape = 1 + ((n + m) / 2 - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        assert abs(theta - share) == pytest.approx(1.959964 * np.sqrt(theta * (1 - theta) * shape / (n * m)), abs=1e-6)


def test_who_gets_there_sooner_is_known_of_some_pairs_with_censored_runs():
    one, other = np.array([10.0, 20.0]), np.array([15.0, 30.0])
    there, other_there = np.array([True, False]), np.array([False, True])
    # 10 before more than 15: yes. 10 before 30: yes. More than 20 against more than 15, and against 30: not known.
    assert sooner_share(Times(one, there), Times(other, other_there)).estimate == (1 + 1 + 0.5 + 0.5) / 4
    assert sooner_share(Times(TIMES, ALL), Times(TIMES, ALL)).estimate == 0.5
