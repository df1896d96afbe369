"""How success falls with the level of a disturbance: levels, crossings, areas, worst cases. Numbers only, no play.

Episodes of one seed at two levels are pairs: start, goal and all other draws are the same.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from math import sqrt

import numpy as np

from wellposed import stats
from wellposed.analysis.differences import difference
from wellposed.runs.record import Estimate
from wellposed.stats import Interval

SHARES = (0.9, 0.5)  # success rates whose level is told


@dataclass(frozen=True)
class Level:
    """Success at one level of a disturbance, and what was lost of the first level on the same episodes."""

    level: float
    success: Estimate
    lost: Estimate


@dataclass(frozen=True)
class Crossing:
    """The level at which success falls to a share. An end that is None lies beyond the largest level."""

    share: float
    level: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LevelCurve:
    """Success against the level of one disturbance; the first level is none of it."""

    name: str
    about: str
    setting: str  # of the environment's configuration, dotted
    unit: str
    levels: list[Level]
    crossings: list[Crossing]
    area: Estimate  # mean success between the first level and the last


@dataclass(frozen=True)
class Condition:
    """Success under one condition, and what was lost on the same episodes."""

    name: str
    about: str
    settings: dict[str, float | int | str]  # of the environment's configuration, dotted
    success: Estimate
    lost: Estimate


@dataclass(frozen=True)
class WorstCase:
    """The worst setting of an uncertainty set that a search found, and what it comes to on fresh episodes."""

    name: str
    about: str
    ranges: dict[str, tuple[float, float]]  # of each parameter
    found: dict[str, float]
    searched: int  # episodes that the search played; none of them counts below
    worst: Estimate  # success at what was found
    average: Estimate  # success over the set, each episode with a draw of its own
    lost: Estimate  # average minus worst, on the same starts and goals


@dataclass(frozen=True)
class Robustness:
    """What policies of one recipe bear, on the same held-out episodes."""

    env: str
    runs: list[str]
    checkpoints: list[str]  # SHA-256 of the states that were judged
    seed: int
    episodes: int
    clean: Estimate
    curves: list[LevelCurve] = field(default_factory=list)
    challenges: list[Condition] = field(default_factory=list)
    worst_cases: list[WorstCase] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # sentences on what the environment does not allow


def estimate(interval: Interval) -> Estimate:
    """An interval as a record has it."""
    return Estimate(interval.estimate, (interval.low, interval.high))


def rate(outcomes: np.ndarray) -> Interval:
    """The success rate of runs that played the same episodes [r, n]: Wilson of one run, `over_seeds` of several."""
    runs, episodes = outcomes.shape
    if runs == 1:
        return stats.wilson(int(outcomes.sum()), episodes)
    return stats.over_seeds(outcomes.mean(axis=1), episodes)


def lost(one: np.ndarray, other: np.ndarray) -> Interval:
    """The rate of `one` minus that of `other`, runs that played the same episodes [r, n]: of one run, by its pairs.

    Of several runs it is from the interval of each rate, which knows nothing of the pairs and is wider.
    """
    if len(one) == 1:
        return paired_difference(one[0], other[0])
    return difference(rate(one), rate(other))


def apart(one: np.ndarray, other: np.ndarray) -> Interval:
    """The rate of `one` minus that of `other`, runs of two recipes that played the same episodes, [r, n] and [s, n].

    Of one run each it is by their pairs. Of several, chance has two sources, and each its own interval: seeds differ (t
    over the rates of each recipe, two independent samples), and episodes are a sample of the task (t over the episodes'
    differences, each a mean over the runs). The half-widths are added in squares, which in simulations of 3 and 5 seeds
    with 100 episodes covered the difference in 98 % of all cases and more.

    Source: Zou & Donner (2008), see `differences.difference`, for the sum of squares at each end.
    """
    if len(one) == len(other) == 1:
        return paired_difference(one[0], other[0])
    of_episodes = one.mean(axis=0) - other.mean(axis=0)
    if min(len(one), len(other)) == 1 or not np.ptp(of_episodes):  # no t interval, or one without a width
        return difference(rate(one), rate(other))
    seeds = difference(*(stats.student(runs.mean(axis=1)) for runs in (one, other)))
    pairs, value = stats.student(of_episodes), seeds.estimate
    below = sqrt((value - seeds.low) ** 2 + (value - pairs.low) ** 2)
    above = sqrt((seeds.high - value) ** 2 + (pairs.high - value) ** 2)
    return Interval(value, max(value - below, -1.0), min(value + above, 1.0))


def paired_difference(one: np.ndarray, other: np.ndarray) -> Interval:
    """Rate of `one` minus rate of `other`, outcomes [n] of the same episodes, with an interval that knows the pairs.

    Source: Newcombe (1998), "Improved confidence intervals for the difference between binomial proportions based on
    paired data", Statistics in Medicine 17, method 10.

    Raises:
        ValueError: if there are no episodes, or not as many of each.
    """
    one, other = np.asarray(one, bool), np.asarray(other, bool)
    if one.shape != other.shape or not one.size:
        raise ValueError("a paired difference needs as many episodes of each, and at least one")
    n = one.size
    both, neither = int((one & other).sum()), int((~one & ~other).sum())
    only_one, only_other = int((one & ~other).sum()), int((~one & other).sum())
    first, second = stats.wilson(both + only_one, n), stats.wilson(both + only_other, n)
    margins = (both + only_one) * (only_other + neither) * (both + only_other) * (only_one + neither)
    excess = both * neither - only_one * only_other
    excess = max(excess - n / 2, 0) if excess > 0 else excess
    phi = excess / sqrt(margins) if margins else 0.0
    value = first.estimate - second.estimate

    def half(up: float, down: float) -> float:
        return sqrt(max(up**2 - 2 * phi * up * down + down**2, 0.0))

    below = half(first.estimate - first.low, second.high - second.estimate)
    above = half(first.high - first.estimate, second.estimate - second.low)
    return Interval(value, value - below, value + above)


def falling(rates: np.ndarray) -> np.ndarray:
    """The rates [k] as a function that never rises: isotonic regression with equal weights.

    Source: Barlow et al. (1972), "Statistical Inference under Order Restrictions": the smallest, over all beginnings
    before a point, of the largest mean from there to an end after it.
    """
    sums = np.concatenate([[0.0], np.cumsum(rates)])
    mean = lambda a, b: (sums[b + 1] - sums[a]) / (b + 1 - a)  # noqa: E731
    k = len(rates)
    return np.array([min(max(mean(a, b) for b in range(i, k)) for a in range(i + 1)) for i in range(k)])


def crossing(levels: np.ndarray, rates: list[Interval], share: float) -> Crossing:
    """The level at which success falls to `share`, by straight lines between levels, and its interval.

    The interval holds the levels whose own interval contains the share: those at which the data do not exclude it. It
    covers the level as often as the intervals of the rates cover theirs, and has a width where all episodes agree.

    Args:
        levels: [k], the first without disturbance, rising or falling.
        rates: of each level.
        share: a success rate.
    """
    way = np.abs(np.asarray(levels, np.float64) - levels[0])
    sign = 1.0 if levels[-1] >= levels[0] else -1.0

    def first(ends: list[float]) -> float | None:
        curve = falling(np.array(ends))
        if curve[0] <= share:
            return float(levels[0])
        for (x, y), (further, below) in pairwise(zip(way, curve, strict=True)):
            if below <= share:
                return float(levels[0] + sign * (x + (further - x) * (y - share) / (y - below)))
        return None

    return Crossing(share, *(first([getattr(one, end) for one in rates]) for end in ("estimate", "low", "high")))


def area(levels: np.ndarray, outcomes: np.ndarray) -> Interval:
    """Mean success between the first level and the last, of runs at each level on the same episodes, [k, r, n].

    An episode's own area lies in [0, 1], so the exact interval of a rate covers its mean at least as often.
    """
    way = np.abs(np.asarray(levels, np.float64) - levels[0])
    areas = np.trapezoid(outcomes.mean(axis=2), way, axis=0) / way[-1]
    return stats.over_seeds(np.clip(areas, 0, 1), outcomes.shape[2])


def level_curve(about: dict[str, str], levels: list[float], outcomes: np.ndarray) -> LevelCurve:
    """The curve of runs at each level on the same episodes, [k, r, n].

    `about`: its name, what it is, its setting and the unit of its levels.
    """
    rates = [rate(played) for played in outcomes]
    points = [
        Level(float(level), estimate(interval), estimate(lost(outcomes[0], played)))
        for level, interval, played in zip(levels, rates, outcomes, strict=True)
    ]
    places = np.array(levels, np.float64)
    crossings = [crossing(places, rates, share) for share in SHARES]
    return LevelCurve(**about, levels=points, crossings=crossings, area=estimate(area(places, outcomes)))
