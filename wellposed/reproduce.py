"""`wellposed reproduce`: train a recorded run again and compare the result with the record.

What to expect depends on what is equal:

    same code, packages, flags and processor     bit-identical, or the first step and quantity that differ
    anything else                                the last digits of sums differ and training amplifies them, so the
                                                 intervals of the final success are compared
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wellposed.config import stored_config
from wellposed.errors import UserError
from wellposed.runs.compare import differences
from wellposed.runs.provenance import changes
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader
from wellposed.stats import describe_rate
from wellposed.training import train

Agreement = Literal["bit-identical", "differs", "within tolerance", "outside tolerance"]


@dataclass(frozen=True)
class Reproduction:
    """The result of training a recorded run again."""

    finding: Agreement
    changed: list[str]  # what differs from then, or was not recorded: packages, code, flags, processor, devices
    first_difference: str | None  # step and quantity; null if nothing differs
    success: tuple[float, float]  # at the last evaluation, then and now
    sentence: str

    @property
    def holds(self) -> bool:
        """Whether the record is reproduced."""
        return self.finding in ("bit-identical", "within tolerance")


def reproduce(path: Path, *, threads: int = 2, quiet: bool = False) -> Reproduction:
    """Train a finished run again, in a temporary directory, and compare; the run's own directory is only read.

    Raises UserError if the run is not finished, is damaged, or has the configuration of another version.
    """
    recorded = RunReader(path)
    if recorded.summary is None:
        raise UserError(f"{path} is {recorded.status}; only a finished run can be reproduced. Resume it first.")
    if not recorded.evaluations:
        raise UserError(f"{path} is damaged: it is finished, and has no evaluation.")
    config = stored_config(path)
    with tempfile.TemporaryDirectory() as folder:
        again = RunReader(train(config, folder, threads=threads, quiet=quiet)[0])
        found = differences(recorded, again)
        changed = changes(recorded.provenance, again.provenance)
        ends = recorded.evaluations[-1], again.evaluations[-1]
    return judge(changed, str(found[0]) if found else None, *ends)


def judge(changed: list[str], difference: str | None, then: EvaluationRow, now: EvaluationRow) -> Reproduction:
    """The outcome: bits are compared where no change is known, intervals of the final success elsewhere."""
    rates = then.success_rate, now.success_rate
    said = " and ".join(describe_rate(row.success_rate, row.success_ci95) for row in (then, now))
    if difference is None:
        return Reproduction("bit-identical", changed, None, rates, "Bit-identical: every row, weight and stream.")
    if not changed:
        sentence = f"Not reproduced, although nothing that is recorded has changed: {difference}."
        return Reproduction("differs", changed, difference, rates, sentence)
    overlap = then.success_ci95[0] <= now.success_ci95[1] and now.success_ci95[0] <= then.success_ci95[1]
    sentence = (
        f"Other versions or another machine ({'; '.join(changed)}), so bits may differ, and do from {difference}. "
        f"Success at the end, recorded and now: {said}; the intervals {'overlap' if overlap else 'do not overlap'}."
    )
    return Reproduction("within tolerance" if overlap else "outside tolerance", changed, difference, rates, sentence)
