"""A metric over seeds in one line, and its single numbers: nothing is made up where there is no interval."""

import numpy as np
import pytest

from wellposed import stats
from wellposed.analysis.summary import STATISTICS, format_value, summary_over_seeds

RATES = [0.98, 0.99, 1.0, 0.97, 0.99]
STEPS = [30_000, 32_000, 41_000, 60_000, 60_000]
LATE = [False, False, False, True, True]
NEVER = float("inf")


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (summary_over_seeds(RATES, "rate", episodes=100), "98.6 % (mean, 95 % CI 93.9-100.0, 5 seeds x 100 episodes)"),
        (
            summary_over_seeds([1.0] * 5, "rate", episodes=100),
            "100.0 % (mean, 95 % CI 96.4-100.0, 5 seeds x 100 episodes)",
        ),
        (summary_over_seeds([0.98], "rate", episodes=100), "98.0 % (95 % CI 93.0-99.8, one seed x 100 episodes)"),
        (summary_over_seeds([30_000, 32_000, 40_000], "count"), "34,000 (mean, 95 % CI 21,000-47,000, 3 seeds)"),
        (summary_over_seeds([12.1, 15.0], "seconds"), "14 s (mean, 95 % CI 0-32, 2 seeds)"),
        (summary_over_seeds([0.1, -0.1], "number"), "0.0 (mean, 95 % CI -1.3 to 1.3, 2 seeds)"),
        (summary_over_seeds([0.0005, 0.0], "share"), "0.03 % (mean, 95 % CI 0.00-0.34, 2 seeds)"),
        (summary_over_seeds([0.99, 0.95], "share"), "97 % (mean, 95 % CI 72-100, 2 seeds)"),
        (summary_over_seeds([1600] * 5, "count"), "1,600 (each of 5 seeds)"),
        (summary_over_seeds([1600], "count"), "1,600 (one seed)"),
        (
            summary_over_seeds(STEPS, "count", censored=LATE),
            "41,000 (median, 94 % CI 30,000 or more, 3 of 5 seeds reached it)",
        ),
        (
            summary_over_seeds(STEPS[:3], "count", censored=LATE[:3], median=True),
            "32,000 (median, 75 % CI 30,000-41,000, 3 of 3 seeds reached it)",
        ),
        (
            summary_over_seeds([60_000.0] * 2, "count", censored=[True] * 2),
            "more than 60,000 (median, 50 % CI 60,000 or more, none of 2 seeds reached it)",
        ),
        (summary_over_seeds([NEVER], "seconds", censored=[True]), "never (none of 1 seed reached it)"),
        (summary_over_seeds([7.5], "seconds", censored=[False], median=True), "7.5 s (median, 1 of 1 seed reached it)"),
    ],
)
def test_it_says_value_interval_and_what_it_rests_on(found, text):
    assert found.text == text


def test_its_numbers_are_those_of_the_one_default():
    found, default = summary_over_seeds(RATES, "rate", episodes=100), stats.over_seeds(np.array(RATES), 100)
    assert (found.pick("mean"), found.pick("low"), found.pick("high")) == tuple(default)
    assert [found.pick(name) for name in ("min", "max", "median", "each", "n")] == [0.97, 1.0, 0.99, RATES, 5]
    assert found.pick_text("each") == "98.0 %, 99.0 %, 100.0 %, 97.0 %, 99.0 %"


def test_where_a_seed_is_censored_there_is_no_mean():
    found = summary_over_seeds([*STEPS[:4], NEVER], "count", censored=LATE)
    assert {name: found.pick(name) for name in STATISTICS} == {
        "mean": None,
        "low": 30_000,
        "high": None,
        "min": 30_000,
        "max": None,
        "median": 41_000,
        "each": [30_000, 32_000, 41_000, None, None],
        "n": 5,
    }
    shown = {name: found.pick_text(name) for name in STATISTICS}
    assert (shown["mean"], shown["max"], shown["n"]) == ("-", "never", "5")
    assert shown["each"] == "30,000, 32,000, 41,000, more than 60,000, never"
    few = summary_over_seeds([30.0, 60.0, 60.0], "seconds", censored=[False, True, True])
    assert few.value is None
    assert few.pick("median") is None
    assert (few.pick_text("median"), few.pick_text("max")) == ("more than 60.0 s", "more than 60.0 s")


def test_an_interval_of_what_cannot_be_negative_is_not():
    assert summary_over_seeds([10, 90], "count").low == 0 > summary_over_seeds([10, 90], "number").pick("low")  # type: ignore[operator]


@pytest.mark.parametrize(
    ("values", "kind", "given"),
    [(RATES, "rate", {}), (STEPS, "count", {"episodes": 100}), ([], "count", {}), ([NEVER], "count", {})],
)
def test_what_does_not_fit_is_refused(values, kind, given):
    with pytest.raises(ValueError, match=r"rate needs|at least one"):
        summary_over_seeds(values, kind, **given)


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (0.9863, "rate", "98.6 %"),
        (31_234.4, "count", "31,234"),
        (12.34, "seconds", "12.3 s"),
        (1162.4, "seconds", "1,162 s"),
        (0.0123, "number", "0.0123"),
    ],
)
def test_a_value_has_the_unit_of_its_kind(value, kind, text):
    assert format_value(value, kind) == text
