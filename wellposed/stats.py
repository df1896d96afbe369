"""Statistics as pure functions: arrays in, numbers out.

It stands in the lowest layer, below evaluation, because a rate without its interval is never handed on.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A point estimate with the lower and upper end of its confidence interval."""

    estimate: float
    low: float
    high: float


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a rate; it stays inside [0, 1] and is informative at 0 and at 1.

    Source: Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22.

    Raises:
        ValueError: if `trials` is not positive or `successes` is outside [0, trials].
    """
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"a rate needs 0 <= successes <= trials and trials > 0, got {successes}/{trials}")
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    p = successes / trials
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = np.sqrt(z2 * (p * (1 - p) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
    # At 0 and 1 the bound is exact; rounding must not push it a hair outside.
    low = 0.0 if successes == 0 else max(0.0, float(centre - half))
    high = 1.0 if successes == trials else min(1.0, float(centre + half))
    return Interval(p, low, high)


def bootstrap_mean(values: np.ndarray, seed: int = 0, confidence: float = 0.95, resamples: int = 2000) -> Interval:
    """Percentile bootstrap interval of the mean of `values` [n]; the same seed gives the same interval.

    Source: Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13.

    Raises:
        ValueError: if `values` is empty.
    """
    values = np.asarray(values, dtype=np.float64)
    if values.size == 0:
        raise ValueError("the mean of no values has no interval")
    rng = np.random.default_rng(seed)
    means = values[rng.integers(values.size, size=(resamples, values.size))].mean(axis=1)
    low, high = np.quantile(means, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(values.mean()), float(low), float(high))


def describe_interval(ci95: tuple[float, float]) -> str:
    """The interval of a rate as people read it: `95 % CI 91.0-96.3`."""
    return f"95 % CI {100 * ci95[0]:.1f}-{100 * ci95[1]:.1f}"


def describe_rate(rate: float, ci95: tuple[float, float]) -> str:
    """A rate with its interval: `94.2 % (95 % CI 91.0-96.3)`."""
    return f"{100 * rate:.1f} % ({describe_interval(ci95)})"
