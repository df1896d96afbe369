"""Learning curves out of records."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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


class Band(NamedTuple):
    """Mean success of a group against environment steps with its 95 % interval, all arrays [m]."""

    step: np.ndarray
    success: np.ndarray
    low: np.ndarray
    high: np.ndarray
    whole: int  # the last step at which all of the group were in training; after it some are carried on


def carried(curves: Sequence[Sequence[tuple[int, float]]]) -> Band:
    """The mean of curves of (step, success), none of them empty, each carried on from where it ended.

    So a run that stopped early, because it was solved or pruned, keeps its weight to the end; `whole` says from where
    on this is so, and a figure marks it.
    """
    step = np.array(sorted({at for curve in curves for at, _ in curve}))
    each = np.empty((len(curves), len(step)))
    for row, curve in zip(each, curves, strict=True):
        at, success = np.array(curve).T
        row[:] = success[np.maximum(np.searchsorted(at, step, side="right") - 1, 0)]
    found = [stats.over_seeds(column) for column in each.T]
    low, high = (np.clip([one[i] for one in found], 0.0, 1.0) for i in (1, 2))
    return Band(step, each.mean(axis=0), low, high, min(curve[-1][0] for curve in curves))
