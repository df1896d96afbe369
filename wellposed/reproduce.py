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
from wellposed.runs.record import EvaluationRow, Provenance
from wellposed.runs.store import RunReader
from wellposed.stats import describe_rate
from wellposed.training import train

NOT_RECORDED = "(not recorded)"
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


def changes(then: Provenance, now: Provenance) -> list[str]:
    """Differences between the provenance of two runs that numbers may depend on, and what was not recorded then.

    A resumed run was written by several processes; all of them count.
    """
    processes = [then, *then.resumed]
    commits = {process.commit for process in processes}
    found = [change for process in processes for change in _named_changes(process.packages, now.packages)]
    for process in processes:
        found += _named_changes(process.flags, now.flags, "flags of JAX and XLA")
    if {process.environment for process in processes} != {now.environment}:
        known = all(process.environment for process in processes)
        found.append("the environment's own code" if known else f"the environment's own code {NOT_RECORDED}")
    found += [
        f"{what} {was} -> {now_is}"
        for what, was, now_is in (
            ("Python", then.python, now.python),
            ("processor", then.cpu, now.cpu),
            ("devices", then.devices, now.devices),
        )
        if was != now_is
    ]
    if any(again.salvaged for again in then.resumed):
        found.append("the recorded run lost a part of its replay and went on without it")
    if commits != {now.commit} or then.dirty or now.dirty:
        found.append(f"wellposed's own code {_code(then)} -> {_code(now)}")
    return list(dict.fromkeys(found))


def _named_changes(then: dict[str, str] | None, now: dict[str, str] | None, what: str = "") -> list[str]:
    """What differs between two sets of values by name, or was not recorded."""
    if then is None or now is None:
        return [] if then == now else [f"{what} {NOT_RECORDED}"]
    pairs = {name: (then.get(name, NOT_RECORDED), now.get(name, NOT_RECORDED)) for name in sorted({*then, *now})}
    return [f"{name} {was or 'unset'} -> {is_now or 'unset'}" for name, (was, is_now) in pairs.items() if was != is_now]


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


def _code(origin: Provenance) -> str:
    return f"{(origin.commit or 'unknown')[:9]}{', changed' if origin.dirty else ''}"
