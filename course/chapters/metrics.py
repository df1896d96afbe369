"""The metrics of runs that criteria and facts use, and their statistics over the seeds of a variant."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Literal, get_args

import numpy as np

from course.chapters.results import Curve, RunResult
from wellposed import stats, verdict
from wellposed.analysis.summary import Kind, Summary, format_value, summary_over_seeds
from wellposed.errors import UserError, instead
from wellposed.runs.record import MEANS
from wellposed.runs.record import SHARES as LOGGED_SHARES

Statistic = Literal["mean", "low", "high", "min", "max", "median"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
OF_THE_BAR = ("solved", "steps", "updates", "seconds")  # not defined for an experiment without a bar
HEADINGS = {
    "success": "success, held out", "end_steps": "steps", "end_updates": "updates", "end_seconds": "seconds",
    "steps": "steps to the bar", "updates": "updates to it", "seconds": "seconds to it",
}  # fmt: skip
PICKS = (*STATISTICS, "each", "n")  # statistics of a fact
SHARES = LOGGED_SHARES | {"train/action_saturation", "train/clip_fraction"}  # metrics that lie in [0, 1]


@dataclass(frozen=True)
class OverSeeds:
    """The statistics of a metric over the seeds of a variant."""

    text: str  # the mean with its interval and counts, in the metric's unit
    numbers: dict[str, Any]  # each of PICKS; None if it is not known
    texts: dict[str, str]
    kind: Kind


@dataclass(frozen=True)
class Metric:
    """A metric, and the function that summarises it over one or more runs."""

    meaning: str
    over: Callable[[list[RunResult]], OverSeeds]


def find_metric(name: str) -> Metric:
    """The metric of a name, such as `success` or `success[air]`.

    Raises:
        UserError: if there is none, naming the alternatives.
    """
    group = re.fullmatch(r"(\w+)\[(.+)\]", name)
    if group and group[1] in OF_SOME:
        meaning, over = OF_SOME[group[1]]
        return Metric(meaning, partial(over, group[2]))
    if name not in METRICS:
        raise UserError(f"There is no metric {name!r}{instead(name, [*METRICS, *(f'{g}[...]' for g in OF_SOME)])}")
    return METRICS[name]


def heading(metric: str) -> str:
    """The label of a metric in a table or at an axis, such as `steps to 90%`."""
    return HEADINGS.get(metric) or metric.replace("_", " ").replace("[", " ").rstrip("]")


def _statistics(summary: Summary) -> OverSeeds:
    """A summary over seeds as numbers and texts."""
    numbers = {pick: summary.pick(pick) for pick in PICKS}
    return OverSeeds(summary.text, numbers, {pick: summary.pick_text(pick) for pick in PICKS}, summary.kind)


def _success(runs: list[RunResult], kind: str | None = None, at_limit: bool = False) -> OverSeeds:
    """Success on held-out episodes, or on those with one kind of goal; 0 for a run that diverged.

    Where success ends an episode, `at_limit` asks for it at the limit of those that were kept running.
    """
    evaluated = [run.held_out for run in runs if run.held_out is not None]
    if kind is not None and any(kind not in held_out.kinds for held_out in evaluated):
        kinds = {kind for held_out in evaluated for kind in held_out.kinds}
        raise UserError(f"These runs have no goals of the kind {kind!r}{instead(kind, sorted(kinds))}")

    def outcomes(run: RunResult) -> list[bool]:
        held_out = run.held_out
        if held_out is None:
            return []
        among = held_out.kinds[kind] if kind is not None else "1" * len(held_out.success)
        marks = (at_limit and held_out.success_at_limit) or held_out.success
        return [mark == "1" for mark, counts in zip(marks, among, strict=True) if counts == "1"]

    each = [outcomes(run) for run in runs]
    rates = [float(np.mean(of_one)) if of_one else 0.0 for of_one in each]
    return _statistics(summary_over_seeds(rates, "rate", episodes=max(map(len, each)) or verdict.EPISODES))


def _of_episodes(successes: Callable[[RunResult], tuple[int, int] | None], runs: list[RunResult]) -> OverSeeds:
    """A rate of the held-out episodes, which are the same for every run, so it has no spread over seeds."""
    counts = next((found for run in runs if (found := successes(run)) is not None), None)
    if counts is None:
        raise UserError("All of these runs diverged, so none was evaluated on held-out episodes.")
    rate = stats.wilson(*counts)
    numbers: dict[str, Any] = dict.fromkeys(("mean", "min", "max", "median"), rate.estimate)
    numbers |= {"low": rate.low, "high": rate.high, "each": [rate.estimate], "n": counts[1]}
    places = stats.carried_places(100 * rate.low, 100 * rate.high)
    value, low, high = (format_value(one, "rate", places) for one in (rate.estimate, rate.low, rate.high))
    text = f"{value} (95 % CI {low.removesuffix(' %')}-{high.removesuffix(' %')}, {counts[1]} episodes)"
    return OverSeeds(text, numbers, _texts(numbers, "rate"), "rate")


def _already_solved(run: RunResult) -> tuple[int, int] | None:
    held_out = run.held_out
    return None if held_out is None else (held_out.already_solved.count("1"), len(held_out.already_solved))


def _random(run: RunResult) -> tuple[int, int] | None:
    held_out = run.held_out
    return None if held_out is None else (round(held_out.random_success.value * (n := len(held_out.success))), n)


def _share(holds: Callable[[RunResult], bool], runs: list[RunResult]) -> OverSeeds:
    """The share of runs with a property: `4 of 5`."""
    each = [float(holds(run)) for run in runs]
    share = stats.wilson(int(sum(each)), len(each))
    numbers: dict[str, Any] = {"mean": share.estimate, "low": share.low, "high": share.high}
    numbers |= {"min": min(each), "max": max(each), "median": float(np.median(each)), "each": each, "n": len(each)}
    return OverSeeds(f"{sum(each):.0f} of {len(each)}", numbers, _texts(numbers, "rate"), "rate")


def _texts(numbers: dict[str, Any], kind: Kind) -> dict[str, str]:
    """Statistics as texts; n is a plain number."""
    shown = {name: value if isinstance(value, list) else [value] for name, value in numbers.items() if name != "n"}
    return {n: ", ".join(format_value(v, kind) for v in vs) for n, vs in shown.items()} | {"n": str(numbers["n"])}


def _need(quantity: str, kind: Kind, runs: list[RunResult]) -> OverSeeds:
    """Steps, updates or seconds to the bar; a run that did not reach it counts as censored at its end."""
    values = [inf if run.ended == "diverged" else getattr(run.solved or run, quantity) for run in runs]
    return _statistics(summary_over_seeds(values, kind, censored=[run.solved is None for run in runs]))


def _steps_to(rate: str, runs: list[RunResult]) -> OverSeeds:
    """Steps to the second of two consecutive evaluations at a rate or above, independent of the bar."""
    percent = re.fullmatch(r"(\d+(?:\.\d+)?)%", rate)
    if not percent or not 0 < float(percent[1]) <= 100:
        raise UserError(f"steps_to[{rate}] is not a success rate in percent, as in steps_to[90%].")

    def moment(curve: Curve) -> int | None:
        there = np.array(curve.success) / curve.episodes >= float(percent[1]) / 100
        return next((curve.step[i] for i in np.flatnonzero(there[1:] & there[:-1]) + 1), None)

    moments = [moment(run.curve) for run in runs]
    ends = [inf if run.ended == "diverged" else run.step for run in runs]
    values = [end if found is None else found for found, end in zip(moments, ends, strict=True)]
    return _statistics(summary_over_seeds(values, "count", censored=[found is None for found in moments]))


def _plain(value: Callable[[RunResult], float], kind: Kind, runs: list[RunResult]) -> OverSeeds:
    """A number of each run."""
    return _statistics(summary_over_seeds([value(run) for run in runs], kind))


def _mean_of(measure: str, run: RunResult) -> float:
    """A measure's mean over a run's held-out episodes."""
    if run.held_out is None or measure not in run.held_out.means:
        raise UserError(f"{run.run} has no {measure}: it diverged, or no episode has one.")
    return run.held_out.means[measure]


def _logged(name: str, run: RunResult) -> list[tuple[int, float]]:
    """The environment steps at which a run logged a metric, and its values."""
    values = run.series.get(name, [])
    known = [(step, value) for step, value in zip(run.curve.step, values, strict=False) if value is not None]
    if not known:
        raise UserError(f"{run.run} logged no {name!r}{instead(name, run.series)}")
    return known


def _series(pick: Callable[[list[float]], float], name: str, runs: list[RunResult]) -> OverSeeds:
    """One number of a logged series of each run."""
    kind: Kind = "share" if name in SHARES else "number"
    return _plain(lambda run: pick([value for _, value in _logged(name, run)]), kind, runs)


def _steps_to_max(name: str, runs: list[RunResult]) -> OverSeeds:
    """Steps until a logged metric first had its largest value."""
    return _plain(lambda run: max(_logged(name, run), key=lambda at: at[1])[0], "count", runs)


def _peak(run: RunResult) -> float:
    return max(run.curve.success) / run.curve.episodes


OVER: dict[str, tuple[str, Callable[[list[RunResult]], OverSeeds]]] = {
    "success": ("success at the last step of held-out episodes", _success),
    "success_at_limit": (
        "success at the limit of held-out episodes, whose goals end nothing",
        partial(_success, at_limit=True),
    ),
    "already_solved": (
        "share of held-out goals that are reached at reset",
        partial(_of_episodes, _already_solved),
    ),
    "random_success": ("success of uniform random actions in the same episodes", partial(_of_episodes, _random)),
    "solved": ("runs that reached the bar within the budget", partial(_share, lambda run: run.solved is not None)),
    "diverged": (
        "runs that diverged: a loss or weight was not finite",
        partial(_share, lambda run: run.ended == "diverged"),
    ),
    "steps": ("environment steps to the bar", partial(_need, "step", "count")),
    "updates": ("gradient updates to the bar", partial(_need, "updates", "count")),
    "seconds": ("seconds of training to the bar", partial(_need, "seconds", "seconds")),
    "end_steps": ("environment steps at the end", partial(_plain, lambda run: run.step, "count")),
    "end_updates": ("gradient updates at the end", partial(_plain, lambda run: run.updates, "count")),
    "end_seconds": ("seconds of training at the end", partial(_plain, lambda run: run.seconds, "seconds")),
    "peak_success": ("highest success of a monitoring evaluation", partial(_plain, _peak, "share")),
}
OVER |= {name: (f"{name} of held-out episodes", partial(_plain, partial(_mean_of, name), "number")) for name in MEANS}
METRICS = {name: Metric(meaning, over) for name, (meaning, over) in OVER.items()}

# Metrics with an argument in brackets: a kind of goal, a success rate, or the name of a logged metric.
OF_SOME: dict[str, tuple[str, Callable[[str, list[RunResult]], OverSeeds]]] = {
    "success": ("success with goals of this kind", lambda kind, runs: _success(runs, kind)),
    "steps_to": ("environment steps to this success, in monitoring evaluations", _steps_to),
    "last": ("the last value of a logged metric", partial(_series, lambda values: values[-1])),
    "min": ("the smallest value of a logged metric, at the evaluations", partial(_series, min)),
    "max": ("the largest value of a logged metric, at the evaluations", partial(_series, max)),
    "steps_to_max": (
        "environment steps until a logged metric first had its largest value, at the evaluations",
        _steps_to_max,
    ),
}
