"""What a rule looks at (a configuration and the rows of a record, nothing else), and what it answers with."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wellposed.findings import Finding, Kind
from wellposed.recipe import stored_config
from wellposed.runs.record import EvaluationRow, Failure, MetricsRow
from wellposed.runs.store import RunReader

RECENT = 3  # rows over which a reading is averaged: one minibatch is a small sample


@dataclass(frozen=True)
class Reading:
    """A metric's mean over the newest rows that have it, and the step of the last of them."""

    step: int
    value: float


@dataclass(frozen=True)
class Evidence:
    """A run so far. Rows are in the order they were written."""

    config: Any  # the run's configuration; its algorithm decides which rules apply
    rows: list[MetricsRow]
    evaluations: list[EvaluationRow]
    failure: Failure | None  # what was not finite, in a run that diverged

    @property
    def step(self) -> int:
        """The last step that has a row."""
        return max([row.step for row in self.rows] + [row.step for row in self.evaluations], default=0)

    @property
    def updates(self) -> int:
        """Gradient updates at the last row of metrics."""
        return self.rows[-1].updates if self.rows else 0

    def series(self, name: str, learning: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of a metric where it was logged; with `learning` only from the first update on."""
        rows = [row for row in self.rows if name in row.metrics and not (learning and not row.updates)]
        return np.array([row.step for row in rows], int), np.array([row.metrics[name] for row in rows], float)

    def recent(self, name: str, learning: bool = False) -> Reading | None:
        """The newest reading of a metric; None where it was never logged."""
        steps, values = self.series(name, learning)
        return Reading(int(steps[-1]), float(np.mean(values[-RECENT:]))) if len(steps) else None

    def until(self, step: int) -> "Evidence":
        """What was known at a step."""
        rows = [row for row in self.rows if row.step <= step]
        evaluations = [row for row in self.evaluations if row.step <= step]
        failed = self.failure if self.failure and self.failure.step <= step else None
        return replace(self, rows=rows, evaluations=evaluations, failure=failed)


def read_evidence(path: Path) -> Evidence:
    """The evidence of a recorded run, whether finished, under way or interrupted.

    Raises:
        UserError: if it is not a run directory, or its record is damaged.
    """
    reader = RunReader(path)
    return Evidence(stored_config(path), reader.metrics, reader.evaluations, reader.failure)


def fault(rule: str, kind: Kind, sure: float, step: int, evidence: str, why: str, advice: str) -> Finding:
    """What a rule has found. `evidence` names numbers and steps; it, `why` and `advice` are whole sentences."""
    status = "warns" if kind == "symptom" else "fails"
    return Finding(rule, status, evidence, why=why, advice=advice, kind=kind, sure=sure, step=step)


def percent(share: float, digits: int = 0) -> str:
    """A share as people read it: `14.6 %`."""
    return f"{100 * share:.{digits}f} %"
