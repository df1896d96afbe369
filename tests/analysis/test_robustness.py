"""Levels, crossings, areas and paired differences, against closed forms, published numbers and simulation."""

import numpy as np
import pytest

from wellposed.analysis.differences import difference
from wellposed.analysis.robustness import apart, area, crossing, falling, level_curve, paired_difference, rate
from wellposed.stats import Interval, wilson


def outcomes(both: int, only_one: int, only_other: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    one = np.repeat([1, 1, 0, 0], [both, only_one, only_other, neither]).astype(bool)
    return one, np.repeat([1, 0, 1, 0], [both, only_one, only_other, neither]).astype(bool)


@pytest.mark.parametrize(
    ("table", "low", "high"), [((36, 12, 2, 0), 0.0569, 0.3404), ((20, 12, 2, 16), 0.0562, 0.3292)]
)
def test_a_paired_difference_is_that_of_the_source(table, low, high):
    """Newcombe (1998), Statistics in Medicine 17, table IV, method 10."""
    found = paired_difference(*outcomes(*table))
    assert found.estimate == pytest.approx(0.2)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def test_pairs_that_agree_tell_more_than_two_samples_and_swapping_them_turns_the_sign():
    one, other = outcomes(70, 10, 2, 18)
    paired, turned = paired_difference(one, other), paired_difference(other, one)
    apart = difference(wilson(80, 100), wilson(72, 100))
    assert paired.high - paired.low < 0.75 * (apart.high - apart.low)
    assert np.allclose([turned.low, turned.high], [-paired.high, -paired.low])
    same = paired_difference(one, one)
    assert same.low < 0 < same.high
    with pytest.raises(ValueError, match="as many episodes"):
        paired_difference(one, other[1:])


def test_a_falling_curve_pools_what_rises():
    assert np.allclose(falling(np.array([1.0, 0.5, 0.7, 0.2])), [1.0, 0.6, 0.6, 0.2])
    assert np.allclose(falling(np.array([0.2, 0.4, 0.9])), 0.5)
    assert np.allclose(falling(np.array([0.9, 0.4, 0.1])), [0.9, 0.4, 0.1])


def flat(rates: list[float]) -> list[Interval]:
    return [Interval(rate, rate - 0.1, rate + 0.1) for rate in rates]


def test_a_crossing_lies_on_the_line_between_two_levels_whichever_way_they_go():
    found = crossing(np.array([0.0, 1.0, 2.0]), flat([1.0, 0.8, 0.4]), 0.6)
    assert (found.level, found.low, found.high) == pytest.approx((1.5, 1.25, 1.75))
    down = crossing(np.array([1.0, 0.5, 0.0]), flat([1.0, 0.8, 0.4]), 0.6)
    assert down.level == pytest.approx(0.25)
    assert crossing(np.array([0.0, 1.0]), flat([1.0, 0.95]), 0.9).level is None  # beyond the largest level
    assert crossing(np.array([0.0, 1.0]), flat([0.8, 0.7]), 0.9).level == 0.0  # below without disturbance


def test_the_interval_of_a_crossing_covers_it():
    """Success of 100 episodes at five levels, of a line from 1 to 0: it crosses 0.9 at 0.1 and 0.5 at 0.5."""
    rng, levels = np.random.default_rng(0), np.array([0, 0.05, 0.2, 0.4, 0.8])
    held = {0.9: 0, 0.5: 0}
    for _ in range(300):
        rates = [wilson(int(rng.binomial(100, 1 - level)), 100) for level in levels]
        for share in held:
            found = crossing(levels, rates, share)
            low, high = (np.inf if end is None else end for end in (found.low, found.high))
            held[share] += low <= 1 - share <= high
    assert min(held.values()) >= 0.9 * 300


def test_an_area_is_the_mean_success_between_the_levels():
    thresholds = np.linspace(0, 1, 201)[1::2]  # each episode fails from its own level on
    levels = np.linspace(0, 1, 101)
    found = area(levels, (levels[:, None] < thresholds)[:, None])
    assert found.estimate == pytest.approx(0.5, abs=0.01)
    assert found.low < 0.45 < 0.55 < found.high
    assert area(levels, np.ones((101, 1, 20), bool)).high == 1.0
    assert area(levels, np.ones((101, 1, 20), bool)).low < 0.9  # twenty episodes do not prove more


def test_a_curve_has_what_was_lost_at_each_level():
    played = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [0, 0, 1, 0]], bool)
    about = {"name": "noise", "about": "an error", "setting": "sensors.noise", "unit": "m"}
    curve = level_curve(about, [0.0, 0.01, 0.02], played[:, None])
    assert [one.success.value for one in curve.levels] == [1.0, 0.75, 0.25]
    assert [one.lost.value for one in curve.levels] == [0.0, 0.25, 0.75]
    assert [one.level for one in curve.crossings] == pytest.approx([0.004, 0.015])
    alike = level_curve(about, [0.0, 0.01, 0.02], np.stack([played, played], axis=1))  # of two seeds
    assert [one.success.value for one in alike.levels] == [1.0, 0.75, 0.25]
    assert alike.levels[1].success.ci95[0] < 0.5  # which are no more episodes


def played(rng: np.random.Generator, runs: int, strength: float, hard: np.ndarray) -> np.ndarray:
    """Outcomes [r, n] of runs that differ, on episodes some of which are hard for all of them."""
    level = strength + 0.3 * rng.standard_normal((runs, 1)) - hard
    return rng.random((runs, len(hard))) < 1 / (1 + np.exp(-level))


def test_recipes_on_the_same_episodes_are_told_apart_sooner_than_by_their_rates():
    rng, truth = np.random.default_rng(0), np.random.default_rng(1)
    everywhere = 2.0 * truth.standard_normal(200_000)
    rates = [played(truth, 1, strength, everywhere).mean() for strength in (1.0, 0.5)]
    held = narrower = 0
    for _ in range(200):
        hard = 2.0 * rng.standard_normal(100)
        one, other = (played(rng, 5, strength, hard) for strength in (1.0, 0.5))
        found, loose = apart(one, other), difference(rate(one), rate(other))
        held += found.low <= rates[0] - rates[1] <= found.high
        narrower += found.high - found.low < loose.high - loose.low
    assert held >= 190
    assert narrower > 150


def test_a_difference_of_recipes_has_a_width_where_all_agree_and_is_of_the_pairs_where_each_has_one_run():
    one, other = outcomes(70, 10, 2, 18)
    assert apart(one[None], other[None]) == paired_difference(one, other)
    same = np.ones((3, 50), bool)
    assert apart(same, same).low < 0 < apart(same, same).high
    mixed = apart(np.stack([one, other]), other[None])
    assert mixed.estimate == pytest.approx(0.04)
    assert mixed.low < 0.04 < mixed.high
