"""Drawings of what is connected with what: boxes and arrows."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Circle

from wellposed.book.drawings.primitives import GREEN, MUTED, PURPLE, SMALL, Box, arrow, box, canvas, label
from wellposed.report.figures import ACCENT, FAINT, INK, WARN


def kernel() -> Axes:
    """A state and an action pass through one kernel to the next state. From its achieved goal three arrows lead to three
    goals, each with a reward of its own: the transition is evidence about all of them."""
    ax = canvas(42)
    before = box(ax, 9, 21, "*s*, *a*", 16)
    law = box(ax, 34, 21, "*P*(· | *s*, *a*)", 22, colour=ACCENT)
    after = box(ax, 60, 21, "*φ*(*s*′)", 14)
    arrow(ax, before.right, law.left)
    arrow(ax, law.right, after.left)
    label(ax, 34, 31, "one kernel", ACCENT)
    for i, (y, reward) in enumerate(((36, "−1"), (21, "0"), (6, "−1"))):
        colour = GREEN if reward == "0" else WARN
        goal = box(ax, 87, y, f"*R*(*φ*(*s*′), *g*_{i + 1}) = {reward}", 26, colour=colour)
        arrow(ax, after.right, goal.left, colour=colour)
    return ax


def sac() -> Axes:
    """SAC's networks. The replay's transitions go to critics, actor and target critics. The critics' loss compares them
    with the soft target y, which passes no gradient; its gradient goes into the critics only. The actor's loss passes
    through the critics and the action into the actor only. The target critics follow the critics slowly."""
    ax = canvas(92)
    replay = box(ax, 50, 86, "replay: *s*, *a*, *r*, *s*′", 40)
    actor = box(ax, 15, 56, "actor *π*_θ", 26, colour=GREEN)
    critics = box(ax, 50, 56, "critics *Q*_1, *Q*_2", 30, colour=ACCENT)
    targets = box(ax, 86, 56, "targets *Q̄*_1, *Q̄*_2", 28, colour=MUTED)
    policy = box(ax, 15, 12, "actor loss\n*α* log *π* − min *Q*", 28, 14, colour=GREEN)
    fit = box(ax, 50, 12, "critic loss\n(*Q* − *y*)^2", 28, 14, colour=ACCENT)
    target = box(ax, 86, 12, "soft target *y*\n*r* + *γ*(*Q̄* − *α* log *π*)", 28, 14, colour=MUTED)
    arrow(ax, (38, 81.5), (38, 72), (15, 72), actor.top)
    arrow(ax, replay.bottom, critics.top)
    arrow(ax, (62, 81.5), (62, 72), (86, 72), targets.top)
    for text, x in (("*s*", 26), ("*s*, *a*", 54.5), ("*s*′", 74)):
        label(ax, x, 75 if x != 54.5 else 68, text, size=SMALL)
    arrow(ax, actor.right, critics.left)
    return ax


def loop() -> Axes:
    """The loop around the hand: the target r less the place x is the error e; the gain g over D makes an action of it;
    filter and delay change the action; the hand G makes a place of it, which is fed back."""
    ax = canvas(34)
    y = 24
    minus = Circle((14, y), 2.6, fill=False, edgecolor=INK, linewidth=1.3)
    ax.add_patch(minus)
    parts = [
        box(ax, x, y, text, width, 11, colour)
        for x, text, width, colour in (
            (29, "*g* / *D*", 12, WARN),
            (49, "(1−*s*)*z*\n*z* − *s*", 14, ACCENT),
            (66, "*z*^{−*d*}", 10, ACCENT),
            (82, "*G*(*z*)", 12, INK),
        )
    ]
    return ax
