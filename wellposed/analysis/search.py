"""The trials of a search: their scores, which are cut short, which is best, and what the best is worth.

A trial is one choice of settings, trained with every seed of the search. Its score is the mean over its seeds of an
objective, computed from evaluations on monitoring episodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isfinite
from typing import Any, Literal

import numpy as np

from wellposed import stats
from wellposed.analysis.summary import Kind, format_value
from wellposed.errors import UserError, instead
from wellposed.runs.record import MEANS, EvaluationRow

Outcome = Literal["running", "complete", "pruned", "failed"]
Rule = Literal["median", "halving"]
Direction = Literal["maximize", "minimize"]
# The natural direction of each objective, and what its values are.
OBJECTIVES: dict[str, tuple[Direction, Kind]] = {
    "success": ("maximize", "rate"),  # of the last evaluation
    "area": ("maximize", "share"),  # mean success over the budget: also higher if it is reached sooner
    "steps": ("minimize", "count"),  # to the bar; a run that does not reach it counts twice its budget
}
LEAST = 5  # trials that a trial is compared with before it can be cut short


@dataclass(frozen=True)
class Look:
    """A trial at one evaluation: means over its seeds."""

    step: int
    success: float
    score: float


@dataclass(frozen=True)
class Trial:
    """One choice of settings and what came of it."""

    number: int
    settings: dict[str, Any]
    runs: list[str]  # the names of its run directories, one for each seed
    outcome: Outcome  # failed: refused, or a seed diverged and the objective has no value for that
    looks: list[Look]  # up to the end, or to where it was pruned
    each: list[float]  # the score of each seed at the last look; empty while it is running and if it failed

    def __post_init__(self) -> None:
        if self.outcome == "complete" and not self.each:
            raise ValueError(f"trial {self.number} is complete, so each of its seeds has a score")

    @property
    def score(self) -> float:
        """The mean over its seeds."""
        return float(np.mean(self.each))

    def score_at(self, step: int) -> float | None:
        """The score at the last look up to a step; None if the trial did not get there."""
        seen = [look for look in self.looks if look.step <= step]
        there = self.outcome == "complete" or (self.looks and self.looks[-1].step >= step)
        return seen[-1].score if seen and there else None


def objective_kind(objective: str) -> Kind:
    """What the values of an objective are; raises UserError if there is no such objective."""
    return OBJECTIVES[require_objective(objective)][1] if objective in OBJECTIVES else "number"


def score_range(objective: str) -> tuple[float, float]:
    """Where the values of an objective can lie."""
    kind = objective_kind(objective)
    return (-inf, inf) if kind == "number" else (0.0, inf if kind == "count" else 1.0)


def require_objective(objective: str) -> str:
    """The objective; raises UserError if no evaluation has it."""
    known = [*OBJECTIVES, *(name for name in MEANS if name != "time_to_success")]
    if objective not in known:
        raise UserError(f"There is no objective {objective!r}{instead(objective, known)}")
    return objective


def score_of(
    objective: str,
    rows: Sequence[EvaluationRow],
    step: int,
    *,
    budget: int,
    bar: float | None,
    diverged: int | None = None,
) -> float | None:
    """The objective of one run, from its evaluations up to a step.

    A run that diverged has success 0 from then on. Where it does not reach the bar, `steps` is twice the budget: the
    penalised average of algorithm configuration (PAR2). Other objectives have no value after divergence: None.

    Args:
        objective: one of OBJECTIVES, or a mean of an evaluation, such as `episode_return`.
        rows: the evaluations, at least one of them up to the step.
        step: environment steps.
        budget: of the run, in environment steps.
        bar: success rate that two evaluations in a row must reach, for `steps`.
        diverged: the step at which the run diverged.

    Source: Hutter, Hoos & Stützle (2007), "Automatic algorithm configuration based on local search", AAAI (PAR).
    """
    seen = [row for row in rows if row.step <= step]
    gone = diverged is not None and diverged <= step
    if objective not in OBJECTIVES:
        return None if gone else seen[-1].means[objective].value
    curve = [(row.step, row.success_rate) for row in seen]
    if gone:
        curve.append((max(diverged or 0, curve[-1][0]), 0.0))
    if objective == "success":
        return curve[-1][1]
    if objective == "area":
        steps, rates = np.array(curve).T
        return float(rates @ np.diff(steps, append=step) / step) if step else float(rates[-1])
    assert bar is not None
    there = next((b for (_, first), (b, second) in pairwise(curve) if min(first, second) >= bar), None)
    return float(2 * budget if there is None else there)


def sign(direction: Direction) -> int:
    """1 if more is better, else -1."""
    return 1 if direction == "maximize" else -1


def is_pruned(rule: Rule, looks: Sequence[Look], known: Sequence[Trial], direction: Direction) -> bool:
    """Whether a trial is cut short at its last look, the first of which was before training.

    median: its best score so far is worse than the median of the complete trials at this step.
    halving: at looks 1, 2, 4, 8, ... it is not in the better half of the trials that got there, itself among them.

    Equal scores are never cut, so a task in which nothing has been learnt yet prunes nothing, and nothing is pruned
    before `LEAST` trials are known.

    Source: median: Golovin et al. (2017), "Google Vizier", section 3.1, in the form of Optuna's MedianPruner. halving:
    Li et al. (2020), "A system for massively parallel hyperparameter tuning", algorithm 2 (ASHA), with eta = 2.
    """
    step, number, better = looks[-1].step, len(looks) - 1, sign(direction)
    if number == 0 or (rule == "halving" and number & (number - 1)):
        return False
    among = [trial for trial in known if rule == "halving" or trial.outcome == "complete"]
    there = [better * found for trial in among if (found := trial.score_at(step)) is not None]
    if len(there) < LEAST:
        return False
    if rule == "median":
        return max(better * look.score for look in looks) < np.median(there)
    own = better * looks[-1].score
    return own < sorted([*there, own], reverse=True)[len(there) // 2]


def winner(trials: Sequence[Trial], direction: Direction) -> Trial | None:
    """The complete trial with the best score, the first of equal ones; None if no trial is complete."""
    complete = [trial for trial in trials if trial.outcome == "complete"]
    return max(complete, key=lambda trial: sign(direction) * trial.score, default=None)


@dataclass(frozen=True)
class Claim:
    """What a search found: the winner's score in the search, and with seeds that did not choose it."""

    winner: Trial
    trials: int  # that were complete, out of which it was chosen
    objective: str
    direction: Direction
    fresh: list[float]  # the score of each fresh seed
    episodes: int  # of each evaluation

    def __post_init__(self) -> None:
        if not self.fresh:
            raise ValueError("a claim rests on the score of at least one fresh seed")
        if self.winner.outcome != "complete" or self.episodes < 1:
            raise ValueError("a claim is about a complete trial and evaluations of at least one episode")
        least, most = score_range(self.objective)
        for score in (self.winner.score, *self.fresh):
            if not (isfinite(score) and least <= score <= most):
                raise ValueError(f"a score of {score:g}, and {self.objective} lies from {least:g} to {most:g}")

    @property
    def interval(self) -> stats.Interval:
        """The mean of the fresh seeds with its 95 % interval, which stays where scores can lie."""
        kind = objective_kind(self.objective)
        found = stats.over_seeds(np.array(self.fresh), self.episodes if kind == "rate" else None, shared=False)
        low, high = np.clip(found[1:], *score_range(self.objective))
        return stats.Interval(found.estimate, float(low), float(high))

    @property
    def flattery(self) -> stats.Interval:
        """By how much the search's score is better than that of the fresh seeds.

        The interval is that of the fresh seeds alone: the search's score is the greatest of many, not a sample.
        """
        found, better = self.interval, sign(self.direction)
        ends = sorted((better * (self.winner.score - found.low), better * (self.winner.score - found.high)))
        return stats.Interval(better * (self.winner.score - found.estimate), ends[0], ends[1])

    @property
    def lines(self) -> list[str]:
        """The result in sentences, the search's score never without that of the fresh seeds."""
        kind = objective_kind(self.objective)
        show = lambda value: format_value(value, kind)  # noqa: E731
        found, extra = self.interval, self.flattery
        known = np.isfinite(found.low)
        ends = f"95 % interval {show(found.low)} to {show(found.high)}, " if known else "no interval, "
        more = lambda value: f"{100 * value:.1f} points" if kind in ("rate", "share") else show(value)  # noqa: E731
        by = f" (between {more(extra.low)} and {more(extra.high)})" if known else ""
        seeds = len(self.winner.each)
        return [
            f"Best of {self.trials} trials: trial {self.winner.number}, {self.objective} {show(self.winner.score)} in "
            f"the search ({seeds} seed{'s' if seeds > 1 else ''}).",
            f"Trained again with fresh seeds: {show(found.estimate)} ({ends}{len(self.fresh)} seeds).",
            f"The search flattered it by {more(extra.estimate)}{by}: the best of many scores is good partly by chance "
            "(winner's curse). Report the fresh seeds.",
        ]
