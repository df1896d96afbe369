"""How much of the difference between trials each setting explains, and each pair of settings beyond the two.

Scores are expanded in functions that are orthonormal over the space: levels of a choice or of a grid, and else the
first two Legendre polynomials of a setting, and all products of two. The square of a coefficient is the variance that
its function contributes, so the shares add up to 1 with what the expansion leaves unexplained. On a full grid this is
the analysis of variance, up to interactions of two; elsewhere the coefficients are those of a ridge regression.

What it cannot say: a share is about the space that was searched, not about settings as such. It is of complete trials;
those that were pruned or failed are left out. TPE looks where scores are good, and says little about the rest.

Source: Sudret (2008), "Global sensitivity analysis using polynomial chaos expansions", Reliability Engineering & System
Safety 93; Golub, Heath & Wahba (1979), "Generalized cross-validation as a method for choosing a good ridge parameter",
Technometrics 21; Kim & Gu (2004), "Smoothing spline Gaussian regression: more scalable computation via efficient
approximation", JRSS B 66, for the factor 1.4, without which few trials are fitted too closely.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import inf, sqrt
from typing import Any

import numpy as np

from wellposed.analysis.search import Trial
from wellposed.analysis.space import Range, label
from wellposed.stats import Interval

LEAST = 8  # complete trials
PENALTIES = [float(10.0**power) for power in np.linspace(-6, 3, 28)]  # of the ridge regression, for each trial
CAUTION = 1.4  # by which the degrees of freedom of a fit count more in cross-validation


@dataclass(frozen=True)
class Share:
    """The share of the variance of scores that a setting explains, or two together beyond what each does."""

    settings: tuple[str, ...]
    share: Interval  # 95 %, bootstrap; the ends are NaN where there is nothing to resample


@dataclass(frozen=True)
class Importance:
    """The shares of all settings and pairs, the largest first, and what is left."""

    single: list[Share]
    pairs: list[Share]
    unexplained: float
    chance: float  # 95 % of searches in which no setting matters have no share above it
    trials: int


def importance(
    space: dict[str, Range], trials: Sequence[Trial], grid: bool = False, resamples: int = 300, seed: int = 0
) -> Importance | None:
    """The importance of each setting; None if fewer than `LEAST` trials are complete or all have the same score.

    Intervals come from resampled trials; on a grid, which needs each of its points, from resampled seeds of each, their
    deviations scaled as the few of them need. The level of chance comes from scores shuffled among trials, and is that
    of the largest share, so that looking at many settings finds no more.

    Args:
        space: of the search.
        trials: those that are complete are used.
        grid: the trials are all points of a grid.
        resamples: for the intervals, and as many for the level of chance.
        seed: of both.

    Source: Rao & Wu (1988), "Resampling inference with complex survey data", JASA 83; Westfall & Young (1993),
    "Resampling-based multiple testing".
    """
    done = [trial for trial in trials if trial.outcome == "complete"]
    scores = np.array([trial.score for trial in done])
    if len(done) < LEAST or not np.ptp(scores) > 0:
        return None
    groups = _terms({name: _functions(one, name, done, grid) for name, one in space.items()})
    basis = np.concatenate(list(groups.values()), axis=1)
    where = np.repeat(np.arange(len(groups)), [columns.shape[1] for columns in groups.values()])
    penalty = 0.0 if grid else min(PENALTIES, key=lambda one: _fit(basis, scores, one)[2])

    def shares(basis: np.ndarray, scores: np.ndarray) -> np.ndarray:
        weights, noise, _ = _fit(basis, scores, penalty)
        found = np.append(np.bincount(where, weights**2, len(groups)), noise)
        return found / max(found.sum(), 1e-300)

    rng, whole = np.random.default_rng(seed), shares(basis, scores)
    again = [shares(*_resampled(basis, done, scores, grid, rng)) for _ in range(resamples)]
    shuffled = [shares(basis, rng.permutation(scores))[:-1].max() for _ in range(resamples)]
    some = not grid or all(len(trial.each) > 1 for trial in done)
    low, high = np.quantile(again, [0.025, 0.975], axis=0) if some else np.full((2, len(whole)), np.nan)
    found = [Share(names, Interval(*(float(row[i]) for row in (whole, low, high)))) for i, names in enumerate(groups)]
    found.sort(key=lambda one: -one.share.estimate)
    single, pairs = ([one for one in found if len(one.settings) == n] for n in (1, 2))
    return Importance(single, pairs, float(whole[-1]), float(np.quantile(shuffled, 0.95)), len(done))


def _functions(one: Range, name: str, trials: Sequence[Trial], grid: bool) -> np.ndarray:
    """Functions of one setting at each trial, [n, k], orthonormal over its values and with mean 0."""
    if one.choice is not None or grid:
        names = [label(value) for value in (one.grid if grid else one.choice or [])]
        levels = [names.index(label(trial.settings[name])) for trial in trials]
        constant_first = np.column_stack([np.ones(len(names)), np.eye(len(names))[:, :-1]])
        return (np.linalg.qr(constant_first)[0][:, 1:] * sqrt(len(names)))[levels]
    x = 2 * np.array([one.place(trial.settings[name]) for trial in trials]) - 1
    return np.column_stack([sqrt(3) * x, sqrt(5) * (3 * x**2 - 1) / 2])


def _terms(single: dict[str, np.ndarray]) -> dict[tuple[str, ...], np.ndarray]:
    """The functions of each setting and their products for each pair, each [n, k]."""
    pairs = {
        (a, b): (single[a][:, :, None] * single[b][:, None]).reshape(len(single[a]), -1)
        for a, b in combinations(single, 2)
    }
    return {(name,): columns for name, columns in single.items()} | pairs


def _fit(basis: np.ndarray, scores: np.ndarray, penalty: float) -> tuple[np.ndarray, float, float]:
    """A ridge regression: the weights, the variance that is left, and the error of generalised cross-validation."""
    n, target = len(scores), scores - scores.mean()
    left, sizes, right = np.linalg.svd(basis - basis.mean(axis=0), full_matrices=False)
    kept, along = sizes > 1e-9 * max(sizes[0], 1e-300), left.T @ target
    inverse = np.where(kept, sizes / np.maximum(sizes**2 + n * penalty, 1e-300), 0.0)
    shrunk = inverse * sizes
    rest = max(float(target @ target - (shrunk * (2 - shrunk) * along**2).sum()), 0.0)
    used = float(shrunk.sum())
    error = rest / (n - 1 - CAUTION * used) ** 2 if CAUTION * used < n - 1 else inf
    return right.T @ (inverse * along), rest / max(n - 1 - used, 1.0), error


def _resampled(
    basis: np.ndarray, trials: Sequence[Trial], scores: np.ndarray, grid: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Trials drawn anew; of a grid the seeds of each trial."""
    if not grid:
        chosen = rng.integers(len(scores), size=len(scores))
        return basis[chosen], scores[chosen]
    return basis, np.array([_reseeded(trial.each, rng) for trial in trials])


def _reseeded(each: Sequence[float], rng: np.random.Generator) -> float:
    """The mean of seeds that are drawn anew."""
    n, mean = len(each), float(np.mean(each))
    drawn = float(rng.choice(np.array(each), n).mean())
    return mean + sqrt(n / (n - 1)) * (drawn - mean) if n > 1 else mean


def groups_of(one: Range, trials: Iterable[Trial], name: str) -> dict[str, list[Trial]]:
    """Trials by the value of a setting: each of a choice, or the lower, middle and upper third of a range."""
    found: dict[str, list[Trial]] = {}
    if one.choice is not None:
        parts: list[Any] = [label(value) for value in one.choice]
    else:
        ends = [f"{one.value(i / 3):.2g}" for i in range(4)]
        parts = [f"{low} to {high}" for low, high in pairwise(ends)]
    for trial in trials:
        part = parts[min(int(one.place(trial.settings[name]) * len(parts)), len(parts) - 1)]
        found.setdefault(part, []).append(trial)
    return {part: found[part] for part in parts if part in found}
