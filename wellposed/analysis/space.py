"""The space of a search: what each setting may be, and where a value lies in it."""

import json
from dataclasses import dataclass, field
from math import exp, log
from typing import Any

import numpy as np

from wellposed.serialise import LATER


@dataclass(frozen=True)
class Range:
    """The values of one setting: numbers from `low` to `high`, or the values of `choice`.

    Raises:
        ValueError: if it is neither, or its ends are not in order.
    """

    low: float | None = field(default=None, metadata=LATER)
    high: float | None = field(default=None, metadata=LATER)
    log: bool = field(default=False, metadata=LATER)  # uniform in the logarithm
    integer: bool = field(default=False, metadata=LATER)  # whole numbers, both ends among them
    points: int | None = field(default=None, metadata=LATER)  # of a grid, both ends among them
    choice: list[Any] | None = field(default=None, metadata=LATER)

    def __post_init__(self) -> None:
        if self.choice is not None:
            alone = (self.low, self.high, self.points, self.log, self.integer) == (None, None, None, False, False)
            if not alone or not self.choice or len({*map(label, self.choice)}) != len(self.choice):
                raise ValueError("a choice has different values and nothing beside them")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("a range has a low and a high end, in this order, or a choice of values")
        elif self.log and self.low <= 0:
            raise ValueError("a range in the logarithm begins above 0")
        elif self.integer and not (self.low == round(self.low) and self.high == round(self.high)):
            raise ValueError("a range of whole numbers ends with whole numbers")
        elif self.points is not None and self.points < 2:
            raise ValueError("a grid has at least 2 points on a range")

    def value(self, share: float) -> Any:
        """The value below which a share in [0, 1] of the range lies; shares that are uniform give its distribution."""
        if self.choice is not None:
            return self.choice[min(int(share * len(self.choice)), len(self.choice) - 1)]
        low, high = self._ends
        found = low + share * (high - low)
        found = exp(found) if self.log else found
        assert self.low is not None
        assert self.high is not None
        return (
            int(min(max(round(found), self.low), self.high)) if self.integer else min(max(found, self.low), self.high)
        )

    def place(self, value: Any) -> float:
        """Where a value lies, in [0, 1]: the inverse of `value`."""
        if self.choice is not None:
            return ([label(one) for one in self.choice].index(label(value)) + 0.5) / len(self.choice)
        low, high = self._ends
        return float(np.clip(((log(value) if self.log else value) - low) / (high - low), 0.0, 1.0))

    @property
    def grid(self) -> list[Any]:
        """The values of a grid. Raises ValueError if `points` is needed and missing."""
        if self.choice is not None:
            return self.choice
        if self.points is None:
            raise ValueError("a grid needs to know how many points a range has")
        low, high = self.low, self.high
        assert low is not None
        assert high is not None
        found = np.geomspace(low, high, self.points) if self.log else np.linspace(low, high, self.points)
        return sorted({round(one) for one in found}) if self.integer else [float(one) for one in found]

    @property
    def _ends(self) -> tuple[float, float]:
        """Both ends on the scale on which values are uniform; each whole number has one unit around it."""
        assert self.low is not None
        assert self.high is not None
        half = 0.5 * self.integer
        low, high = self.low - half, self.high + half
        return (log(low), log(high)) if self.log else (low, high)


def label(value: Any) -> str:
    """A value as people read it: `0.001`, `true`, `[256, 256]`."""
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
