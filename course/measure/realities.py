"""What sealed realities say of runs: success there, the order of policies, and parameters of the dynamics.

A chapter brings a reality as it was sealed. It is played in a copy beside the chapter's results, whose ledger begins
with the published rows: what a measurement spends stands there, and what was spent is not spent again.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import hypot
from pathlib import Path

import numpy as np

from course.measure.kinds import Context
from wellposed import stats
from wellposed.errors import UserError
from wellposed.identify import FACTORS, Gap, Identified, identify
from wellposed.predictive import attenuation, pairs_of, predict
from wellposed.reality import LEDGER, SEALED, Entry, Record, play, read_record, require_head
from wellposed.recorded import read_recording
from wellposed.runs.files import explained, folder_in
from wellposed.runs.record import Estimate
from wellposed.verdict import EPISODES, stored_verdict


def opened(name: str, context: Context) -> tuple[Path, str]:
    """The folder in which a reality of the chapter is played, and its published head.

    Raises:
        UserError: if it is no reality of the chapter, or the copy is not of what was published.
    """
    if Path(name).name != name or name in ("", ".."):
        raise UserError(f"{name!r} is no folder of the chapter: give its name alone.")
    sealed = context.brought / name
    published, copy = read_record(sealed), folder_in(context.kept, name)
    if not (copy / LEDGER).exists():
        with explained(copy, "write"):
            for file in (SEALED, LEDGER):  # the ledger last: it says that the other is there
                shutil.copyfile(sealed / file, copy / file)
    require_head(read_record(copy), published.head)
    return copy, published.head


def spend(run: Path, folder: Path, episodes: int, threads: int) -> list[Entry]:
    """The evaluations of a run's newest checkpoint there, of at least so many episodes; what is missing is played."""
    policy = stored_verdict(run, threads).checkpoint
    found = _evaluations(read_record(folder), policy)
    if (missing := episodes - sum(entry.episodes for entry in found)) > 0:
        found = _evaluations(play(run, folder, missing, "evaluation", threads).record, policy)
    return found


def _evaluations(record: Record, policy: str) -> list[Entry]:
    return [e for e in record.entries if e.kind == "ended" and e.purpose == "evaluation" and e.policy == policy]


def outcomes(entries: Sequence[Entry]) -> np.ndarray:
    """Success at the last step of each episode, bool [n]: at the limit where episodes go on after their goal."""
    kept = any(entry.success_at_limit for entry in entries)
    return np.concatenate([entry.success_at_limit if kept else entry.success for entry in entries])


@dataclass(frozen=True)
class RealitySettings:
    """Runs that play a reality."""

    reality: str  # a folder of the chapter
    of: list[str]  # "experiment.variant"s; the first is the one that the others are compared with
    episodes: int = 100  # of each run
    choose_by: int = 0  # further episodes, shared among all runs, by which one of them is chosen before

    def __post_init__(self) -> None:
        if not self.of or self.episodes < 1 or self.choose_by < 0:
            raise UserError("of must name an EXPERIMENT.VARIANT, episodes be at least 1 and choose_by not negative.")


@dataclass(frozen=True)
class Chosen:
    """A run that was chosen by a few episodes, and judged by others."""

    run: str
    among: int
    by: int  # episodes of each
    seen: float  # its success in these
    expected: float  # the mean of the highest success, were all of them as good as they are on average
    success: Estimate  # on fresh episodes


@dataclass(frozen=True)
class RealityRow:
    """A variant over its seeds, each run on episodes of its own."""

    variant: str
    runs: int
    simulated: Estimate  # in the simulation that it was trained in
    success: Estimate  # in the reality, at the last step
    reached: Estimate  # in the reality, as its environment says; at any step where success ends episodes
    gained: Estimate | None  # success in the reality less that of the first variant


@dataclass(frozen=True)
class RealityComparison:
    """Success of variants in a reality, and what was spent."""

    title: str
    head: str  # as it was published
    spent: int  # episodes of the reality, by all so far
    budget: int
    rows: list[RealityRow]
    chosen: Chosen | None


