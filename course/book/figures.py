"""Draws the figures of the course as SVG elements, from arrays.

They fit a column on a phone, have no background, and take their colours from CSS variables of the page, so that one
figure serves the light and dark schemes and print.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, PercentFormatter

from wellposed import stats
from wellposed.report.figures import ACCENT, FAINT, INK, STYLE, WARN, as_svg

Axis = Literal["steps", "updates", "seconds"]
LABELS: dict[Axis, str] = {
    "steps": "environment steps, all envs together",
    "updates": "gradient updates",
    "seconds": "seconds of training",
}
WIDTH = 5.6  # inches of 72 points: a phone shows 10-point letters at about 9 pixels
SERIES = ("#1667a8", "#c8553d", "#3a7d44", "#7b4ea3", "#a87a16", "#1f8a8a", "#5c6773", "#a8407c")
CARRIED = "some seeds have stopped"  # from there the mean holds their last success
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
VARIABLES = {INK: "--wp-ink", FAINT: "--wp-faint", WARN: "--wp-warn", ACCENT: "--wp-series-0"}
VARIABLES |= {colour: f"--wp-series-{i}" for i, colour in enumerate(SERIES) if colour not in VARIABLES}
_COURSE: Any = {"savefig.transparent": True, "legend.labelcolor": INK, "text.color": INK, "axes.titlesize": 10}


@dataclass(frozen=True)
class Band:
    """Success of one variant: its mean over seeds with an interval, and each seed.

    Seeds that have stopped are carried on in the mean: with their last success, or with 0 if they diverged.
    """

    name: str
    x: np.ndarray  # [m]
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    seeds: list[tuple[np.ndarray, np.ndarray]]  # (x, success) of each run, to its end

    @property
    def whole(self) -> float:
        """The last x at which all seeds were in training."""
        return min(float(x[-1]) for x, _ in self.seeds)

    @property
    def carries(self) -> bool:
        """Whether some seeds stopped before others, so that a part of the mean is carried on."""
        return self.whole < float(self.x[-1])


@dataclass(frozen=True)
class Panel:
    """One quantity of a run over training."""

    label: str
    x: np.ndarray  # environment steps [m]
    y: np.ndarray
    low: np.ndarray | None = None  # lower end of a range around y
    high: np.ndarray | None = None
    logarithmic: bool = False


@dataclass(frozen=True)
class Span:
    """A phase of a run, in environment steps."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True)
class Cell:
    """The results for one combination of two settings."""

    success: tuple[float, float, float]  # mean over seeds and its interval
    steps: float | None  # median over seeds; None if fewer than half of them reached the bar
    budget: float  # steps; a lower bound of `steps` if that is None
    solved: str  # as in "5 of 5"


@dataclass(frozen=True)
class Grid:
    """The results for every combination of two settings."""

    across: str  # name of the setting that varies from column to column
    down: str
    columns: list[str]  # its values
    rows: list[str]
    cells: list[list[Cell | None]]  # [rows][columns]; None if there is no such variant
    needed: str  # heading of the steps, as "steps to the bar"


@dataclass(frozen=True)
class Played:
    """Success and change of action of a policy under an interface, each as (value, low, high)."""

    policy: str
    control: str
    success: tuple[float, float, float]
    change: tuple[float, float, float]
    front: bool  # nothing else has at least its success with less change


def front(points: Sequence[Played]) -> str:
    """Success against change of action; a line joins the points that no other one beats in both."""
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 3.8))
        for i, policy in enumerate(dict.fromkeys(point.policy for point in points)):
            own = [point for point in points if point.policy == policy]
            xy = np.array([(point.change[0], point.success[0]) for point in own])
            ends = np.array([[(p.change, p.success)[axis] for p in own] for axis in (0, 1)])  # [axis, point, 3]
            bars = [np.abs(of_axis[:, 1:] - of_axis[:, :1]).T for of_axis in ends]
            shape = {"marker": "os^D"[i % 4], "color": SERIES[i % len(SERIES)]}
            ax.errorbar(*xy.T, xerr=bars[0], yerr=bars[1], linestyle="", elinewidth=0.8, label=policy, **shape)
            for point, place in zip(own, xy, strict=True):
                ax.annotate(point.control, place, xytext=(4, 4), textcoords="offset points", fontsize=7, color=INK)
        best = np.array(sorted((p.change[0], p.success[0]) for p in points if p.front))
        ax.plot(*best.T, color=FAINT, linewidth=1.2, linestyle=":", zorder=0, label="not beaten in both")
        _success_axis(ax)
        ax.set_xlim(left=0)
        ax.set_xlabel("mean squared change of the applied action, per step and component")
        _legend(ax, 4)
        return themed(as_svg(fig))


