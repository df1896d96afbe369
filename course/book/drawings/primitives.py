"""What drawings are made of: a canvas, labels, boxes, arrows and charts, drawn with matplotlib.

A label is plain text with a little markup: `*x*` is italic, `_t` and `^2` (or `_{t+1}`) are set below and above. It
stays text in the page, in the fonts that the page brings along, so no label is wider on another machine.
"""

import re
from typing import Any, Literal, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from course.book.figures import SERIES
from wellposed.report.figures import GRID, INK

WIDTH = 5.0  # inches of 72 points; narrower than a figure of records, so that a phone shows SIZE as 12 pixels
SIZE, SMALL = 12, 10.5  # points
GREEN, PURPLE, MUTED = SERIES[2], SERIES[3], SERIES[6]
STYLE: Any = {"font.family": "STIXGeneral", "font.size": SMALL, "axes.labelsize": SIZE}
_SHIFT = '<tspan dy="{}em" style="font-size: 72%">{}</tspan><tspan dy="{}em">&#8203;</tspan>'
Point = tuple[float, float]


class Box(NamedTuple):
    """The centre of a box, and the middles of its sides, where arrows begin and end."""

    x: float
    y: float
    left: Point
    right: Point
    top: Point
    bottom: Point


def canvas(height: float) -> Axes:
    """Axes without lines, 100 units wide and `height` units high, in which both units are equally long."""
    fig = plt.figure(figsize=(WIDTH, WIDTH * height / 100))
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, 100), ylim=(0, height))
    ax.set_axis_off()
    return ax


def charts(height: float, columns: int = 1, **settings: Any) -> list[Axes]:
    """Axes side by side, in a figure `height` inches high."""
    shape: Any = {"figsize": (WIDTH, height), "layout": "constrained", "gridspec_kw": {"wspace": 0.08}}
    _, axes = plt.subplots(1, columns, squeeze=False, **shape, **settings)
    for ax in axes[0]:
        ax.grid(axis="y", **GRID)
    return list(axes[0])


def label(
    ax: Axes,
    x: float,
    y: float,
    text: str,
    colour: str = INK,
    align: Literal["left", "center", "right"] = "center",
    size: float = SIZE,
) -> None:
    """Text whose lines stand around (x, y)."""
    lines = text.split("\n")
    for i, line in enumerate(lines):
        down = size * (0.32 + 1.2 * (i - (len(lines) - 1) / 2))
        look: Any = {"ha": align, "va": "baseline", "color": colour, "fontsize": size, "annotation_clip": False}
        ax.annotate(line, (x, y), (0, -down), textcoords="offset points", **look).set_in_layout(False)


def box(ax: Axes, x: float, y: float, text: str, width: float, height: float = 9, colour: str = INK) -> Box:
    """A box around (x, y) with text in it, tinted in its colour."""
    corner = (x - width / 2, y - height / 2)
    looks: Any = ({"facecolor": colour, "alpha": 0.12, "linewidth": 0}, {"facecolor": "none", "edgecolor": colour})
    for look in looks:
        ax.add_patch(FancyBboxPatch(corner, width, height, "round,pad=0,rounding_size=1.5", clip_on=False, **look))
    label(ax, x, y, text)
    aside, above = width / 2, height / 2
    return Box(x, y, (x - aside, y), (x + aside, y), (x, y + above), (x, y - above))


def arrow(ax: Axes, *points: Point, colour: str = INK, dashed: bool = False) -> None:
    """An arrow along the points to the last one."""
    look: Any = {"arrowstyle": "-|>", "mutation_scale": 11, "color": colour, "linewidth": 1.3, "clip_on": False}
    look |= {"linestyle": (0, (4, 2.5)) if dashed else "-", "joinstyle": "miter", "capstyle": "butt"}
    ax.add_patch(FancyArrowPatch(path=Path(np.array(points)), **look))


def brace(ax: Axes, low: float, high: float, y: float, text: str) -> None:
    """A span from `low` to `high` at the height y, with its name below."""
    ax.plot([low, low, high, high], [y + 1, y, y, y + 1], color=MUTED, linewidth=1, clip_on=False)
    label(ax, (low + high) / 2, y - 3, text, size=SMALL)


def typeset(svg: str) -> str:
    """The SVG with the markup of its labels as elements, without comments."""
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"(<text[^>]*>)(.*?)(</text>)", lambda found: found[1] + _marked(found[2]) + found[3], svg)


def _marked(text: str) -> str:
    text = re.sub(r"\*(.+?)\*", r'<tspan style="font-style: italic">\1</tspan>', text)
    for sign, down in (("_", 0.3), (r"\^", -0.5)):
        text = re.sub(
            sign + r"(?:\{(.*?)\}|(\w))",
            lambda found, down=down: _SHIFT.format(down, found[1] or found[2], round(-0.72 * down, 3)),
            text,
        )
    return text
