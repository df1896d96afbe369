"""Phases: success is read against the goals that were solved at reset, interval against interval."""

import pytest

from tests.diagnose.rows import EVERY, evaluation
from wellposed.diagnose.phases import find_phase

FLOOR = 2  # of 25 goals solved at reset


def phase(*successes: int):
    return find_phase([evaluation(EVERY * i, n, FLOOR) for i, n in enumerate(successes)])


@pytest.mark.parametrize(
    ("successes", "name", "take_off", "convergence"),
    [
        ((0, 2, 3, 2), "failure", None, None),
        ((0, 2, 20, 2), "failure", None, None),  # one lucky evaluation is none
        ((0, 2, 15, 18), "take-off", 2, None),
        ((0, 5, 15, 18, 25, 25), "convergence", 2, 4),
        ((0, 5, 15, 25, 20, 25), "take-off", 2, None),
    ],
)
def test_a_phase_begins_at_the_first_of_two_evaluations(successes, name, take_off, convergence):
    found = phase(*successes)
    at = lambda i: None if i is None else EVERY * i  # noqa: E731
    assert (found.name, found.take_off, found.convergence) == (name, at(take_off), at(convergence))


def test_the_floor_alone_is_not_learning():
    """A fifth of the goals is reached: much where none were solved at reset, nothing where these were."""
    rows = lambda solved: [evaluation(EVERY * i, 9, solved) for i in range(1, 4)]  # noqa: E731
    assert find_phase(rows(0)).name == "take-off"
    assert find_phase(rows(9)).name == "failure"


def test_a_flat_curve_is_a_warm_up_while_the_encoder_learns_to_see():
    rows = [evaluation(EVERY * i, 2, FLOOR) for i in range(3)]
    assert [find_phase(rows, missed).name for missed in (None, 1.0, 0.5)] == ["failure", "failure", "warm-up"]
    assert "misses what is achieved by 50 %" in find_phase(rows, 0.5).sentence
    assert find_phase([evaluation(EVERY * i, 15, FLOOR) for i in range(3)], 0.5).name == "take-off"


def test_before_the_first_evaluation_nothing_is_known():
    assert find_phase([]).name == "unknown"
    assert phase(25).name == "unknown", "what the untrained policy does is no phase of learning"