def levels(bands: Sequence[Band], label: str) -> str:
    """Success of several variants against the level of a disturbance; `label` names the level and its unit."""
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 3.5))
        for i, band in enumerate(bands):
            look = {"color": SERIES[i % len(SERIES)], "linestyle": DASHES[(i // 2) % len(DASHES)], "label": band.name}
            ends = [band.mean - band.low, band.high - band.mean]
            ax.errorbar(band.x, band.mean, ends, marker="o", markersize=4, linewidth=1.6, elinewidth=0.8, **look)
        _success_axis(ax)
        ax.set_xlabel(label)
        _legend(ax, len(bands))
        return themed(as_svg(fig))


def learning(bands: Sequence[Band], axis: Axis, floor: float | None) -> str:
    """Success of several variants; `floor`: the share of goals that are reached before the first action.

    A dot marks where a seed stopped. The mean is a thin dotted line from where the first one did.
    """
    with style():
        fig, ax = plt.subplots(figsize=(WIDTH, 3.5))
        for i, band in enumerate(bands):
            colour, dash = SERIES[i % len(SERIES)], DASHES[(i // 2) % len(DASHES)]
            for x, y in band.seeds:
                ax.plot(x, y, color=colour, alpha=0.28, linewidth=0.8)
                ax.plot(x[-1:], y[-1:], ".", color=colour, alpha=0.6, markersize=5)
            ax.fill_between(band.x, band.low, band.high, color=colour, alpha=0.15, linewidth=0)
            x, mean = _split_at(band)
            ax.plot(x[0], mean[0], color=colour, linewidth=2, linestyle=dash, label=band.name)
            ax.plot(x[1], mean[1], color=colour, linewidth=1, linestyle=(0, (1, 1.5)))
        carries = any(band.carries for band in bands)
        if carries:
            ax.plot([], [], color=INK, linewidth=1, linestyle=(0, (1, 1.5)), label=CARRIED)
        if floor is not None:
            ax.axhline(floor, color=FAINT, linewidth=1.2, linestyle=":", label="already solved at reset")
        _success_axis(ax)
        _counts(ax)
        ax.set_xlim(0, max(float(band.x[-1]) for band in bands) * 1.01 or 1)
        ax.set_xlabel(LABELS[axis])
        _legend(ax, len(bands) + (floor is not None) + carries)
        return themed(as_svg(fig))


def _split_at(band: Band) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """x and mean of a band, each as the part in which all seeds trained and the part that is carried on."""
    at = np.array([band.whole])
    x = np.union1d(band.x, at)
    mean = np.interp(x, band.x, band.mean)
    before, after = x <= at, x >= at
    return (x[before], x[after]), (mean[before], mean[after])


def losses(panels: Sequence[Panel], phases: Sequence[Span], floor: float) -> str:
    """Success on top, other quantities of the same run below, over the phases of the run."""
    with style():
        heights = [1.5, *[1.0] * (len(panels) - 1)]
        size = (WIDTH, 0.9 + 1.15 * sum(heights))
        fig, axes = plt.subplots(len(panels), 1, figsize=size, sharex=True, height_ratios=heights, squeeze=False)
        for i, (ax, panel) in enumerate(zip(axes[:, 0], panels, strict=True)):
            for span, shade in zip(phases, (0.0, 0.16, 0.07), strict=False):
                ax.axvspan(span.begin, span.end, color=FAINT, alpha=shade, linewidth=0)
            if panel.low is not None and panel.high is not None:
                ax.fill_between(panel.x, panel.low, panel.high, color=SERIES[i % 8], alpha=0.15, linewidth=0)
            ax.plot(panel.x, panel.y, color=SERIES[i % 8], linewidth=1.8)
            if panel.logarithmic:
                _decades(ax, panel.y)
            else:
                ax.yaxis.set_major_locator(MaxNLocator(4))
            ax.set_ylabel(panel.label)
            ax.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.7)
        top, bottom = axes[0, 0], axes[-1, 0]
        _success_axis(top)
        top.set_ylabel(panels[0].label)
        top.axhline(floor, color=FAINT, linewidth=1.2, linestyle=":")
        _phase_names(top, phases, end=max(float(panel.x[-1]) for panel in panels))
        _counts(bottom)
        bottom.set_xlim(0, max(float(panel.x[-1]) for panel in panels))
        bottom.set_xlabel(LABELS["steps"])
        fig.align_ylabels()
        fig.tight_layout(h_pad=0.6)
        return themed(as_svg(fig))


def grid(found: Grid) -> str:
    """A table of all cells, and below it success and steps as lines, parallel if the settings do not interact."""
    with style():
        rows = len(found.rows)
        heights = [0.85 * rows + 0.8, 0.25 * -(-rows // 3) + 0.25, 2.8]
        shape = {"figsize": (WIDTH, sum(heights)), "height_ratios": heights, "layout": "constrained"}
        fig, axes = plt.subplot_mosaic([["cells"] * 2, ["names"] * 2, ["success", "steps"]], **shape)
        left, right = axes["success"], axes["steps"]
        _cells(axes["cells"], found)
        x = np.arange(len(found.columns))
        for i, (name, cells) in enumerate(zip(found.rows, found.cells, strict=True)):
            known = [(at, cell) for at, cell in zip(x, cells, strict=True) if cell is not None]
            at = np.array([place for place, _ in known]) + 0.05 * (i - (rows - 1) / 2)
            colour, dash = SERIES[i % len(SERIES)], DASHES[(i // 2) % len(DASHES)]
            mean, low, high = np.array([cell.success for _, cell in known]).T
            left.errorbar(at, mean, [mean - low, high - mean], color=colour, linestyle=dash, marker="o", ms=4, lw=1.6,
                          label=name)  # fmt: skip
            steps = np.array([np.nan if cell.steps is None else cell.steps for _, cell in known])
            right.plot(at, steps, color=colour, linestyle=dash, marker="o", markersize=4, linewidth=1.6)
            missed = np.isnan(steps)
            budget = np.array([cell.budget for _, cell in known])
            right.plot(at[missed], budget[missed], "^", color=colour, fillstyle="none", markersize=6)
        for ax in (left, right):
            ax.set_xticks(x, found.columns)
            ax.set_xlim(-0.35, len(x) - 0.65)
            ax.set_xlabel(found.across)
            ax.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.7)
        _success_axis(left)
        left.set_ylabel("success, held out")
        right.set_ylim(bottom=0)
        right.set_ylabel(f"median {found.needed}")
        right.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
        names = left.get_legend_handles_labels()
        axes["names"].axis("off")
        look = {"frameon": False, "loc": "center left", "borderpad": 0, "alignment": "left"}
        axes["names"].legend(*names, title=found.down, ncols=min(rows, 3), **look)
        return themed(as_svg(fig))


def themed(svg: str, alt: str = "") -> str:
    """An SVG element whose colours are the page's variables, with an alternative text."""
    for colour, name in VARIABLES.items():
        svg = svg.replace(colour, f"var({name})")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r' width="([\d.]+)pt" height="[\d.]+pt"', r' style="--wp-natural: \1pt"', svg, count=1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(alt)}" ', 1) if alt else svg


@contextmanager
def style() -> Iterator[None]:
    """The style of all figures of the course."""
    with plt.rc_context(STYLE | _COURSE):
        yield


def _cells(ax: Axes, found: Grid) -> None:
    """The table of a grid: mean success with its interval, solved runs, steps; darker with more success."""
    for y, cells in enumerate(found.cells):
        for x, cell in enumerate(cells):
            if cell is None:
                continue
            mean, low, high = cell.success
            patch = Rectangle((x - 0.49, y - 0.47), 0.98, 0.94, color=ACCENT, alpha=0.04 + 0.26 * mean, linewidth=0)
            ax.add_patch(patch)
            needed = f"> {cell.budget:,.0f}" if cell.steps is None else f"{cell.steps:,.0f}"
            places = stats.carried_places(100 * low, 100 * high) or 0
            shown = [stats.to_places(100 * one, places) for one in (mean, low, high)]
            lines = [f"{shown[0]}%", f"({shown[1]}-{shown[2]})", cell.solved, f"{needed} steps"]
            for i, line in enumerate(lines):  # one below the other, so that four columns fit on a page
                ax.text(x, y - 0.33 + 0.22 * i, line, ha="center", va="center", fontsize=8 if i else 9)
    ax.set_xlim(-0.5, len(found.columns) - 0.5)
    ax.set_ylim(len(found.rows) - 0.5, -0.5)
    ax.set_xticks(range(len(found.columns)), found.columns)
    ax.set_yticks(range(len(found.rows)), found.rows)
    ax.set_xlabel(found.across)
    ax.set_ylabel(found.down)
    ax.xaxis.set_label_position("top")
    ax.xaxis.tick_top()
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _success_axis(ax: Axes) -> None:
    ax.set_ylim(-0.03, 1.03)
    ax.set_yticks(np.linspace(0, 1, 5))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_ylabel("success at the last step")
    ax.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.7)


def _phase_names(ax: Axes, phases: Sequence[Span], end: float) -> None:
    """Names of phases above the axes, where they begin; a name that would overlap goes one line higher."""
    free, row = 0.0, 0
    for span in phases:
        width = 0.018 * len(span.name) * end  # approximate, for 9-point letters
        begin = min(span.begin, end - width)
        row = 1 - row if begin < free else 0
        free = begin + width
        ax.annotate(
            span.name, (begin, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3 + 11 * row),
            textcoords="offset points", fontsize=9, color=INK,
        )  # fmt: skip


def _decades(ax: Axes, values: np.ndarray) -> None:
    """A logarithmic axis with few ticks, labelled with plain numbers."""
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return
    ax.set_yscale("log")
    wide = positive.max() / positive.min() > 30
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0), numticks=6))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    if positive.max() < 1.5 * positive.min():  # so that a nearly constant quantity is not magnified
        ax.set_ylim(positive.min() / 2, positive.max() * 2)


def _counts(ax: Axes) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))


def _legend(ax: Axes, entries: int) -> None:
    """Above the axes, so that it covers nothing."""
    ax.legend(
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=min(entries, 3),
        columnspacing=1.2,
        handlelength=1.8,
    )
