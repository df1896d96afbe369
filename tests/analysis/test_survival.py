"""Time to the bar: closed forms, a published data set; nobody who is censored is dropped or counted as there."""

import numpy as np
import pytest

from tests.diagnose.rows import evaluation
from wellposed import stats
from wellposed.analysis.survival import ExactInterval, Median, Times, first_at

# Remission of leukaemia under 6-MP in weeks: Freireich et al. (1963), as every textbook has it since Gehan (1965).
WEEKS = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], float)
RELAPSED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], bool)
ALL = np.ones(5, bool)
TIMES = np.array([30.0, 10.0, 20.0, 50.0, 40.0])


def test_the_curve_is_the_published_one():
    curve = Times(WEEKS, RELAPSED).survival()
    assert curve.time.tolist() == [0, 6, 7, 10, 13, 16, 22, 23]
    assert curve.share == pytest.approx([1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    assert Times(WEEKS, RELAPSED).median() == Median(23.0, censored=False)
    assert (curve.low <= curve.share).all()
    assert (curve.share <= curve.high).all()
    assert curve.low.min() >= 0
    assert curve.high.max() <= 1


def test_without_censoring_it_is_the_share_and_wilsons_interval():
    curve = Times(TIMES, ALL).survival()
    assert curve.share == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    for k, (low, high) in enumerate(zip(curve.low, curve.high, strict=True)):
        assert (low, high) == pytest.approx(stats.wilson(5 - k, 5)[1:], abs=1e-12)


def test_an_early_end_makes_the_curve_less_sure_not_lower():
    """One run is given up at 15: dropped, or counted as there, it would move the curve."""
    reached = np.array([True, True, True, True, False])
    curve = Times([30.0, 10.0, 20.0, 50.0, 15.0], reached).survival()
    assert curve.share == pytest.approx([1, 0.8, 0.8 * 2 / 3, 0.8 / 3, 0])
    full = Times([30.0, 10.0, 20.0, 50.0, 60.0], ALL).survival()
    assert curve.high[2] - curve.low[2] > full.high[2] - full.low[2]


def test_a_run_that_diverged_stays_at_risk_for_ever():
    curve = Times([10.0, np.inf], [True, False]).survival()
    assert curve.share.tolist() == [1, 0.5]
    assert Times([10.0, np.inf, np.inf], [True, False, False]).median() == Median(None, censored=True)


@pytest.mark.parametrize(
    ("n", "k", "confidence"), [(2, 1, 0.5), (3, 1, 0.75), (5, 1, 0.9375), (6, 1, 0.96875), (9, 2, 0.9609375)]
)
def test_the_interval_of_a_median_is_as_sure_as_it_says(n, k, confidence):
    times = np.arange(1.0, n + 1)
    assert Times(times, np.ones(n, bool)).median_interval() == ExactInterval(k, n + 1 - k, confidence)
    draws = np.sort(np.random.default_rng(0).exponential(size=(4000, n)), axis=1)
    inside = (draws[:, k - 1] <= np.log(2)) & (np.log(2) <= draws[:, n - k])
    assert inside.mean() == pytest.approx(confidence, abs=0.02)


def test_who_is_not_there_stands_at_its_budget_below_and_at_infinity_above():
    reached = np.array([True, True, False, True, False])
    assert Times([30.0, 40.0, 5.0, 20.0, 60.0], reached).median_interval()[:2] == (5.0, np.inf)
    assert Times([7.0], [True]).median_interval() == ExactInterval(0.0, np.inf, 1.0)


def test_the_restricted_mean_is_the_mean_as_far_as_the_horizon():
    found, t = Times(TIMES, ALL).restricted_mean(25.0), stats.student(np.minimum(TIMES, 25.0))
    assert (found.estimate, found.low) == pytest.approx((t.estimate, t.low))
    assert found.high == 25 < t.high
    late = TIMES < 45  # the run at 50 never got there, and was watched until 60
    same = Times(np.where(late, TIMES, 60.0), late).restricted_mean(50.0)
    assert same.estimate == pytest.approx(TIMES.mean()), "until 50 the two cannot be told apart"
    assert same.high <= 50


def test_the_restricted_mean_with_an_early_end_is_the_area_under_the_curve():
    found = Times([10.0, 20.0, 15.0], [True, True, False]).restricted_mean(20.0)
    assert found.estimate == pytest.approx(10 + 10 * 2 / 3)
    assert found.low >= 0


@pytest.mark.parametrize(
    ("times", "reached", "horizon"),
    [
        ([], [], 1.0),
        ([-1.0], [True], 1.0),
        ([np.inf], [True], 1.0),
        ([np.nan], [False], 1.0),
        ([10.0], [False], 20.0),
        ([10.0], [True], 0.0),
        ([10.0], [True], np.inf),
    ],
)
def test_times_that_cannot_be_are_refused(times, reached, horizon):
    with pytest.raises(ValueError, match=r"must not be negative|no run lasted"):
        Times(times, reached).restricted_mean(horizon)


def test_the_bar_is_reached_at_the_second_of_two_in_a_row():
    rows = [evaluation(step, successes) for step, successes in ((0, 0), (10, 25), (20, 20), (30, 24), (40, 25))]
    assert first_at(rows, 0.96) == rows[4], "the single one at 10 was luck"
    assert first_at(rows, 0.8) == rows[2]
    assert first_at(rows, 1.0) is None
    assert first_at(rows[:1], 0.0) is None
