"""Figure directives, `{{ figure: KIND ... }}`: select the runs, compute the arrays, draw the figure with a text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from course.book import figures
from course.book.figures import Axis, Band, Cell, Grid, Panel, Span
from course.book.pages import Directive
from course.chapters.metrics import find_metric, heading
from course.chapters.results import Results, RunResult, VariantResult
from wellposed import stats
from wellposed.analysis import study as numbers
from wellposed.analysis.study import PARTS, Study
from wellposed.diagnose.phases import Judged, find_phase
from wellposed.errors import UserError
from wellposed.report import figures as report_figures
from wellposed.report.study import existence_rates

POINTS = 120  # of a mean over runs that were evaluated at different steps
# Panels of one run below its success: label, metrics of which the first logged one is shown, logarithmic scale.
QUANTITIES: tuple[tuple[str, tuple[str, ...], bool], ...] = (
    ("critic loss", ("train/critic_loss",), True),
    ("value loss", ("train/value_loss",), True),
    ("mean value", ("probe/q_mean", "train/q_mean"), False),
    ("temperature", ("train/temperature",), True),
    ("entropy, nats", ("train/entropy",), False),
    ("KL, nats", ("train/kl",), True),
    ("clipped share", ("train/clip_fraction",), False),
    ("estimate loss", ("train/estimate_loss",), True),
    ("imitation loss", ("train/imitation_loss",), True),
    ("probe's miss", ("sight/miss",), True),
)


@dataclass(frozen=True)
class Drawn:
    """A figure as HTML, and the variants or studies that it shows."""

    html: str
    sources: list[str]


def draw(results: Results, directive: Directive) -> Drawn:
    """The figure of a directive that `check` has accepted.

    Raises:
        UserError: if there are no such runs, or an option is not known.
    """
    kind, *words = directive.words
    return FIGURES[kind][1](results, directive, *words)


def check(directive: Directive) -> None:
    """Check the kind of a figure and the number of its arguments, which needs no records.

    Raises:
        UserError: if there is no such kind of figure, or arguments are missing.
    """
    kind, *words = directive.words or [""]
    if kind not in FIGURES:
        raise UserError(f"There is no figure {kind!r}; there are {', '.join(FIGURES)}.")
    takes, _ = FIGURES[kind]
    if len(words) != len(takes.split()):
        raise UserError(f"A figure {kind} is written as: figure: {kind} {takes}; got {' '.join(words) or 'nothing'}.")


def _learning(results: Results, directive: Directive, experiment: str) -> Drawn:
    directive.refuse_options_but("x", "caption")
    asked = directive.options.get("x", "steps")
    axis: Axis | None = next((one for one in get_args(Axis) if one == asked), None)
    if axis is None:
        raise UserError(f"x must be one of {', '.join(get_args(Axis))}, not {asked!r}.")
    variants = variants_of(results, experiment)
    bands = success_bands(variants, axis)
    runs = [run for variant in variants.values() for run in variant.runs]
    floor = floor_of(runs)
    ends = ", ".join(
        f"{band.name} ends at {band.mean[-1]:.0%}"
        + (f", some seeds having stopped from {band.whole:,.0f} on" if band.carries else "")
        for band in bands
    )
    alt = f"Success against {figures.LABELS[axis]}, mean over seeds: {ends}."
    svg = figures.themed(figures.learning(bands, axis, floor.estimate if floor else None), alt)
    return Drawn(svg, [f"{experiment}.{name}" for name in variants])


def _losses(results: Results, directive: Directive, of: str) -> Drawn:
    directive.refuse_options_but("seed", "caption")
    run = run_of(results, of, directive.options.get("seed"))
    panels, phases = logged_panels(run), phase_spans(run)
    floor = floor_of([run])
    began = ", ".join(f"{span.name} from step {span.begin:,.0f}" for span in phases)
    alt = f"One run against environment steps: {', '.join(panel.label for panel in panels)}. Phases: {began}."
    svg = figures.themed(figures.losses(panels, phases, floor.estimate if floor else 0.0), alt)
    return Drawn(svg, [of])


def _grid(results: Results, directive: Directive, experiment: str, across: str, down: str) -> Drawn:
    directive.refuse_options_but("need", "caption")
    variants = variants_of(results, experiment)
    need = directive.options.get("need", "steps")
    if need != "steps" and not need.startswith("steps_to["):
        raise UserError(f"need counts steps, as steps or steps_to[90%], not {need!r}.")
    found = setting_grid(variants, across, down, need)
    cells = [
        f"{found.down} {row} with {found.across} {column}: {cell.success[0]:.1%}"
        for row, cells in zip(found.rows, found.cells, strict=True)
        for column, cell in zip(found.columns, cells, strict=True)
        if cell is not None
    ]
    alt = f"Success for each combination of {found.down} and {found.across}: {'; '.join(cells)}."
    svg = figures.themed(figures.grid(found), alt)
    return Drawn(svg, [f"{experiment}.{name}" for name in variants])


def _front(results: Results, directive: Directive, measurement: str) -> Drawn:
    directive.refuse_options_but("caption")
    rows = _found(results.measurements, measurement, "measurement").result.get("points")
    if rows is None:
        raise UserError(f"{measurement} holds no points of success and smoothness; one of kind interface does.")
    ends = lambda found: (found["value"], *found["ci95"])  # noqa: E731
    points = [
        figures.Played(row["policy"], row["control"], ends(row["success"]), ends(row["change"]), row["front"])
        for row in rows
    ]
    best = ", ".join(f"{point.policy} ({point.control}) {point.success[0]:.0%}" for point in points if point.front)
    alt = f"Success against mean squared change of action. Not beaten in both: {best}."
    return Drawn(figures.themed(figures.front(points), alt), [measurement])


def _levels(results: Results, directive: Directive, measurement: str, curve: str) -> Drawn:
    directive.refuse_options_but("caption")
    curves = _found(results.measurements, measurement, "measurement").result.get("curves")
    if not isinstance(curves, dict):
        raise UserError(f"{measurement} holds no curves of success against level; one of kind robustness does.")
    bands, of_variants = [], _found(curves, curve, f"curve of {measurement}")
    for name, found in of_variants.items():
        ends = np.array([(row["success"]["value"], *row["success"]["ci95"]) for row in found["levels"]]).T
        bands.append(Band(name, np.array([row["level"] for row in found["levels"]]), *ends, seeds=[]))
    one = next(iter(of_variants.values()))
    last = ", ".join(f"{band.name} {band.mean[0]:.0%} to {band.mean[-1]:.0%}" for band in bands)
    alt = f"Success against level, {one['about']}: {last}."
    return Drawn(figures.themed(figures.levels(bands, f"{one['about']} ({one['unit']})"), alt), [measurement])


def _study(results: Results, directive: Directive, name: str) -> Drawn:
    directive.refuse_options_but("part", "caption")
    study = _found(results.studies, name, "study")
    asked = directive.options.get("part")
    if asked is not None and asked not in PARTS:
        raise UserError(f"part must be one of {', '.join(PARTS)}, not {asked!r}.")
    drawings: dict[str, Callable[[Study], str]] = {
        "existence": _existence,
        "learnability": _learnability,
        "stability": _stability,
    }
    parts = [part for part in ([asked] if asked else PARTS) if getattr(study, part) is not None]
    if not parts:
        raise UserError(f"The study {name} has no {asked or 'part at all'}.")
    wide = '<div class="wp-wide" tabindex="0">{}</div>'  # as wide as in a report: on a phone it scrolls
    with figures.style():
        return Drawn("".join(wide.format(drawings[part](study)) for part in parts), [name])


def _existence(study: Study) -> str:
    assert study.existence is not None
    rates = existence_rates(study.existence)
    text = ", ".join(f"{name} {rate:.1%}" for name, rate, _ in rates)
    return figures.themed(report_figures.rates_figure(rates), f"Success: {text}.")


def _learnability(study: Study) -> str:
    assert study.learnability is not None
    trials, budget = study.learnability.trials, study.config["total_steps"]
    svg = report_figures.share_figure(numbers.share_curve(trials, budget), budget, len(trials))
    reached = f"{numbers.reached(trials)} of {len(trials)} within {budget:,} steps"
    return figures.themed(svg, f"Share of seeds that reached {study.bar:.0%} against environment steps: {reached}.")


def _stability(study: Study) -> str:
    assert study.stability is not None
    settings = numbers.sensitivity(study.stability)
    moved = ", ".join(one.setting for one in settings)
    svg = report_figures.sensitivity_figure(settings, study.bar)
    return figures.themed(svg, f"Success and relative steps to the bar with one setting moved: {moved}.")


def variants_of(results: Results, experiment: str) -> dict[str, VariantResult]:
    """The published variants of an experiment; raises UserError if there is no such experiment."""
    return _found(results.experiments, experiment, "experiment")


def run_of(results: Results, of: str, seed: str | None) -> RunResult:
    """The run of EXPERIMENT.VARIANT with a seed; without a seed the first run.

    Raises:
        UserError: if there is no such run.
    """
    experiment, _, variant = of.partition(".")
    runs = _found(variants_of(results, experiment), variant, f"variant of {experiment}").runs
    if seed is None:
        return runs[0]
    found = next((run for run in runs if str(run.seed) == seed), None)
    if found is None:
        raise UserError(f"{of} has no seed {seed}; it has {', '.join(str(run.seed) for run in runs)}.")
    return found


def _found(group: dict, name: str, what: str):
    if name not in group:
        raise UserError(
            f"There is no {what} {name!r} in the chapter's records; there are {', '.join(group) or 'none'}."
        )
    return group[name]


FIGURES: dict[str, tuple[str, Callable[..., Drawn]]] = {
    "learning": ("EXPERIMENT", _learning),
    "losses": ("EXPERIMENT.VARIANT", _losses),
    "grid": ("EXPERIMENT SETTING SETTING", _grid),
    "study": ("STUDY", _study),
    "front": ("MEASUREMENT", _front),
    "levels": ("MEASUREMENT CURVE", _levels),
}


def floor_of(runs: Sequence[RunResult]) -> stats.Interval | None:
    """The share of held-out goals that are reached before the first action; None if no run was evaluated."""
    marks = next((run.held_out.already_solved for run in runs if run.held_out is not None), None)
    return None if marks is None else stats.wilson(marks.count("1"), len(marks))


def success_bands(variants: Mapping[str, VariantResult], axis: Axis) -> list[Band]:
    """Success of each variant against steps, updates or seconds, to the end of its last run.

    After its end, a run keeps its last success; a run that diverged counts as 0. `Band.whole` says from where on.
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
    """Success at the moments, interpolated between evaluations; after the last one it is constant."""
    held = np.interp(moments, x, y)
    return np.where(moments > x[-1], 0.0, held) if run.ended == "diverged" else held


