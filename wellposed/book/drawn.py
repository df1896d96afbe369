"""`{{ figure: KIND ... }}`: which runs a figure of the prose is of, and its text for who cannot see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import get_args

from wellposed.analysis import study as numbers
from wellposed.analysis.study import PARTS, Study
from wellposed.book import curves, figures
from wellposed.book.figures import Axis
from wellposed.book.pages import Directive
from wellposed.chapters.results import Results, RunResult, VariantResult
from wellposed.errors import UserError
from wellposed.report import figures as report_figures
from wellposed.report.study import existence_rates


@dataclass(frozen=True)
class Drawn:
    """A figure, and the variants or studies that it shows."""

    html: str
    sources: list[str]


def draw(results: Results, directive: Directive) -> Drawn:
    """The figure that a directive asks for, which was checked.

    Raises:
        UserError: if there are no such runs, or an option means nothing to it.
    """
    kind, *words = directive.words
    return FIGURES[kind][1](results, directive, *words)


def check(directive: Directive) -> None:
    """Refuse what no records could answer.

    Raises:
        UserError: if there is no such kind of figure, or words are missing.
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
        raise UserError(f"x is one of {', '.join(get_args(Axis))}, not {asked!r}.")
    variants = variants_of(results, experiment)
    bands = curves.bands(variants, axis)
    runs = [run for variant in variants.values() for run in variant.runs]
    floor = curves.floor_of(runs)
    ends = ", ".join(f"{band.name} ends at {band.mean[-1]:.0%}" for band in bands)
    alt = f"Success against {figures.LABELS[axis]}, mean over seeds: {ends}."
    svg = figures.themed(figures.learning(bands, axis, floor.estimate if floor else None), alt)
    return Drawn(svg, [f"{experiment}.{name}" for name in variants])


def _losses(results: Results, directive: Directive, of: str) -> Drawn:
    directive.refuse_options_but("seed", "caption")
    run = run_of(results, of, directive.options.get("seed"))
    panels, phases = curves.panels(run), curves.phases(run)
    floor = curves.floor_of([run])
    began = ", ".join(f"{span.name} from step {span.begin:,.0f}" for span in phases)
    alt = f"One run against environment steps: {', '.join(panel.label for panel in panels)}. Phases: {began}."
    svg = figures.themed(figures.losses(panels, phases, floor.estimate if floor else 0.0), alt)
    return Drawn(svg, [of])


def _grid(results: Results, directive: Directive, experiment: str, across: str, down: str) -> Drawn:
    directive.refuse_options_but("need", "caption")
    variants = variants_of(results, experiment)
    need = directive.options.get("need", "steps")
    if need != "steps" and not need.startswith("steps_to["):
        raise UserError(f"need counts steps, as steps or steps_to[90%] do, and not {need!r}.")
    found = curves.grid(variants, across, down, need)
    told = [
        f"{found.down} {row} with {found.across} {column}: {cell.success[0]:.1%}"
        for row, cells in zip(found.rows, found.cells, strict=True)
        for column, cell in zip(found.columns, cells, strict=True)
        if cell is not None
    ]
    alt = f"Success for each combination of {found.down} and {found.across}: {'; '.join(told)}."
    svg = figures.themed(figures.grid(found), alt)
    return Drawn(svg, [f"{experiment}.{name}" for name in variants])


def _study(results: Results, directive: Directive, name: str) -> Drawn:
    directive.refuse_options_but("part", "caption")
    study = _found(results.studies, name, "study")
    asked = directive.options.get("part")
    if asked is not None and asked not in PARTS:
        raise UserError(f"part is one of {', '.join(PARTS)}, not {asked!r}.")
    drawings: dict[str, Callable[[Study], str]] = {
        "existence": _existence,
        "learnability": _learnability,
        "stability": _stability,
    }
    parts = [part for part in ([asked] if asked else PARTS) if getattr(study, part) is not None]
    if not parts:
        raise UserError(f"The study {name} has no {asked or 'part at all'}.")
    wide = '<div class="wp-wide" tabindex="0">{}</div>'  # drawn for a page of its own: on a phone it is scrolled
    with figures.style():
        return Drawn("".join(wide.format(drawings[part](study)) for part in parts), [name])


def _existence(study: Study) -> str:
    assert study.existence is not None
    rates = existence_rates(study.existence)
    told = ", ".join(f"{name} {rate:.1%}" for name, rate, _ in rates)
    return figures.themed(report_figures.rates_figure(rates), f"Success: {told}.")


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
    """The variants of an experiment that were published; raises UserError if there is no such experiment."""
    return _found(results.experiments, experiment, "experiment")


def run_of(results: Results, of: str, seed: str | None) -> RunResult:
    """The run of EXPERIMENT.VARIANT with a seed; without one, the first.

    Raises:
        UserError: if there is none.
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
}
