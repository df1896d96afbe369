"""The page of a search, or of the variants of an experiment: what was tried, what matters, what the winner is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wellposed.analysis.curves import carried
from wellposed.analysis.importance import Importance, groups_of, importance
from wellposed.analysis.search import Claim, Direction, Trial, objective_kind, sign, winner
from wellposed.analysis.space import Range, label
from wellposed.analysis.summary import format_value
from wellposed.report import search_figures as figures
from wellposed.report.overview import together
from wellposed.report.page import render

SHOWN = 20  # trials in the table
PAIRS = 3  # interactions that are drawn


@dataclass(frozen=True)
class Asked:
    """What was searched, as far as the page says it."""

    title: str
    env: str
    method: str
    objective: str
    direction: Direction
    space: dict[str, Range]
    grid: bool


def write_page(asked: Asked, trials: Sequence[Trial], claim: Claim | None, target: Path) -> None:
    """Write the page of what is there so far; raises UserError if the disk refuses."""
    kind = objective_kind(asked.objective)
    ended = [trial for trial in trials if trial.outcome in ("complete", "pruned")]
    complete = [trial for trial in trials if trial.outcome == "complete"]
    found = importance(asked.space, trials, asked.grid) if len(asked.space) > 1 else None
    leading = _leading(asked.space, found)
    best = winner(trials, asked.direction)
    score: Any = {"direction": asked.direction, "kind": kind, "name": asked.objective}
    render(
        "search.html.j2",
        target,
        asked=asked,
        trials=trials,
        counts={name: sum(trial.outcome == name for trial in trials) for name in ("complete", "pruned", "failed")},
        claim=claim,
        best=best and (best.number, format_value(best.score, kind), [*_settings(asked.space, best)]),
        scores=complete and Markup(figures.scores_figure(trials, claim=claim, **score)),
        parallel=len(asked.space) > 1 and complete and Markup(figures.parallel_figure(leading, ended, **score)),
        hidden=len(asked.space) - len(leading),
        importance=found,
        importance_svg=found and Markup(figures.importance_figure(found)),
        interactions=found and found.pairs and Markup(
            figures.interactions_figure(asked.space, complete, found.pairs[:PAIRS], kind, asked.objective)
        ),
        grouped=next(iter(leading)),
        groups=_groups(asked.space, leading, trials),
        table=_table(asked, trials),
        chance=found and f"{found.chance:.0%}",
        left=found and f"{found.unexplained:.0%}",
    )  # fmt: skip


def _leading(space: dict[str, Range], found: Importance | None) -> dict[str, Range]:
    """The settings that are drawn, the most important first where that is known."""
    names = [one.settings[0] for one in found.single] if found else list(space)
    return {name: space[name] for name in names[: figures.MOST_AXES]}


def _groups(space: dict[str, Range], leading: dict[str, Range], trials: Sequence[Trial]) -> Markup | None:
    """The learning curves of trials, grouped by the first setting."""
    name = next(iter(leading))
    groups = groups_of(space[name], [trial for trial in trials if trial.looks], name)
    curves = {
        f"{part} ({len(of_one)})": carried([[(look.step, look.success) for look in trial.looks] for trial in of_one])
        for part, of_one in groups.items()
    }
    return Markup(together([*curves], [*curves.values()])) if curves else None


def _settings(space: dict[str, Range], trial: Trial) -> list[tuple[str, str]]:
    """The settings of a trial as people read them."""
    return [(name, label(trial.settings[name])) for name in space]


def _table(asked: Asked, trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The best trials: their number, settings, score, its spread over seeds, and outcome."""
    kind, better = objective_kind(asked.objective), sign(asked.direction)
    order = {"complete": 0, "pruned": 1}
    ended = [trial for trial in trials if trial.outcome in order]
    ended.sort(key=lambda trial: (order[trial.outcome], -better * trial.score))
    return [
        {
            "number": trial.number,
            "settings": [value for _, value in _settings(asked.space, trial)],
            "score": format_value(trial.score, kind),
            "each": ", ".join(format_value(one, kind) for one in trial.each) if len(trial.each) > 1 else "",
            "outcome": trial.outcome + (f" at {trial.looks[-1].step:,}" if trial.outcome == "pruned" else ""),
        }
        for trial in ended[:SHOWN]
    ]
