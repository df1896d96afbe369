"""The certificate of well-posedness: every condition examined, a verdict, and what to do about it."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from wellposed.check import goals, horizon, interface, observation, resets, reward, success
from wellposed.check.evidence import Evidence
from wellposed.check.findings import Condition, Outcome, found, unexamined
from wellposed.check.subject import find_subject
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
        *resets.CONDITIONS,
        *reward.CONDITIONS,
        *success.CONDITIONS,
        *goals.CONDITIONS,
        *horizon.CONDITIONS,
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


def certify(name: str, *, gamma: float, seed: int = 0) -> Certificate:
    """Examine an environment.

    Args:
        name: a Gymnasium id, "module:Id-v0", or "module:factory", where factory() returns a `gymnasium.Env`.
        gamma: the discount that training would use, as `SACConfig().gamma`.
        seed: of the exploration.

    Raises:
        UserError: if there is no such environment, it cannot be made, or an argument is out of range.
    """
    began = time.perf_counter()
    findings = list(examine(name, seed=seed, gamma=gamma))
    return Certificate(name, verdict(findings), findings, time.perf_counter() - began)


def examine(name: str, *, gamma: float, seed: int = 0) -> Iterator[Finding]:
    """The findings of `certify`, one after another as they are made."""
    require(seed >= 0, "seed", "must not be negative", seed)
    require(0 <= gamma < 1, "gamma", "lies in [0, 1)", gamma)
    subject = find_subject(name)
    try:
        evidence = Evidence(subject, seed, gamma)
    except UserError:
        raise
    except Exception as error:  # a stranger's code: whatever it raises is told as a sentence
        raise UserError(f"{name} could not be made: {type(error).__name__}: {error}") from error
    with closing(evidence):
        yield from _examined(evidence)


def _examined(evidence: Evidence) -> Iterator[Finding]:
    """All conditions in order, each with what is known of those before it."""
    failed: dict[str, str] = {}  # conditions that others must not rely on, with the one that is at the root of it
    warned: set[str] = set()
    for condition in CONDITIONS:
        root = next((failed[n] for n in condition.needs if n in failed), None)
        root = root or next((n for n in condition.told_by if n in failed or n in warned), None)
        if root is not None:
            failed[condition.name] = root
            outcome = unexamined(root)
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
    except Exception as error:  # as above
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
