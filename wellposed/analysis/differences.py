"""Two groups of runs: difference of rates, ratio of times, probability that a run of one beats a run of the other.

The groups are independent samples, also where they have the same seeds. A seed names random streams; with other
settings these are consumed differently from the first update on, so runs with equal seeds are independent, and pairing
them would halve the degrees of freedom. The held-out episodes are the same for all runs, so intervals are a little
wider than they need be.
"""

from dataclasses import dataclass
from math import comb, inf, isinf, sqrt
from statistics import NormalDist

import numpy as np

from wellposed.analysis.survival import Times
from wellposed.stats import Interval


def difference(one: Interval, other: Interval) -> Interval:
    """Interval of the difference `one` minus `other`, from the interval of each.

    For rates it stays in [-1, 1], and it has a width even where both are 0 or 1.

    Source: Newcombe (1998), "Interval estimation for the difference between independent proportions: comparison of
    eleven methods", Statistics in Medicine 17, method 10; for any two intervals: Zou & Donner (2008), "Construction of
    confidence limits about effect measures: a general approach", Statistics in Medicine 27.
    """
    value = one.estimate - other.estimate
    below = sqrt((one.estimate - one.low) ** 2 + (other.high - other.estimate) ** 2)
    above = sqrt((one.high - one.estimate) ** 2 + (other.estimate - other.low) ** 2)
    return Interval(value, value - below, value + above)


@dataclass(frozen=True)
class Ratio:
    """How many times as much one group needs as the other. An unknown end is 0 or infinite."""

    at_least: float  # the estimate lies between the two; they are equal unless too many runs are censored
    at_most: float
    low: float
    high: float
    confidence: float  # of the interval: at least 95 %, or the most that so few runs allow

    @property
    def decided(self) -> bool:
        """Whether the data show, with 95 % confidence, which group needs more."""
        return self.confidence >= 0.95 and not self.low <= 1 <= self.high

    @property
    def unknown(self) -> bool:
        """Whether the data bound it on neither side."""
        return self.low == 0 and isinf(self.high)

    @property
    def estimate_text(self) -> str:
        """The estimate, or its bounds where runs are censored."""
        if self.at_least == self.at_most:
            return f"{self.at_least:.2f}"
        if isinf(self.at_most):
            return f"more than {self.at_least:.2f}"
        return f"{self.at_least:.2f} to {self.at_most:.2f}" if self.at_least else f"less than {self.at_most:.2f}"

    @property
    def interval_text(self) -> str:
        """The interval, open where an end is not known."""
        if isinf(self.high):
            return f"{self.low:.2f} or more"
        return f"{self.low:.2f} to {self.high:.2f}" if self.low else f"up to {self.high:.2f}"


def ratio_of_times(one: Times, other: Times, confidence: float = 0.95) -> Ratio:
    """The factor between the times of two groups, with an interval that assumes no distribution.

    The estimate is the median of the ratios of all pairs of runs, and the interval goes from the k-th smallest to the
    k-th largest of them, k from the exact distribution of Mann and Whitney's U. It excludes 1 exactly when that test
    rejects equality. The ratio of a pair with a censored run is bounded on one side only, or on none; every such pair
    counts with its lower or its upper bound, whichever makes the interval wider. Nothing is known of a pair of zeros:
    two untrained policies may be above a low bar after no update.

    Args:
        one: times of one group. [n]
        other: times of the other group. [m]
        confidence: asked for; 3 against 3 runs cannot give more than 90 %, 4 against 4 give 97 %.

    Source: Hodges & Lehmann (1963), "Estimates of location based on rank tests", Annals of Mathematical Statistics 34,
    of the logarithms; Hollander, Wolfe & Chicken (2014), "Nonparametric Statistical Methods", section 4.3.
    """
    low, high = _pairwise_ratios(one, other)
    below = _rank_sum_tail(one.used.size, other.used.size)
    k = max(sum(2 * tail <= 1 - confidence + 1e-12 for tail in below), 1)
    return Ratio(
        at_least=float(np.median(low)),
        at_most=float(np.median(high)),
        low=float(low[k - 1]),
        high=float(high[-k]),
        confidence=1 - 2 * below[k - 1],
    )


def better_share(one: np.ndarray, other: np.ndarray) -> Interval:
    """The probability that a run of one group scores higher than a run of the other, ties counting half.

    Args:
        one: scores of one group on one task, [n].
        other: scores of the other, [m].

    Source: Newcombe (2006), "Confidence intervals for an effect size measure based on the Mann-Whitney statistic. Part
    2", Statistics in Medicine 25, method 5: it stays in [0, 1] and has a width also where every run of one group is
    better.
    """
    pairs = np.sign(np.asarray(one, np.float64)[:, None] - np.asarray(other, np.float64)[None])
    return _share_interval(float((pairs / 2 + 0.5).mean()), *pairs.shape)


def sooner_share(one: Times, other: Times) -> Interval:
    """The probability that a run of one group reaches the bar before a run of the other; unknown pairs count half.

    Arguments as of `ratio_of_times`.

    Source: Gehan (1965), "A generalized Wilcoxon test for comparing arbitrarily singly-censored samples", Biometrika
    52, for the pairs; the interval as of `better_share`.
    """
    low, high = _pairwise_ratios(one, other)
    known = (high < 1).sum() + 0.5 * (len(low) - (high < 1).sum() - (low > 1).sum())
    return _share_interval(float(known) / len(low), one.used.size, other.used.size)


def _pairwise_ratios(one: Times, other: Times) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of the ratios of all pairs, each sorted, [n * m]."""
    with np.errstate(all="ignore"):  # infinity over infinity, where neither reached it, and 0 over 0 are unknown
        low, high = one.used[:, None] / other.needed[None], one.needed[:, None] / other.used[None]
    return np.sort(np.where(np.isnan(low), 0.0, low), None), np.sort(np.where(np.isnan(high), inf, high), None)


def _rank_sum_tail(n: int, m: int) -> list[float]:
    """P(U <= u) for u = 0, 1, ... of Mann and Whitney's U of n and m values of one distribution, up to the middle.

    Source: Mann & Whitney (1947), "On a test of whether one of two random variables is stochastically larger than the
    other", Annals of Mathematical Statistics 18: the counts are the coefficients of a Gaussian binomial.
    """
    ways = [1] + [0] * (n * m)
    for i in range(1, m + 1):
        for u in range(n * m, n + i - 1, -1):
            ways[u] -= ways[u - n - i]
        for u in range(i, n * m + 1):
            ways[u] += ways[u - i]
    below = np.cumsum(np.array(ways, object))[: n * m // 2 + 1]
    return [count / comb(n + m, n) for count in below]


def _share_interval(share: float, n: int, m: int, confidence: float = 0.95) -> Interval:
    """The probabilities whose z standard errors, computed at the probability itself, contain the estimate."""
    from scipy.optimize import root_scalar

    z2, mean_count = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2, (n + m) / 2

    def excess(theta: float) -> float:
        shape = 1 + (mean_count - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (theta - share) ** 2 - z2 * theta * (1 - theta) * shape / (n * m)

    inside = min(max(share, 1e-9), 1 - 1e-9)  # at 0 and 1 the excess is zero whatever the share
    low, high = (root_scalar(excess, bracket=ends, xtol=1e-15).root for ends in ((0.0, inside), (inside, 1.0)))
    return Interval(share, low, high)
