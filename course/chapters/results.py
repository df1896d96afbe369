"""The results of a chapter, gathered from run directories or read from records.json; weights are not included."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from wellposed.analysis.study import Study
from wellposed.runs.files import write_whole
from wellposed.runs.record import Estimate, Provenance, Solved
from wellposed.serialise import LATER
from wellposed.stats import wilson

EVALUATION_SERIES = (  # kept in addition to all metrics under train/
    "probe/q_min", "probe/q_mean", "probe/q_max", "probe/success_gained", "probe/goals_past", "probe/goals_foreign",
    "probe/reward_wrong", "rollout/success_rate", "rollout/moved_rate", "curriculum/progress", "sight/miss",
    "sight/miss_at_first",
)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Monitoring evaluations of the greedy policy; all lists have length [m]."""

    episodes: int  # of each evaluation
    step: list[int]
    updates: list[int]
    seconds: list[float]  # of training, rounded to 0.01
    success: list[int]  # episodes that ended in success


@dataclass(frozen=True)
class HeldOut:
    """The verdict on a run: one character per held-out episode, 1 for true and 0 for false."""

    seed: int  # of the episodes; the same for all runs
    checkpoint: str  # SHA-256 of the evaluated state
    success: str
    already_solved: str  # before the first action
    kinds: dict[str, str]  # kind of goal -> its episodes; empty if there is a single kind
    random_success: Estimate  # uniform random actions in the same episodes
    means: dict[str, float]  # of the episodes' measures, by the names in `wellposed.runs.record.MEANS`
    # At the limit of episodes that were kept running after their goal; empty where success ends no episode.
    success_at_limit: str = field(default="", metadata=LATER)

    @property
    def success_rate(self) -> Estimate:
        """Success over all episodes, with its Wilson interval."""
        rate = wilson(self.success.count("1"), len(self.success))
        return Estimate(rate.estimate, (rate.low, rate.high))


@dataclass(frozen=True)
class RunResult:
    """The result of one run."""

    run: str  # name of its directory, which contains the hash of its configuration
    seed: int
    ended: Literal["solved", "budget", "diverged"]
    step: int  # at its end
    updates: int
    seconds: float
    solved: Solved | None  # null if it did not reach the bar, or there is none
    held_out: HeldOut | None  # null if the run diverged
    curve: Curve
    series: dict[str, list[float | None]]  # metric -> its value at each evaluation, to five digits
    command: str
    commit: str | None
    dirty: bool | None
    cpu: str
    cores: int
    started: str


@dataclass(frozen=True)
class VariantResult:
    """The runs of one variant, in the order of the seeds."""

    config: dict[str, Any]  # complete, without the seed
    runs: list[RunResult]


@dataclass(frozen=True)
class ExperimentFile:
    """The content of an experiment's file in the chapter's folder of results."""

    title: str
    variants: dict[str, VariantResult]


@dataclass(frozen=True)
class Measured:
    """A stored measurement."""

    kind: str
    settings: dict[str, Any]
    sources: dict[str, str]  # the runs that were measured -> SHA-256 of the state
    hash: str  # of the result, to detect edits
    provenance: Provenance
    seconds: float
    result: dict[str, Any]  # JSON data of the kind's result type


@dataclass(frozen=True)
class Results:
    """All valid results of a chapter; missing and damaged ones are left out."""

    experiments: dict[str, dict[str, VariantResult]]  # experiment -> variant
    measurements: dict[str, Measured]
    studies: dict[str, Study]


def write_rows(path: Path, data: Any) -> None:
    """Write JSON data atomically; raises ValueError on NaN and infinity."""
    write_whole(path, f"{format_rows(data)}\n".encode())


def format_rows(data: Any, indent: str = "") -> str:
    """JSON text with lists of plain values on one line, and other containers with one line per element."""
    inner = indent + " "
    if isinstance(data, dict) and data:
        parts = [f"{json.dumps(key)}: {format_rows(part, inner)}" for key, part in data.items()]
    elif isinstance(data, list) and any(isinstance(part, dict | list) for part in data):
        parts = [format_rows(part, inner) for part in data]
    else:
        return json.dumps(data, allow_nan=False)
    opening, closing = "{}" if isinstance(data, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"
