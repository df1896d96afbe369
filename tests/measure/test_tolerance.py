"""Robustness as a measurement: over the runs of a variant, as data that a chapter's text can point into."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from wellposed import robustness, serialise
from wellposed.chapters.values import check_path, follow
from wellposed.config import RunConfig
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.errors import UserError
from wellposed.measure import MEASUREMENTS
from wellposed.measure.kinds import Context
from wellposed.measure.tolerance import ToleranceSettings


def test_curves_are_over_the_runs_of_a_variant_and_can_be_named(monkeypatch):
    agent = ProportionalReach()
    agent.spec = SimpleNamespace(radius=0.05)  # type: ignore[attr-defined]
    manifest = SimpleNamespace(state=SimpleNamespace(sha256=""))
    monkeypatch.setattr(robustness, "load_run", lambda _: (RunConfig(EnvConfig("FetchReach-v4")), agent, manifest))
    kind, runs = MEASUREMENTS["tolerance"], {"reach.recipe": [Path("one"), Path("two")]}
    settings = ToleranceSettings("reach.recipe", ["sensor_delay"], episodes=3)
    found = kind.measure(settings, Context(2, runs, lambda items, _: iter(items)))
    assert (found.runs, found.episodes, found.challenges) == (2, 3, {})
    data = serialise.to_dict(found)
    assert serialise.from_dict(kind.result, data, "here") == found
    for path in ("curves.sensor_delay.levels.1.success", "curves.sensor_delay.crossings.0.level"):
        check_path(kind.result, path)
        follow(data, path)
    assert follow(data, "curves.sensor_delay.levels.4.level") == 5
    with pytest.raises(UserError, match="there is no 'delays'"):
        ToleranceSettings("reach.recipe", ["delays"])