def measure_reality(settings: RealitySettings, context: Context) -> RealityComparison:
    """Play what is not on the ledger yet.

    Raises:
        UserError: if a run cannot be played there, or the budget does not suffice.
    """
    folder, head = opened(settings.reality, context)
    every = [run for of in settings.of for run in context.runs[of]]
    chosen, rows = _choose(every, folder, settings, context.threads), []
    for of in context.over(settings.of, "variants"):
        runs = context.runs[of]
        played = [spend(run, folder, settings.episodes, context.threads) for run in runs]
        success = _over([outcomes(entries) for entries in played])
        reached = _over([np.concatenate([entry.success for entry in entries]) for entries in played])
        rates = np.array([_simulated(run, context.threads) for run in runs])
        gained = less(success, rows[0].success) if rows else None
        simulated = _estimate(stats.over_seeds(rates, EPISODES))
        rows.append(RealityRow(of, len(runs), simulated, success, reached, gained))
    record = read_record(folder)
    return RealityComparison(record.reality.title, head, record.spent, record.reality.budget, rows, chosen)


def _choose(runs: list[Path], folder: Path, settings: RealitySettings, threads: int) -> Chosen | None:
    """The best of all runs by `choose_by` episodes, judged on `episodes` fresh ones."""
    if not settings.choose_by:
        return None
    each = settings.choose_by // len(runs)
    if each < 1:
        raise UserError(f"choose_by = {settings.choose_by} does not suffice for {len(runs)} runs.")
    rates = [float(outcomes(spend(run, folder, each, threads))[:each].mean()) for run in runs]
    best = runs[int(np.argmax(rates))]
    fresh = outcomes(spend(best, folder, each + settings.episodes, threads))[each:]
    rate = stats.wilson(int(fresh.sum()), len(fresh))
    return Chosen(best.name, len(runs), each, max(rates), best_if_alike(rates, each), _estimate(rate))


def best_if_alike(rates: list[float], episodes: int) -> float:
    """The mean of the highest success that is seen, were all policies as good as these are on average."""
    return stats.expected_best(np.full(len(rates), np.mean(rates)), episodes)


def _simulated(run: Path, threads: int) -> float:
    row = stored_verdict(run, threads).trained
    return row.success_at_limit.value if row.success_at_limit else row.success_rate


def _over(played: list[np.ndarray]) -> Estimate:
    """The mean over runs of their success, each on episodes of its own."""
    return _estimate(stats.over_seeds(np.array([one.mean() for one in played]), min(map(len, played)), shared=False))


def _estimate(found: stats.Interval) -> Estimate:
    return Estimate(found.estimate, (found.low, found.high))


def less(one: Estimate, other: Estimate) -> Estimate:
    """A difference of two independent estimates; the distances to its ends are theirs, added in squares.

    Source: Newcombe (1998), "Interval estimation for the difference between independent proportions", Statistics in
    Medicine 17, method 10.
    """
    difference = one.value - other.value
    low = difference - hypot(one.value - one.ci95[0], other.ci95[1] - other.value)
    high = difference + hypot(one.ci95[1] - one.value, other.value - other.ci95[0])
    return Estimate(difference, (low, high))


@dataclass(frozen=True)
class PredictiveSettings:
    """Policies whose order in simulation is compared with that in a reality."""

    reality: str
    of: list[str]
    episodes: int = 100  # of each run, where fewer are on the ledger

    def __post_init__(self) -> None:
        if not self.of or self.episodes < 1:
            raise UserError("of must name an EXPERIMENT.VARIANT, and episodes be at least 1.")


@dataclass(frozen=True)
class PolicyPair:
    """A policy's success on both sides."""

    policy: str
    simulated: float
    real: float


@dataclass(frozen=True)
class PredictiveValue:
    """How well the order in simulation predicts that in a reality."""

    pairs: list[PolicyPair]  # best in simulation first
    policies: int
    rank_correlation: Estimate
    close: int  # policies within 20 points of each other in simulation
    among_close: Estimate | None  # the correlation of these alone; null if they are too few or alike
    attenuation: float  # factor by which finitely many episodes lower a correlation, of all
    attenuation_close: float  # and of these


