"""Figures as SVG text, drawn from arrays."""

import io
from collections.abc import Callable
from typing import Any

import matplotlib

matplotlib.use("svg")  # before pyplot, so that no display is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from wellposed.analysis.study import Sensitivity, ShareCurve
from wellposed.analysis.tables import Curve, Need

INK, FAINT, ACCENT, WARN = "#1d2733", "#8a97a6", "#1667a8", "#c8553d"
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
        ax.set_ylim(-0.03, 1.03)
        ax.set_xlim(0, max(step[-1] for step, _ in curve.per_run) * 1.01 or 1)
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        ax.set_ylabel("success at the last step")
        ax.set_xlabel("environment steps, all copies together", labelpad=2)
        ax.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.7)
        ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncol=3)
        _axis_below(ax, curve.step, curve.updates, 42, "gradient updates", lambda x: f"{x:,.0f}")
        _axis_below(ax, curve.step, curve.seconds, 82, "seconds of training", lambda x: f"{x:,.1f}")
        return as_svg(fig)


def needs_figure(needs: list[Need], bar: str) -> str:
    """Environment steps and seconds that each variant needed to reach the bar: a dot per seed, a tick at the median.

    A run that did not reach it within its budget is an open triangle at the right edge.
    """
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(1, 2, figsize=(8.6, 0.36 * len(needs) + 1.1), sharey=True)
        for ax, quantity in zip(axes, ("steps", "seconds"), strict=True):
            finite = np.concatenate([getattr(need, quantity)[np.isfinite(getattr(need, quantity))] for need in needs])
            edge = 1.15 * float(finite.max()) if finite.size else 1.0
            for y, need in enumerate(needs):
                values = getattr(need, quantity)
                reached = values[np.isfinite(values)]
                colour = ACCENT if y == 0 else INK
                ax.plot(reached, np.full(len(reached), y), "o", color=colour, markersize=5, alpha=0.75)
                missed = len(values) - len(reached)
                ax.plot(
                    np.full(missed, edge), y + 0.12 * np.arange(missed), ">", color=WARN, markersize=6, fillstyle="none"
                )
                if len(reached) > len(values) / 2:
                    ax.plot(np.median(values), y, "|", color=colour, markersize=15, markeredgewidth=2)
            ax.set_xlim(0, 1.06 * edge)
            ax.grid(axis="both", color=FAINT, alpha=0.25, linewidth=0.7)
            ax.xaxis.set_major_locator(MaxNLocator(4))  # more labels of five digits would overlap
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
            ax.set_xlabel(f"{'environment steps' if quantity == 'steps' else 'seconds of training'} to {bar}")
        axes[0].set_yticks(range(len(needs)), [need.variant for need in needs])
        axes[0].invert_yaxis()
        fig.tight_layout()
        return as_svg(fig)


def share_figure(curve: ShareCurve, budget: int, seeds: int) -> str:
    """The share of seeds that have reached the bar against environment steps, with its interval."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 3.6))
        ax.fill_between(curve.step, curve.low, curve.high, step="post", color=ACCENT, alpha=0.16, linewidth=0)
        ax.step(curve.step, curve.share, where="post", color=ACCENT, linewidth=2.2, label=f"of {seeds} seeds")
        ax.axvline(budget, color=FAINT, linewidth=1.2, linestyle=":", label="budget")
        ax.set_ylim(-0.03, 1.03)
        ax.set_xlim(0, 1.02 * float(curve.step[-1]))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
        ax.set_ylabel("share that reached the bar")
        ax.set_xlabel("environment steps, all copies together")
        ax.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.7)
        ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncol=2)
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
        ax.grid(axis="x", color=FAINT, alpha=0.25, linewidth=0.7)
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
                ax.grid(color=FAINT, alpha=0.25, linewidth=0.7)
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


def _axis_below(
    ax: Axes, step: np.ndarray, quantity: np.ndarray, offset: float, label: str, show: Callable[[float], str]
) -> None:
    """Another horizontal axis, `offset` points below: the `quantity` at the ticks of the main axis."""
    low, high = ax.get_xlim()
    ticks = [t for t in ax.get_xticks() if low <= t <= min(high, step[-1])]
    second = ax.secondary_xaxis(0.0)
    second.spines["bottom"].set_position(("outward", offset))
    second.spines["bottom"].set_color(FAINT)
    second.set_xticks(ticks, [show(q) for q in np.interp(ticks, step, quantity)])
    second.set_xlabel(label, labelpad=2)
