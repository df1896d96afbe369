"""Where a run stands: failure, take-off or convergence, read off the success curve against the already-solved floor."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from wellposed.stats import describe_rate

Name = Literal["unknown", "failure", "take-off", "convergence"]
CONVERGED = 0.9  # success from which a run counts as converged, two evaluations in a row


class Judged(Protocol):
    """The part of an `EvaluationRow` that decides a phase."""

    @property
    def step(self) -> int:
        """Environment steps so far."""
        ...

    @property
    def success_rate(self) -> float:
        """Success of the greedy policy."""
        ...

    @property
    def success_ci95(self) -> tuple[float, float]:
        """Its interval."""
        ...

    @property
    def already_solved_rate(self) -> float:
        """The share of goals that were reached before the first action."""
        ...

    @property
    def already_solved_ci95(self) -> tuple[float, float]:
        """Its interval."""
        ...


@dataclass(frozen=True)
class Phase:
    """The phase a run is in, with the steps at which phases began; None for one that has not."""

    name: Name
    take_off: int | None
    convergence: int | None
    sentence: str


def above_floor(row: Judged) -> bool:
    """Whether success lies above the goals that were solved at reset, interval against interval."""
    return row.success_ci95[0] > row.already_solved_ci95[1]


def find_phase(evaluations: Sequence[Judged]) -> Phase:
    """The phase, from evaluations in order. A phase begins at the first of two in a row that show it."""
    learnt = [row for row in evaluations if row.step > 0]
    if not learnt:
        return Phase("unknown", None, None, "Nothing has been evaluated since training began.")
    last = learnt[-1]
    now = f"success {describe_rate(last.success_rate, last.success_ci95)} at step {last.step:,}"
    floor = f"already solved at reset {describe_rate(last.already_solved_rate, last.already_solved_ci95)}"
    rose = next((a.step for a, b in pairwise(learnt) if above_floor(a) and above_floor(b)), None)
    full = next((a.step for a, b in pairwise(learnt) if min(a.success_rate, b.success_rate) >= CONVERGED), None)
    if rose is None:
        return Phase("failure", None, None, f"Failure phase so far: {now}, {floor}.")
    if full is None:
        return Phase("take-off", rose, None, f"Take-off since step {rose:,}: {now}, {floor}.")
    return Phase("convergence", rose, full, f"Take-off at step {rose:,}, convergence since step {full:,}: {now}.")
