"""The page of a study: three questions, one printed page each. No network, no script, nothing to install."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from wellposed.analysis import study as numbers
from wellposed.analysis.behaviour import Behaviours
from wellposed.analysis.study import Edge, Existence, Learnability, Median, Move, Stability, Study, Trial
from wellposed.analysis.summary import summary_over_seeds
from wellposed.report import figures
from wellposed.report.page import render
from wellposed.serialise import flatten
from wellposed.stats import describe_rate


def write_page(study: Study, target: Path) -> None:
    """Write the page of a study; raises UserError if the disk refuses."""
    trials = numbers.trials_of(study)
    sources = ["episodes of existence"] if study.existence else []
    sources += [f"{len(trials)} run record{'s' if len(trials) > 1 else ''}"] if trials else []
    render(
        "study.html.j2",
        target,
        study=study,
        existence=study.existence and _existence(study.existence, study),
        learnability=study.learnability and _learnability(study.learnability, study),
        stability=study.stability and _stability(study.stability, study),
        configuration=flatten(study.config),
        origin=study.provenance,
        cost=_cost(study, list(trials.values())),
        sources=" and ".join(sources),
    )


def _cost(study: Study, trials: list[Trial]) -> list[tuple[str, str]]:
    """What the runs took, and their commits and machines."""
    if not trials:
        return [("seconds of this call", f"{study.seconds:.0f}")]
    commits = sorted({f"{trial.commit}{' with uncommitted changes' if trial.dirty else ''}" for trial in trials})
    return [
        ("runs", f"{len(trials)}"),
        ("environment steps of all runs", f"{sum(trial.step for trial in trials):,}"),
        ("gradient updates of all runs", f"{sum(trial.updates for trial in trials):,}"),
        ("seconds of training of all runs", f"{sum(trial.seconds for trial in trials):,.0f}"),
        ("seconds of this call", f"{study.seconds:.0f}; runs that were finished before are not in it"),
        ("commits of the runs", ", ".join(commits)),
        ("machines of the runs", ", ".join(sorted({trial.cpu for trial in trials}))),
    ]


def existence_rates(found: Existence) -> list[tuple[str, float, tuple[float, float]]]:
    """Success rates of each policy: name, rate, interval; the baselines come last."""
    rows = [("controller", found.expert), ("network that imitates it", found.clone), ("random actions", found.random)]
    rates = [(name, row.success_rate, row.success_ci95) for name, row in rows if row is not None]
    return [*rates, ("solved at reset", found.expert.already_solved_rate, found.expert.already_solved_ci95)]


def _existence(found: Existence, study: Study) -> dict[str, Any]:
    """The rates as a figure, and how many trained policies are solutions, too."""
    trials = study.learnability.trials if study.learnability else []
    svg = Markup(figures.rates_figure(existence_rates(found)))
    return {"svg": svg, "trained": sum(trial.success.value >= study.bar for trial in trials)}


def need(median: Median, unit: str = "") -> str:
    """`31,000`, `> 100,000`, or `never` where half of the seeds diverged."""
    if median.value is None:
        return "never"
    return f"{'> ' if median.censored else ''}{median.value:,.0f}{unit}"


def missing(trials: list[Trial], budget: int) -> str:
    """Sentences on the seeds that did not reach the bar; empty if all did."""
    diverged = [trial.seed for trial in trials if trial.diverged]
    late = [trial.seed for trial in trials if trial.solved is None and not trial.diverged]
    sentences = []
    if late:
        which = ", ".join(map(str, late))
        sentences.append(f"{len(late)} of {len(trials)} seeds had not reached it within {budget:,} steps: {which}.")
    if diverged:
        sentences.append(f"{len(diverged)} of {len(trials)} seeds diverged: {', '.join(map(str, diverged))}.")
    return " ".join(sentences)


def _learnability(found: Learnability, study: Study) -> dict[str, Any]:
    """What each seed needed."""
    budget, trials = study.config["total_steps"], found.trials
    rows = [
        (
            f"seed {trial.seed}",
            *((f"{s.step:,}", f"{s.updates:,}", f"{s.seconds:.1f}") if (s := trial.solved) else _not_there(trial)),
            describe_rate(trial.success.value, trial.success.ci95),
        )
        for trial in trials
    ]
    steps = numbers.times(trials, "step")
    return {
        "reached": numbers.reached(trials),
        "ways": _ways(found.behaviours),
        "steps": summary_over_seeds(steps.used, "count", censored=~steps.reached, median=True).text,
        "missing": missing(trials, budget),
        "svg": Markup(figures.share_figure(numbers.share_curve(trials, budget), budget, len(trials))),
        "rows": [*rows, ("median", need(found.steps), need(found.updates), need(found.seconds), "")],
    }


def _ways(found: Behaviours | None) -> str:
    """Sentences on qualitatively different solutions; empty where they were not compared."""
    if found is None:
        return ""
    low, high = found.count.ci95
    groups = "; ".join("seeds " + ", ".join(map(str, group)) for group in found.groups)
    said = "one solution" if len(found.groups) == 1 else f"{len(found.groups)} qualitatively different solutions"
    over = f"{low:.0f} to {high:.0f}, 95 % over {found.episodes} held-out episodes"
    rule = f"Two seeds differ where their paths lie {found.apart:g} success radii or more apart in half of the episodes"
    return f"Uniqueness: {said} ({over}): {groups}. {rule}."


def _not_there(trial: Trial) -> tuple[str, str, str]:
    if trial.diverged:
        return (f"diverged at {trial.step:,}", f"{trial.updates:,}", "never")
    return (f"> {trial.step:,}", f"> {trial.updates:,}", f"> {trial.seconds:.1f}")


def spread(trials: list[Trial]) -> str:
    """A sentence on how much the seeds of one recipe differ."""
    rates = [trial.success.value for trial in trials]
    steps = sorted(trial.solved.step for trial in trials if trial.solved is not None)
    text = f"Seeds: success {min(rates):.0%} to {max(rates):.0%} on held-out episodes"
    if steps:
        text += f", {steps[0]:,} to {steps[-1]:,} steps to the bar ({steps[-1] / max(1, steps[0]):.1f} times as many)"
    return text + f", {numbers.reached(trials)} of {len(trials)} reached it."


def _factor(factor: float) -> str:
    return f"x {factor:.0f}" if factor >= 1 else f"x 1/{1 / factor:.0f}"


def edge_words(edge: Edge | None) -> str:
    """The factor at which a setting breaks: `x 4`, `not within x 8`, or `-` if it cannot be moved that way."""
    if edge is None:
        return "-"
    return _factor(edge.breaks) if edge.breaks is not None else f"not within {_factor(edge.held)}"


def _stability(found: Stability, study: Study) -> dict[str, Any]:
    """How much seeds differ, and where each setting breaks."""
    settings = numbers.sensitivity(found)
    edges = {(edge.setting, edge.up): edge for edge in found.edges}
    base = Move("the recipe", 1.0, {}, found.base)
    names = [one.setting for one in settings]
    ordered = sorted(found.moves, key=lambda move: (names.index(move.setting), move.factor))
    return {
        "sound": numbers.holds(found.base),
        "near": [f"{edge.setting} {_factor(edge.breaks)}" for edge in found.edges if edge.breaks in (0.5, 2.0)],
        "spread": spread(found.base),
        "missing": missing(found.base, study.config["total_steps"]),
        "svg": Markup(figures.sensitivity_figure(settings, study.bar)) if settings else "",
        "reach": [(name, *(edge_words(edges.get((name, up))) for up in (False, True))) for name in names],
        "moves": [_move(move, found.base) for move in [base, *filter(None, [found.resampled]), *ordered]],
    }


def _move(move: Move, base: list[Trial]) -> tuple[str, ...]:
    """The row of a move: what was changed, and what came of it beside the recipe."""
    success, relative = numbers.mean_success(move.trials), numbers.relative_need(move.trials, base)
    times = "-"
    if relative is not None:
        shown = "never" if relative.value is None else f"{relative.value:.2f}"
        times = f"> {shown}" if relative.censored and relative.value is not None else shown
    return (
        move.setting if move.factor == 1 else f"{move.setting} {_factor(move.factor)}",
        ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in move.changes.values()),
        f"{numbers.reached(move.trials)} of {len(move.trials)}",
        f"{success.estimate:.1%} ({success.low:.1%} to {success.high:.1%})",
        need(numbers.median_need(move.trials, "step")),
        times,
    )
