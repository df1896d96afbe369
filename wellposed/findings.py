"""Findings: what the laboratory says about a problem, a run or a machine, each with its evidence.

A condition of a certificate (`wellposed.check`), a rule of a diagnosis (`wellposed.diagnose`) and a test of the machine
(`wellposed.doctor`) all answer with the same class.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["holds", "warns", "fails", "open"]  # open: not examined, or nothing was seen that decides it

# Of a diagnosis. A mechanism does not do what it says; a setting is out of all proportion; a symptom is the effect of
# one or the other. Causes are told before symptoms, so the order here is the order of telling.
Kind = Literal["mechanism", "setting", "symptom"]
KINDS: tuple[Kind, ...] = ("mechanism", "setting", "symptom")


@dataclass(frozen=True)
class Finding:
    """One thing that was examined. `why` and `advice` are empty where there is nothing to mend."""

    name: str  # of the condition, the rule or the test
    status: Status
    evidence: str  # what was measured, in words and numbers
    numbers: dict[str, Any] = field(default_factory=dict)  # the same numbers, for programs
    why: str = ""  # why it matters
    advice: str = ""  # the one thing to do
    states: str = ""  # of a condition: what holds, as a whole sentence
    because: str = ""  # of a condition that was not examined: the name of the failed one that prevents it
    kind: Kind | None = None  # of a rule
    sure: float = 1.0  # of a rule: how likely it is that something is wrong, 0 to 1
    step: int | None = None  # of a rule: the newest row that it rests on

    @property
    def how_sure(self) -> str:
        """`sure` in words."""
        words = ((0.95, "all but certain"), (0.8, "very likely"), (0.6, "likely"), (0.0, "possible"))
        return next(word for bound, word in words if self.sure >= bound)
