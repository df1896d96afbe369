"""Tables out of records: learning curves as arrays, and what each variant of an experiment needed to be solved."""

from dataclasses import dataclass

import numpy as np

from wellposed import stats
from wellposed.errors import UserError
from wellposed.runs.record import EvaluationRow


@dataclass(frozen=True)
class Curve:
    """Success against environment steps, all arrays [m], with the interval that `interval` names."""

    step: np.ndarray
    updates: np.ndarray  # gradient updates at each step, mean over runs
    seconds: np.ndarray  # training seconds at each step, mean over runs
    success: np.ndarray
    low: np.ndarray
    high: np.ndarray
    interval: str
    per_run: list[tuple[np.ndarray, np.ndarray]]  # (step, success) of each run


def learning_curve(runs: list[list[EvaluationRow]]) -> Curve:
    """The curve of the evaluations of one run (Wilson over its episodes) or of several (`stats.over_seeds`).

    Several runs are averaged only at steps at which all of them were evaluated.

    Raises:
        UserError: if a run was never evaluated, or the runs share no step.
    """
    if not all(runs):
        raise UserError("A run without a single evaluation has no learning curve; train it longer.")
    shared = sorted(set.intersection(*({row.step for row in run} for run in runs)))
    if not shared:
        raise UserError("These runs were never evaluated at the same step, so they have no common curve.")
    rows = [[next(r for r in run if r.step == step) for run in runs] for step in shared]
    success = np.array([[r.success_rate for r in at_step] for at_step in rows])
    if len(runs) == 1:
        bounds = [at_step[0].success_ci95 for at_step in rows]
        interval = f"95 % Wilson interval over {rows[0][0].episodes} episodes"
    else:
        episodes = min(row.episodes for at_step in rows for row in at_step)
        bounds = [stats.over_seeds(values, episodes, shared=False)[1:] for values in success]
        interval = f"95 % interval of the mean over {len(runs)} runs with {episodes} episodes each"
    low, high = np.array(bounds).T
    return Curve(
        step=np.array(shared),
        updates=np.array([np.mean([r.updates for r in at_step]) for at_step in rows]),
        seconds=np.array([np.mean([r.seconds for r in at_step]) for at_step in rows]),
        success=success.mean(axis=1),
        low=low,
        high=high,
        interval=interval,
        per_run=[(np.array([r.step for r in run]), np.array([r.success_rate for r in run])) for run in runs],
    )


@dataclass(frozen=True)
class Need:
    """What the runs of one variant needed until they were solved; infinity for each that was not, within its budget."""

    variant: str
    steps: np.ndarray  # [seeds]
    seconds: np.ndarray  # [seeds]

    @property
    def solved(self) -> int:
        """How many runs were solved."""
        return int(np.isfinite(self.steps).sum())


def mean_with_interval(values: np.ndarray, digits: int) -> str:
    """`31,000 (28,000 to 34,000)`: mean and 95 % t interval over seeds; `-` if a seed was not solved.

    With equal values or a single seed there is no interval: `31,000`. Intervals are cut off at 0.
    """
    if not np.isfinite(values).all():
        return "-"
    mean, low, high = stats.over_seeds(values)
    shown = [f"{round(v, digits):,.0f}" for v in (mean, max(low, 0.0), high) if np.isfinite(v)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if np.isfinite(low) else shown[0]


def table(needs: list[Need]) -> str:
    """A Markdown table, one line for each variant in the order given."""
    means = "steps to it, mean (95 % CI, t over seeds) | seconds, mean (95 % CI)"
    lines = [f"| variant | solved | {means} | seconds of each seed |", "|---|---|---|---|---|"]
    for need in needs:
        each = ", ".join(f"{s:.0f}" if np.isfinite(s) else "not" for s in need.seconds)
        lines.append(
            f"| {need.variant} | {need.solved} of {len(need.steps)} | {mean_with_interval(need.steps, -2)} | "
            f"{mean_with_interval(need.seconds, 0)} | {each} |"
        )
    return "\n".join(lines) + "\n"
