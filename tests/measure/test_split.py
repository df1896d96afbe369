"""Success by kind of goal, read off monitoring evaluations, on rows whose answers are known."""

from types import SimpleNamespace
from typing import Any

import pytest

from course.measure import MEASUREMENTS
from course.measure import split as splits
from course.measure.kinds import Context
from course.measure.split import SplitSettings
from wellposed.errors import UserError
from wellposed.runs.record import Estimate

RUNS: Any = {
    "fast": [(0, 0.0, 0.0), (100, 0.0, 0.9), (200, 0.9, 1.0), (300, 1.0, 1.0)],  # step, air, table
    "slow": [(0, 0.1, 0.1), (150, 0.1, 1.0), (250, 0.1, 0.8), (350, 0.9, 1.0), (450, 0.8, 1.0)],
}


@pytest.fixture
def split(monkeypatch):
    def reader(path) -> Any:
        rows = [
            SimpleNamespace(
                step=step,
                success_rate=(air + table) / 2,
                success_by_kind={"table": Estimate(table, (0, 1)), "air": Estimate(air, (0, 1))},
            )
            for step, air, table in RUNS[path]
        ]
        return SimpleNamespace(evaluations=rows)

    monkeypatch.setattr(splits, "RunReader", reader)
    context = Context(1, {"sparse.recipe": list(RUNS)})
    return lambda **settings: MEASUREMENTS["split"].measure(SplitSettings("sparse.recipe", **settings), context)


def test_rows_are_means_of_the_latest_evaluations_and_ended_runs_count_on(split):
    first, middle, last = split(steps=[0, 200, 450]).rows
    assert first == pytest.approx({"step": 0, "success": 0.05, "air": 0.05, "table": 0.05})
    assert middle == pytest.approx({"step": 200, "success": 0.75, "air": 0.5, "table": 1.0})
    assert last == pytest.approx({"step": 450, "success": 0.95, "air": 0.9, "table": 1.0})


def test_a_kind_was_learnt_at_the_second_of_two_evaluations_in_a_row_at_the_bar(split):
    found = split(steps=[0], bar=0.9)
    assert found.learnt == {"air": [300, None], "table": [200, 450]}
    assert found.median == {"air": 300, "table": 200}
    assert split(steps=[0], bar=0.95).median == {"air": None, "table": 300}


def test_goals_of_one_kind_and_senseless_settings_are_refused(split, monkeypatch):
    rows = [SimpleNamespace(step=0, success_rate=1.0, success_by_kind={})]
    monkeypatch.setattr(splits, "RunReader", lambda _: SimpleNamespace(evaluations=rows))
    with pytest.raises(UserError, match="nothing to split"):
        split(steps=[0])
    changes: list[dict] = [{"steps": []}, {"steps": [2, 1]}, {"steps": [0], "bar": 0.0}]
    for change in changes:
        with pytest.raises(UserError, match=r"rising order|bar must be a success rate"):
            SplitSettings("sparse.recipe", **change)
