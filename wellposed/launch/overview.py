"""What `wellposed status` says of a launch: how many runs are where, time left, and core-hours spent."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, TypeVar

import msgspec

from wellposed.errors import UserError
from wellposed.launch.rows import Row
from wellposed.launch.states import ENDED, STATES, State, states
from wellposed.progress import duration
from wellposed.runs.files import parse_json, read_bytes, read_last_line
from wellposed.serialise import convert

MAX_BYTES = 2**20
T = TypeVar("T")


class _Ended(msgspec.Struct):
    """Of summary.json: seconds that the run took."""

    seconds: float
    evaluation_seconds: float


class _Looked(msgspec.Struct):
    """Of a row of evaluations.jsonl."""

    step: int
    seconds: float
    success_rate: float


class _Began(msgspec.Struct):
    """Of provenance.json: the cores that the run was given."""

    threads: int


@dataclass(frozen=True)
class Seen:
    """One run that has begun."""

    name: str
    label: str
    seed: int
    state: State
    step: int  # of its last evaluation; 0 before the first
    total_steps: int
    success: float | None  # at its last evaluation
    seconds: float  # of training and evaluation if it has finished, else until its last evaluation
    cores: int


@dataclass(frozen=True)
class Overview:
    """Where a launch is."""

    counts: dict[State, int]
    under_way: list[Seen]  # running and interrupted ones
    seconds_left: float | None  # at the mean pace of the finished runs; null before the first, or if none is running
    core_hours: float
    errors: dict[str, str]  # by the name of the run: why a row could not be done


def overview(runs: Path, rows: list[Row], errors: dict[str, str]) -> Overview:
    """Read where the runs of a launch are.

    Raises:
        UserError: if a record is damaged.
    """
    found = states(runs, rows)
    begun = {
        row.name: _seen(runs / row.name, row, state)
        for row, state in zip(rows, found, strict=True)
        if state != "waiting" and (runs / row.name / "config.json").exists()  # one may be pruned before it begins
    }
    counts = Counter(found)
    return Overview(
        counts={state: counts[state] for state in STATES},
        under_way=[one for one in begun.values() if one.state not in ENDED],
        seconds_left=_seconds_left(rows, begun),
        core_hours=sum(one.seconds * one.cores for one in begun.values()) / 3600,
        errors=errors,
    )


def _seen(path: Path, row: Row, state: State) -> Seen:
    """What a run's record says of it, in as few reads as it takes."""
    cores = _read(path / "provenance.json", _Began).threads
    step, seconds, success = 0, 0.0, None
    if state == "finished":
        end = _read(path / "summary.json", _Ended)
        seconds = end.seconds + end.evaluation_seconds
    elif (path / "evaluations.jsonl").exists() and (last := read_last_line(path / "evaluations.jsonl")) is not None:
        looked = _as(_Looked, last, path / "evaluations.jsonl")
        step, seconds, success = looked.step, looked.seconds, looked.success_rate
    config = row.config
    return Seen(row.name, row.label, config["seed"], state, step, config["total_steps"], success, seconds, cores)


def _read(path: Path, kind: type[T]) -> T:
    """A few fields of a JSON file."""
    return _as(kind, parse_json(read_bytes(path, MAX_BYTES), str(path)), path)


def _as(kind: type[T], data: Any, path: Path) -> T:
    """A few fields of what a file holds."""
    try:
        return convert(kind, data)
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}.") from error


def _seconds_left(rows: list[Row], begun: dict[str, Seen]) -> float | None:
    """Seconds until all is done, if every run takes the mean of the finished ones: of its label, or else of all."""
    running = sum(one.state == "running" for one in begun.values())
    finished = [one for one in begun.values() if one.state == "finished"]
    if not finished or not running:
        return None
    of_all = fmean(one.seconds for one in finished)
    of_label: dict[str, list[float]] = {}
    for one in finished:
        of_label.setdefault(one.label, []).append(one.seconds)
    means = {label: fmean(values) for label, values in of_label.items()}
    left = 0.0
    for row in rows:
        seen = begun.get(row.name)
        if seen is None or seen.state not in ENDED:
            left += max(0.0, means.get(row.label, of_all) - (seen.seconds if seen else 0.0))
    return left / running


def lines(found: Overview) -> list[str]:
    """The overview for a terminal."""
    counts = [f"{found.counts[state]:,} {state}" for state in STATES]
    left = "" if found.seconds_left is None else f"about {duration(found.seconds_left)} left; "
    told = [
        f"{', '.join(counts)} of {sum(found.counts.values()):,} runs",
        f"{left}{found.core_hours:.3g} core-hours spent",
    ]
    for one in found.under_way:
        success = "" if one.success is None else f", success {one.success:.0%}"
        name = f"{one.label or one.name}, seed {one.seed}"
        told.append(f"  {name}: {one.state}, {one.step:,} of {one.total_steps:,} steps{success}")
    return [*told, *(f"  {name}: {sentence}" for name, sentence in found.errors.items())]
