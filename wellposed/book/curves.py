"""From the runs of a chapter to the arrays of its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wellposed import stats
from wellposed.book.figures import Axis, Band, Cell, Grid, Panel, Span
from wellposed.chapters.metrics import find_metric, heading
from wellposed.chapters.results import RunResult, VariantResult
from wellposed.diagnose.phases import find_phase
from wellposed.errors import UserError

POINTS = 120  # of a mean over runs that were not evaluated at the same moments
# What is shown of a run beside its success: metrics of which the first that it logged is taken, and whether on a
# logarithmic scale.
QUANTITIES: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("critic loss", ("train/critic_loss",), True),
    ("value loss", ("train/value_loss",), True),
    ("mean value", ("probe/q_mean", "train/q_mean"), False),
    ("temperature", ("train/temperature",), True),
    ("entropy, nats", ("train/entropy",), False),
    ("KL, nats", ("train/kl",), True),
    ("clipped share", ("train/clip_fraction",), False),
)


@dataclass(frozen=True)
class Moment:
    """One monitoring evaluation, as phases are read off it."""

    step: int
    success_rate: float
    success_ci95: tuple[float, float]
    already_solved_rate: float
    already_solved_ci95: tuple[float, float]


def floor_of(runs: Sequence[RunResult]) -> stats.Interval | None:
    """The share of held-out goals that are reached before the first action; None where no run was judged."""
    marks = next((run.held_out.already_solved for run in runs if run.held_out is not None), None)
    return None if marks is None else stats.wilson(marks.count("1"), len(marks))


def bands(variants: Mapping[str, VariantResult], axis: Axis) -> list[Band]:
    """Success of each variant against steps, updates or seconds.

    A run that was solved has stopped and counts on with its last success; one that diverged counts on with none.
    """
    field = {"steps": "step", "updates": "updates", "seconds": "seconds"}[axis]
    found = []
    for name, variant in variants.items():
        seeds = [(np.array(getattr(run.curve, field), float), _success(run)) for run in variant.runs]
        moments = np.unique(np.concatenate([x for x, _ in seeds]))
        if len(moments) > POINTS:
            moments = np.linspace(0.0, moments[-1], POINTS)
        rows = np.array([_extended(x, y, run, moments) for (x, y), run in zip(seeds, variant.runs, strict=True)])
        episodes = variant.runs[0].curve.episodes
        mean, low, high = np.array([stats.over_seeds(column, episodes, shared=False) for column in rows.T]).T
        found.append(Band(name, moments, mean, low, high, seeds))
    return found


def _success(run: RunResult) -> np.ndarray:
    return np.array(run.curve.success, float) / run.curve.episodes


def _extended(x: np.ndarray, y: np.ndarray, run: RunResult, moments: np.ndarray) -> np.ndarray:
    """Success at the moments, straight lines between evaluations; what comes after the last is held."""
    held = np.interp(moments, x, y)
    return np.where(moments > x[-1], 0.0, held) if run.ended == "diverged" else held


def panels(run: RunResult) -> list[Panel]:
    """Success of one run, and those of the quantities that it logged.

    Raises:
        UserError: if it logged none of them.
    """
    step = np.array(run.curve.step, float)
    found = [Panel("success", step, _success(run))]
    for label, names, logarithmic in QUANTITIES:
        name = next((name for name in names if any(value is not None for value in run.series.get(name, []))), None)
        if name is not None:
            y = _numbers(run, name)
            low, high = (
                (_numbers(run, f"probe/q_{end}") for end in ("min", "max")) if name == "probe/q_mean" else (None, None)
            )
            found.append(Panel(label, step, y, low, high, logarithmic))
    if len(found) == 1:
        raise UserError(f"The run {run.run} logged nothing of its losses.")
    return found


def _numbers(run: RunResult, name: str) -> np.ndarray:
    """A logged metric, NaN where it was not logged."""
    return np.array([np.nan if value is None else value for value in run.series[name]], float)


def phases(run: RunResult) -> list[Span]:
    """Failure, take-off and convergence, as far as the run came."""
    floor = floor_of([run]) or stats.Interval(0.0, 0.0, 0.0)
    moments = []
    for step, count in zip(run.curve.step, run.curve.success, strict=True):
        rate = stats.wilson(count, run.curve.episodes)
        moments.append(Moment(step, rate.estimate, (rate.low, rate.high), floor.estimate, (floor.low, floor.high)))
    phase, end = find_phase(moments), float(run.curve.step[-1])
    begins = [("failure", 0.0), ("take-off", phase.take_off), ("convergence", phase.convergence)]
    known = [(name, float(begin)) for name, begin in begins if begin is not None]
    ends = [begin for _, begin in known[1:]] + [end]
    return [Span(name, begin, stop) for (name, begin), stop in zip(known, ends, strict=True) if stop > begin]


def grid(variants: Mapping[str, VariantResult], across: str, down: str, need: str = "steps") -> Grid:
    """The variants by the values of two settings; `need` is the metric that counts steps, to the bar or to a rate.

    Raises:
        UserError: if a setting is in no configuration or has one value only, or two variants have the same values.
    """
    at: dict[tuple[Any, Any], VariantResult] = {}
    for name, variant in variants.items():
        place = (setting(variant, across), setting(variant, down))
        if place in at:
            raise UserError(f"The variant {name!r} has the same {across} and {down} as another one.")
        at[place] = variant
    columns, rows = (sorted({place[i] for place in at}) for i in (0, 1))
    if min(len(columns), len(rows)) < 2:
        raise UserError(f"There is one {across} or one {down} only, so there is no interaction to show.")
    return Grid(
        across=across.rpartition(".")[2],
        down=down.rpartition(".")[2],
        columns=[f"{value}" for value in columns],
        rows=[f"{value}" for value in rows],
        cells=[[_cell(at[x, y], need) if (x, y) in at else None for x in columns] for y in rows],
        needed=heading(need),
    )


def setting(variant: VariantResult, name: str) -> Any:
    """The value of a setting by its dotted name in a recorded configuration.

    Raises:
        UserError: if there is none.
    """
    value: Any = variant.config
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            raise UserError(f"There is no setting {name!r} in the recorded configuration.")
        value = value[part]
    return value


def _cell(variant: VariantResult, need: str) -> Cell:
    success, solved = (find_metric(name).over(variant.runs) for name in ("success", "solved"))
    return Cell(
        success=(success.numbers["mean"], success.numbers["low"], success.numbers["high"]),
        steps=find_metric(need).over(variant.runs).numbers["median"],
        budget=float(variant.config["total_steps"]),
        solved=solved.text,
    )
