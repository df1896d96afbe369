"""The evidence of a diagnosis, a configuration and the rows of a record; and what a rule saw in it."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from wellposed.config import stored_config
from wellposed.findings import Kind
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

    @property
    def last_success(self) -> float:
        """The last evaluation's success rate; 0 before the first."""
        return self.evaluations[-1].success_rate if self.evaluations else 0.0

    @property
    def rewards(self) -> tuple[int, float, float] | None:
        """The newest step with rewards, and the lowest and the highest reward that any minibatch held."""
        (steps, low), (_, high) = self.series("probe/reward_min"), self.series("probe/reward_max")
        return (int(steps[-1]), float(low.min()), float(high.max()) + 0.0) if len(low) and len(high) else None

    @property
    def missed(self) -> float | None:
        """By how much an encoder of pictures misses what is achieved, as a share of that at first; None without one."""
        now, first = self.value("sight/miss", learning=True), self.value("sight/miss_at_first", learning=True)
        return now / first if now is not None and first else None

    def series(self, name: str, learning: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Steps and values of a metric where it was logged; with `learning` only from the first update on."""
        rows = [row for row in self.rows if name in row.metrics and not (learning and not row.updates)]
        return np.array([row.step for row in rows], int), np.array([row.metrics[name] for row in rows], float)

    def recent(self, name: str, learning: bool = False) -> Reading | None:
        """The newest reading of a metric; None where it was never logged."""
        steps, values = self.series(name, learning)
        return Reading(int(steps[-1]), float(np.mean(values[-RECENT:]))) if len(steps) else None

    def value(self, name: str, learning: bool = False) -> float | None:
        """The value of the newest reading of a metric; None where it was never logged."""
        found = self.recent(name, learning)
        return None if found is None else found.value

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


def is_sparse(low: float, high: float) -> bool:
    """Whether the lowest and the highest reward ever seen are those of a sparse reward: whole numbers, as -1 and 0.

    A distance as reward hardly ever is a whole number, neither at its lowest nor at its highest.
    """
    return low.is_integer() and high.is_integer()


@dataclass(frozen=True)
class Seen:
    """What a rule saw that is wrong."""

    step: int  # of the newest row that it rests on
    numbers: dict[str, Any] = field(default_factory=dict)  # by their names in rules.toml; None: not known
    sure: float | None = None  # 0 to 1, where it depends on the numbers
    kind: Kind | None = None  # where it depends on the numbers
