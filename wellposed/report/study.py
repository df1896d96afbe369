"""The page of a study: three questions, one printed page each. No network, no script, nothing to install."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wellposed.analysis import study as numbers
from wellposed.analysis.study import Edge, Existence, Learnability, Median, Move, Stability, Study, Trial
from wellposed.analysis.summary import summary_over_seeds
from wellposed.report import figures
from wellposed.report.page import flat_settings, provenance_rows, template
from wellposed.runs.files import write_whole
from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate

Section = dict[str, Any]


def write_page(study: Study, target: Path) -> None:
    """Write the page of a study into an existing folder; raises UserError if the disk refuses."""
    sections = []
    if study.existence is not None:
        sections.append(_existence(study.existence, study))
    if study.learnability is not None:
        sections.append(_learnability(study.learnability, study))
    if study.stability is not None:
        sections.append(_stability(study.stability, study))
    sources = ["episodes of existence"] if study.existence else []
    sources += [f"{len(runs)} run record{'s' if len(runs) > 1 else ''}"] if (runs := numbers.trials_of(study)) else []
    page = template("study.html.j2").render(
        title=f"{study.env}: three questions",
        abstract="Is there a solution? Is it found, by how many seeds and at what cost? How far can settings be moved "
        "before it is not? Success means: at the last step of the episode, at the goal. A seed has reached the bar "
        f"when two evaluations in a row are at {study.bar:.0%} or above; its run then stops.",
        sections=sections,
        configuration=flat_settings(study.config),
        provenance=[*provenance_rows(study.provenance), *_cost(study)],
        version=version("wellposed"),
        run_count=" and ".join(sources),
    )
    write_whole(target, page.encode())


def _cost(study: Study) -> list[tuple[str, str]]:
    """What the runs took, and their commits and machines."""
    trials = list(numbers.trials_of(study).values())
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


def _rate(row: EvaluationRow) -> str:
    return describe_rate(row.success_rate, row.success_ci95)


def existence_rates(found: Existence) -> list[tuple[str, float, tuple[float, float]]]:
    """Success rates of each policy: name, rate, interval; the baselines come last."""
    able = [("controller", found.expert)]
    able += [("network that imitates it", found.clone)] if found.clone is not None else []
    rates = [(name, row.success_rate, row.success_ci95) for name, row in [*able, ("random actions", found.random)]]
    return [*rates, ("solved at reset", found.expert.already_solved_rate, found.expert.already_solved_ci95)]


def _existence(found: Existence, study: Study) -> Section:
    """The section about the controller and the network that imitates it."""
    bar = study.bar
    rows = [("controller", found.expert), ("random actions", found.random)]
    rates = existence_rates(found)
    notes = [
        f"{found.expert.episodes} held-out episodes each. Success means nothing until it is above random actions and "
        "above the share of goals that are solved already at reset."
    ]
    if found.clone is None:
        answer = "No controller is known that solves it."
        notes.append("That none is known proves nothing: training may find one.")
    else:
        rows.insert(1, ("network that imitates it", found.clone))
        one, other = (_can(row, bar) for row in (found.expert, found.clone))
        answer = f"A controller {one} it; a network of width {', '.join(map(str, found.hidden))} {other} it."
        notes.append(
            f"The network has the recipe's inputs and was taught by DAgger in {found.rounds} rounds: "
            f"{found.clone.step:,} environment steps, {found.clone.updates:,} updates, {found.clone.seconds:.0f} s. "
            "Where imitation falls short another network of this width may still do better."
        )
    if study.learnability is not None:
        notes.append(_trained(study.learnability.trials, bar))
    table = [(name, _rate(row), f"{row.means['final_distance'].value:.3f}") for name, row in rows]
    table.append(("already solved at reset", describe_rate(*rates[-1][1:]), ""))
    return {
        "title": "Existence: is there a solution, and can the policy express it?",
        "good": found.clone is not None and found.clone.success_rate >= bar,
        "answer": answer,
        "detail": f"Controller: {found.controller}.",
        "svg": Markup(figures.rates_figure(rates)),
        "caption": "Success at the last step, with 95 % Wilson intervals.",
        "tables": [{"head": ["policy", "success", "distance to the goal at the end"], "rows": table}],
        "notes": notes,
    }


def _trained(trials: list[Trial], bar: float) -> str:
    """What training says about existence: each trained policy that succeeds is a solution."""
    able = sum(trial.success.value >= bar for trial in trials)
    return f"{able} of {len(trials)} trained policies (below) succeed in {bar:.0%} of these episodes or more" + (
        ": each is a solution, and one that the policy can express." if able else "."
    )


def _can(row: EvaluationRow, bar: float) -> str:
    return "solves" if row.success_rate >= bar else f"reaches {row.success_rate:.0%} of"


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


def _learnability(found: Learnability, study: Study) -> Section:
    """The section about how many seeds reach the bar, and what they need."""
    budget, count = study.config["total_steps"], len(found.trials)
    rows = [
        (
            f"seed {trial.seed}",
            *((f"{s.step:,}", f"{s.updates:,}", f"{s.seconds:.1f}") if (s := trial.solved) else _not_there(trial)),
            describe_rate(trial.success.value, trial.success.ci95),
        )
        for trial in found.trials
    ]
    medians = (need(found.steps), need(found.updates), need(found.seconds))
    steps, there = numbers.times(found.trials, "step")
    summary = summary_over_seeds(steps, "count", censored=~there, median=True)
    return {
        "title": "Learnability: is it found?",
        "good": found.reached.ci95[0] > 0.5,
        "answer": f"{numbers.reached(found.trials)} of {count} seeds reached {study.bar:.0%} within {budget:,} steps.",
        "detail": f"Share {describe_rate(found.reached.value, found.reached.ci95)}. Steps: {summary.text}. "
        f"{missing(found.trials, budget)}".strip(),
        "svg": Markup(figures.share_figure(numbers.share_curve(found.trials, budget), budget, count)),
        "caption": f"Share of seeds that had reached {study.bar:.0%} within so many steps; band: 95 % Wilson interval.",
        "tables": [
            {
                "head": ["to the bar", "steps", "updates", "seconds", "success, held out"],
                "rows": [*rows, ("median", *medians, "")],
            }
        ],
        "notes": [
            f"It is evaluated every {study.config['eval_every']:,} steps, and the bar is reached at the second "
            "of two in a row. The median is the least amount within which half of the seeds had reached it; more "
            "than is named (>) where fewer did. Seconds are of training, with evaluation left out, beside the other "
            "runs of the study. Success is measured where a run ended, on episodes that did not decide when."
        ],
    }


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


def _stability(found: Stability, study: Study) -> Section:
    """The section about how far settings can be moved."""
    settings = numbers.sensitivity(found)
    sound = numbers.holds(found.base)
    near = [edge for edge in found.edges if edge.breaks in (0.5, 2.0)]
    if not sound:
        answer = "The recipe itself does not reach the bar with half of the seeds: there is nothing to break."
    elif not near:
        answer = "Halving or doubling any one setting breaks nothing."
    else:
        answer = "It breaks at " + ", ".join(f"{edge.setting} {_factor(edge.breaks or 1)}" for edge in near) + "."
    edges = {(edge.setting, edge.up): edge for edge in found.edges}
    reach = [(s.setting, *(edge_words(edges.get((s.setting, up))) for up in (False, True))) for s in settings]
    head = ["setting moved", "breaks downwards at", "breaks upwards at"]
    return {
        "title": "Stability: how much do seeds differ, how far can settings be moved?",
        "good": sound and not near,
        "answer": answer,
        "detail": f"{spread(found.base)} {missing(found.base, study.config['total_steps'])}".strip(),
        "svg": Markup(figures.sensitivity_figure(settings, study.bar)) if settings else "",
        "caption": f"{len(found.base)} seeds each, dots; line: their mean; band: 95 % interval of it. Below: "
        "median steps to the bar over the recipe's; an open triangle where it is more than could be seen.",
        "tables": [*([{"head": head, "rows": reach}] if sound else []), _moves(found)],
        "notes": [
            "A setting breaks where fewer than half of the seeds reach the bar within the budget. Those that hold are "
            f"doubled, up to {_factor(2**found.doublings)}. Few seeds tell large effects from none; they do not rank "
            "what is close.",
            *found.left_out,
        ],
    }


def _moves(found: Stability) -> dict[str, Any]:
    """The table of all moves."""
    settings = list(dict.fromkeys(move.setting for move in found.moves))
    ordered = sorted(found.moves, key=lambda move: (settings.index(move.setting), move.factor))
    base = Move("the recipe", 1.0, {}, found.base)
    rows = []
    for move in [base, *ordered]:
        success, relative = numbers.mean_success(move.trials), numbers.relative_need(move.trials, found.base)
        values = ", ".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in move.changes.values())
        times = "-"
        if relative is not None:
            shown = "never" if relative.value is None else f"{relative.value:.2f}"
            times = f"> {shown}" if relative.censored and relative.value is not None else shown
        rows.append(
            (
                f"{move.setting} {_factor(move.factor)}" if move.changes else move.setting,
                values,
                f"{numbers.reached(move.trials)} of {len(move.trials)}",
                f"{success.estimate:.1%} ({success.low:.1%} to {success.high:.1%})",
                need(numbers.median_need(move.trials, "step")),
                times,
            )
        )
    head = ["move", "value", "reached the bar", "success, held out", "median steps to it", "over the recipe's"]
    return {"head": head, "rows": rows}
