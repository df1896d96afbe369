"""Statistics as pure functions: arrays in, numbers out. Which interval stands where, and why: docs/statistics.md.

It is in the lowest layer, below evaluation, because a rate is never reported without its interval. SciPy is imported
where it is used: that takes half a second, and most commands need no statistics.
"""

from bisect import bisect_left
from itertools import count
from math import ceil, comb, floor, log, log10, sqrt
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
    from scipy.stats import binomtest

    _require_counts(successes, trials)
    low, high = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Interval(successes / trials, float(low), float(high))


def clopper_pearson(successes: float, trials: int, confidence: float = 0.95) -> Interval:
    """Exact interval of a rate: whatever the rate is, it covers it at least as often as it says.

    `successes` may be the mean of several runs' counts; between whole numbers the bounds go on smoothly.

    Source: Clopper & Pearson (1934), "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26, in the form with quantiles of the beta distribution.

    Raises:
        ValueError: if `trials` is not positive or `successes` is outside [0, trials].
    """
    from scipy.special import betaincinv

    _require_counts(successes, trials)
    tail, failures = 0.5 - confidence / 2, trials - successes
    low = 0.0 if successes == 0 else float(betaincinv(successes, failures + 1, tail))
    high = 1.0 if failures == 0 else float(betaincinv(successes + 1, failures, 1 - tail))
    return Interval(successes / trials, low, high)


def student(values: np.ndarray, confidence: float = 0.95) -> Interval:
    """t interval of the mean of `values` [n], n at least 2.

    With the normal quantile instead (z) it would cover 88 % at n = 5 where it says 95 %, because the spread is not
    known but estimated.

    Source: Student (1908), "The probable error of a mean", Biometrika 6.

    Raises:
        ValueError: if there are fewer than two values.
    """
    values = np.asarray(values, np.float64)
    if values.size < 2:
        raise ValueError("a t interval needs at least two values")
    mean = float(values.mean())
    half = _t_quantile(values.size, confidence) * float(values.std(ddof=1)) / sqrt(values.size)
    return Interval(mean, mean - half, mean + half)


