"""Figures as SVG text, drawn from arrays."""

import io
from typing import Any

import matplotlib

matplotlib.use("svg")  # before pyplot, so that no display is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from wellposed.analysis.curves import Curve
from wellposed.analysis.robustness import LevelCurve
from wellposed.analysis.study import Sensitivity
from wellposed.analysis.survival import StepCurve

INK, FAINT, ACCENT, WARN = "#1d2733", "#8a97a6", "#1667a8", "#c8553d"
GRID: Any = {"color": FAINT, "alpha": 0.25, "linewidth": 0.7}
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: selectable, in the font of the page
    "svg.hashsalt": "wellposed",  # the same data gives the same file
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def learning_curve(curve: Curve, random_rate: float, solved_rate: float) -> str:
    """Success against environment steps with its interval; updates and seconds as further axes below.

    `random_rate`: success of random actions; `solved_rate`: share of goals already reached at reset. Below either of
    them nothing has been learnt.
    """
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 4.9))
        several = len(curve.per_run) > 1
        if several:
            for step, success in curve.per_run:
                ax.plot(step, success, color=ACCENT, alpha=0.35, linewidth=1)
        ax.fill_between(curve.step, curve.low, curve.high, color=ACCENT, alpha=0.16, linewidth=0)
        label = f"mean of {len(curve.per_run)} runs" if several else "trained policy, greedy"
        ax.plot(curve.step, curve.success, color=ACCENT, linewidth=2.2, marker="o", markersize=4, label=label)
        ax.axhline(random_rate, color=WARN, linewidth=1.2, linestyle="--", label="random actions")
        ax.axhline(solved_rate, color=FAINT, linewidth=1.2, linestyle=":", label="already solved at reset")
        ax.set_xlim(0, max(step[-1] for step, _ in curve.per_run) * 1.01 or 1)
        share_over_steps(ax, "success at the last step")
        _axis_below(ax, curve.step, curve.updates, 42, "gradient updates", "{:,.0f}")
        _axis_below(ax, curve.step, curve.seconds, 82, "seconds of training", "{:,.1f}")
        return as_svg(fig)


def share_figure(curve: StepCurve, budget: int, seeds: int) -> str:
    """The share of seeds that have reached the bar against environment steps, with its interval."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 3.6))
        ax.fill_between(curve.time, curve.low, curve.high, step="post", color=ACCENT, alpha=0.16, linewidth=0)
        ax.step(curve.time, curve.share, where="post", color=ACCENT, linewidth=2.2, label=f"of {seeds} seeds")
        ax.axvline(budget, color=FAINT, linewidth=1.2, linestyle=":", label="budget")
        ax.set_xlim(0, 1.02 * float(curve.time[-1]))
        share_over_steps(ax, "share that reached the bar")
        return as_svg(fig)


def rates_figure(rates: list[tuple[str, float, tuple[float, float]]]) -> str:
    """Rates with their intervals, one below the other: (name, rate, interval)."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 0.42 * len(rates) + 0.8))
        for y, (_, rate, (low, high)) in enumerate(rates):
            ax.plot([low, high], [y, y], color=ACCENT, linewidth=6, alpha=0.25, solid_capstyle="butt")
            ax.plot(rate, y, "o", color=ACCENT, markersize=7)
        ax.set_yticks(range(len(rates)), [name for name, _, _ in rates])
        ax.set_ylim(len(rates) - 0.5, -0.5)
        ax.set_xlim(-0.02, 1.02)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_xlabel("success at the last step")
        ax.grid(axis="x", **GRID)
        return as_svg(fig)


