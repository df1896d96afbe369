"""Drawings of the hand, the block and the goal, to scale: lengths are those of the tasks, in metres."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle

from course.book.drawings.primitives import GREEN, MUTED, SMALL, arrow, brace, canvas, label
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.suites.fetch import model
from wellposed.envs.suites.fetch.oracle import ScriptedPickAndPlace
from wellposed.report.figures import ACCENT, FAINT, INK, WARN

HALF_BLOCK, FINGER, REACH = 0.025, (0.014, 0.077), model.DISTANCE_THRESHOLD  # metres; a finger's width and height
GRASPED, SHOWN = 17, 25  # the seed of the episode that is drawn, whose goal is in the air, and its first steps
TABLE = 0.4  # height of its top
AWAY, HIGHEST = 0.1, 0.45  # block from hand at reset, and the highest goal; a test holds them to the task's


def task() -> Axes:
    """Push from the side and from above, to scale. Goal and block are drawn in a square of 30 cm around the hand, the
    block at least 10 cm away from it; a goal is reached within a radius of 5 cm. The x axis points away from the robot,
    the y axis to its left, the z axis up."""
    ax, scale, top = canvas(94), 140, 60
    half, away, radius = (scale * length for length in (model.PUSH.target_range, AWAY, REACH))
    hand, block, goal = ((40 - scale * y, 29 + scale * x) for x, y in ((0, 0), (-0.105, 0.095), (0.06, -0.085)))
    _table(ax, 6, 74, top)
    _gripper(ax, hand[0], top + scale * (model.load_scene(model.PUSH).initial_grip[2] - TABLE), scale)
    ax.add_patch(Rectangle((6, 0), 68, 54, facecolor=FAINT, alpha=0.15, linewidth=0))
    ax.add_patch(Rectangle((hand[0] - half, hand[1] - half), 2 * half, 2 * half, fill=False, edgecolor=INK))
    ax.add_patch(Circle(hand, away, fill=False, edgecolor=MUTED, linestyle=(0, (4, 3))))
    for draw, place in ((_block, block), (_goal, goal)):
        draw(ax, place[0], top + scale * HALF_BLOCK, scale)
        draw(ax, *place, scale)
    ax.plot(*hand, "+", color=INK, markersize=9)
    ax.plot([hand[0], hand[0] - 0.6 * away], [hand[1], hand[1] + 0.8 * away], color=MUTED, linewidth=1)
    ax.plot([goal[0], goal[0] + radius], [goal[1], goal[1]], color=GREEN, linewidth=1)
    brace(ax, hand[0] - half, hand[0] + half, hand[1] - half - 2.5, "*ℓ*")
    for (x, y), text, colour in (
        ((hand[0] + 13, top + 26), "hand", INK),
        ((block[0], top + 11), "block", ACCENT),
        ((goal[0] + 6, top + 11.5), "goal", GREEN),
        ((hand[0] + 2.5, hand[1] - 2.5), "*c*", INK),
        ((hand[0] - 0.3 * away - 2.5, hand[1] + 0.4 * away), "*δ*", MUTED),
        ((block[0] + 5.5, block[1]), "*x*", ACCENT),
        ((goal[0] - 2.5, goal[1] - 1), "*g*", GREEN),
        ((goal[0] + 3.5, goal[1] + 2.4), "*ε*", GREEN),
    ):
        label(ax, x, y, text, colour)
    for y, up in ((64, "*z*"), (34, "*x*")):
        arrow(ax, (94, y), (94, y + 10))
        arrow(ax, (94, y), (84, y))
        label(ax, 94, y + 12.5, up)
        label(ax, 81.5, y, "*y*")
    label(ax, 78, 15, "*ℓ* = 30 cm\n*δ* = 10 cm\n*ε* = 5 cm", align="left")
    return ax


def goals_grow() -> Axes:
    """The goals of a curriculum from the side, for one block: boxes on the table that grow with the reach, from 30 per
    cent of the way over 60 per cent to the task's own box, 30 cm wide and 45 cm high. All contain the block. The
    lowest 5 cm are reached by pushing."""
    ax = canvas(62)
    scale, centre, block, ground = 100, 40, 46, 13
    width, height = 2 * scale * model.PICK_AND_PLACE.target_range, scale * HIGHEST
    _table(ax, 10, 72, ground - scale * HALF_BLOCK)
    ax.add_patch(Rectangle((centre - width / 2, ground), width, scale * REACH, color=FAINT, alpha=0.3, linewidth=0))
    for reach, colour in ((1.0, INK), (0.6, GREEN), (0.3, ACCENT)):
        left, right = (block + reach * (centre + sign * width / 2 - block) for sign in (-1, 1))
        look: Any = {"edgecolor": colour, "linewidth": 1.8}
        ax.add_patch(Rectangle((left, ground), right - left, reach * height, fill=False, **look))
        ax.plot([right, 62], [ground + reach * height] * 2, color=colour, linewidth=0.8, linestyle=(0, (2, 2)))
        label(ax, 63, ground + reach * height, f"*λ* = {reach:g}:  {100 * reach * HIGHEST:g} cm", colour, "left")
    _block(ax, block, ground, scale)
    label(ax, 63, ground + scale * REACH / 2, "pushing reaches", align="left", size=SMALL)
    label(ax, 22, ground + height / 2, "goals\nin the air", align="right", size=SMALL)
    label(ax, block, ground + 8.5, "*b*", ACCENT)
    brace(ax, centre - width / 2, centre + width / 2, 6.5, "*C*, 30 cm wide")
    return ax


def grasp() -> Axes:
    """The controller that was written by hand, played once. Four moments from the side: the hand comes down around the
    block, closes, stays closed and rises, and holds the block at the goal. Below, the heights of hand and block and the
    width between the fingers against time."""
    trace, goal = grasp_played()
    rise, strip = 100 * (trace[:, :6].reshape(-1, 2, 3)[..., 2] - TABLE), canvas(90)
    width = trace[:, 6]
    close = int(np.argmax((width < 0.054) & (rise[:, 0] < 4)))
    around = int(np.argmax(width[:close] * (np.abs(rise[:close, 0] - rise[:close, 1]) < 1.2) > 0))
    lifting = int(np.argmax(rise[:, 1] > 0.6 * 100 * (goal[2] - TABLE)))
    moments = (around, close, lifting, len(trace) - 1)
    names = ("around it", "closed", "rises, closed", "at the goal")
    for i, (t, name) in enumerate(zip(moments, names, strict=True)):
        middle, base = 12.5 + 25 * i, 48
        hand, block = trace[t, :3], trace[t, 3:6]
        _table(strip, middle - 11, middle + 11, base)
        if abs(goal[1] - hand[1]) < 0.1:
            _goal(strip, middle - 100 * (goal[1] - hand[1]), base + 100 * (goal[2] - TABLE), 100)
        _block(strip, middle - 100 * (block[1] - hand[1]), base + rise[t, 1], 100)
        _gripper(strip, middle, base + rise[t, 0], 100, width[t])
        label(strip, middle, base - 4.5, f"{i + 1}  {name}", size=SMALL)
    chart = strip.figure.add_axes((0.11, 0.13, 0.87, 0.29))
    time = np.arange(len(trace))
    for y, colour in ((rise[:, 0], INK), (rise[:, 1], ACCENT), (100 * width, WARN)):
        chart.plot(time, y, color=colour, linewidth=1.8)
    for i, t in enumerate(moments):
        chart.axvline(t, color=FAINT, linewidth=1, linestyle=":")
        label(chart, t - 0.4, 27, str(i + 1), MUTED, "right", size=SMALL)
    for x, y, name, colour in (
        (2.6, 14, "hand", INK),
        (18, 24.5, "block", ACCENT),
        (18, 8, "between fingers", WARN),
    ):
        label(chart, x, y, name, colour, size=SMALL)
    chart.set(xlim=(0, len(trace) - 1), ylim=(0, 30), xlabel="step", ylabel="cm")
    return strip


def grasp_played() -> tuple[np.ndarray, np.ndarray]:
    """Hand, block and width between the fingers [moments, 7] of an episode of the scripted controller, and its goal."""
    env, policy = make_env(EnvConfig("FetchPickAndPlace-v4"), 1, "evaluation"), ScriptedPickAndPlace()
    env.reset(seed=[GRASPED])
    seen = [env.now.obs["observation"][0]]
    goal = env.now.obs["desired_goal"][0].copy()
    for _ in range(SHOWN):
        seen.append(env.step(policy.act(env.now.obs)[0]).next_obs["observation"][0])
    trace = np.array(seen)
    return np.concatenate([trace[:, :6], trace[:, 9:11].sum(axis=1, keepdims=True)], axis=1), goal


def _table(ax: Axes, left: float, right: float, top: float) -> None:
    ax.add_patch(Rectangle((left, top - 2), right - left, 2, facecolor=FAINT, alpha=0.35, linewidth=0))
    ax.plot([left, right], [top, top], color=INK, linewidth=1)


def _block(ax: Axes, x: float, y: float, scale: float) -> None:
    """A block around (x, y); a metre is `scale` units."""
    half = scale * HALF_BLOCK
    ax.add_patch(Rectangle((x - half, y - half), 2 * half, 2 * half, color=ACCENT, alpha=0.75, linewidth=0))


def _goal(ax: Axes, x: float, y: float, scale: float) -> None:
    """A goal at (x, y) with the radius in which it is reached."""
    ax.add_patch(Circle((x, y), scale * REACH, facecolor=GREEN, alpha=0.15, linewidth=0))
    ax.add_patch(Circle((x, y), scale * REACH, fill=False, edgecolor=GREEN, linestyle=(0, (4, 2))))
    ax.plot(x, y, "o", color=GREEN, markersize=4)


def _gripper(ax: Axes, x: float, y: float, scale: float, width: float = 0.0) -> None:
    """Palm and fingers, `width` metres apart, with the grip at (x, y)."""
    thick, tall = scale * FINGER[0], scale * FINGER[1]
    for side in (-1, 1):
        inner = x + side * scale * width / 2
        corner = (inner if side > 0 else inner - thick, y - 0.25 * tall)
        ax.add_patch(Rectangle(corner, thick, tall, color=INK, alpha=0.7, linewidth=0))
    palm, wrist = y + 0.75 * tall, y + 0.75 * tall + 0.05 * scale
    ax.add_patch(Rectangle((x - 0.06 * scale, palm), 0.12 * scale, 0.05 * scale, color=INK, alpha=0.45, lw=0))
    ax.add_patch(Rectangle((x - 0.025 * scale, wrist), 0.05 * scale, 0.06 * scale, color=INK, alpha=0.25, lw=0))