def bootstrap_mean(values: np.ndarray, seed: int = 0, confidence: float = 0.95, resamples: int = 2000) -> Interval:
    """Percentile bootstrap interval of the mean of `values` [n]; the same seed gives the same interval.

    It is for the many episodes of one evaluation. Over few seeds it covers too little (five: 83 % instead of 95 %) and
    has no width where they are equal; `over_seeds` is for those.

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


def over_seeds(
    values: np.ndarray, episodes: int | None = None, shared: bool = True, confidence: float = 0.95
) -> Interval:
    """The interval of a mean over seeds: the one that every number averaged over runs has.

    A success rate has two sources of chance, and each its own interval: seeds differ (t over the seeds), and the
    episodes are a sample of the task (exact, for as many as there are). At each end the wider one counts. So it stays
    in [0, 1] and has a width where all seeds are equal; five seeds that play the same 100 episodes do not make 500 of
    them.

    Any other quantity has the t interval over seeds. One seed has none, and neither have seeds that are all equal: that
    no spread was seen does not make it zero. The ends are then NaN.

    Args:
        values: one for each seed, [n].
        episodes: of each seed; `values` are then success rates over them.
        shared: every seed played the same episodes, as in a verdict; else each had its own, as in monitoring.
        confidence: how often the interval covers the mean.

    Source: Student (1908); Clopper & Pearson (1934); how often it covers was simulated, see docs/statistics.md.

    Raises:
        ValueError: if there is no value, or one is not finite or, of rates, not in [0, 1].
    """
    values = np.asarray(values, np.float64)
    if values.size == 0 or not np.isfinite(values).all():
        raise ValueError("a mean over seeds needs at least one value, and finite ones")
    mean, spread = float(values.mean()), values.size > 1 and np.ptp(values) > 0
    _, low, high = student(values, confidence) if spread else (mean, np.nan, np.nan)
    if episodes is None:
        return Interval(mean, low, high)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("success rates lie in [0, 1]")
    trials = episodes if shared else episodes * values.size
    exact = clopper_pearson(min(mean * trials, trials), trials, confidence)
    low, high = np.clip([low, high], 0.0, 1.0)  # NaN stays NaN, and fmin and fmax pass it over
    return Interval(mean, float(np.fmin(exact.low, low)), float(np.fmax(exact.high, high)))


def seeds_needed(spread: float, half_width: float, confidence: float = 0.95) -> int:
    """How many seeds it takes until the t interval of a mean is at most the mean plus and minus `half_width`.

    `spread`: standard deviation between seeds. From few seeds take `spread_bound`, for half of the time the spread is
    larger than it looked.

    Raises:
        ValueError: if `half_width` is not positive or `spread` is negative.
    """
    if not half_width > 0 or not spread >= 0:
        raise ValueError(f"a half-width above 0 and a spread of at least 0 are needed, got {half_width} and {spread}")
    # The normal quantile is smaller than t's, so that no fewer seeds can do.
    least = max(2, int((NormalDist().inv_cdf(0.5 + confidence / 2) * spread / half_width) ** 2))
    return next(n for n in count(least) if _t_quantile(n, confidence) * spread <= half_width * sqrt(n))


def spread_bound(values: np.ndarray, confidence: float = 0.8) -> float:
    """Upper bound of the standard deviation between seeds, from a few of them [n], n at least 2: what to plan with.

    Source: Browne (1995), "On the use of a pilot sample for sample size determination", Statistics in Medicine 14.

    Raises:
        ValueError: if there are fewer than two values.
    """
    from scipy.special import chdtri

    values = np.asarray(values, np.float64)
    if values.size < 2:
        raise ValueError("a spread needs at least two values")
    freedom = values.size - 1
    return float(values.std(ddof=1) * sqrt(freedom / chdtri(freedom, confidence)))


def episodes_needed(rate: float, half_width: float, confidence: float = 0.95) -> int:
    """How many held-out episodes it takes until the exact interval of a `rate` is at most 2 `half_width` wide.

    Raises:
        ValueError: if `half_width` is not positive or `rate` is not in [0, 1].
    """
    if not half_width > 0 or not 0 <= rate <= 1:
        raise ValueError(f"a half-width above 0 and a rate in [0, 1] are needed, got {half_width} and {rate}")

    def narrow(n: int) -> bool:
        _, low, high = clopper_pearson(rate * n, n, confidence)
        return high - low <= 2 * half_width

    enough = ceil(log(2 / (1 - confidence)) / (2 * half_width**2))  # Hoeffding's bound, which the exact interval keeps
    return 1 + bisect_left(range(1, enough + 1), True, key=narrow)


def expected_best(rates: np.ndarray, episodes: int) -> float:
    """The mean of the highest success that is seen where several policies play `episodes` each, all of them different.

    The number of successes of each is binomial, and the highest is below k if all are: the sum over k of
    P(highest >= k) / episodes. Less the true rate of whoever was chosen, it is what choosing adds.

    Args:
        rates: true success of each policy, [n].
        episodes: of each, at least 1.

    Raises:
        ValueError: if there is no policy, a rate lies outside [0, 1], or there is no episode.
    """
    from scipy.special import bdtr

    rates = np.asarray(rates, np.float64)
    if not rates.size or episodes < 1 or not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError("a highest success needs rates in [0, 1] and at least one episode")
    below = bdtr(np.arange(episodes)[:, None], episodes, rates).prod(axis=1)  # P(all have at most k successes)
    return float(np.sum(1 - below) / episodes)


def interval_score(low: float, high: float, value: float, confidence: float) -> float:
    """Score of a predicted interval, in the unit of the value; 0 is best. A wide one costs, and so does missing.

    It is `high - low`, and 2 / (1 - confidence) times the distance by which the value lies outside. On average nothing
    scores better than the true central interval of that confidence, so it pays to say what one believes.

    Source: Gneiting & Raftery (2007), "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102, eq. 43.

    Raises:
        ValueError: if the interval ends before it begins, or `confidence` is not in (0, 1).
    """
    if not (low <= high and 0 < confidence < 1):
        raise ValueError(f"low <= high and a confidence in (0, 1) are needed, got {low}, {high} and {confidence}")
    return high - low + 2 / (1 - confidence) * (max(low - value, 0.0) + max(value - high, 0.0))


PASSES_AT_BAR, FAILS_ABOVE = 0.1, 0.1  # the two errors of `above_bar`
BETTER = 3.0  # how much lower the odds of failing are at the rate that is to pass
FEWEST = 10  # after as many trials as have this many successes and failures at the bar, what is likelier is taken
TESTED = 0.01, 0.99  # bars beyond are tested as these


def above_bar(successes: int, trials: int, bar: float) -> bool | None:
    """Whether a success rate is above a bar, by Wald's sequential test; None where it takes more trials to say.

    Without a limit, a rate at the bar would pass with probability 0.1, and one with a third of its odds of failing fail
    with probability 0.1, whatever the number of trials turns out to be: few where the rate is far from the bar. After
    `most_trials` the test says what is likelier, which makes the two 0.15 and 0.11 at most, for bars from 0.2 on and
    trials by tens.

    Source: Wald (1945), "Sequential tests of statistical hypotheses", Annals of Mathematical Statistics 16.

    Raises:
        ValueError: if `trials` is not positive or `successes` is outside [0, trials].
    """
    _require_counts(successes, trials)
    low = tested(bar)
    high = low / (low + (1 - low) / BETTER)
    evidence = successes * log(high / low) + (trials - successes) * log((1 - high) / (1 - low))
    if evidence >= log((1 - FAILS_ABOVE) / PASSES_AT_BAR):
        return True
    if evidence <= log(FAILS_ABOVE / (1 - PASSES_AT_BAR)):
        return False
    return evidence >= 0 if trials >= most_trials(bar) else None


def sequential_test(rate: float, bar: float, at_a_time: int) -> tuple[float, float]:
    """What becomes of a policy of this success rate where `above_bar` is asked after each `at_a_time` trials.

    Returns:
        The probability that it passes, and the mean number of trials; exact sums over all outcomes.
    """
    failing = [comb(at_a_time, k) * (1 - rate) ** k * rate ** (at_a_time - k) for k in range(at_a_time + 1)]
    undecided, trials, passed, mean = np.ones(1), 0, 0.0, 0.0  # probability of each number of failures
    while undecided.sum() > 1e-12:
        mean += at_a_time * undecided.sum()
        undecided, trials = np.convolve(undecided, failing), trials + at_a_time
        said = [above_bar(trials - failures, trials, bar) for failures in range(trials + 1)]
        passed += undecided[[one is True for one in said]].sum()
        undecided[[one is not None for one in said]] = 0.0
    return float(passed), float(mean)


def at_least(rate: float, bar: float, trials: int) -> float:
    """The probability that at least a share `bar` of so many trials succeeds, at this success rate."""
    from scipy.special import bdtrc

    return float(bdtrc(ceil(bar * trials - 1e-9) - 1, trials, rate)) if bar > 0 else 1.0


def most_trials(bar: float) -> int:
    """After how many trials `above_bar` always says whether."""
    rate = tested(bar)
    return ceil(FEWEST / min(rate, 1 - rate))


def tested(bar: float) -> float:
    """The rate that is tested for a bar: no number of trials says that nothing ever fails, or succeeds."""
    low, high = TESTED
    return min(max(bar, low), high)


def carried_places(low: float, high: float) -> int | None:
    """Decimal places that an interval carries: down to the second digit of its half-width; below 0 for tens, hundreds.

    None for an interval of no width, which limits nothing.
    """
    half = (high - low) / 2
    return 1 - floor(log10(half)) if half > 0 else None


def to_places(value: float, places: int) -> str:
    """A number rounded to so many decimal places, with thousands separators: `54,100` at -2, `0.30` at 2."""
    return f"{round(value, places) + 0.0:,.{max(places, 0)}f}"  # + 0.0 turns -0.0 into 0.0


def describe_interval(ci95: tuple[float, float]) -> str:
    """The interval of a rate as people read it: `95 % CI 91.0-96.3`; of a difference of rates, `-3.0 to 1.2`."""
    low, high = (f"{100 * end:.1f}" for end in ci95)
    return f"95 % CI {low}{' to ' if ci95[0] < 0 else '-'}{high}"


def describe_rate(rate: float, ci95: tuple[float, float]) -> str:
    """A rate with its interval: `94.2 % (95 % CI 91.0-96.3)`."""
    return f"{100 * rate:.1f} % ({describe_interval(ci95)})"


def _require_counts(successes: float, trials: int) -> None:
    if trials <= 0 or not 0 <= successes <= trials:
        raise ValueError(f"a rate needs 0 <= successes <= trials and trials > 0, got {successes}/{trials}")


def _t_quantile(n: int, confidence: float) -> float:
    """The two-sided quantile of Student's t for a mean of n values."""
    from scipy.special import stdtrit

    return float(stdtrit(n - 1, 0.5 + confidence / 2))
