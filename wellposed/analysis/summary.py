"""One metric over seeds in one line: its value, its interval, and the seeds and episodes behind it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal, get_args

import numpy as np

from wellposed import stats
from wellposed.analysis import survival

Kind = Literal["rate", "share", "count", "seconds", "number"]
Statistic = Literal["mean", "low", "high", "min", "max", "median", "each", "n"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)


@dataclass(frozen=True)
class Summary:
    """A metric over seeds.

    The mean has the interval of `stats.over_seeds`. Times to the bar have no mean as soon as a seed is censored: then
    the median is given, and `confidence` may be below 95 %.
    """

    kind: Kind
    each: list[float]  # in the order given; for a censored seed the budget it used up
    censored: list[bool] | None  # null: not a time to the bar
    statistic: Literal["mean", "median"]
    value: float | None  # null: larger than could be observed
    low: float | None  # null: no interval
    high: float | None  # null: no interval, or one without an upper end
    confidence: float
    episodes: int | None  # held-out episodes of each seed, for a rate

    @property
    def text(self) -> str:
        """`98.6 % (mean, 95 % CI 93.9-100.0, 5 seeds x 100 episodes)`, to the digit that the interval carries."""
        how_many = f"{len(self.each)} seeds" if len(self.each) > 1 else "one seed"
        if self.statistic == "median":
            there = sum(isfinite(v) for v in _reached(self.each, self.censored))
            seeds = f"{there or 'none'} of {len(self.each)} seed{'s' if len(self.each) > 1 else ''} reached it"
        else:
            seeds = how_many + (f" x {self.episodes} episodes" if self.episodes else "")
        value = self.pick_text(self.statistic)
        if self.value is not None:
            value = format_value(self.value, self.kind, self._places())
        if self.low is None:
            same = self.statistic == "mean" and len(self.each) > 1
            label = "median, " if self.statistic == "median" and self.value is not None else ""
            return f"{value} ({'each of ' if same else label}{seeds})"
        label = f"{self.statistic}, " if len(self.each) > 1 else ""
        return f"{value} ({label}{100 * self.confidence:.0f} % CI {self._ends()}, {seeds})"

    def pick(self, statistic: Statistic) -> float | list[float | None] | None:
        """One statistic; None where it does not exist. `low` and `high` are the ends of the interval, `n` the seeds.

        Raises:
            KeyError: if there is no such statistic.
        """
        reached = _reached(self.each, self.censored)
        if statistic == "each":
            return [_end(value) for value in reached]
        return {
            "mean": self.value if self.statistic == "mean" else None,
            "low": self.low,
            "high": self.high,
            "min": _end(min(reached)),
            "max": _end(max(reached)),
            "median": self._median(),
            "n": float(len(self.each)),
        }[statistic]

    def pick_text(self, statistic: Statistic) -> str:
        """`pick` as text in the metric's unit; a censored value reads "more than ..."."""
        if statistic == "n":
            return str(len(self.each))
        if statistic == "each":
            pairs = zip(self.each, self.censored or [False] * len(self.each), strict=True)
            return ", ".join(self._more(value) if late else format_value(value, self.kind) for value, late in pairs)
        found = self.pick(statistic)
        if isinstance(found, float):
            places = self._places() if statistic in ("mean", "low", "high") else None
            return format_value(found, self.kind, places)
        if statistic in ("min", "median", "max") and self.censored is not None:
            used = sorted(value for value, late in zip(self.each, self.censored, strict=True) if late)
            if statistic == "median":
                return self._more(survival.Times(self.each, ~np.array(self.censored)).median().value or inf)
            return self._more(used[-1] if statistic == "max" else used[0])
        return "-"

    def _median(self) -> float | None:
        """The median; for times Kaplan and Meier's, which is the lower of the middle two of an even number."""
        if self.censored is None:
            return float(np.median(self.each))
        found = survival.Times(self.each, ~np.array(self.censored)).median()
        return None if found.censored else found.value

    def _more(self, value: float) -> str:
        return f"more than {format_value(value, self.kind)}" if isfinite(value) else "never"

    def _ends(self) -> str:
        """The interval's ends, without their unit."""
        assert self.low is not None
        _, _, unit = _FORMS[self.kind]
        places = self._places()
        low = format_value(self.low, self.kind, places).removesuffix(unit)
        if self.high is None:
            return f"{low} or more"
        high = format_value(self.high, self.kind, places).removesuffix(unit)
        return f"{low}{' to ' if low.startswith('-') else '-'}{high}"

    def _places(self) -> int | None:
        """The decimal places that the interval carries, in the unit of the text; None: it sets no limit."""
        if self.low is None or self.high is None:
            return None
        factor, _, _ = _FORMS[self.kind]
        places = stats.carried_places(factor * self.low, factor * self.high)
        return min(places, 0) if places is not None and self.kind == "count" else places


def summary_over_seeds(
    values: Sequence[float] | np.ndarray,
    kind: Kind,
    *,
    episodes: int | None = None,
    censored: Sequence[bool] | np.ndarray | None = None,
    median: bool = False,
) -> Summary:
    """Summarise a metric over seeds.

    Args:
        values: one for each seed, [n].
        kind: "rate" (of held-out episodes), "share" (any other in [0, 1]), "count" (of steps or updates), "seconds", or
            "number" (anything else).
        episodes: held-out episodes of each seed, the same ones for all; for a rate only.
        censored: for times to the bar, whether a seed did not reach it; its value is then the budget it used up, or
            infinite if it diverged. [n]
        median: use the median of times even if every seed reached the bar, for comparison with another median.

    Raises:
        ValueError: if there is no value, or the values do not fit their kind.
    """
    each = [float(value) for value in values]
    if (kind == "rate") != (episodes is not None):
        raise ValueError("a rate needs the number of episodes, and nothing else has one")
    late = None if censored is None else [bool(one) for one in censored]
    if late is not None and (median or any(late)):
        times = survival.Times(each, ~np.array(late))
        found, (low, high, sure) = times.median(), times.median_interval()
        value = None if found.censored else found.value
        return Summary(kind, each, late, "median", value, _end(low) or None, _end(high), sure, episodes)
    mean, low, high = stats.over_seeds(np.array(each), episodes)
    low = max(low, 0.0) if kind in ("share", "count", "seconds") and isfinite(low) else low
    high = min(high, 1.0) if kind == "share" and isfinite(high) else high
    return Summary(kind, each, late, "mean", mean, _end(low), _end(high), 0.95, episodes)


# The factor, the form and the unit of each kind; rates and shares are in per cent.
_FORMS: dict[Kind, tuple[float, Callable[[float], str], str]] = {
    "rate": (100, lambda value: f"{value:.1f}", " %"),
    "share": (100, lambda value: f"{value:.3g}", " %"),
    "count": (1, lambda value: f"{value:,.0f}", ""),
    "seconds": (1, lambda value: f"{value:.1f}" if value < 100 else f"{value:,.0f}", " s"),
    "number": (1, lambda value: f"{value:.4g}", ""),
}


def format_value(value: float, kind: Kind, places: int | None = None) -> str:
    """A value with its unit: `98.6 %`, `0.0293 %` of a share, `31,000`, `12.3 s`, `0.0123`; or to decimal places."""
    factor, form, unit = _FORMS[kind]
    return (form(factor * value) if places is None else stats.to_places(factor * value, places)) + unit


def _reached(each: list[float], censored: list[bool] | None) -> list[float]:
    """The values, infinite for censored seeds."""
    return [inf if late else value for value, late in zip(each, censored or [False] * len(each), strict=True)]


def _end(value: float) -> float | None:
    return value if isfinite(value) else None
