"""Learning curves out of records."""

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
    mean = lambda name: np.array([np.mean([getattr(row, name) for row in at_step]) for at_step in rows])  # noqa: E731
    return Curve(
        step=np.array(shared),
        updates=mean("updates"),
        seconds=mean("seconds"),
        success=success.mean(axis=1),
        low=low,
        high=high,
        interval=interval,
        per_run=[(np.array([r.step for r in run]), np.array([r.success_rate for r in run])) for run in runs],
    )
