"""Predicted factors against measured ones, on runs whose steps are known."""

from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest

from course.measure import MEASUREMENTS, ports
from course.measure.kinds import Context
from course.measure.ports import Port, PortsSettings
from wellposed.errors import UserError

RUNS: Any = {  # success rates at steps 100, 200, ...
    "fast": [0.0, 0.9, 1.0, 1.0],  # 300
    "slow": [0.0, 0.9, 0.5, 0.0, 0.9, 0.9],  # 600: one evaluation alone does not count
    "never": [0.0, 0.1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2],  # more than 900
    "broken": [0.0, 0.1],  # diverged
}
TWICE = Port("twice", "a.slow", "a.fast", 0.9, "a mirror", 1.5, 2.5, 3.0, "2026-11-27")


@pytest.fixture
def scored(monkeypatch):
    def reader(path) -> Any:
        rows = [SimpleNamespace(step=100 * (i + 1), success_rate=rate) for i, rate in enumerate(RUNS[path.name])]
        failure = "a loss was a NaN" if path.name == "broken" else None
        provenance = SimpleNamespace(started="2026-11-27T20:00:00+00:00")
        return SimpleNamespace(evaluations=rows, failure=failure, provenance=provenance)

    monkeypatch.setattr(ports, "RunReader", reader)
    context = Context(1, {f"a.{name}": [SimpleNamespace(name=name)] * 5 for name in RUNS})  # type: ignore[list-item]
    return lambda *all_of: MEASUREMENTS["ports"].measure(PortsSettings(list(all_of)), context)


def test_a_factor_is_that_of_the_steps_to_the_second_evaluation_in_a_row(scored):
    found = scored(TWICE, replace(TWICE, name="missed", low=2.1))
    assert [row.factor for row in found.rows] == [2.0, 2.0]
    assert [row.inside for row in found.rows] == [True, False]
    assert (found.scored, found.inside.value) == (2, 0.5)
    assert found.off == pytest.approx(1.25)  # 2.5 was the best guess of both
    assert {
        field: getattr(found.rows[0], field) for field in ("low", "best", "high", "at", "breaks", "registered")
    } == {field: asdict(TWICE)[field] for field in ("low", "best", "high", "at", "breaks", "registered")}


def test_another_success_rate_is_another_factor(scored):
    assert scored(replace(TWICE, at=0.95)).rows[0].factor is None
    assert scored(replace(TWICE, of="a.never", against="a.fast", at=0.2)).rows[0].factor == pytest.approx(4 / 3)


@pytest.mark.parametrize("of", ["never", "broken"])
def test_what_never_gets_there_is_outside_and_bounded_from_below_if_it_is_bounded(scored, of):
    (row,) = scored(replace(TWICE, of=f"a.{of}", low=1.0, high=1e6)).rows
    assert (row.factor, row.inside, row.ci_high) == (None, False, None)
    assert row.at_least == (3.0 if of == "never" else None)


def test_what_is_registered_after_a_run_began_is_refused(scored):
    with pytest.raises(UserError, match="slow began on 2026-11-27: what was registered on 2026-11-28"):
        scored(replace(TWICE, registered="2026-11-28"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"low": 0.0}, "0 < low"),
        ({"best": 4.0}, "low <= best <= high"),
        ({"low": 2.5, "high": 2.5}, "low < high"),
        ({"at": 0.0}, "success rate"),
        ({"registered": "yesterday"}, "must be a day"),
    ],
)
def test_what_predicts_nothing_is_refused(change, said):
    with pytest.raises(UserError, match=said):
        PortsSettings([replace(TWICE, **change)])
    with pytest.raises(UserError, match="names of their own"):
        PortsSettings([TWICE, TWICE])


def test_all_runs_that_are_compared_are_read():
    assert PortsSettings([TWICE, replace(TWICE, name="other", of="b.x")]).of == ["a.slow", "a.fast", "b.x"]
