"""Drawings along the time of an episode, or the order of a computation."""

from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from course.book.drawings.primitives import GREEN, MUTED, SMALL, Box, arrow, box, canvas, label
from wellposed.envs.wrappers.control import Control
from wellposed.report.figures import ACCENT, FAINT, INK, WARN


def streams() -> Axes:
    """Above: one stream of numbers, dealt out to exploration and minibatches in turn. When a plot draws as well,
    exploration gets the numbers 0, 3, 6, 9 in place of 0, 2, 4, 6. Below: a stream for each name. The plot gets its
    own, and the others stay as they were."""
    ax = canvas(66)
    colours = (ACCENT, GREEN, WARN)
    for y, users, name in ((60, 2, "one stream"), (48, 3, "and a plot")):
        label(ax, 0, y, name, align="left")
        for i in range(12):
            _cell(ax, 30.5 + 6 * i, y, str(i), colours[i % users])
    ax.plot([0, 100], [38.5, 38.5], color=FAINT, linewidth=0.8)
    for y, name, colour in zip((28, 17, 6), ("exploration", "minibatches", "plot"), colours, strict=True):
        label(ax, 0, y, name, colour, "left")
        for i in range(12):
            _cell(ax, 30.5 + 6 * i, y, str(i), colour)
    return ax


def _cell(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    ax.add_patch(Rectangle((x - 2.7, y - 3.6), 5.4, 7.2, facecolor=colour, alpha=0.22, linewidth=0))
    label(ax, x, y, text, size=SMALL)


def gae() -> Axes:
    """The weights of the errors delta along an episode, for a discount of 0.95 and three values of lambda. With 0 only
    the first counts; with 0.95 ten in the mean; with 1 twenty. Where the episode is cut the sum ends, and the value of
    the true last state stands for the rest."""
    ax, gamma, steps, cut = canvas(76), 0.95, 12, 9
    x = 18 + 6.7 * np.arange(steps)
    for i in range(cut):
        arrow(ax, (x[i] - 2.2, 70), (x[i] + 4.2, 70))
        label(ax, x[i] + 1, 63.5, "*δ*_{*t*}" if i == 0 else f"*δ*_{{*t*+{i}}}", size=SMALL)
    for row, (lam, colour) in enumerate(((0.0, WARN), (0.95, ACCENT), (1.0, GREEN))):
        floor = 42 - 18.5 * row
        for i, weight in enumerate((gamma * lam) ** np.arange(steps if lam else 1)):
            look: Any = {"facecolor": colour, "alpha": 0.75} if i < cut else {"facecolor": "none", "edgecolor": FAINT}
            ax.add_patch(Rectangle((x[i] - 1, floor), 4, 14 * weight, linewidth=0 if i < cut else 0.8, **look))
        ax.plot([x[0] - 2, 100], [floor, floor], color=FAINT, linewidth=0.8)
        label(ax, 0, floor + 7, f"*λ* = {lam:g}", colour, "left")
    end = x[cut] - 2
    ax.plot([end, end], [2, 74], color=INK, linewidth=1.3, linestyle=(0, (4, 3)))
    label(ax, end + 2, 70, "*V*(*s*_{last})", align="left")
    return ax


def strategies() -> Axes:
    """An episode of ten steps and one transition of it. Bars show from which moments each strategy takes the new goal:
    the last one for final; all later ones for future; all of the episode for episode, some of which came before."""
    ax, length, t = canvas(70), 10, 3
    x = 24 + 7.3 * np.arange(length + 1)
    for i in range(length):
        arrow(ax, (x[i], 62), (x[i + 1], 62), colour=WARN if i == t else FAINT)
    for i in range(length + 1):
        label(ax, x[i], 67, f"*s*_{{{i}}}", WARN if i in (t, t + 1) else INK, size=SMALL)
    for row, (name, share) in enumerate(goal_moments(t, length).items()):
        floor = 42 - 19 * row
        label(ax, 0, floor + 4, name, align="left")
        ax.plot([x[0] - 2, 100], [floor, floor], color=FAINT, linewidth=0.8)
        for i in np.flatnonzero(share):
            colour = ACCENT if i > t else MUTED
            ax.add_patch(Rectangle((x[i] - 2, floor), 4, 13 * share[i], color=colour, alpha=0.75, linewidth=0))
            label(ax, x[i], floor + 13 * share[i] + 2.4, f"{100 * share[i]:.0f}", colour, size=SMALL)
    middle = (x[t] + x[t + 1]) / 2
    ax.plot([middle, middle], [2, 59], color=WARN, linewidth=1, linestyle=(0, (3, 3)))
    return ax


def goal_moments(t: int, length: int) -> dict[str, np.ndarray]:
    """The probability of each state 0..length to give transition t its new goal, by strategy."""
    state = np.arange(length + 1)
    after = {"final": state == length, "future": state > t, "episode": state > 0}
    return {name: among / among.sum() for name, among in after.items()}


def stages() -> Axes:
    """The stages of the action interface in their order, each with the action that leaves it: what the policy chose;
    held for three steps; scaled by 0.7; smoothed by a half; its change limited to 0.2 a step; two steps late."""
    ax, control = canvas(92), Control()
    chosen = np.array([0, 0, 1, 1, 0.6, 1, 1, 0.8, 1, 1, -0.5, -1, -1, -0.8, -1, 0.3, -0.2, 0.2] + [0.0] * 10)
    rows = ({}, {"hold": 3}, {"scale": 0.7}, {"smoothing": 0.5}, {"rate": 0.2}, {"delay": 2})
    names = ("policy", "hold 3", "scale 0.7", "smoothing 0.5", "rate 0.2", "delay 2")
    above: Box | None = None
    for row, (setting, name) in enumerate(zip(rows, names, strict=True)):
        y = 84.5 - 15.2 * row
        control = replace(control, **setting)
        now = box(ax, 14, y, name, 28, 9, MUTED if row == 0 else ACCENT)
        if above is not None:
            arrow(ax, above.bottom, now.top)
        above = now
        ax.plot([34, 100], [y, y], color=FAINT, linewidth=0.8)
        edges = 34 + 66 * np.arange(len(chosen) + 1) / len(chosen)
        left = y + 5.5 * arrived(control, chosen)
        ax.stairs(left, edges, baseline=y, fill=True, color=ACCENT, alpha=0.2)
        ax.stairs(left, edges, baseline=None, color=INK, linewidth=1.3)
    return ax


def arrived(control: Control, chosen: np.ndarray) -> np.ndarray:
    """What reaches the simulator of the actions [t] of an episode."""
    padded = np.concatenate([np.zeros(control.memory), chosen])
    windows = np.lib.stride_tricks.sliding_window_view(padded, control.memory)[1:]
    return control.arriving(windows[..., None], np.arange(len(chosen)))[:, 0]
