"""Time to the bar with censoring: what is known of runs that used up their budget before they got there.

A run that was not there when its budget ended needs more than that: it is censored. One that diverged never gets there:
its time is infinite. Neither is left out of anything here, and none is counted as if it had got there at the end.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import comb, inf
from typing import NamedTuple

import numpy as np

from wellposed import stats
from wellposed.runs.record import EvaluationRow


@dataclass(frozen=True)
class Median:
    """What half of the seeds needed: the least amount within which at least half of them had reached the bar."""

    value: float | None  # null: it is infinite, for too many diverged
    censored: bool  # then it is more than the value


class ExactInterval(NamedTuple):
    """An interval out of the order of few values; `confidence` is what so few can give, 95 % or more where it can."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class SurvivalCurve:
    """The share of runs that are not there yet: a step function, all arrays [m], from `time` on."""

    time: np.ndarray  # rising: 0, and where runs got there
    share: np.ndarray
    low: np.ndarray  # 95 %
    high: np.ndarray


def first_at(evaluations: list[EvaluationRow], bar: float) -> EvaluationRow | None:
    """The moment a run had reached the bar: the second of the first two evaluations in a row that are there."""
    return next((b for a, b in pairwise(evaluations) if min(a.success_rate, b.success_rate) >= bar), None)


def kaplan_meier(times: np.ndarray, reached: np.ndarray) -> SurvivalCurve:
    """The share of runs that are not there yet, and its 95 % interval.

    Where nobody is censored before a time the estimate is the plain share, and the interval Wilson's. Otherwise it is
    Wilson's for as many runs as the estimate is worth by Greenwood's variance.

    Args:
        times: when each run got there, or what it had used up when it was given up; infinite if it diverged. [n]
        reached: whether it got there. [n] bool

    Source: Kaplan & Meier (1958), "Nonparametric estimation from incomplete observations", JASA 53; the interval: Dorey
    & Korn (1987), "Effective sample sizes for confidence intervals for survival probabilities", Statistics in Medicine
    6.

    Raises:
        ValueError: if there is no run, a time is negative or NaN, or one that got there has no finite time.
    """
    times, reached = _checked(times, reached)
    share, greenwood, rows = 1.0, 0.0, [(0.0, 1.0, float(times.size))]
    for time in np.unique(times[reached]):
        at_risk, events = int((times >= time).sum()), int((reached & (times == time)).sum())
        share *= 1 - events / at_risk
        greenwood += events / (at_risk * (at_risk - events)) if events < at_risk else 0.0
        worth = (1 - share) / (share * greenwood) if share > 0 else float(reached.sum())
        rows.append((float(time), share, worth))
    bounds = np.array([stats.score_interval(share, worth) for _, share, worth in rows])
    return SurvivalCurve(np.array([time for time, _, _ in rows]), *bounds.T)


def median_time(times: np.ndarray, reached: np.ndarray) -> Median:
    """The Kaplan-Meier median: the least time at which at most half of the runs are not there yet.

    Where more than half never got there it is censored: more than the least that a censored run has used up.

    Arguments and errors as of `kaplan_meier`.
    """
    times, reached = _checked(times, reached)
    curve = kaplan_meier(times, reached)
    there = curve.time[curve.share <= 0.5 + 1e-9]  # a half, but for the rounding of products
    if there.size:
        return Median(float(there[0]), censored=False)
    used = times[~reached & np.isfinite(times)]
    return Median(float(used.min()) if used.size else None, censored=True)


def median_interval(times: np.ndarray, reached: np.ndarray, confidence: float = 0.95) -> ExactInterval:
    """Interval of the median over all seeds there could be, from the order of those there are; exact, never too narrow.

    The k-th smallest and the k-th largest of n hold the median between them with probability 1 - 2 P(X < k), where X
    counts heads among n throws of a coin. k is the largest that is sure enough; of five seeds even the smallest and the
    largest (k = 1) are sure to 93.75 % only. A run that is not there yet stands at what it used up for the lower end,
    and at infinity for the upper.

    Arguments and errors as of `kaplan_meier`.

    Source: Thompson (1936), "On confidence ranges for the median", Annals of Mathematical Statistics 7; David &
    Nagaraja (2003), "Order Statistics", section 7.1.
    """
    times, reached = _checked(times, reached)
    n = times.size
    sure = [1 - 2 * sum(comb(n, i) for i in range(k)) / 2**n for k in range(1, n // 2 + 1)]
    if not sure:
        return ExactInterval(0.0, inf, 1.0)
    k = max(sum(level >= confidence for level in sure), 1)
    upper = np.where(reached, times, inf)
    return ExactInterval(float(np.sort(times)[k - 1]), float(np.sort(upper)[n - k]), sure[k - 1])


def restricted_mean(times: np.ndarray, reached: np.ndarray, horizon: float) -> stats.Interval:
    """The mean time to the bar as far as a horizon: of min(time, horizon), which exists whoever got there.

    Where nobody is censored before the horizon it is that mean with its t interval over seeds. Otherwise the mean is
    the area under the Kaplan-Meier curve, and the interval that of the pseudo-values: what each run adds to that area.

    Source: Royston & Parmar (2013), "Restricted mean survival time", BMC Medical Research Methodology 13; Andersen,
    Hansen & Klein (2004), "Regression analysis of restricted mean survival time based on pseudo-observations",
    Lifetime Data Analysis 10.

    Raises:
        ValueError: as `kaplan_meier`; or if the horizon is not positive and finite, or beyond what the last run saw.
    """
    times, reached = _checked(times, reached)
    if not 0 < horizon < inf or (horizon > times.max() and not reached[times.argmax()]):
        raise ValueError(f"no run tells what happened until {horizon}")
    n, area = times.size, _area(times, reached, horizon)
    others = [_area(np.delete(times, i), np.delete(reached, i), horizon) for i in range(n)] if n > 1 else [area]
    found = stats.over_seeds(n * area - (n - 1) * np.array(others))
    low, high = np.clip([found.low, found.high], 0.0, horizon)
    return stats.Interval(area, float(low), float(high))


def _area(times: np.ndarray, reached: np.ndarray, horizon: float) -> float:
    """The area under the curve from 0 to the horizon."""
    curve = kaplan_meier(times, reached)
    edges = np.minimum([*curve.time, horizon], horizon)
    return float((curve.share * np.diff(edges)).sum())


def _checked(times: np.ndarray, reached: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    times, reached = np.asarray(times, np.float64), np.asarray(reached, bool)
    if times.size == 0 or times.shape != reached.shape or not (times >= 0).all() or np.isinf(times[reached]).any():
        raise ValueError("times [n] must not be negative, those that were reached finite, and there must be one")
    return times, reached
