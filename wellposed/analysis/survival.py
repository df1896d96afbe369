"""Time to the bar with censoring: statistics that include the runs that did not reach it.

A run that did not reach the bar within its budget needs more than that: it is censored. A run that diverged never
reaches it: its time is infinite. Neither is dropped, and neither is counted as if it had reached the bar at the end.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import comb, inf
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from wellposed import stats
from wellposed.runs.record import EvaluationRow


@dataclass(frozen=True)
class Median:
    """What half of the seeds needed: the least amount within which at least half of them had reached the bar."""

    value: float | None  # null: infinite, because too many diverged
    censored: bool  # the true median is larger than the value


class ExactInterval(NamedTuple):
    """An interval from order statistics; `confidence` is at least 95 %, or the most that so few values allow."""

    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class StepCurve:
    """A share of runs as a step function of time, all arrays [m]."""

    time: np.ndarray  # where it jumps, increasing from 0
    share: np.ndarray  # from that time on
    low: np.ndarray  # 95 %
    high: np.ndarray


def first_at(evaluations: list[EvaluationRow], bar: float) -> EvaluationRow | None:
    """The evaluation at which a run reached the bar: the second of the first two in a row at or above it."""
    return next((b for a, b in pairwise(evaluations) if min(a.success_rate, b.success_rate) >= bar), None)


def kaplan_meier(times: np.ndarray, reached: np.ndarray) -> StepCurve:
    """The share of runs that have not reached the bar, and its 95 % interval.

    Where no run is censored before a time the estimate is the plain share, with Wilson's interval. Otherwise it is
    Wilson's interval for the effective number of runs that Greenwood's variance implies.

    Args:
        times: when each run reached the bar, or the budget it used up; infinite if it diverged. [n]
        reached: whether it reached it. [n] bool

    Source: Kaplan & Meier (1958), "Nonparametric estimation from incomplete observations", JASA 53; the interval: Dorey
    & Korn (1987), "Effective sample sizes for confidence intervals for survival probabilities", Statistics in Medicine
    6.

    Raises:
        ValueError: if there is no run, a time is negative or NaN, or a run that reached the bar has an infinite time.
    """
    from scipy.stats import CensoredData, ecdf

    times, reached = _checked(times, reached)
    time = np.unique(times[reached])
    for_ever = 1.0 + times[np.isfinite(times)].max(initial=0.0)  # a run that diverged stays at risk for ever
    data = CensoredData(uncensored=times[reached], right=np.minimum(times[~reached], for_ever))
    share = ecdf(data).sf.evaluate(time)
    at_risk = (times >= time[:, None]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # only the last share can be 0
        greenwood = np.cumsum((np.append(1.0, share[:-1]) / share - 1) / at_risk)
        worth = np.where(share > 0, (1 - share) / (share * greenwood), reached.sum())
    share, worth = np.append(1.0, share), np.append(times.size, worth)
    return StepCurve(np.append(0.0, time), share, *_score_interval(share, worth))


def _score_interval(share: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of shares [m], each over an effective number of runs [m], which may be fractional."""
    z2 = NormalDist().inv_cdf(0.975) ** 2
    centre = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * runs)) / runs) / (1 + z2 / runs)
    # At 0 and 1 the bound is exact; rounding must not push it a hair outside.
    low = np.where(share == 0, 0.0, np.maximum(centre - half, 0.0))
    return low, np.where(share == 1, 1.0, np.minimum(centre + half, 1.0))


def median_time(times: np.ndarray, reached: np.ndarray) -> Median:
    """The Kaplan-Meier median: the smallest time at which at most half of the runs have not reached the bar.

    Where more than half never reach it, it is censored: larger than the smallest budget of a censored run.

    Arguments and errors as of `kaplan_meier`.
    """
    times, reached = _checked(times, reached)
    curve = kaplan_meier(times, reached)
    there = curve.time[curve.share <= 0.5 + 1e-9]  # a half, up to rounding of the products
    if there.size:
        return Median(float(there[0]), censored=False)
    used = times[~reached & np.isfinite(times)]
    return Median(float(used.min()) if used.size else None, censored=True)


def median_interval(times: np.ndarray, reached: np.ndarray, confidence: float = 0.95) -> ExactInterval:
    """Interval of the median over all possible seeds, from order statistics; exact, never too narrow.

    The k-th smallest and the k-th largest of n hold the median between them with probability 1 - 2 P(X < k), where X
    counts heads among n coin tosses. k is the largest with enough confidence; with five seeds even the smallest and the
    largest (k = 1) give only 93.75 %. A run that did not reach the bar counts with its budget for the lower end, and
    with infinity for the upper.

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
    """The restricted mean time to the bar: the mean of min(time, horizon), which always exists.

    Where no run is censored before the horizon it is that mean with its t interval over seeds. Otherwise the mean is
    the area under the Kaplan-Meier curve, with the interval of the pseudo-values: what each run adds to that area.

    Source: Royston & Parmar (2013), "Restricted mean survival time", BMC Medical Research Methodology 13; Andersen,
    Hansen & Klein (2004), "Regression analysis of restricted mean survival time based on pseudo-observations",
    Lifetime Data Analysis 10.

    Raises:
        ValueError: as `kaplan_meier`; or if the horizon is not positive and finite, or beyond all times.
    """
    times, reached = _checked(times, reached)
    if not 0 < horizon < inf or (horizon > times.max() and not reached[times.argmax()]):
        raise ValueError(f"no run lasted until {horizon}")
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
