"""The figures of a search: scores, parallel coordinates, importance and interactions of its settings."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from wellposed import stats
from wellposed.analysis.importance import Importance, Share, groups_of
from wellposed.analysis.search import Claim, Direction, Trial, sign
from wellposed.analysis.space import Range, label
from wellposed.analysis.summary import Kind, format_value
from wellposed.report.figures import ACCENT, FAINT, GRID, INK, STYLE, WARN, as_svg
from wellposed.report.overview import COLOURS

MOST_AXES, MOST_PAIRS, MOST_LINES = 7, 5, 6  # settings that are drawn, pairs of them, and lines of an interaction
_PAPER: Any = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8}  # behind the labels of an axis


def scores_figure(trials: Sequence[Trial], direction: Direction, kind: Kind, claim: Claim | None, name: str) -> str:
    """The score of each trial, the best so far, and what the winner has with fresh seeds."""
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 3.6))
        done = [trial for trial in trials if trial.outcome == "complete"]
        cut = [trial for trial in trials if trial.outcome == "pruned"]
        if cut:
            ax.plot(*_numbers_and_scores(cut), "x", color=FAINT, markersize=5, label="pruned, where it was cut short")
        number, score = _numbers_and_scores(done)
        ax.plot(number, score, "o", color=ACCENT, markersize=4, label="trial")
        best = np.maximum.accumulate(sign(direction) * np.array(score)) * sign(direction)
        ax.step(number, best, where="post", color=ACCENT, linewidth=1.6, label="best so far")
        if claim is not None:
            mean, low, high = claim.interval
            ax.axhspan(low, high, color=WARN, alpha=0.16, linewidth=0)
            ax.axhline(mean, color=WARN, linewidth=1.8, linestyle="--", label="winner, fresh seeds")
        ax.set_xlabel("trial")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set_ylabel(name)
        ax.yaxis.set_major_formatter(_form(kind))
        ax.grid(axis="y", **GRID)
        ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncol=4)
        return as_svg(fig)


def parallel_figure(
    space: dict[str, Range], trials: Sequence[Trial], direction: Direction, kind: Kind, name: str
) -> str:
    """Parallel coordinates: a line for each trial through its settings to its score; the last axis is the score.

    Source: Inselberg (1985), "The plane with parallel coordinates", The Visual Computer 1.
    """
    scores = np.array([trial.score for trial in trials])
    low, high = float(scores.min()), float(scores.max())
    rank = np.argsort(np.argsort(-sign(direction) * scores, kind="stable"), kind="stable")
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 4.2))
        for i in np.argsort(-rank):
            trial = trials[i]
            places = [one.place(trial.settings[setting]) for setting, one in space.items()]
            places.append(float(scores[i] - low) / (high - low) if high > low else 0.5)
            ax.plot(range(len(space) + 1), places, **_look(trial, int(rank[i]), len(trials)))
        for x, one in enumerate(space.values()):
            _axis(ax, x, [(one.place(value), label(value)) for value in _ticks(one)])
        _axis(ax, len(space), [(0.0, format_value(low, kind)), (1.0, format_value(high, kind))])
        ax.set_xticks(range(len(space) + 1), [*short_names(space), name])
        ax.tick_params(axis="x", length=0, pad=14)
        ax.set_xlim(-0.25, len(space) + 0.45)
        ax.set_ylim(-0.04, 1.04)
        ax.yaxis.set_visible(False)
        ax.spines[["left", "bottom"]].set_visible(False)
        return as_svg(fig)


def importance_figure(found: Importance) -> str:
    """Shares of variance with intervals, settings first and then pairs; the dotted line is the level of chance."""
    shown = [*found.single[:MOST_AXES], *found.pairs[:MOST_PAIRS]]
    every = [one.settings[0] for one in found.single]
    names = dict(zip(every, short_names(every), strict=True))
    with plt.rc_context(STYLE):
        fig, ax = plt.subplots(figsize=(8.6, 0.36 * len(shown) + 0.9))
        for y, one in enumerate(shown):
            colour = ACCENT if one.share.estimate > found.chance else FAINT
            ax.barh(y, one.share.estimate, height=0.55, color=colour, alpha=0.35, linewidth=0)
            ax.plot(one.share[1:], [y, y], color=colour, linewidth=2.2, solid_capstyle="butt")
            ax.plot(one.share.estimate, y, "o", color=colour, markersize=5)
        ax.axvline(found.chance, color=WARN, linewidth=1.3, linestyle=":", label="level of chance")
        ax.set_yticks(range(len(shown)), [" × ".join(names[name] for name in one.settings) for one in shown])
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.xaxis.set_major_formatter(PercentFormatter(1.0))
        ax.set_xlabel("share of the variance of scores")
        ax.grid(axis="x", **GRID)
        ax.legend(frameon=False, loc="lower right")
        return as_svg(fig)


def interactions_figure(
    space: dict[str, Range], trials: Sequence[Trial], pairs: Sequence[Share], kind: Kind, name: str
) -> str:
    """The mean score for each group of one setting, a line for each group of the other: parallel if none interacts.

    Groups are choices or thirds of a range; bars are 95 % intervals over trials.
    """
    names = dict(zip(space, short_names(space), strict=True))
    scores = [trial.score for trial in trials]
    margin = 0.05 * (max(scores) - min(scores))
    low_end, high_end = min(scores) - margin, max(scores) + margin  # an interval over two trials may be far longer
    with plt.rc_context(STYLE):
        fig, axes = plt.subplots(1, len(pairs), figsize=(8.6, 3.9), sharey=True, squeeze=False)
        for ax, pair in zip(axes[0], pairs, strict=True):
            across, along = sorted(pair.settings, key=lambda one: -len(groups_of(space[one], trials, one)))
            parts = list(groups_of(space[across], trials, across))
            for i, (level, of_one) in enumerate(list(groups_of(space[along], trials, along).items())[:MOST_LINES]):
                cells = groups_of(space[across], of_one, across)
                found = [stats.over_seeds(np.array([trial.score for trial in cell])) for cell in cells.values()]
                mean, low, high = np.array(found).T
                bars = np.nan_to_num([mean - low, high - mean])
                x = np.array([parts.index(part) for part in cells]) + 0.04 * i
                ax.errorbar(
                    x, mean, bars, color=COLOURS[i], linewidth=1.8, elinewidth=1, marker="o", markersize=4, label=level
                )
            ax.set_xticks(range(len(parts)), parts, rotation=25, ha="right", fontsize=8)
            ax.set_ylim(low_end, high_end)
            ax.set_xlabel(names[across])
            ax.yaxis.set_major_formatter(_form(kind))
            ax.grid(axis="y", **GRID)
            ax.legend(
                title=names[along],
                frameon=False,
                fontsize=8,
                title_fontsize=8,
                loc="lower left",
                bbox_to_anchor=(-0.02, 1.0),
            )
        axes[0, 0].set_ylabel(name)
        fig.tight_layout()
        return as_svg(fig)


def short_names(names: Sequence[str] | dict[str, Any]) -> list[str]:
    """The last words of dotted names, where they differ, else the whole names."""
    last = [name.rpartition(".")[2] for name in names]
    return [one if last.count(one) == 1 else name for one, name in zip(last, names, strict=True)]


def _numbers_and_scores(trials: Sequence[Trial]) -> tuple[list[int], list[float]]:
    return [trial.number for trial in trials], [trial.score for trial in trials]


def _form(kind: Kind) -> Any:
    """The labels of an axis of scores."""
    if kind in ("rate", "share"):
        return PercentFormatter(1.0)
    show: Callable[..., str] = lambda value, _: format_value(value, kind)  # noqa: E731
    return FuncFormatter(show)


def _ticks(one: Range) -> list[Any]:
    """The values at which an axis of parallel coordinates is labelled."""
    if one.choice is not None:
        return one.choice
    return [one.value(share) for share in (0.0, 0.5, 1.0)]


def _axis(ax: Axes, x: int, ticks: list[tuple[float, str]]) -> None:
    """An upright axis with its labels on its right."""
    ax.plot([x, x], [0, 1], color=FAINT, linewidth=1, zorder=3)
    for y, text in ticks:
        ax.plot(x, y, "_", color=INK, markersize=6, zorder=3)
        ax.text(x + 0.05, y, text, fontsize=8.5, color=INK, va="center", zorder=4, bbox=_PAPER)


def _look(trial: Trial, rank: int, count: int) -> dict[str, Any]:
    """The line of a trial: the best one, the best quarter, the others, and those that were pruned."""
    if trial.outcome == "pruned":
        return {"color": FAINT, "alpha": 0.5, "linewidth": 0.9, "linestyle": ":"}
    if rank == 0:
        return {"color": WARN, "linewidth": 2.6, "zorder": 2.5}
    if rank < count / 4:
        return {"color": ACCENT, "alpha": 0.8, "linewidth": 1.4}
    return {"color": FAINT, "alpha": 0.45, "linewidth": 0.9}
