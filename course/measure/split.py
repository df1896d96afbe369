"""Success of each kind of goal during training, read from the monitoring evaluations of finished runs."""

from dataclasses import dataclass

import numpy as np

from course.measure.kinds import Context
from wellposed.errors import UserError
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader


@dataclass(frozen=True)
class SplitSettings:
    """The runs that are read, the steps at which success is reported, and the bar of each kind of goal."""

    of: str  # "experiment.variant"
    steps: list[int]  # environment steps
    bar: float = 0.9  # success rate at which a kind of goal counts as learnt

    def __post_init__(self) -> None:
        if not self.steps or sorted({*self.steps}) != self.steps or self.steps[0] < 0:
            raise UserError(f"steps must be environment steps in rising order, got {self.steps}.")
        if not 0 < self.bar <= 1:
            raise UserError(f"bar must be a success rate above 0 and at most 1, got {self.bar}.")


@dataclass(frozen=True)
class Split:
    """Success by kind of goal over environment steps."""

    runs: int
    # One row for each of the steps: "step", "success" over all monitoring episodes, and success of each kind of goal
    # by its name. Each is the mean over runs of the latest evaluation; a run that has ended keeps its last one.
    rows: list[dict[str, int | float]]
    learnt: dict[str, list[int | None]]  # kind -> for each run, the second of two consecutive evaluations at the bar
    median: dict[str, int | None]  # of `learnt`; null if fewer than half of the runs reached the bar


def measure_split(settings: SplitSettings, context: Context) -> Split:
    """Success of each kind of goal at the monitoring evaluations of runs.

    Raises:
        UserError: if a record is damaged, or the environment has a single kind of goal.
    """
    of_runs = [RunReader(path).evaluations for path in context.over(context.runs[settings.of], "records")]
    kinds = sorted(of_runs[0][0].success_by_kind)
    if not kinds:
        raise UserError(f"The runs of {settings.of} have a single kind of goal, so there is nothing to split.")
    rows = [row_at(of_runs, kinds, step) for step in settings.steps]
    learnt = {kind: [first_at(evaluations, kind, settings.bar) for evaluations in of_runs] for kind in kinds}
    return Split(len(of_runs), rows, learnt, {kind: median(steps) for kind, steps in learnt.items()})


def row_at(of_runs: list[list[EvaluationRow]], kinds: list[str], step: int) -> dict[str, int | float]:
    """Mean success at a step, of all goals and of each kind."""
    latest = [[row for row in evaluations if row.step <= step][-1] for evaluations in of_runs]
    row: dict[str, int | float] = {"step": step, "success": float(np.mean([e.success_rate for e in latest]))}
    return row | {kind: float(np.mean([e.success_by_kind[kind].value for e in latest])) for kind in kinds}


def first_at(evaluations: list[EvaluationRow], kind: str, bar: float) -> int | None:
    """The step of the second of two consecutive evaluations with a kind of goal at the bar; None if there is none."""
    rates = [row.success_by_kind[kind].value for row in evaluations]
    return next((evaluations[i].step for i in range(1, len(rates)) if min(rates[i - 1 : i + 1]) >= bar), None)


def median(steps: list[int | None]) -> int | None:
    """The smallest step by which half of the runs had reached the bar; None if fewer did."""
    known = sorted(step for step in steps if step is not None)
    half = (len(steps) + 1) // 2
    return known[half - 1] if len(known) >= half else None
