"""Many tasks at once: one number for scores [runs x tasks], with its interval.

The measures are those of Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical precipice",
arXiv 2108.13264, and equal those of their library, rliable 1.2.0 (tests/reference/rliable.json). It is not used: its
resampling takes NumPy's global random state and ignores the one it is given, it has no built package for our locks, and
it needs seaborn and statsmodels.
"""

from collections.abc import Callable

import numpy as np

from wellposed.stats import Interval


def iqm(scores: np.ndarray) -> float:
    """Interquartile mean of scores [runs x tasks]: the mean without the lowest and the highest quarter.

    It is more robust to single failures than the mean, and uses more of the data than the median. Of n scores the
    floor of n / 4 are dropped at each end, so of three none is.
    """
    ordered = np.sort(np.asarray(scores, np.float64), axis=None)
    cut = ordered.size // 4
    return float(ordered[cut : ordered.size - cut].mean())


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> float:
    """How often a run of X scores higher than a run of Y on the same task, ties counting half: the mean over tasks.

    Args:
        x: scores of X, [runs of X x tasks].
        y: scores of Y, [runs of Y x tasks].

    Source: Agarwal et al. (2021), section 4.3: Mann and Whitney's U over all pairs of runs, divided by their number.

    Raises:
        ValueError: if the numbers of tasks differ.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"scores of the same tasks are needed, got arrays {x.shape} and {y.shape}")
    return float((np.sign(x[:, None] - y[None]) / 2 + 0.5).mean())


def stratified_bootstrap(
    statistic: Callable[..., float], *scores: np.ndarray, seed: int = 0, confidence: float = 0.95, resamples: int = 2000
) -> Interval:
    """Percentile interval of a statistic of scores [runs x tasks]; the runs of each task are resampled separately.

    The same seed gives the same interval, whatever else draws random numbers. It needs many scores: with one task and
    five runs its coverage is too low (use `wellposed.stats.over_seeds` for that).

    Args:
        statistic: of as many arrays as there are `scores`, as `iqm` or `probability_of_improvement`.
        scores: one array [runs x tasks] for each group, drawn independently.
        seed: of the resampling.
        confidence: of the interval.
        resamples: how many times all scores are resampled.

    Source: Agarwal et al. (2021), section 4.1; Efron & Tibshirani (1993), chapter 13.
    """
    rng = np.random.default_rng(seed)
    groups = [np.asarray(group, np.float64) for group in scores]

    def drawn(group: np.ndarray) -> np.ndarray:
        return np.take_along_axis(group, rng.integers(len(group), size=group.shape), axis=0)

    values = [statistic(*(drawn(group) for group in groups)) for _ in range(resamples)]
    low, high = np.quantile(values, [0.5 - confidence / 2, 0.5 + confidence / 2])
    return Interval(float(statistic(*groups)), float(low), float(high))
