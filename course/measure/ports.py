"""Predicted and measured factors: how many times the steps a task takes that another one took."""

from dataclasses import dataclass
from datetime import date
from math import exp, inf, isfinite, log
from pathlib import Path
from statistics import median

from course.measure.kinds import Context
from wellposed import stats
from wellposed.analysis.differences import ratio_of_times
from wellposed.analysis.survival import Times
from wellposed.errors import UserError
from wellposed.runs.record import Estimate
from wellposed.runs.store import RunReader


@dataclass(frozen=True)
class Port:
    """What was predicted of one task, before it was trained."""

    name: str
    of: str  # its "experiment.variant"
    against: str  # that of the task that it is compared with
    at: float  # success rate that both must reach, in two monitoring evaluations in a row
    breaks: str  # the theorem, symmetry or constant that does not carry over
    low: float  # of the factor between their environment steps: an interval to bet on
    best: float  # the best guess
    high: float
    registered: str  # the day on which this was written down


@dataclass(frozen=True)
class PortsSettings:
    """Predictions, each of one factor."""

    ports: list[Port]

    def __post_init__(self) -> None:
        names = [port.name for port in self.ports]
        if not names or len({*names}) < len(names):
            raise UserError("ports must be predictions with names of their own, at least one.")
        for port in self.ports:
            if not 0 < port.low <= port.best <= port.high < inf or port.low == port.high:
                raise UserError(f"{port.name}: a prediction is 0 < low <= best <= high, and low < high.")
            if not 0 < port.at <= 1:
                raise UserError(f"{port.name}: at must be a success rate above 0 and at most 1, got {port.at}.")
            try:
                date.fromisoformat(port.registered)
            except ValueError as error:
                raise UserError(f"{port.name}: registered must be a day, as 2026-11-27: {error}.") from error

    @property
    def of(self) -> list[str]:
        """The "experiment.variant"s that are read."""
        return list(dict.fromkeys(name for port in self.ports for name in (port.of, port.against)))


@dataclass(frozen=True)
class Score:
    """A prediction and what came of it; null where so many runs did not get there that it is not known."""

    name: str
    breaks: str
    registered: str
    at: float
    low: float
    best: float
    high: float
    factor: float | None  # median over pairs of runs
    at_least: float | None  # that median counted with what is known of runs that did not get there
    ci_low: float | None  # of the interval of `ratio_of_times`
    ci_high: float | None
    inside: bool  # the factor is known to lie in the predicted interval


@dataclass(frozen=True)
class Ports:
    """All predictions, scored."""

    rows: list[Score]
    scored: int
    inside: Estimate  # share of factors inside their predicted interval
    off: float | None  # the median factor between best guess and measurement; null if no factor is known


def measure_ports(settings: PortsSettings, context: Context) -> Ports:
    """Score the predictions.

    Raises:
        UserError: if a record is damaged, or a run is older than what was predicted of it.
    """
    rows = [score(port, context.runs) for port in context.over(settings.ports, "ports")]
    share, low, high = stats.wilson(sum(row.inside for row in rows), len(rows))
    errors = [exp(abs(log(row.factor / row.best))) for row in rows if row.factor]
    return Ports(rows, len(rows), Estimate(share, (low, high)), median(errors) if errors else None)


def score(port: Port, runs: dict[str, list[Path]]) -> Score:
    """One prediction beside its measurement."""
    for path in runs[port.of]:
        if (began := RunReader(path).provenance.started[:10]) < port.registered:
            raise UserError(f"{path.name} began on {began}: what was registered on {port.registered} is no prediction.")
    ratio = ratio_of_times(times(runs[port.of], port.at), times(runs[port.against], port.at))
    return Score(
        name=port.name,
        breaks=port.breaks,
        registered=port.registered,
        at=port.at,
        low=port.low,
        best=port.best,
        high=port.high,
        factor=ratio.at_least if ratio.at_least == ratio.at_most and isfinite(ratio.at_least) else None,
        at_least=_known(ratio.at_least),
        ci_low=_known(ratio.low),
        ci_high=_known(ratio.high),
        inside=port.low <= ratio.at_least and ratio.at_most <= port.high,
    )


def times(paths: list[Path], rate: float) -> Times:
    """The steps of each run to the second of two evaluations in a row at a success rate, or all that it took."""
    used, reached = [], []
    for path in paths:
        reader = RunReader(path)
        rates = [row.success_rate for row in reader.evaluations]
        there = [i for i in range(1, len(rates)) if min(rates[i - 1 : i + 1]) >= rate]
        known = bool(there) or reader.failure is None  # one that diverged never gets there
        used.append(reader.evaluations[there[0] if there else -1].step if known else inf)
        reached.append(bool(there))
    return Times(used, reached)


def _known(end: float) -> float | None:
    """An end of an interval, None where the data do not bound it."""
    return end if 0 < end < inf else None