def level_figure(curve: LevelCurve) -> str:
    """Success against the level of one disturbance, a small figure; the level of no disturbance is on the left."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(3.1, 2.4))
        level, success = ([getattr(one, name) for one in curve.levels] for name in ("level", "success"))
        ends = np.array([one.ci95 for one in success])
        ax.fill_between(level, ends[:, 0], ends[:, 1], color=ACCENT, alpha=0.16, linewidth=0)
        ax.plot(level, [one.value for one in success], color=ACCENT, linewidth=2, marker="o", markersize=4)
        for crossing in curve.crossings:
            ax.axhline(crossing.share, color=FAINT, linewidth=1, linestyle=":")
        ax.set_ylim(-0.03, 1.03)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.xaxis.set_major_formatter("{x:g}")
        if level[-1] < level[0]:
            ax.invert_xaxis()
        ax.set_title(curve.about, fontsize=9, color=INK)
        ax.set_xlabel(curve.unit)
        ax.set_ylabel("success")
        ax.grid(**GRID)
        fig.tight_layout()
        return as_svg(fig)


def sensitivity_figure(settings: list[Sensitivity], bar: float) -> str:
    """Success, and steps to the bar relative to the recipe's, against the factor of each setting.

    A dot is a seed. Where fewer than half of the seeds reached the bar, an open triangle marks a lower bound.
    """
    with plt.rc_context(STYLE):
        shape = {"figsize": (1.0 + 1.9 * len(settings), 4.4), "sharex": True, "sharey": "row", "squeeze": False}
        fig, axes = plt.subplots(2, len(settings), **shape)
        for (top, bottom), one in zip(axes.T, settings, strict=True):
            for factor, seeds in zip(one.factor, one.per_seed, strict=True):
                top.plot(np.full(len(seeds), factor), seeds, "o", color=INK, markersize=3, alpha=0.5)
            top.fill_between(one.factor, one.low, one.high, color=ACCENT, alpha=0.16, linewidth=0)
            top.plot(one.factor, one.success, color=ACCENT, linewidth=2, marker="o", markersize=4)
            top.axhline(bar, color=FAINT, linewidth=1.2, linestyle=":")
            top.set_ylim(-0.03, 1.03)
            top.yaxis.set_major_formatter(PercentFormatter(1.0))
            top.set_title(one.setting, fontsize=9, color=INK)
            bottom.plot(one.factor, np.where(one.censored, np.nan, one.need), color=ACCENT, linewidth=2, marker="o")
            bottom.plot(one.factor[one.censored], one.need[one.censored], "^", color=WARN, fillstyle="none")
            bottom.axhline(1.0, color=FAINT, linewidth=1.2, linestyle=":")
            bottom.set_xscale("log", base=2)
            bottom.set_xlim(2**-3.4, 2**3.4)
            bottom.set_xticks([1 / 8, 1 / 2, 2, 8], ["1/8", "1/2", "2", "8"])
            for ax in (top, bottom):
                ax.grid(**GRID)
        axes[0, 0].set_ylabel("success, held out")
        axes[1, 0].set_ylabel("steps to the bar\nover the recipe's")
        fig.supxlabel("factor by which the setting was moved", fontsize=10, color=INK)
        fig.tight_layout()
        return as_svg(fig)


def as_svg(fig: Any) -> str:
    """A figure as an SVG element; the figure is closed."""
    text = io.StringIO()
    fig.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close(fig)
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def share_over_steps(ax: Axes, label: str) -> None:
    """A share against environment steps, the legend above."""
    ax.set_ylim(-0.03, 1.03)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_ylabel(label)
    ax.set_xlabel("environment steps, all envs together", labelpad=2)
    ax.grid(axis="y", **GRID)
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncol=3)


def _axis_below(ax: Axes, step: np.ndarray, quantity: np.ndarray, offset: float, label: str, form: str) -> None:
    """Another horizontal axis, `offset` points below: the `quantity` at the ticks of the main axis."""
    low, high = ax.get_xlim()
    ticks = [t for t in ax.get_xticks() if low <= t <= min(high, step[-1])]
    second = ax.secondary_xaxis(0.0)
    second.spines["bottom"].set_position(("outward", offset))
    second.spines["bottom"].set_color(FAINT)
    second.set_xticks(ticks, [form.format(q) for q in np.interp(ticks, step, quantity)])
    second.set_xlabel(label, labelpad=2)
