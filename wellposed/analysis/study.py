"""A study in numbers: what its runs found, and the arithmetic of seeds that did not get there.

A seed that used up the budget without reaching the bar is censored: all that is known is that it needs more. A seed
that diverged never reaches it. Neither is dropped: both stand in every denominator.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from wellposed import stats
from wellposed.analysis.survival import Median, kaplan_meier, median_time
from wellposed.runs.record import Estimate, EvaluationRow, Provenance, Solved

Part = Literal["existence", "learnability", "stability"]
PARTS: tuple[Part, ...] = get_args(Part)
DOUBLINGS = 3  # how often a setting that holds is moved by two, each way, where nothing else is asked
Quantity = Literal["step", "updates", "seconds"]


@dataclass(frozen=True)
class Trial:
    """One run as a study counts it, and what a published number must carry."""

    seed: int
    run: str  # its directory's name, which holds the hash of its configuration
    solved: Solved | None  # null: not within the budget
    diverged: bool
    step: int  # where it ended
    updates: int
    seconds: float  # of training
    success: Estimate  # on held-out episodes, with what it had learnt where it ended; 0 if it diverged
    episodes: int  # how many of those, the same for every run
    commit: str | None
    dirty: bool | None
    cpu: str


@dataclass(frozen=True)
class Existence:
    """Is there a policy that solves the task, and can a network of the recipe's width express it?"""

    controller: str  # what plays, in words
    known: bool  # whether it does better than random actions, so that it is a solution at all
    expert: EvaluationRow
    random: EvaluationRow
    clone: EvaluationRow | None  # with the steps, updates and seconds of imitation; null where there was nothing to
    rounds: int
    hidden: list[int]


@dataclass(frozen=True)
class Learnability:
    """How many seeds reach the bar, and what they need."""

    trials: list[Trial]
    reached: Estimate
    steps: Median
    updates: Median
    seconds: Median


@dataclass(frozen=True)
class Move:
    """One setting moved by one factor."""

    setting: str
    factor: float
    changes: dict[str, Any]  # of the recipe, by dotted name
    trials: list[Trial]


@dataclass(frozen=True)
class Edge:
    """How far one setting can be moved one way."""

    setting: str
    up: bool
    held: float  # the farthest factor at which at least half of the seeds reached the bar; 1 is the recipe
    breaks: float | None  # the first at which fewer did; null: it did not break as far as it was moved


@dataclass(frozen=True)
class Stability:
    """How much seeds differ, and how far settings can be moved."""

    base: list[Trial]
    moves: list[Move]
    edges: list[Edge]
    left_out: list[str]  # sentences
    doublings: int  # how far settings that hold were moved at most, as a power of two


@dataclass(frozen=True)
class Study:
    """Everything `wellposed study` found out; a part that was not asked for is null."""

    env: str
    bar: float
    config: dict[str, Any]  # the recipe
    seconds: float  # wall time of the call that wrote this; finished runs cost it nothing
    provenance: Provenance
    existence: Existence | None
    learnability: Learnability | None
    stability: Stability | None


def trials_of(study: Study) -> dict[str, Trial]:
    """Every run that a study rests on, by its directory's name."""
    found = list(study.learnability.trials if study.learnability else [])
    if study.stability is not None:
        found += [*study.stability.base, *(trial for move in study.stability.moves for trial in move.trials)]
    return {trial.run: trial for trial in found}


def reached(trials: list[Trial]) -> int:
    """How many trials reached the bar."""
    return sum(trial.solved is not None for trial in trials)


def holds(trials: list[Trial]) -> bool:
    """Whether at least half of the seeds reached the bar."""
    return 2 * reached(trials) >= len(trials)


def reached_rate(trials: list[Trial]) -> Estimate:
    """The share of seeds that reached the bar, with its Wilson interval."""
    share = stats.wilson(reached(trials), len(trials))
    return Estimate(share.estimate, (share.low, share.high))


