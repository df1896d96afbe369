"""The page of a policy's robustness, and the same in lines for a terminal."""

from pathlib import Path
from typing import Any

from markupsafe import Markup

from wellposed.analysis.robustness import Crossing, Level, LevelCurve, Robustness, WorstCase
from wellposed.report import figures
from wellposed.report.page import render
from wellposed.runs.record import Estimate
from wellposed.runs.store import RunReader
from wellposed.serialise import flatten
from wellposed.stats import describe_rate


def write_page(found: Robustness, target: Path) -> None:
    """Write the page; raises UserError if the disk refuses."""
    readers = [RunReader(path) for path in found.runs]
    seeds = ", ".join(str(reader.config["seed"]) for reader in readers)
    render(
        "robustness.html.j2",
        target,
        found=found,
        clean=_rate(found.clean),
        svg=Markup(figures.levels_figure(found.curves)) if found.curves else "",
        crossings=[_crossing_row(curve) for curve in found.curves],
        levels=[_level_row(curve, one) for curve in found.curves for one in curve.levels[1:]],
        challenges=[
            (one.about, _rate(one.success), _points(one.lost),
             ", ".join(f"{name} {_short(value)}" for name, value in one.settings.items()))
            for one in found.challenges
        ],
        worst=[_worst_row(one) for one in found.worst_cases],
        configuration=flatten(readers[0].config | {"seed": seeds}),
        origin=readers[0].provenance,
    )  # fmt: skip


def lines(found: Robustness) -> list[str]:
    """The result in lines."""
    told = [f"{found.env}, undisturbed: {_rate(found.clean)}"]
    for curve in found.curves:
        rates = ", ".join(f"{_short(one.level)}: {one.success.value:.0%}" for one in curve.levels[1:])
        ninety = _level(curve.crossings[0], curve)
        told.append(f"{curve.name} ({curve.setting}, {curve.unit}): {rates}; 90 % at {ninety}")
    told += [f"{one.about}: {_rate(one.success)}, lost {_points(one.lost)}" for one in found.challenges]
    for one in found.worst_cases:
        at = " ".join(f"{name}={value:.3g}" for name, value in one.found.items())
        told.append(f"worst of {one.about}: {_rate(one.worst)} at {at}; on average {_rate(one.average)}")
    return told + [f"left out: {sentence}" for sentence in found.left_out]


def _rate(one: Estimate) -> str:
    return describe_rate(one.value, one.ci95)


def _points(one: Estimate) -> str:
    """A difference of rates in percentage points."""
    low, high = one.ci95
    return f"{100 * one.value:.0f} points ({100 * low:.0f} to {100 * high:.0f})"


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _level(one: Crossing, curve: LevelCurve) -> str:
    """`0.012 (0.009 to 0.02)`; a rate that the last level does not reach is said to lie beyond it."""
    last = curve.levels[-1].level

    def end(value: float | None) -> str:
        return f"beyond {_short(last)}" if value is None else _short(value)

    if one.low is None:
        return end(None)
    return f"{end(one.level)} ({end(one.low)} to {end(one.high)})"


def _crossing_row(curve: LevelCurve) -> tuple[str, ...]:
    where = [_level(one, curve) for one in curve.crossings]
    return curve.about, curve.setting, curve.unit, *where, _rate(curve.area)


def _level_row(curve: LevelCurve, one: Level) -> tuple[str, ...]:
    return curve.about, f"{_short(one.level)} {curve.unit}", _rate(one.success), _points(one.lost)


def _worst_row(one: WorstCase) -> tuple[str, ...]:
    where = [f"{name} {value:.3g} of {_short(one.ranges[name][0])} to {_short(one.ranges[name][1])}"
             for name, value in one.found.items()]  # fmt: skip
    return one.about, _rate(one.worst), _rate(one.average), _points(one.lost), ", ".join(where)
