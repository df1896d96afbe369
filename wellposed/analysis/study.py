"""The results of a study, and statistics over seeds some of which did not reach the bar.

A seed that used up its budget without reaching the bar is censored: it is only known to need more. A seed that diverged
never reaches it. Neither is dropped: both count in every denominator.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from wellposed import stats
from wellposed.analysis.behaviour import Behaviours
from wellposed.analysis.survival import Median, StepCurve, Times
from wellposed.runs.record import Estimate, EvaluationRow, Provenance, Solved, require_moment
from wellposed.serialise import LATER

Part = Literal["existence", "learnability", "stability"]
PARTS: tuple[Part, ...] = get_args(Part)
DOUBLINGS = 3  # how often a setting that holds is moved by two, up and down, by default
Quantity = Literal["step", "updates", "seconds"]


@dataclass(frozen=True)
class Trial:
    """One run of a study, with everything that a published number must state."""

    seed: int
    run: str  # name of its directory, which contains the hash of its configuration
    solved: Solved | None  # null: not within the budget
    diverged: bool
    step: int  # where it ended
    updates: int
    seconds: float  # of training
    success: Estimate  # of the final policy on held-out episodes; 0 if it diverged
    episodes: int  # number of held-out episodes, the same for every run
    commit: str | None
    dirty: bool | None
    cpu: str

    def __post_init__(self) -> None:
        require_moment(self)


@dataclass(frozen=True)
class Existence:
    """Is there a policy that solves the task, and can a network of the recipe's width express it?"""

    controller: str  # a description
    known: bool  # whether it does better than random actions
    expert: EvaluationRow
    random: EvaluationRow
    # The imitating network, with steps, updates and seconds; null if not `known`, or if single moments cannot train it.
    clone: EvaluationRow | None
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
    behaviours: Behaviours | None = field(default=None, metadata=LATER)  # null also where too few seeds finished


@dataclass(frozen=True)
class Move:
    """One setting moved by one factor."""

    setting: str
    factor: float
    changes: dict[str, Any]  # of the recipe, by dotted name
    trials: list[Trial]


@dataclass(frozen=True)
class Edge:
    """How far one setting can be moved in one direction."""

    setting: str
    up: bool
    held: float  # the farthest factor at which at least half of the seeds reached the bar; 1: the recipe itself
    breaks: float | None  # the first factor at which fewer did; null: none did


@dataclass(frozen=True)
class Stability:
    """How much seeds differ, and how far settings can be moved."""

    base: list[Trial]
    moves: list[Move]
    edges: list[Edge]
    left_out: list[str]  # sentences
    doublings: int  # how often settings that hold were moved by two at most
    resampled: Move | None = field(default=None, metadata=LATER)  # the same seeds with other minibatches


@dataclass(frozen=True)
class Study:
    """Everything that `wellposed study` found; a part that was not asked for is null."""

    env: str
    bar: float
    config: dict[str, Any]  # the recipe
    seconds: float  # wall time of the call that wrote this, without runs that were finished before
    provenance: Provenance
    existence: Existence | None
    learnability: Learnability | None
    stability: Stability | None


def trials_of(study: Study) -> dict[str, Trial]:
    """All trials of a study, by the name of the run directory."""
    found = list(study.learnability.trials if study.learnability else [])
    if study.stability is not None:
        stable = study.stability
        moves = [*stable.moves, *([stable.resampled] if stable.resampled else [])]
        found += [*stable.base, *(trial for move in moves for trial in move.trials)]
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


def times(trials: list[Trial], quantity: Quantity) -> Times:
    """What each trial needed to reach the bar, or used up without reaching it; infinite if it diverged."""
    needed = [
        getattr(trial.solved or trial, quantity) if trial.solved or not trial.diverged else np.inf for trial in trials
    ]
    return Times(needed, [trial.solved is not None for trial in trials])


def median_need(trials: list[Trial], quantity: Quantity) -> Median:
    """The median of what seeds needed; censored if fewer than half of them reached the bar."""
    return times(trials, quantity).median()


def relative_need(moved: list[Trial], base: list[Trial]) -> Median | None:
    """Median steps to the bar relative to the recipe's; None where the recipe's are unknown."""
    one, other = median_need(base, "step"), median_need(moved, "step")
    if one.censored or not one.value:
        return None
    return Median(None if other.value is None else other.value / one.value, other.censored)


def share_curve(trials: list[Trial], budget: int) -> StepCurve:
    """The share of solved seeds against environment steps, up to the budget (or the last step beyond it)."""
    curve = times(trials, "step").survival()
    step = np.unique([*curve.time, budget])
    last = np.searchsorted(curve.time, step, side="right") - 1
    return StepCurve(step, *(1 - bound[last] for bound in (curve.share, curve.high, curve.low)))


def mean_success(trials: list[Trial]) -> stats.Interval:
    """Success on held-out episodes: mean over seeds and its interval."""
    return stats.over_seeds(np.array([trial.success.value for trial in trials]), min(t.episodes for t in trials))


def edges(ladders: dict[tuple[str, bool], list[float]], held: dict[tuple[str, float], bool]) -> list[Edge]:
    """How far each setting can be moved in each direction, from the moves that were tried.

    Args:
        ladders: for each setting and direction (True: up) the possible factors, nearest first.
        held: for each tried setting and factor, whether at least half of the seeds reached the bar.
    """
    found = []
    for (setting, up), factors in ladders.items():
        tried = {factor: held[setting, factor] for factor in factors if (setting, factor) in held}
        good, broken = ([factor for factor, holds in tried.items() if holds is as_asked] for as_asked in (True, False))
        if tried:
            found.append(Edge(setting, up, good[-1] if good else 1.0, broken[0] if broken else None))
    return found


@dataclass(frozen=True)
class Sensitivity:
    """Results of one setting against the factor it was moved by, all arrays [m]; factor 1 is the recipe itself."""

    setting: str
    factor: np.ndarray  # rising
    success: np.ndarray
    low: np.ndarray
    high: np.ndarray
    per_seed: list[list[float]]  # success of each seed, for each factor
    need: np.ndarray  # median steps to the bar relative to the recipe's; NaN where unknown
    censored: np.ndarray  # bool: the true number is larger


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
