"""Where a run stands: failure, take-off or convergence, read off the success curve against the already-solved floor.

Before a policy can act on pictures its encoder must learn to see: while it does, a flat curve is a warm-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate

Name = Literal["unknown", "failure", "warm-up", "take-off", "convergence"]
CONVERGED = 0.9  # success from which a run counts as converged, two evaluations in a row
SEES = 0.8  # an encoder has learnt to see when it misses by less than this share of what it missed by at first


@dataclass(frozen=True)
class Judged:
    """What a phase is read off: an evaluation without all else that an `EvaluationRow` holds."""

    step: int  # environment steps so far
    success_rate: float  # of the greedy policy
    success_ci95: tuple[float, float]
    already_solved_rate: float  # share of goals that were reached before the first action
    already_solved_ci95: tuple[float, float]


@dataclass(frozen=True)
class Phase:
    """The phase a run is in, with the steps at which phases began; None for one that has not."""

    name: Name
    take_off: int | None
    convergence: int | None
    sentence: str


def above_floor(row: Judged | EvaluationRow) -> bool:
    """Whether success lies above the goals that were solved at reset, interval against interval."""
    return row.success_ci95[0] > row.already_solved_ci95[1]


def find_phase(evaluations: Sequence[Judged | EvaluationRow], missed: float | None = None) -> Phase:
    """The phase, from evaluations in order. A phase begins at the first of two in a row that show it.

    `missed`: by how much an encoder of pictures misses what is achieved, as a share of that at first; None without one.
    """
    learnt = [row for row in evaluations if row.step > 0]
    if not learnt:
        return Phase("unknown", None, None, "Nothing has been evaluated since training began.")
    last = learnt[-1]
    now = f"success {describe_rate(last.success_rate, last.success_ci95)} at step {last.step:,}"
    floor = f"already solved at reset {describe_rate(last.already_solved_rate, last.already_solved_ci95)}"
    rose = next((a.step for a, b in pairwise(learnt) if above_floor(a) and above_floor(b)), None)
    full = next((a.step for a, b in pairwise(learnt) if min(a.success_rate, b.success_rate) >= CONVERGED), None)
    if rose is None:
        if missed is not None and missed < SEES:
            better = f"the encoder misses what is achieved by {100 * missed:.0f} % of what it did at first"
            return Phase("warm-up", None, None, f"Warm-up so far: {now}, {floor}; {better}.")
        return Phase("failure", None, None, f"Failure phase so far: {now}, {floor}.")
    if full is None:
        return Phase("take-off", rose, None, f"Take-off since step {rose:,}: {now}, {floor}.")
    return Phase("convergence", rose, full, f"Take-off at step {rose:,}, convergence since step {full:,}: {now}.")