def times(trials: list[Trial], quantity: Quantity) -> tuple[np.ndarray, np.ndarray]:
    """What each trial needed to the bar, or had used up without reaching it, [n], and whether it reached it, [n] bool.

    One that diverged never gets there, however much it is given.
    """
    needed = [
        getattr(trial.solved or trial, quantity) if trial.solved or not trial.diverged else np.inf for trial in trials
    ]
    return np.array(needed, float), np.array([trial.solved is not None for trial in trials])


def median_need(trials: list[Trial], quantity: Quantity) -> Median:
    """The median of what seeds needed; censored where fewer than half of them reached the bar."""
    return median_time(*times(trials, quantity))


def relative_need(moved: list[Trial], base: list[Trial]) -> Median | None:
    """Median steps to the bar over those of the recipe; None where the recipe's own is not known."""
    one, other = median_need(base, "step"), median_need(moved, "step")
    if one.censored or not one.value:
        return None
    return Median(None if other.value is None else other.value / one.value, other.censored)


@dataclass(frozen=True)
class ShareCurve:
    """The share of seeds that reached the bar within so many steps: a step function, all arrays [m]."""

    step: np.ndarray  # where it jumps, with 0 before and the budget after
    share: np.ndarray  # from that step on
    low: np.ndarray  # 95 %
    high: np.ndarray


def share_curve(trials: list[Trial], budget: int) -> ShareCurve:
    """The share of seeds solved against environment steps, up to the budget (or the last step taken beyond it)."""
    curve = kaplan_meier(*times(trials, "step"))
    step = np.unique([*curve.time, budget])
    last = np.searchsorted(curve.time, step, side="right") - 1
    return ShareCurve(step, *(1 - bound[last] for bound in (curve.share, curve.high, curve.low)))


def mean_success(trials: list[Trial]) -> stats.Interval:
    """Success on held-out episodes: mean over seeds and its interval."""
    return stats.over_seeds(np.array([trial.success.value for trial in trials]), min(t.episodes for t in trials))


def edges(ladders: dict[tuple[str, bool], list[float]], held: dict[tuple[str, float], bool]) -> list[Edge]:
    """How far each setting can be moved each way, from the moves that were tried.

    Args:
        ladders: for each setting and direction (True: up) the factors that can be tried, nearest first.
        held: for each setting and factor that was tried whether at least half of the seeds reached the bar.
    """
    found = []
    for (setting, up), factors in ladders.items():
        tried = [factor for factor in factors if (setting, factor) in held]
        broken = [factor for factor in tried if not held[setting, factor]]
        good = [factor for factor in tried if held[setting, factor]]
        if tried:
            found.append(Edge(setting, up, good[-1] if good else 1.0, broken[0] if broken else None))
    return found


@dataclass(frozen=True)
class Sensitivity:
    """One setting against the factor it was moved by, all arrays [m], the recipe itself (factor 1) among them."""

    setting: str
    factor: np.ndarray  # rising
    success: np.ndarray
    low: np.ndarray
    high: np.ndarray
    per_seed: list[list[float]]  # success of each seed, for each factor
    need: np.ndarray  # median steps to the bar over the recipe's; NaN where there is none
    censored: np.ndarray  # bool: it is more than that


def sensitivity(stability: Stability) -> list[Sensitivity]:
    """The moves of each setting in the order of their factors."""
    found = []
    for setting in dict.fromkeys(move.setting for move in stability.moves):
        of_one = {move.factor: move.trials for move in stability.moves if move.setting == setting}
        factors = sorted({1.0, *of_one})
        trials = [of_one.get(factor, stability.base) for factor in factors]
        success, low, high = np.array([mean_success(group) for group in trials]).T
        needs = [relative_need(group, stability.base) for group in trials]
        found.append(
            Sensitivity(
                setting=setting,
                factor=np.array(factors),
                success=success,
                low=low,
                high=high,
                per_seed=[[trial.success.value for trial in group] for group in trials],
                need=np.array([np.nan if n is None or n.value is None else n.value for n in needs]),
                censored=np.array([n is not None and n.censored for n in needs]),
            )
        )
    return found
