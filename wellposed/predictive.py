"""Does success in simulation predict success in a reality? Rank correlation over policies, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import atanh, sqrt, tanh
from pathlib import Path
from statistics import NormalDist

import numpy as np

from wellposed.errors import UserError
from wellposed.reality import Record
from wellposed.stats import Interval
from wellposed.verdict import stored_verdict

WINDOW = 0.2  # policies whose success in simulation differs by no more are hard to tell apart
CLOSE = 6  # of them at least, for a correlation among them alone


@dataclass(frozen=True)
class Pair:
    """A policy's success in simulation and in a reality, shares of episodes."""

    policy: str
    simulated: float
    real: float


@dataclass(frozen=True)
class Prediction:
    """How well one order of policies predicts the other."""

    pairs: list[Pair]  # best in simulation first
    everywhere: Interval  # Spearman's correlation of all
    close: list[str]  # the most policies that lie within `WINDOW` of each other in simulation
    among_close: Interval | None  # the same of these alone; None if they are fewer than `CLOSE`


def pairs_of(record: Record, runs: Sequence[Path], threads: int = 2) -> list[Pair]:
    """Success at the last step on held-out episodes of where runs were trained, and in a reality.

    Of episodes that success ends, the last step is that of the episode when it goes on, where that is on record.

    Raises:
        UserError: if a run is named twice, or was never evaluated there with its newest checkpoint.
    """
    pairs = []
    if twice := [run for i, run in enumerate(runs) if run.resolve() in {one.resolve() for one in runs[:i]}]:
        raise UserError(f"{twice[0]} is named twice; each policy counts once.")
    for run in runs:
        verdict = stored_verdict(run, threads)
        played = [one for one in record.entries if one.kind == "ended" and one.policy == verdict.checkpoint]
        judged = [one for one in played if one.purpose == "evaluation"]
        if any(one.success_at_limit for one in judged):
            real = [outcome for one in judged for outcome in one.success_at_limit]
        else:
            real = [outcome for one in judged for outcome in one.success]
        if not real:
            raise UserError(f"{run} was not evaluated there: `wellposed eval {run} --reality {record.folder}`.")
        row = verdict.trained
        simulated = row.success_at_limit.value if row.success_at_limit else row.success_rate
        pairs.append(Pair(str(run), simulated, float(np.mean(real))))
    return pairs


def predict(pairs: Sequence[Pair]) -> Prediction:
    """Correlate the two orders of at least five policies.

    Raises:
        UserError: if they are fewer, or all have the same success on one side.
    """
    ordered = sorted(pairs, key=lambda pair: -pair.simulated)
    close: list[Pair] = []
    for first in ordered:
        within = [pair for pair in ordered if 0 <= first.simulated - pair.simulated <= WINDOW + 1e-9]
        close = max(close, within, key=len)
    among = _correlation(close) if len(close) >= CLOSE and _varies(close) else None
    if not _varies(ordered):
        raise UserError("All policies have the same success in simulation or in the reality: there is no order.")
    return Prediction(ordered, _correlation(ordered), [pair.policy for pair in close], among)


def _varies(pairs: Sequence[Pair]) -> bool:
    return all(len({getattr(pair, side) for pair in pairs}) > 1 for side in ("simulated", "real"))


def _correlation(pairs: Sequence[Pair]) -> Interval:
    return rank_correlation(np.array([pair.simulated for pair in pairs]), np.array([pair.real for pair in pairs]))


def rank_correlation(one: np.ndarray, other: np.ndarray, confidence: float = 0.95) -> Interval:
    """Spearman's rank correlation of two arrays [n], with the interval of Bonett and Wright.

    An interval around a perfect order would have no width: it is taken around that with one pair of neighbours swapped.

    Source: Bonett & Wright (2000), "Sample size requirements for estimating Pearson, Kendall and Spearman
    correlations", Psychometrika 65: Fisher's transform has the variance (1 + rho^2 / 2) / (n - 3).

    Raises:
        UserError: if there are fewer than five.
    """
    from scipy.stats import spearmanr

    n = len(one)
    if n < 5:
        raise UserError(f"A rank correlation needs at least five policies, got {n}.")
    rho = float(spearmanr(one, other).statistic)  # type: ignore[union-attr]
    most = 1 - 12 / (n * (n**2 - 1))
    inner = max(-most, min(most, rho))
    half = NormalDist().inv_cdf(0.5 + confidence / 2) * sqrt((1 + inner**2 / 2) / (n - 3))
    low, high = tanh(atanh(inner) - half), tanh(atanh(inner) + half)
    return Interval(rho, min(low, rho), max(high, rho))


def attenuation(rates: np.ndarray, simulated: int, real: int) -> float:
    """By what factor a correlation of two success rates is lowered because both are of finitely many episodes.

    Success that is seen is the true one and an error of variance p (1 - p) / n. The share of the variance between
    policies that is true is the reliability of a side; the factor is the root of both reliabilities' product.

    Args:
        rates: true success of each policy, [n], not all equal.
        simulated: episodes of each in simulation.
        real: and in the reality.

    Source: Spearman (1904), "The proof and measurement of association between two things", American Journal of
    Psychology 15.
    """
    true, noise = float(np.var(rates)), float(np.mean(rates * (1 - rates)))
    if not noise:
        return 1.0
    return true / sqrt((true + noise / simulated) * (true + noise / real))


def table(found: Prediction) -> list[str]:
    """Both orders and their correlation, as lines."""
    rank = {pair.policy: i for i, pair in enumerate(sorted(found.pairs, key=lambda pair: -pair.real), 1)}
    lines = ["simulation         reality            policy"]
    for i, pair in enumerate(found.pairs, 1):
        lines.append(
            f"{i:>3}  {pair.simulated:>7.1%}       {rank[pair.policy]:>3}  {pair.real:>7.1%}       {pair.policy}"
        )
    told = lambda rho: f"{rho.estimate:.2f} (95 % CI {rho.low:.2f} to {rho.high:.2f})"  # noqa: E731
    lines.append(f"rank correlation of {len(found.pairs)} policies: {told(found.everywhere)}")
    among = f"of the {len(found.close)} within {WINDOW:.0%} of each other in simulation"
    if found.among_close is None:
        return [*lines, f"{among}: not told, it needs {CLOSE} that differ"]
    return [*lines, f"{among}: {told(found.among_close)}"]
