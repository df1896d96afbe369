"""Policies under interfaces: the same episodes, the front of success and smoothness, what training under one gains."""

from dataclasses import replace
from pathlib import Path

import pytest

from course.measure import MEASUREMENTS, interface
from course.measure.interface import InterfaceSettings, Point, control_of, describe, on_front
from course.measure.kinds import Context
from wellposed import serialise
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.envs.wrappers.control import Control
from wellposed.errors import UserError
from wellposed.runs.record import Estimate

LATE: dict[str, bool | float | int | str] = {"delay": 2}
RUNS = {"reach.plain": [Path("one"), Path("two")], "reach.late": [Path("late")]}
SETTINGS = InterfaceSettings("FetchReach-v4", [{}, LATE], list(RUNS), episodes=10)


def loaded(path: Path):
    """Eager controllers in the place of trained agents; the one that knows of the delay is patient."""
    control, gain = (Control(delay=2), 0.4) if path.name == "late" else (Control(), 1.5)
    return RunConfig(EnvConfig("FetchReach-v4", control=control)), ProportionalReach(gain), None


@pytest.fixture(scope="module")
def found():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interface, "load_run", loaded)
        return MEASUREMENTS["interface"].measure(SETTINGS, Context(1, RUNS))


@pytest.mark.slow
def test_each_policy_plays_under_the_interfaces_that_are_its_own(found):
    assert [(point.policy, point.control, point.runs) for point in found.points] == [
        ("by hand", "none", 0),
        ("retrofit", "none", 2),
        ("by hand", "delay 2", 0),
        ("retrofit", "delay 2", 2),
        ("retrained", "delay 2", 1),
    ]
    plain, late = found.rows
    assert (plain.control, plain.retrained, plain.gained) == ("none", None, None)
    assert plain.retrofit.value == plain.by_hand.value == late.by_hand.value == 1
    assert late.retrofit.value < 0.8 < late.retrained.value
    assert late.gained.value == pytest.approx(late.retrained.value - late.retrofit.value)
    assert 0 < late.gained.ci95[0] < late.gained.value <= late.gained.ci95[1]
    retrained, reference = found.points[4], found.points[1]
    assert late.change_ratio == pytest.approx(retrained.change.value / reference.change.value)
    assert late.time_ratio == pytest.approx(retrained.time.value / reference.time.value)


def test_it_is_data(found):
    kind = MEASUREMENTS["interface"]
    assert serialise.from_dict(kind.result, serialise.to_dict(found), "here") == found
    assert serialise.from_dict(kind.settings, serialise.to_dict(SETTINGS), "here") == SETTINGS


def test_the_front_holds_what_nothing_else_beats():
    one = Estimate(0.5, (0.5, 0.5))
    at = lambda success, change: Point(  # noqa: E731
        "retrofit", "none", 1, replace(one, value=success), replace(one, value=change), one, one, None, False
    )
    points = [at(1.0, 0.4), at(0.9, 0.1), at(0.9, 0.2), at(0.8, 0.1), at(0.5, 0.05), at(1.0, 0.4)]
    assert on_front(points) == [True, True, False, False, True, True]


def test_an_interface_is_named_by_what_is_on():
    assert describe(control_of({"smoothing": 0.7, "target": "relative", "reach": 0.05})) == (
        "smoothing 0.7, target relative, reach 0.05"
    )
    with pytest.raises(UserError, match=r"no setting env\.control\.smothing; did you mean 'smoothing'"):
        InterfaceSettings("FetchReach-v4", [{"smothing": 0.5}], [])


def test_runs_under_an_interface_that_is_not_asked_for_are_named(monkeypatch):
    monkeypatch.setattr(interface, "load_run", loaded)
    context = Context(1, RUNS)
    with pytest.raises(UserError, match="trained under delay 2"):
        interface.measure_interfaces(replace(SETTINGS, controls=[{}]), context)
    with pytest.raises(UserError, match="was trained on FetchReach-v4"):
        interface.measure_interfaces(replace(SETTINGS, env="FetchPush-v4", episodes=1), context)