def measure_predictive(settings: PredictiveSettings, context: Context) -> PredictiveValue:
    """Play what is not on the ledger yet, and correlate.

    Raises:
        UserError: if there are fewer than five policies, or no order among them.
    """
    folder, _ = opened(settings.reality, context)
    runs = [run for of in settings.of for run in context.runs[of]]
    for run in context.over(runs, "policies"):
        spend(run, folder, settings.episodes, context.threads)
    found = predict(pairs_of(read_record(folder), runs, context.threads))
    named = {pair.policy: pair for pair in found.pairs}
    rates = lambda names: np.array([named[name].simulated for name in names])  # noqa: E731
    return PredictiveValue(
        pairs=[PolicyPair(Path(pair.policy).name, pair.simulated, pair.real) for pair in found.pairs],
        policies=len(found.pairs),
        rank_correlation=_estimate(found.everywhere),
        close=len(found.close),
        among_close=None if found.among_close is None else _estimate(found.among_close),
        attenuation=attenuation(rates(list(named)), EPISODES, settings.episodes),
        attenuation_close=attenuation(rates(found.close), EPISODES, settings.episodes),
    )


@dataclass(frozen=True)
class IdentificationSettings:
    """What is identified, and by how many episodes."""

    reality: str
    of: str  # "experiment.variant" whose first run plays
    parameters: list[str]
    episodes: list[int] = field(default_factory=lambda: [10, 50, 200])  # the first ones of those that are recorded
    steps: int = 1  # that are predicted at once
    transitions: int = 2_000  # that are simulated at most

    def __post_init__(self) -> None:
        if not self.parameters or any(name not in FACTORS for name in self.parameters):
            raise UserError(f"parameters must be some of {', '.join(FACTORS)}.")
        if not self.episodes or min(*self.episodes, self.steps, self.transitions) < 1:
            raise UserError("episodes, steps and transitions must be at least 1.")


@dataclass(frozen=True)
class IdentifiedRow:
    """One parameter by so many episodes, beside what was hidden, which is read when the estimate is made."""

    episodes: int
    parameter: str
    estimate: float
    low: float | None
    high: float | None
    identifiable: bool
    hidden: float
    off: float | None  # relative error of one that is identifiable
    inside: bool | None  # whether its interval holds what was hidden


@dataclass(frozen=True)
class Identification:
    """What recorded episodes say of a reality."""

    head: str
    rows: list[IdentifiedRow]
    gap: list[Gap]  # with the most episodes
    furthest: float  # largest relative error of identifiable parameters with the most episodes
    unknown: int  # parameters that are not identifiable, with the most episodes


def measure_identification(settings: IdentificationSettings, context: Context) -> Identification:
    """Spend episodes once, and fit parameters to the first of them.

    Raises:
        UserError: if the budget does not suffice, or the states of the reality are not at hand.
    """
    folder, head = opened(settings.reality, context)
    file, most = context.kept / f"{settings.reality}_identification.npz", max(settings.episodes)
    if not file.exists():
        play(context.runs[settings.of][0], folder, most, "identification", context.threads, file)
    recording, hidden = read_recording(file), read_record(folder).reality.settings
    if len(recording.length) < most:
        raise UserError(f"{file} holds {len(recording.length)} episodes, and {most} are asked for. Move it away.")
    found = {
        episodes: identify(
            recording.first(episodes), settings.parameters, settings.steps, context.threads, settings.transitions
        )
        for episodes in context.over(sorted(settings.episodes), "numbers of episodes")
    }
    rows = [row for episodes, one in found.items() for row in _beside(episodes, one, hidden)]
    last = [row for row in rows if row.episodes == most]
    return Identification(
        head=head,
        rows=rows,
        gap=found[most].gap,
        furthest=max((row.off for row in last if row.off is not None), default=0.0),
        unknown=sum(not row.identifiable for row in last),
    )


def _beside(episodes: int, found: Identified, hidden: dict) -> list[IdentifiedRow]:
    """Estimates beside what was hidden; what a reality does not change is 1."""
    rows = []
    for one in found.parameters:
        true = float(hidden.get(f"dynamics.{one.name}", 1.0))
        off = abs(one.estimate / true - 1) if one.identifiable else None
        inside = one.low <= true <= one.high if one.low is not None and one.high is not None else None
        told = (one.name, one.estimate, one.low, one.high, one.identifiable)
        rows.append(IdentifiedRow(episodes, *told, hidden=true, off=off, inside=inside))
    return rows
