"""Arithmetic of seeds that did not get there: none is dropped, no median is made up."""

import numpy as np
import pytest

from tests.study.made_up import BUDGET, trial
from wellposed.analysis.study import (
    Edge,
    Median,
    Move,
    Stability,
    edges,
    holds,
    median_need,
    reached_rate,
    relative_need,
    sensitivity,
    share_curve,
)
from wellposed.report.study import edge_words, missing, need
from wellposed.stats import wilson


@pytest.mark.parametrize(
    ("solved_at", "median"),
    [
        ([100, 300, 200, 500, 400], Median(300, censored=False)),
        ([100, 300, None, 200, None], Median(300, censored=False)),  # the third of five got there
        ([100, None, None, 200, None], Median(BUDGET, censored=True)),  # half of them did not
        ([100, None], Median(100, censored=False)),  # half of the seeds had got there by then
        ([None, None, None], Median(BUDGET, censored=True)),
    ],
)
def test_the_median_is_where_half_of_all_seeds_had_got_there(solved_at, median):
    assert median_need([trial(seed, at) for seed, at in enumerate(solved_at)], "step") == median


def test_leaving_out_what_is_censored_would_give_another_median():
    """The wrong variant: the median of those that got there."""
    trials = [trial(seed, at) for seed, at in enumerate([100, 200, None, None, None])]
    of_solved = median_need([one for one in trials if one.solved], "step")
    assert of_solved.value == 100
    assert need(median_need(trials, "step")) == "> 1,000"
    assert need(of_solved) == "100"


def test_updates_and_seconds_are_censored_at_the_least_that_was_used():
    trials = [trial(0, 100), trial(1, None), trial(2, None)]
    assert median_need(trials, "updates") == Median(BUDGET // 2, censored=True)
    assert median_need(trials, "seconds") == Median(BUDGET / 100, censored=True)


def test_a_seed_that_diverged_never_gets_there():
    trials = [trial(0, 100), trial(1, None, 0.0, diverged=True), trial(2, None, 0.0, diverged=True)]
    assert median_need(trials, "step") == Median(None, censored=True)
    assert need(median_need(trials, "step")) == "never"
    assert missing(trials, BUDGET) == "2 of 3 seeds diverged: 1, 2."


def test_censored_seeds_are_named():
    trials = [trial(0, 100), trial(3, None), trial(4, None), trial(1, 5), trial(2, 6)]
    assert missing(trials, 100_000) == "2 of 5 seeds had not reached it within 100,000 steps: 3, 4."
    assert missing(trials[:1], 100_000) == ""


def test_the_share_of_seeds_is_a_step_function_over_all_seeds():
    curve = share_curve([trial(0, 300), trial(1, None), trial(2, 100), trial(3, 300)], BUDGET)
    assert curve.time.tolist() == [0, 100, 300, BUDGET]
    assert curve.share.tolist() == [0, 0.25, 0.75, 0.75]
    assert (curve.low[1], curve.high[1]) == pytest.approx(wilson(1, 4)[1:], abs=1e-12)
    assert reached_rate([trial(0, 300), trial(1, None)]).ci95 == wilson(1, 2)[1:]


def test_half_of_the_seeds_is_enough_to_hold():
    assert holds([trial(0, 1), trial(1, None)])
    assert not holds([trial(0, 1), trial(1, None), trial(2, None)])


def test_time_to_the_bar_is_relative_to_the_recipes():
    base = [trial(seed, 200) for seed in range(3)]
    assert relative_need([trial(seed, 100) for seed in range(3)], base) == Median(0.5, censored=False)
    assert relative_need([trial(seed, None) for seed in range(3)], base) == Median(5.0, censored=True)
    assert relative_need(base, [trial(seed, None) for seed in range(3)]) is None


def test_sensitivity_holds_the_recipe_in_the_middle():
    base, worse = [trial(seed, 200) for seed in range(3)], [trial(seed, None, 0.5) for seed in range(3)]
    (one,) = sensitivity(Stability(base, [Move("width", 2.0, {}, base), Move("width", 0.5, {}, worse)], [], [], 3))
    assert one.factor.tolist() == [0.5, 1.0, 2.0]
    assert one.success.tolist() == [0.5, 1.0, 1.0]
    assert one.need.tolist() == [5.0, 1.0, 1.0]
    assert np.flatnonzero(one.censored).tolist() == [0]


def test_an_edge_is_the_first_factor_that_broke():
    ladders = {("width", True): [2.0, 4.0, 8.0], ("width", False): [0.5, 0.25, 0.125], ("rate", True): [2.0]}
    held = {("width", 2.0): True, ("width", 4.0): False, ("width", 0.5): True, ("width", 0.25): True}
    found = edges(ladders, held | {("width", 0.125): True})
    assert found == [Edge("width", True, 2.0, 4.0), Edge("width", False, 0.125, None)]
    assert [edge_words(edge) for edge in found] == ["x 4", "not within x 1/8"]
    assert edge_words(None) == "-"
