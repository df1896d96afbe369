"""Reads off finished runs when each kind of goal was learnt; nothing is played."""

import numpy as np

from wellposed.errors import UserError
from wellposed.measure.kinds import Context
from wellposed.measure.split import Split, SplitSettings
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader


def measure_split(settings: SplitSettings, context: Context) -> Split:
    """Success of each kind of goal at the monitoring evaluations of runs.

    Raises:
        UserError: if a record is damaged, or its environment tells no kinds of goals apart.
    """
    of_runs = [RunReader(path).evaluations for path in context.over(context.runs[settings.of], "records")]
    kinds = sorted(of_runs[0][0].success_by_kind)
    if not kinds:
        raise UserError(f"The runs of {settings.of} have goals of one kind, so there is nothing to split.")
    rows = [row_at(of_runs, kinds, step) for step in settings.steps]
    learnt = {kind: [first_at(evaluations, kind, settings.bar) for evaluations in of_runs] for kind in kinds}
    return Split(len(of_runs), rows, learnt, {kind: median(steps) for kind, steps in learnt.items()})


def row_at(of_runs: list[list[EvaluationRow]], kinds: list[str], step: int) -> dict[str, int | float]:
    """Mean success at a step, of all goals and of each kind."""
    latest = [[row for row in evaluations if row.step <= step][-1] for evaluations in of_runs]
    row: dict[str, int | float] = {"step": step, "success": float(np.mean([e.success_rate for e in latest]))}
    return row | {kind: float(np.mean([e.success_by_kind[kind].value for e in latest])) for kind in kinds}


def first_at(evaluations: list[EvaluationRow], kind: str, bar: float) -> int | None:
    """The step of the second of two evaluations in a row at which a kind of goal was at the bar; None if never."""
    rates = [row.success_by_kind[kind].value for row in evaluations]
    return next((evaluations[i].step for i in range(1, len(rates)) if min(rates[i - 1 : i + 1]) >= bar), None)


def median(steps: list[int | None]) -> int | None:
    """The least step within which half of the runs had got there; None where fewer did."""
    known = sorted(step for step in steps if step is not None)
    half = (len(steps) + 1) // 2
    return known[half - 1] if len(known) >= half else None
