"""Time to the bar with censoring: statistics that include the runs that did not reach it.

A run that did not reach the bar within its budget needs more than that: it is censored. A run that diverged never
reaches it: its time is infinite. Neither is dropped, and neither is counted as if it had reached the bar at the end.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import comb, inf
from statistics import NormalDist
from typing import Any, NamedTuple

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


@dataclass(frozen=True, eq=False)
class Times:
    """What each run needed to reach the bar, or used up without reaching it.

    Raises:
        ValueError: if there is no run, a time is negative or NaN, or a run that reached the bar has an infinite time.
    """

    used: Any  # steps, updates or seconds, infinite if the run diverged; kept as an array [n]
    reached: Any  # whether each run reached the bar; kept as an array [n] of bool

    def __post_init__(self) -> None:
        used, reached = np.asarray(self.used, np.float64), np.asarray(self.reached, bool)
        object.__setattr__(self, "used", used)
        object.__setattr__(self, "reached", reached)
        if used.size == 0 or used.shape != reached.shape or not (used >= 0).all() or np.isinf(used[reached]).any():
            raise ValueError("times [n] must not be negative, those that were reached finite, and there must be one")

    @property
    def needed(self) -> np.ndarray:
        """The times of the runs that reached the bar, infinite for the others, [n]."""
        return np.where(self.reached, self.used, inf)

    @property
    def censored_at(self) -> float | None:
        """The smallest budget that was used up without reaching the bar; None if there is none."""
        return min((float(time) for time in self.used[~self.reached & np.isfinite(self.used)]), default=None)

    def survival(self) -> StepCurve:
        """The Kaplan-Meier estimate: the share of runs that have not reached the bar, and its 95 % interval.

        Where no run is censored before a time the estimate is the plain share, with Wilson's interval. Otherwise it is
        Wilson's interval for the effective number of runs that Greenwood's variance implies.

        Source: Kaplan & Meier (1958), "Nonparametric estimation from incomplete observations", JASA 53; the interval:
        Dorey & Korn (1987), "Effective sample sizes for confidence intervals for survival probabilities", Statistics in
        Medicine 6.
        """
        from scipy.stats import CensoredData, ecdf

        used, reached = self.used, self.reached
        time = np.unique(used[reached])
        for_ever = 1.0 + used[np.isfinite(used)].max(initial=0.0)  # a run that diverged stays at risk for ever
        data = CensoredData(uncensored=used[reached], right=np.minimum(used[~reached], for_ever))
        share = ecdf(data).sf.evaluate(time)
        at_risk = (used >= time[:, None]).sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):  # only the last share can be 0
            greenwood = np.cumsum((np.append(1.0, share[:-1]) / share - 1) / at_risk)
            worth = np.where(share > 0, (1 - share) / (share * greenwood), reached.sum())
        share, worth = np.append(1.0, share), np.append(used.size, worth)
        return StepCurve(np.append(0.0, time), share, *_score_interval(share, worth))

    def median(self) -> Median:
        """The Kaplan-Meier median: the smallest time at which at most half of the runs have not reached the bar.

        Where more than half never reach it, it is censored: larger than the smallest budget of a censored run.
        """
        curve = self.survival()
        there = curve.time[curve.share <= 0.5 + 1e-9]  # a half, up to rounding of the products
        return Median(float(there[0]), censored=False) if there.size else Median(self.censored_at, censored=True)

    def median_interval(self, confidence: float = 0.95) -> ExactInterval:
        """Interval of the median over all possible seeds, from order statistics; exact, never too narrow.

        The k-th smallest and the k-th largest of n hold the median between them with probability 1 - 2 P(X < k), where
        X counts heads among n coin tosses. k is the largest with enough confidence; with five seeds even the smallest
        and the largest (k = 1) give only 93.75 %. A run that did not reach the bar counts with its budget for the lower
        end, and with infinity for the upper.

        Source: Thompson (1936), "On confidence ranges for the median", Annals of Mathematical Statistics 7; David &
        Nagaraja (2003), "Order Statistics", section 7.1.
        """
        n = self.used.size
        sure = [1 - 2 * sum(comb(n, i) for i in range(k)) / 2**n for k in range(1, n // 2 + 1)]
        if not sure:
            return ExactInterval(0.0, inf, 1.0)
        k = max(sum(level >= confidence for level in sure), 1)
        return ExactInterval(float(np.sort(self.used)[k - 1]), float(np.sort(self.needed)[n - k]), sure[k - 1])

    def restricted_mean(self, horizon: float) -> stats.Interval:
        """The restricted mean time to the bar: the mean of min(time, horizon), which always exists.

        Where no run is censored before the horizon it is that mean with its t interval over seeds. Otherwise the mean
        is the area under the Kaplan-Meier curve, with the interval of the pseudo-values: what each run adds to it.

        Source: Royston & Parmar (2013), "Restricted mean survival time", BMC Medical Research Methodology 13; Andersen,
        Hansen & Klein (2004), "Regression analysis of restricted mean survival time based on pseudo-observations",
        Lifetime Data Analysis 10.

        Raises:
            ValueError: if the horizon is not positive and finite, or beyond all times.
        """
        if not 0 < horizon < inf or (horizon > self.used.max() and not self.reached[self.used.argmax()]):
            raise ValueError(f"no run lasted until {horizon}")
        n, area = self.used.size, self._area(horizon)
        without = [Times(np.delete(self.used, i), np.delete(self.reached, i)) for i in range(n)] if n > 1 else [self]
        found = stats.over_seeds(n * area - (n - 1) * np.array([times._area(horizon) for times in without]))
        low, high = np.clip([found.low, found.high], 0.0, horizon)
        return stats.Interval(area, float(low), float(high))

    def _area(self, horizon: float) -> float:
        """The area under the curve from 0 to the horizon."""
        curve = self.survival()
        edges = np.minimum([*curve.time, horizon], horizon)
        return float((curve.share * np.diff(edges)).sum())


def first_at(evaluations: list[EvaluationRow], bar: float) -> EvaluationRow | None:
    """The evaluation at which a run reached the bar: the second of the first two in a row at or above it."""
    return next((b for a, b in pairwise(evaluations) if min(a.success_rate, b.success_rate) >= bar), None)


def _score_interval(share: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of shares [m], each over an effective number of runs [m], which may be fractional."""
    z2 = NormalDist().inv_cdf(0.975) ** 2
    centre = (share + z2 / (2 * runs)) / (1 + z2 / runs)
    half = np.sqrt(z2 * (share * (1 - share) + z2 / (4 * runs)) / runs) / (1 + z2 / runs)
    # At 0 and 1 the bound is exact; rounding must not push it a hair outside.
    low = np.where(share == 0, 0.0, np.maximum(centre - half, 0.0))
    return low, np.where(share == 1, 1.0, np.minimum(centre + half, 1.0))
