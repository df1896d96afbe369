"""Runs of several configurations on one page: their curves together, what differs, and what each achieves."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from markupsafe import Markup

from wellposed import verdict as verdicts
from wellposed.analysis.curves import Band, Curve, learning_curve
from wellposed.analysis.summary import summary_over_seeds
from wellposed.report.figures import STYLE, as_svg, share_over_steps
from wellposed.report.page import finished, render
from wellposed.runs.listing import differing
from wellposed.runs.store import RunReader, env_id
from wellposed.serialise import flatten

COLOURS = ("#1667a8", "#c8553d", "#157f4f", "#7a4fa3", "#b0852a", "#4a5561")


def write_overview(readers: list[RunReader], target: Path, threads: int) -> None:
    """Write the page of finished runs; those without a verdict play their held-out episodes now.

    Raises:
        UserError: if a run is not finished, or the runs of one configuration were never evaluated at the same step.
    """
    groups: dict[str, list[RunReader]] = {}
    for reader in readers:
        finished(reader)
        groups.setdefault(reader.path.resolve().name.rpartition("_s")[0], []).append(reader)
    settings = [_settings(runs[0]) for runs in groups.values()]
    curves = [learning_curve([reader.evaluations for reader in runs]) for runs in groups.values()]
    found = [
        _configuration(runs, of_one, settings, threads) for runs, of_one in zip(groups.values(), settings, strict=True)
    ]
    for number, one in enumerate(found, 1):
        one["number"] = number
    figure = together([f"{one['number']}" for one in found], curves)
    render("overview.html.j2", target, configurations=found, runs=len(readers), curve_svg=Markup(figure))


def _settings(reader: RunReader) -> dict[str, Any]:
    """All settings of a run but its seed, by dotted name."""
    return flatten({name: value for name, value in reader.config.items() if name != "seed"})


def _configuration(
    runs: list[RunReader], mine: dict[str, Any], all_of: list[dict[str, Any]], threads: int
) -> dict[str, Any]:
    """What the page says of one configuration."""
    judged = [verdicts.stored_verdict(reader.path, threads) for reader in runs]
    rates = [one.trained.success_rate for one in judged]
    return {
        "env": env_id(runs[0].config),
        "algo": runs[0].config["algo"].upper(),
        "differs": differing(mine, all_of),
        "success": summary_over_seeds(rates, "rate", episodes=judged[0].trained.episodes).text,
        "random": judged[0].random.success_rate,
        "steps": [finished(reader).step for reader in runs],
        "seconds": [finished(reader).seconds for reader in runs],
    }


def together(names: Sequence[str], curves: Sequence[Curve | Band]) -> str:
    """Success against environment steps of several configurations in one figure, each with its interval.

    From where a run of a band had stopped and is carried on, the band's line is thin and dotted.
    """
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 4.4))
        for i, (name, curve) in enumerate(zip(names, curves, strict=True)):
            colour = COLOURS[i % len(COLOURS)]
            line = "-" if i < len(COLOURS) else "--"
            ax.fill_between(curve.step, curve.low, curve.high, color=colour, alpha=0.12, linewidth=0)
            whole = curve.step <= curve.whole if isinstance(curve, Band) else np.full(len(curve.step), True)
            look = {"color": colour, "marker": "o", "markersize": 3}
            ax.plot(curve.step[whole], curve.success[whole], line, linewidth=2, label=name, **look)
            if not whole.all():
                rest = slice(int(whole.sum()) - 1, None)
                ax.plot(curve.step[rest], curve.success[rest], ":", linewidth=1, **look)
        ax.set_xlim(0, max(float(curve.step[-1]) for curve in curves) * 1.01 or 1)
        share_over_steps(ax, "success at the last step")
        return as_svg(fig)
