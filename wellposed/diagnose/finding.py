"""One thing that is wrong with a run, as a rule tells it."""

from dataclasses import dataclass
from typing import Literal

# A mechanism does not do what it says; a setting is out of all proportion; a symptom is what one or the other leads to.
# Causes are told before symptoms, so the order here is the order of telling.
Kind = Literal["mechanism", "setting", "symptom"]
KINDS: tuple[Kind, ...] = ("mechanism", "setting", "symptom")


def percent(share: float, digits: int = 0) -> str:
    """A share as people read it: `14.6 %`."""
    return f"{100 * share:.{digits}f} %"


@dataclass(frozen=True)
class Finding:
    """What a rule found. All but the name and the numbers are whole sentences."""

    rule: str  # the name of the rule
    kind: Kind
    sure: float  # how likely it is that this is wrong, 0 to 1
    step: int  # of the newest row it rests on
    evidence: str  # with numbers and steps
    lesson: str  # why it matters
    change: str  # the one thing to try next

    @property
    def how_sure(self) -> str:
        """The same in words."""
        words = ((0.95, "all but certain"), (0.8, "very likely"), (0.6, "likely"), (0.0, "possible"))
        return next(word for bound, word in words if self.sure >= bound)