def logged_panels(run: RunResult) -> list[Panel]:
    """Panels of one run: its success and the quantities that it logged.

    Raises:
        UserError: if it logged no quantity.
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
        raise UserError(f"The run {run.run} logged none of its losses.")
    return found


def _numbers(run: RunResult, name: str) -> np.ndarray:
    """A logged metric, NaN at steps without a value."""
    return np.array([np.nan if value is None else value for value in run.series[name]], float)


def phase_spans(run: RunResult) -> list[Span]:
    """The phases that the run went through: failure, take-off, convergence."""
    floor = floor_of([run]) or stats.Interval(0.0, 0.0, 0.0)
    moments = []
    for step, count in zip(run.curve.step, run.curve.success, strict=True):
        rate = stats.wilson(count, run.curve.episodes)
        moments.append(Judged(step, rate.estimate, (rate.low, rate.high), floor.estimate, (floor.low, floor.high)))
    phase, end = find_phase(moments), float(run.curve.step[-1])
    begins = [("failure", 0.0), ("take-off", phase.take_off), ("convergence", phase.convergence)]
    known = [(name, float(begin)) for name, begin in begins if begin is not None]
    ends = [begin for _, begin in known[1:]] + [end]
    return [Span(name, begin, stop) for (name, begin), stop in zip(known, ends, strict=True) if stop > begin]


def setting_grid(variants: Mapping[str, VariantResult], across: str, down: str, need: str = "steps") -> Grid:
    """The variants in a table of two settings; `need` is the metric of steps, to the bar or to a success rate.

    Raises:
        UserError: if a setting does not exist or has a single value, or two variants have the same values.
    """
    at: dict[tuple[Any, Any], VariantResult] = {}
    for name, variant in variants.items():
        place = (setting(variant, across), setting(variant, down))
        if place in at:
            raise UserError(f"The variant {name!r} has the same {across} and {down} as another.")
        at[place] = variant
    columns, rows = (sorted({place[i] for place in at}) for i in (0, 1))
    if min(len(columns), len(rows)) < 2:
        raise UserError(f"There is a single {across} or a single {down}, so there is no interaction to show.")
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
        UserError: if there is no such setting.
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
