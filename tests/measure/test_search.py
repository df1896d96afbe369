"""Searches in a hole, by hand and learnt, on the same episodes."""

from types import SimpleNamespace
from typing import Any

import pytest

from course.measure import MEASUREMENTS, search
from course.measure.kinds import Context
from course.measure.search import SearchSettings
from wellposed import serialise
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.peg.oracle import SpiralSearch, TorqueSearch
from wellposed.errors import UserError

SUCCESS = {"spiral": [1, 1, 1, 1], "torque": [1, 1, 1, 0], "with": [1, 1, 1, 0], "without": [1, 0, 0, 0]}


@pytest.fixture
def measure(monkeypatch):
    """Measures policies whose successes are known."""
    wheres = []

    def play_under(policy, where, seeds, _seed, _threads):
        wheres.append(where)
        name = {SpiralSearch: "spiral", TorqueSearch: "torque"}.get(type(policy)) or policy
        return [SimpleNamespace(success=bool(one), time_to_success=i if one else None)
                for i, one in zip(range(len(seeds)), SUCCESS[name], strict=True)]  # fmt: skip

    def load_run(path):
        return SimpleNamespace(env=EnvConfig(path.env, {"clearance": 5e-4})), path.name, None

    monkeypatch.setattr(search, "play_under", play_under)
    monkeypatch.setattr(search, "load_run", load_run)

    def measured(clearances, *names, env="PegInsert-v0"):
        runs: Any = {name: [SimpleNamespace(name=name, env=env)] for name in names}
        settings = SearchSettings(clearances, ["square"], list(names), episodes=4)
        return MEASUREMENTS["search"].measure(settings, Context(1, runs)), wheres

    return measured


def test_policies_by_hand_stand_before_those_that_were_learnt_and_these_are_compared(measure):
    found, wheres = measure([1e-3], "without", "with")
    assert [(row.policy, row.clearance) for row in found.rows] == [
        ("spiral", 1e-3), ("torque", 1e-3), ("without", 5e-4), ("with", 5e-4),
    ]  # fmt: skip
    assert [row.success.value for row in found.rows] == [1.0, 0.75, 0.25, 0.75]
    assert [row.gained and row.gained.value for row in found.rows] == [None, None, None, 0.5]
    assert [row.steps for row in found.rows] == [1.5, 1.0, 0.0, 1.0]
    assert [where.kwargs["clearance"] for where in wheres] == [1e-3, 1e-3, 5e-4, 5e-4]
    assert serialise.from_dict(type(found), serialise.to_dict(found), "here") == found


def test_the_turns_of_the_spiral_lie_closer_than_the_clearance(measure, monkeypatch):
    pitches = []
    monkeypatch.setattr(search, "SpiralSearch", lambda pitch: pitches.append(pitch) or SpiralSearch(pitch))
    measure([2e-3, 3e-4])
    assert pitches == pytest.approx([1.2e-3, 1.8e-4])


def test_what_is_no_search_is_refused(measure):
    with pytest.raises(UserError, match="was trained on PegProbe-v0"):
        measure([], "with", env="PegProbe-v0")
    with pytest.raises(UserError, match="clearance must be"):
        measure([0.1])
    with pytest.raises(UserError, match="shape must be"):
        SearchSettings([1e-3], ["oval"], [])
