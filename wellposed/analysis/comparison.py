"""Statistics of two groups of runs: which is better, by how much, how certainly, and what else differs between them.

A difference is claimed only where its 95 % interval excludes equality. Each interval holds by itself, without a
correction for their number. Success on held-out episodes comes first, then the cost of reaching the bar.
"""

import json
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

import numpy as np

from wellposed import stats
from wellposed.analysis import differences, survival
from wellposed.analysis.study import Quantity, Trial, times
from wellposed.analysis.summary import Kind, Summary, summary_over_seeds
from wellposed.errors import UserError
from wellposed.runs.record import Estimate, EvaluationRow, Provenance, Solved
from wellposed.serialise import finite, flatten

QUANTITIES: tuple[tuple[Quantity, Kind], ...] = (("step", "count"), ("updates", "count"), ("seconds", "seconds"))
ABSENT, NOT_RECORDED = "no such setting", "not recorded"


@dataclass(frozen=True)
class Run:
    """One run that ended: finished or diverged."""

    trial: Trial
    evaluations: list[EvaluationRow]
    by_kind: dict[str, tuple[int, int]]  # for each kind of goal: successful held-out episodes, and all of them
    origin: Provenance


@dataclass(frozen=True)
class Group:
    """Runs of one configuration that differ only in their seed."""

    label: str  # the part of their directories' names that they share
    config: dict[str, Any]  # without the seed
    runs: list[Run]


@dataclass(frozen=True)
class Differing:
    """A setting, or a circumstance (commit, machine, package), that differs between the groups."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class RateDifference:
    """A success rate of both groups, and that of A minus that of B."""

    of: str  # the kind of goal; empty for all goals
    a: Summary
    b: Summary
    difference: Estimate
    shown: bool  # whether the interval excludes 0, with at least two seeds in each group


@dataclass(frozen=True)
class TimeRatio:
    """What both groups need to reach the bar, and the ratio A over B; infinite ends are null in JSON."""

    quantity: Quantity
    a: Summary
    b: Summary
    ratio: differences.Ratio
    sooner: Estimate  # probability that a run of A reaches it before a run of B
    horizon: float | None  # up to which it is known for every run whether it reached the bar; null: all diverged
    restricted: tuple[Estimate, Estimate] | None  # restricted mean of A and of B up to the horizon


@dataclass(frozen=True)
class Needed:
    """How much data would tell a difference as large as the observed one from 0."""

    seeds: int  # in each group
    episodes: int  # of each run


@dataclass(frozen=True)
class Comparison:
    """Two groups of runs side by side."""

    a: str
    b: str
    seeds: tuple[list[int], list[int]]
    settings: list[Differing]
    circumstances: list[Differing]  # commit, machine, packages, flags, code of the environment
    unrecorded: list[str]  # what some run does not say of itself, so that nothing is known of it
    success: RateDifference
    by_kind: list[RateDifference]
    better: Estimate  # probability that a run of A succeeds more often than a run of B
    needed: Needed | None  # null: the difference is shown, or the rates are equal
    bar: float | None
    times: list[TimeRatio]  # empty without a bar

    @property
    def changes(self) -> int:
        """How many things differ. Settings that only one group has count as one per kind, such as a curriculum; where
        the algorithms differ, they belong to the algorithm and do not count.
        """
        alone = {setting.name for setting in self.settings if ABSENT in (setting.a, setting.b)}
        shared = {setting.name for setting in self.settings} - alone
        return len(shared) + (0 if "algo" in shared else len({name.rpartition(".")[0] or name for name in alone}))

    @property
    def same_machine(self) -> bool:
        """Whether seconds can be compared."""
        return not {"processor", "cores", "threads", "devices"} & {found.name for found in self.circumstances}


def compare(a: Group, b: Group, bar: float | None = None) -> Comparison:
    """Compare two groups of runs.

    Args:
        a: one group.
        b: the other.
        bar: success rate that two evaluations in a row must reach; None: the lowest at which one of the groups stops.

    Raises:
        UserError: if the bar is above the success rate at which one of the groups stops.
    """
    bar, origins = _common_bar(a, b, bar), [[run.origin for run in group.runs] for group in (a, b)]
    success = _rate("", *([(run.trial.success.value, run.trial.episodes) for run in group.runs] for group in (a, b)))
    kinds = sorted({kind for group in (a, b) for run in group.runs for kind in run.by_kind})
    better = differences.better_share(np.array(success.a.each), np.array(success.b.each))
    return Comparison(
        a=a.label,
        b=b.label,
        seeds=([run.trial.seed for run in a.runs], [run.trial.seed for run in b.runs]),
        settings=_differing(flatten(a.config), flatten(b.config)),
        circumstances=_differing(*(_circumstances(of_one) for of_one in origins), absent=NOT_RECORDED),
        unrecorded=_unrecorded([*origins[0], *origins[1]]),
        success=success,
        by_kind=[found for kind in kinds if (found := _kind(kind, a, b))],
        better=_estimate(better),
        needed=_needed(success),
        bar=bar,
        times=[] if bar is None else [_times(quantity, kind, a, b, bar) for quantity, kind in QUANTITIES],
    )


def as_data(found: Comparison) -> dict[str, Any]:
    """A comparison as JSON data; numbers that are not finite are null."""
    return finite(found) | {"changes": found.changes}


def _common_bar(a: Group, b: Group, bar: float | None) -> float | None:
    stops = [group.config["until_success"] for group in (a, b) if group.config["until_success"] is not None]
    if bar is None:
        return min(stops, default=None)
    if any(bar > stop for stop in stops):
        raise UserError(
            f"--bar {bar} is above {min(stops)}, the success rate at which runs of one group stop, so they never reach "
            f"it. Choose a bar of at most {min(stops)}."
        )
    return bar


def _differing(a: dict[str, Any], b: dict[str, Any], absent: str = ABSENT) -> list[Differing]:
    """The entries that are not equal, in the order of the first; `absent` stands for one that is not there."""

    def text(value: Any) -> str:
        return value if isinstance(value, str) else json.dumps(value)

    names = [name for name in {**a, **b} if name not in a or name not in b or a[name] != b[name]]
    return [Differing(name, text(a.get(name, absent)), text(b.get(name, absent))) for name in names]


def _circumstances(origins: list[Provenance]) -> dict[str, str]:
    """Commits, machines and packages of runs: every value that occurs, in every process of a resumed run."""
    processes = [process for origin in origins for process in (origin, *origin.resumed)]
    found = {
        "commit": [f"{(p.commit or 'unknown')[:9]}{' with changes' if p.dirty else ''}" for p in processes],
        "processor": [p.cpu for p in processes],
        "cores": [str(p.cores) for p in origins],
        "threads": [str(p.threads) for p in origins],
        "devices": [", ".join(p.devices) for p in processes if p.devices is not None],
        "platform": [p.platform for p in origins],
        "Python": [p.python for p in processes if p.python is not None],
        "processor features": [" ".join(p.features) for p in processes if p.features is not None],
    }
    for name in sorted({name for p in processes for name in p.packages}):
        found[name] = [p.packages.get(name, NOT_RECORDED) for p in processes]
    for name in sorted({name for p in processes for name in p.flags or {}}):
        found[name] = [(p.flags or {}).get(name, NOT_RECORDED) or "unset" for p in processes]
    found["code of the environment"] = [p.environment[:12] if p.environment else NOT_RECORDED for p in processes]
    return {name: " and ".join(sorted(set(values))) for name, values in found.items()}


def _unrecorded(origins: list[Provenance]) -> list[str]:
    """What runs do not say of themselves."""
    processes = [process for origin in origins for process in (origin, *origin.resumed)]
    parts = {"the flags of JAX and XLA": "flags", "the code of the environment": "environment"}
    return [name for name, field in parts.items() if any(getattr(p, field) is None for p in processes)]


def _rate(of: str, *groups: list[tuple[float, int]]) -> RateDifference:
    """A rate of both groups, from each run's rate and number of episodes."""
    a, b = (
        summary_over_seeds([rate for rate, _ in of_one], "rate", episodes=min(n for _, n in of_one))
        for of_one in groups
    )
    found = differences.difference(_interval(a), _interval(b))
    enough = min(len(a.each), len(b.each)) >= 2
    return RateDifference(of, a, b, _estimate(found), enough and not found.low <= 0 <= found.high)


