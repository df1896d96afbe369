"""What a condition says: it holds, warns, fails, or could not be examined, always with the evidence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wellposed.findings import Finding, Status


@dataclass(frozen=True)
class Outcome:
    """The result of one measurement: a sentence without its condition's name, and the numbers in it."""

    status: Status
    evidence: str
    numbers: dict[str, Any] = field(default_factory=dict)
    because: str = ""  # name of the condition at the root, where this one was not examined because another fails


@dataclass(frozen=True)
class Condition:
    """One thing an environment must be, and how it is measured.

    One fault is told once: a condition stays open where one that it `needs` fails, for then the measurement says
    nothing, and where one of `told_by` warns or fails, for that says it already.
    """

    name: str
    states: str  # what holds, as a whole sentence
    why: str  # what goes wrong where it does not
    advice: str  # what to do about it
    measure: Callable[[Any], Outcome]  # (evidence) -> outcome
    needs: tuple[str, ...] = ()
    told_by: tuple[str, ...] = ()


def holds(evidence: str, **numbers: Any) -> Outcome:
    """The condition holds."""
    return Outcome("holds", evidence, numbers)


def warns(evidence: str, **numbers: Any) -> Outcome:
    """Training is possible, but somebody should know."""
    return Outcome("warns", evidence, numbers)


def fails(evidence: str, **numbers: Any) -> Outcome:
    """Hindsight would learn something else than the task, or nothing."""
    return Outcome("fails", evidence, numbers)


def unseen(evidence: str, **numbers: Any) -> Outcome:
    """Nothing was seen that would decide it."""
    return Outcome("open", evidence, numbers)


def unexamined(root: str) -> Outcome:
    """Another condition has to be mended first."""
    return Outcome("open", f"not examined, because of {root!r}", because=root)


def found(condition: Condition, outcome: Outcome) -> Finding:
    """The finding of a condition."""
    bad = outcome.status in ("warns", "fails")
    why, advice = (condition.why, condition.advice) if bad else ("", "")
    return Finding(
        condition.name,
        outcome.status,
        outcome.evidence,
        outcome.numbers,
        why,
        advice,
        states=condition.states,
        because=outcome.because,
    )
