"""The certificate of well-posedness: every condition examined, a verdict, and what to do about it."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from wellposed.check import episodes, goals, interface, observation, reward
from wellposed.check.findings import Condition, Outcome, found, unexamined, unseen
from wellposed.check.subject import find_subject
from wellposed.envs.evidence import Evidence
from wellposed.errors import UserError, require
from wellposed.findings import Finding

Verdict = Literal["ready", "ready with warnings", "not posed"]


def _in_order(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """The conditions, each after those that it needs."""
    names, placed = [c.name for c in conditions], {}
    waiting = list(conditions)
    while waiting:
        ready = [c for c in waiting if all(other in placed for other in (*c.needs, *c.told_by))]
        if not ready or len(set(names)) < len(names):
            raise ValueError(f"conditions need one another or are named twice: {[c.name for c in waiting]}")
        placed |= {c.name: c for c in ready}
        waiting = [c for c in waiting if c.name not in placed]
    return tuple(placed.values())


CONDITIONS = _in_order(
    (
        *interface.CONDITIONS,
        *episodes.BEGINNINGS,
        *reward.CONDITIONS,
        *goals.CONDITIONS,
        *episodes.ENDINGS,
        *observation.CONDITIONS,
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
    failed: dict[str, str] = {}  # conditions that others must not rely on, with the one that is at the root of it
    warned: set[str] = set()
    for condition in CONDITIONS:
        root = next((failed[n] for n in condition.needs if n in failed), None)
        root = root or next((n for n in condition.told_by if n in failed or n in warned), None)
        if root is not None:
            failed[condition.name] = root
            outcome = unexamined(root)
        elif time.perf_counter() - began > seconds:
            outcome = unseen(f"not examined within {seconds:g} s")
        else:
            outcome = _measured(condition, evidence)
            if outcome.status == "fails":
                failed[condition.name] = condition.name
            elif outcome.status == "warns":
                warned.add(condition.name)
        yield found(condition, outcome)


def _measured(condition: Condition, evidence: Evidence) -> Outcome:
    """Measure; an environment that raises meanwhile fails the condition."""
    try:
        return condition.measure(evidence)
    except UserError as error:
        return Outcome("fails", str(error))
    except Exception as error:  # a stranger's code: whatever it raises is the finding
        return Outcome("fails", f"the environment raised {type(error).__name__}: {error}")


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
