"""The simulator's hand in a loop, against the linear theory."""

import pytest

from course.measure import MEASUREMENTS, tracking
from course.measure.kinds import Context
from course.measure.tracking import TrackingSettings
from wellposed import serialise
from wellposed.envs.wrappers.control import Control
from wellposed.errors import UserError

SETTINGS = TrackingSettings("FetchReach-v4", [0.5, 0.4], [0.7, 0.0], [0, 2])


def measured(settings: TrackingSettings = SETTINGS):
    return MEASUREMENTS["tracking"].measure(settings, Context(1, {}))


@pytest.fixture(scope="module")
def found():
    return measured()


@pytest.mark.slow
def test_the_bound_and_the_largest_gain_are_those_of_the_simulator(found):
    assert found.furthest < 0.1
    assert found.furthest_gain < 0.1
    assert all(0.01 < row.bound < 0.04 for row in found.rows)
    assert [row.lag for row in found.rows] == pytest.approx([0.7 / 0.3, 2.0])
    assert serialise.from_dict(type(found), serialise.to_dict(found), "here") == found


def test_another_loop_than_the_one_that_is_told_does_not_keep_the_bound(monkeypatch):
    """A step of delay that nobody told the theory of."""
    monkeypatch.setattr(tracking, "HALVINGS", 1)
    monkeypatch.setattr(tracking, "Control", lambda s, d, **more: Control(s, d + 2, **more))
    assert measured().furthest > 0.2


def test_what_cannot_be_tracked_is_said():
    with pytest.raises(UserError, match="is unstable"):
        measured(TrackingSettings("FetchReach-v4", [2.0], [0.0], [2]))
    with pytest.raises(UserError, match="same length"):
        TrackingSettings("FetchReach-v4", [1.0], [0.0], [0, 1])
    with pytest.raises(UserError, match="speed must be"):
        TrackingSettings("FetchReach-v4", [1.0], [0.0], [0], speed=0.5)
