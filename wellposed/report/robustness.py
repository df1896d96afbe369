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
        svgs=[Markup(figures.level_figure(curve)) for curve in found.curves],
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
        rates = ", ".join(f"{_short(one.level)}: {100 * one.success.value:.0f} %" for one in curve.levels[1:])
        told.append(f"{curve.name} ({curve.setting}, {curve.unit}): {rates}; {describe(curve.crossings[0], curve)}")
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


def describe(one: Crossing, curve: LevelCurve) -> str:
    """Where success falls to a rate: `success falls to 90 % at 0.012 (interval from 0.009 to 0.02)`."""
    share, first, last = f"{100 * one.share:.0f} %", curve.levels[0].level, curve.levels[-1].level
    if one.level is None:
        end = f"up to {_short(last)}, the largest" if last > first else f"down to {_short(last)}, the smallest"
        told = f"success stays above {share} {end} level tried"
    elif one.level == first:
        told = f"success is not above {share} without the disturbance either"
    else:
        told = f"success falls to {share} at {_short(one.level)}"
    if one.low is None:  # not even the lower ends of the intervals fall to it
        return told
    reach = "on" if one.high is None else f"to {_short(one.high)}"
    return f"{told} (interval from {_short(one.low)} {reach})"


def _crossing_row(curve: LevelCurve) -> tuple[str, ...]:
    where = [describe(one, curve).removeprefix("success ") for one in curve.crossings]
    return curve.about, f"{curve.setting}, {curve.unit}", *where, _rate(curve.area)


def _level_row(curve: LevelCurve, one: Level) -> tuple[str, ...]:
    return curve.about, f"{_short(one.level)} {curve.unit}", _rate(one.success), _points(one.lost)


def _worst_row(one: WorstCase) -> tuple[str, ...]:
    where = [f"{name} {value:.3g} of {_short(one.ranges[name][0])} to {_short(one.ranges[name][1])}"
             for name, value in one.found.items()]  # fmt: skip
    return one.about, _rate(one.worst), _rate(one.average), _points(one.lost), ", ".join(where)
