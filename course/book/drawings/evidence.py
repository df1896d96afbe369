"""Drawings of what data tell: of policies that were chosen by them, and of parameters."""

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes

from course.book.drawings.primitives import GREEN, MUTED, SMALL, arrow, box, canvas, charts, label
from wellposed.report.figures import ACCENT, FAINT, INK, WARN
from wellposed.stats import expected_best

GRAVITY = 9.81  # m/s^2
FRICTION, MASS = 1.0, 2.0  # of Fetch's block, and kilograms
STIFFNESS = 1000.0  # N/m: of the hand that pushes
THROWN = 0.4  # m/s
READING = 0.001  # metres: standard deviation of one reading
PUSHES = 10  # and as many throws


def best_of_many() -> Axes:
    """The highest success that is seen among policies that all truly succeed in 90 of 100 episodes, against their
    number. With ten episodes each it soon reaches 100 per cent; with a hundred, twenty policies show 95; with a
    thousand it stays below 93."""
    (ax,) = charts(3.0)
    policies = np.arange(1, 51)
    for episodes, colour, at in ((10, WARN, 98.6), (100, ACCENT, 96.7), (1000, GREEN, 92.9)):
        seen = [100 * expected_best(np.full(n, 0.9), episodes) for n in policies]
        ax.plot(policies, seen, color=colour, linewidth=2)
        label(ax, 49.5, at, f"{episodes:,} episodes each", colour, "right", size=SMALL)
    ax.axhline(90, color=INK, linewidth=1, linestyle=(0, (4, 3)))
    label(ax, 49.5, 89.3, "true success of every one", size=SMALL, align="right")
    ax.set(xlim=(1, 50), ylim=(88, 101), xlabel="policies that were tried", ylabel="best success seen, %")
    ax.set(xticks=[1, 10, 20, 30, 40, 50], yticks=[90, 95, 100])
    return ax


def ridge() -> Axes:
    """Lines of equal likelihood of friction and mass. Left, ten slow pushes: a ridge along which their product stays
    the same and no pair is better than another. Right, with ten throws besides: closed lines around the true pair."""
    axes = charts(2.9, 2, sharey=True)
    friction, mass = np.meshgrid(np.geomspace(0.5, 2, 201), np.geomspace(1, 4, 201))
    for ax, throws, title in zip(axes, (0, PUSHES), ("slow pushes", "and throws"), strict=True):
        drop = lost(friction, mass, throws)
        ax.contourf(friction, mass, drop, [0, 3.0], colors=[ACCENT], alpha=0.2)
        ax.contour(friction, mass, drop, [3.0, 12.0, 48.0], colors=[ACCENT, FAINT, FAINT])
        ax.plot([FRICTION], [MASS], "o", color=INK, markersize=5)
        ax.set_title(title, fontsize=12)
        ax.set(xscale="log", yscale="log", xlabel="friction *μ*", xlim=(0.5, 2), ylim=(1, 4))
        ax.set_xticks([0.5, 1, 2], ["0.5", "1", "2"])
        ax.set_yticks([1, 2, 4], ["1", "2", "4"])
        ax.minorticks_off()
        ax.grid(visible=False)
    axes[0].set_ylabel("mass *m*, kg")
    label(axes[0], 1.12, 2.45, "*μm* = 2 kg", MUTED, "left", size=SMALL)
    return axes[0]


def lost(friction: np.ndarray, mass: np.ndarray, throws: int) -> np.ndarray:
    """By how much the logarithm of the likelihood lies below its greatest value, of readings without an error."""
    lag = lambda mu, m: mu * m * GRAVITY / STIFFNESS  # noqa: E731
    slid = lambda mu: THROWN**2 / (2 * mu * GRAVITY)  # noqa: E731
    off = PUSHES * (lag(friction, mass) - lag(FRICTION, MASS)) ** 2 + throws * (slid(friction) - slid(FRICTION)) ** 2
    return off / (2 * READING**2)


def ledger() -> Axes:
    """A chain of boxes from left to right: what is sealed, then rows that begin and end episodes. Each holds the digest
    of the one before it, and the last digest is published. An edited row, below, no longer fits the next one."""
    ax = canvas(46)
    names = ("sealed", "run A\nbegins", "run A\n87 of 100", "run B\nbegins")
    row = [box(ax, 13 + 25 * i, 34, name, 19, 12, GREEN if i == 0 else ACCENT) for i, name in enumerate(names)]
    for one, other in pairwise(row):
        arrow(ax, other.left, one.right, colour=MUTED)
    label(ax, 50, 43.5, "each row holds the digest of the row before it", MUTED, size=SMALL)
    arrow(ax, row[-1].bottom, (row[-1].x, 20), colour=GREEN)
    label(ax, row[-1].x, 16.5, "head,\npublished", GREEN, size=SMALL)
    edited = box(ax, row[2].x, 10, "run A\n97 of 100", 19, 12, WARN)
    arrow(ax, (row[2].x, 27.5), edited.top, colour=WARN, dashed=True)
    told = "an edited row has another digest:\nrun B's no longer holds it"
    label(ax, edited.left[0] - 2, 10, told, WARN, "right", size=SMALL)
    return ax
