"""The certificate of well-posedness: every condition examined, a verdict, and what to do about it."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from wellposed.check import episodes, goals, interface, observation, reward
from wellposed.check.findings import Condition, Outcome, answer, found, unseen
from wellposed.check.subject import find_subject
from wellposed.envs.evidence import Evidence
from wellposed.errors import UserError, require
from wellposed.findings import Finding
from wellposed.notebook import table

Verdict = Literal["ready", "ready with warnings", "not posed"]


# All conditions; those that one needs are defined before it.
CONDITIONS = tuple(
    dict.fromkeys(
        condition
        for module in (interface, episodes, reward, goals, observation)
        for condition in vars(module).values()
        if isinstance(condition, Condition)
    )
)


@dataclass(frozen=True)
class Certificate:
    """What was found of an environment."""

    env: str
    verdict: Verdict
    findings: list[Finding]
    seconds: float

    @property
    def posed(self) -> bool:
        """Whether hindsight can learn it."""
        return self.verdict != "not posed"

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, every condition, and what to do where one does not hold."""
        rows = [(f.status, f.states, " ".join(filter(None, (f.evidence, f.why, f.advice)))) for f in self.findings]
        return table(f"{self.env}: {self.verdict}", rows)


def certify(
    name: str, *, gamma: float, seed: int = 0, kwargs: dict[str, Any] | None = None, seconds: float = math.inf
) -> Certificate:
    """Examine an environment.

    Args:
        name: a Gymnasium id, or MODULE:NAME or FILE.py:NAME, as `my_env:make` (`envs.gym.make_one`).
        gamma: the discount that training would use, as `SACConfig().gamma`.
        seed: of the exploration.
        kwargs: the environment's arguments.
        seconds: what it may take; conditions that are not reached by then stay open.

    Raises:
        UserError: if there is no such environment, it cannot be made, or an argument is out of range.
    """
    began = time.perf_counter()
    findings = list(examine(name, seed=seed, gamma=gamma, kwargs=kwargs, seconds=seconds))
    return Certificate(name, verdict(findings), findings, time.perf_counter() - began)


def examine(
    name: str, *, gamma: float, seed: int = 0, kwargs: dict[str, Any] | None = None, seconds: float = math.inf
) -> Iterator[Finding]:
    """The findings of `certify`, one after another as they are made."""
    require(seed >= 0, "seed", "must not be negative", seed)
    require(0 <= gamma < 1, "gamma", "lies in [0, 1)", gamma)
    with closing(Evidence(find_subject(name, kwargs), seed, gamma, seconds=seconds / 2)) as evidence:
        yield from _examined(evidence, seconds)


def _examined(evidence: Evidence, seconds: float) -> Iterator[Finding]:
    """All conditions in order, each with what is known of those before it."""
    began = time.perf_counter()
    roots: dict[Condition, str] = {}  # of conditions that others must not rely on, the name of the one that failed
    warned: set[Condition] = set()
    for condition in CONDITIONS:
        root = next((roots[other] for other in condition.needs if other in roots), None)
        root = root or next((other.name for other in condition.told_by if other in roots or other in warned), None)
        if root is not None:
            outcome = Outcome("open", f"not examined, because of {root!r}", because=root)
        elif time.perf_counter() - began > seconds:
            outcome = unseen(f"not examined within {seconds:g} s")
        else:
            outcome = _answer(condition, evidence)
        if root is not None or outcome.status == "fails":
            roots[condition] = root or condition.name
        elif outcome.status == "warns":
            warned.add(condition)
        yield found(condition, outcome)


def _answer(condition: Condition, evidence: Evidence) -> Outcome:
    """Ask; an environment that raises meanwhile fails the condition."""
    try:
        return condition.ask(evidence)
    except UserError as error:
        return answer(str(error), fails=True)
    except Exception as error:  # a stranger's code: whatever it raises is the finding
        return answer(f"the environment raised {type(error).__name__}: {error}", fails=True)


def verdict(findings: list[Finding]) -> Verdict:
    """What all findings together say."""
    statuses = {finding.status for finding in findings}
    if "fails" in statuses:
        return "not posed"
    return "ready with warnings" if "warns" in statuses else "ready"


def describe(finding: Finding) -> str:
    """A finding as people read it: what was measured, and where it does not hold why it matters and what to do."""
    mark = {"holds": "ok  ", "warns": "WARN", "fails": "FAIL", "open": "open"}[finding.status]
    lines = [f"{mark} {finding.states}", f"     {finding.evidence[:1].upper()}{finding.evidence[1:]}."]
    if finding.why:
        lines += [f"     Why it matters: {finding.why}", f"     What to do: {finding.advice}"]
    return "\n".join(lines)


def unexamined_together(findings: list[Finding]) -> list[str]:
    """Conditions that were not examined, one line for each condition at the root."""
    roots = dict.fromkeys(f.because for f in findings if f.because)
    return [
        f"open Not examined before {root!r} is mended: {', '.join(f.name for f in findings if f.because == root)}."
        for root in roots
    ]


def summary(name: str, findings: list[Finding]) -> str:
    """The verdict as a sentence, with the counts it rests on."""
    count = {status: sum(f.status == status for f in findings) for status in ("holds", "warns", "fails", "open")}
    told = f"{count['holds']} conditions hold, {count['warns']} warn, {count['fails']} fail, {count['open']} stay open"
    return f"{name}: {verdict(findings)} ({told})"
