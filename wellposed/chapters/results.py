"""What a chapter found: rows, not weights, the same whether gathered from run directories or read from records.json."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wellposed.analysis.study import Study
from wellposed.runs.files import write_whole
from wellposed.runs.record import Estimate, Provenance, Solved
from wellposed.stats import wilson

EVALUATION_SERIES = (  # kept beside everything that a run logs of training
    "probe/q_min", "probe/q_mean", "probe/q_max", "probe/success_gained", "probe/goals_past", "probe/goals_foreign",
    "probe/reward_wrong", "rollout/success_rate", "rollout/moved_rate", "curriculum/progress",
)  # fmt: skip


@dataclass(frozen=True)
class Curve:
    """Monitoring evaluations of the greedy policy, all lists [m]."""

    episodes: int  # of each evaluation
    step: list[int]
    updates: list[int]
    seconds: list[float]  # of training, to a hundredth
    success: list[int]  # episodes that ended in success


@dataclass(frozen=True)
class HeldOut:
    """The verdict on a run: held-out episodes, one character for each, 1 where it holds and 0 where not."""

    seed: int  # of the episodes; the same for all runs
    checkpoint: str  # SHA-256 of the state that was judged
    success: str
    already_solved: str  # before the first action
    kinds: dict[str, str]  # kind of goal -> the episodes that have it; empty where there is but one kind
    random_success: Estimate  # uniform random actions in the same episodes
    means: dict[str, float]  # of the episodes' measures, by the names in `wellposed.runs.record.MEANS`

    @property
    def success_rate(self) -> Estimate:
        """Success over all episodes, with its Wilson interval."""
        rate = wilson(self.success.count("1"), len(self.success))
        return Estimate(rate.estimate, (rate.low, rate.high))


@dataclass(frozen=True)
class RunResult:
    """One run."""

    run: str  # its directory's name, which holds the hash of its configuration
    seed: int
    ended: Literal["solved", "budget", "diverged"]
    step: int  # where it ended
    updates: int
    seconds: float
    solved: Solved | None  # null: not within the budget, or there was no bar to reach
    held_out: HeldOut | None  # null in a run that diverged: what it had learnt before is not what training led to
    curve: Curve
    series: dict[str, list[float | None]]  # metric -> its value at each moment of the curve, to five digits
    command: str
    commit: str | None
    dirty: bool | None
    cpu: str
    cores: int
    started: str


@dataclass(frozen=True)
class VariantResult:
    """The runs of one variant, in the order of the seeds."""

    config: dict[str, Any]  # in full, without the seed
    runs: list[RunResult]


@dataclass(frozen=True)
class ExperimentFile:
    """What an experiment found, as it lies in the chapter's folder of results."""

    title: str
    variants: dict[str, VariantResult]


@dataclass(frozen=True)
class Measured:
    """What a measurement found."""

    kind: str
    settings: dict[str, Any]
    sources: dict[str, str]  # the runs that were measured -> SHA-256 of the state
    hash: str  # of the result: an edited one no longer has it
    provenance: Provenance
    seconds: float
    result: dict[str, Any]  # of the kind's own result type


@dataclass(frozen=True)
class Results:
    """All that is there of a chapter; what is missing or was not sound is absent."""

    experiments: dict[str, dict[str, VariantResult]]  # experiment -> variant
    measurements: dict[str, Measured]
    studies: dict[str, Study]


def write_rows(path: Path, data: Any) -> None:
    """Write JSON data whole; NaN and infinity are refused."""
    write_whole(path, f"{format_rows(data)}\n".encode())


def format_rows(data: Any, indent: str = "") -> str:
    """JSON text in which a list of plain values takes one line, and everything else a line for each of its parts."""
    inner = indent + " "
    if isinstance(data, dict) and data:
        parts = [f"{json.dumps(key)}: {format_rows(part, inner)}" for key, part in data.items()]
    elif isinstance(data, list) and any(isinstance(part, dict | list) for part in data):
        parts = [format_rows(part, inner) for part in data]
    else:
        return json.dumps(data, allow_nan=False)
    opening, closing = "{}" if isinstance(data, dict) else "[]"
    return f"{opening}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{closing}"