def _kind(kind: str, a: Group, b: Group) -> RateDifference | None:
    """The rate for one kind of goal; None where a run has no such goals."""
    counts = [[run.by_kind[kind] for run in group.runs if kind in run.by_kind] for group in (a, b)]
    if any(len(of_one) < len(group.runs) for of_one, group in zip(counts, (a, b), strict=True)):
        return None
    return _rate(kind, *([(successes / episodes, episodes) for successes, episodes in of_one] for of_one in counts))


def _needed(success: RateDifference) -> Needed | None:
    """Seeds and episodes with which both rates are known well enough to show the observed difference."""
    apart = abs(success.difference.value)
    if success.shown or apart == 0 or min(len(success.a.each), len(success.b.each)) < 2:
        return None
    half = apart / sqrt(2)  # the half-widths of both rates add up as squares do
    spread = max(stats.spread_bound(np.array(one.each)) for one in (success.a, success.b))
    rates = [one.value for one in (success.a, success.b) if one.value is not None]
    return Needed(stats.seeds_needed(spread, half), max(stats.episodes_needed(rate, half) for rate in rates))


def _times(quantity: Quantity, kind: Kind, a: Group, b: Group, bar: float) -> TimeRatio:
    one, other = (times([_at_bar(run, bar) for run in group.runs], quantity) for group in (a, b))
    horizon = _horizon(one, other)
    means = [_estimate(group.restricted_mean(horizon)) for group in (one, other)] if horizon else []
    return TimeRatio(
        quantity=quantity,
        a=summary_over_seeds(one.used, kind, censored=~one.reached, median=True),
        b=summary_over_seeds(other.used, kind, censored=~other.reached, median=True),
        ratio=differences.ratio_of_times(one, other),
        sooner=_estimate(differences.sooner_share(one, other)),
        horizon=horizon,
        restricted=(means[0], means[1]) if means else None,
    )


def _horizon(one: survival.Times, other: survival.Times) -> float | None:
    """Up to which it is known for every run whether it reached the bar: the smallest budget used up without success."""
    both = survival.Times(np.append(one.used, other.used), np.append(one.reached, other.reached))
    return both.censored_at or float(max(both.used[both.reached], default=0.0)) or None


def _at_bar(run: Run, bar: float) -> Trial:
    """The trial for a bar that may differ from the run's own."""
    if (own := run.trial.solved) is not None and own.success_rate == bar:
        return run.trial  # whatever its rule was
    row = None if run.trial.diverged else survival.first_at(run.evaluations, bar)
    solved = None if row is None else Solved(bar, row.step, row.updates, row.seconds)
    return replace(run.trial, solved=solved)


def _interval(rate: Summary) -> stats.Interval:
    assert rate.value is not None
    assert rate.low is not None
    assert rate.high is not None
    return stats.Interval(rate.value, rate.low, rate.high)


def _estimate(found: stats.Interval) -> Estimate:
    return Estimate(float(found.estimate), (float(found.low), float(found.high)))
