"""A condition of the certificate: a question about the evidence, its answer in a sentence, and how grave a no is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wellposed.envs.evidence import Evidence
from wellposed.findings import Finding, Status


@dataclass(frozen=True)
class Outcome:
    """The answer to a question: a sentence without its condition's name, and the numbers in it."""

    status: Status
    evidence: str
    numbers: dict[str, Any] = field(default_factory=dict)
    because: str = ""  # name of the condition at the root, where this one was not examined because another fails


@dataclass(frozen=True, eq=False)
class Condition:
    """One thing an environment must be, and how it is asked.

    One fault is told once: a condition stays open where one that it `needs` fails or stays open because of another, for
    then the answer says nothing, and where one of `told_by` warns or fails, for that says it already.
    """

    name: str
    states: str  # what holds, as a whole sentence
    why: str  # what goes wrong where it does not
    advice: str  # what to do about it
    ask: Callable[[Evidence], Outcome]
    needs: tuple["Condition", ...]
    told_by: tuple["Condition", ...]


def condition(
    why: str, advice: str, *, needs: tuple[Condition, ...] = (), told_by: tuple[Condition, ...] = (), name: str = ""
) -> Callable[[Callable[[Evidence], Outcome]], Condition]:
    """Makes a condition of a question: the function's docstring states it, the function's name is its own."""

    def made(ask: Callable[[Evidence], Outcome]) -> Condition:
        called = name or ask.__name__.replace("_", " ")
        return Condition(called, ask.__doc__ or "", why, advice, ask, needs, told_by)

    return made


def answer(evidence: str, *, fails: Any = False, warns: Any = False, **numbers: Any) -> Outcome:
    """What was measured. It fails where hindsight would learn something else than the task, or nothing; it warns where
    training is possible but somebody should know; else the condition holds."""
    return Outcome("fails" if fails else "warns" if warns else "holds", evidence, numbers)


def unseen(evidence: str) -> Outcome:
    """Nothing was seen that would decide it."""
    return Outcome("open", evidence)


def found(condition: Condition, outcome: Outcome) -> Finding:
    """The finding of a condition."""
    why, advice = (condition.why, condition.advice) if outcome.status in ("warns", "fails") else ("", "")
    measured = outcome.status, outcome.evidence, outcome.numbers
    return Finding(condition.name, *measured, why, advice, states=condition.states, because=outcome.because)
