"""Live figures, `{{ live: NAME caption="..." }}`: the reader moves an input, and curves and a sentence follow.

What is drawn here is the picture of the initial values: it stands on paper and where scripts are off. In the page
`theme/js/live.js` computes the same curves and sentences as `live_figures`.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from course.book.figures import SERIES, WIDTH, style, themed
from wellposed.report.figures import FAINT, GRID, as_svg

Points = list[tuple[float, float] | None]  # of a curve, in the units of its axes; None ends a stroke


class Picture(NamedTuple):
    """What the inputs determine."""

    curves: dict[str, Points]
    said: str


@dataclass(frozen=True)
class Slider:
    """A number that the reader chooses."""

    name: str
    label: str
    low: float
    high: float | str  # a name: of the slider whose value is the highest
    step: float
    value: float
    power: bool = False  # it moves the exponent: the number is 10 to the power of its value

    @property
    def number(self) -> float:
        """The initial number."""
        return 10**self.value if self.power else self.value

    def html(self, numbers: dict[str, Any]) -> str:
        """The element, with its number beside it; `numbers` are the initial ones of all inputs."""
        high = numbers[self.high] if isinstance(self.high, str) else self.high
        rest = f' data-most="{self.high}"' if isinstance(self.high, str) else ""
        rest += ' data-power="10"' if self.power else ""
        return (
            f'<label>{escape(self.label)} <input type="range" name="{self.name}" min="{self.low:g}" max="{high:g}" '
            f'step="{self.step:g}" value="{self.value:g}"{rest}><output>{self.number:g}</output></label>'
        )


@dataclass(frozen=True)
class Choice:
    """One of several words that the reader chooses; the first is the initial one."""

    name: str
    label: str
    words: tuple[str, ...]

    @property
    def number(self) -> str:
        """The initial word."""
        return self.words[0]

    def html(self, _numbers: dict[str, Any]) -> str:
        """The element."""
        options = "".join(f"<option>{escape(word)}</option>" for word in self.words)
        return f'<label>{escape(self.label)} <select name="{self.name}">{options}</select></label>'


@dataclass(frozen=True)
class Axis:
    """One axis, its ticks, and how they are written."""

    label: str
    low: float
    high: float
    ticks: Sequence[float]
    written: Callable[[float], str] = "{:g}".format


@dataclass(frozen=True)
class Curve:
    """How a curve looks."""

    name: str
    label: str  # in the legend; empty for none
    kind: Literal["line", "dashes", "bar", "area", "dot"]
    colour: int = 0


@dataclass(frozen=True)
class Panel:
    """Axes with curves; `levels` are dotted lines at these values of y, `walls` at these of x."""

    x: Axis
    y: Axis
    curves: tuple[Curve, ...]
    levels: tuple[float, ...] = ()
    walls: tuple[float, ...] = ()


@dataclass(frozen=True)
class Live:
    """A live figure."""

    about: str  # for who does not see it
    inputs: tuple[Slider | Choice, ...]
    panels: tuple[Panel, ...]
    picture: Callable[..., Picture] = field(repr=False)  # from the numbers of the inputs, by name

    @property
    def numbers(self) -> dict[str, Any]:
        """The initial numbers of its inputs."""
        return {one.name: one.number for one in self.inputs}


def html(name: str, figure: Live) -> str:
    """A live figure as an element: inputs, the first picture, its sentence."""
    picture = figure.picture(**figure.numbers)
    svg, scales = _drawn(name, figure, picture)
    inputs = "".join(one.html(figure.numbers) for one in figure.inputs)
    return (
        f'<div data-live="{name}" data-scales="{escape(json.dumps(scales))}">'
        f'<div class="wp-inputs" hidden>{inputs}</div>'
        f'{themed(svg, figure.about)}<p class="wp-said" aria-live="polite">{escape(picture.said)}</p>'
        "<noscript><p>With scripts this figure can be moved.</p></noscript></div>"
    )


def _drawn(name: str, figure: Live, picture: Picture) -> tuple[str, dict[str, list[float]]]:
    """The picture as SVG, and for each curve [x0, dx, y0, dy]: a point stands at (x0 + dx x, y0 + dy y) in it."""
    with style():
        fig, axes = plt.subplots(len(figure.panels), 1, figsize=(WIDTH, 0.5 + 2.6 * len(figure.panels)), squeeze=False)
        for i, (ax, panel) in enumerate(zip(axes[:, 0], figure.panels, strict=True)):
            ax.patch.set_gid(f"live-{name}-{i}")
            _draw_panel(ax, panel, picture, name)
        fig.tight_layout()
        svg = as_svg(fig)
    scales = {}
    for i, panel in enumerate(figure.panels):
        (path,) = re.findall(rf'<g id="live-{name}-{i}">\s*<path d="(.*?)"', svg, re.DOTALL)
        x, y = np.array(re.findall(r"-?[\d.]+", path), float).reshape(-1, 2).T
        dx = (x.max() - x.min()) / (panel.x.high - panel.x.low)
        dy = (y.min() - y.max()) / (panel.y.high - panel.y.low)
        place = [x.min() - dx * panel.x.low, dx, y.max() - dy * panel.y.low, dy]
        scales |= {curve.name: [round(number, 4) for number in place] for curve in panel.curves}
    return svg, scales


def _draw_panel(ax: Axes, panel: Panel, picture: Picture, name: str) -> None:
    for level in panel.levels:
        ax.axhline(level, color=FAINT, linewidth=1.2, linestyle=":")
    for wall in panel.walls:
        ax.axvline(wall, color=FAINT, linewidth=1.2, linestyle=":")
    looks: dict[str, Any] = {
        "line": {"linewidth": 2}, "dashes": {"linewidth": 1.2, "linestyle": (0, (4, 2))},
        "bar": {"linewidth": 5, "solid_capstyle": "butt"}, "dot": {"linewidth": 9, "solid_capstyle": "round"},
    }  # fmt: skip
    for curve in panel.curves:
        x, y = np.array([point or (np.nan, np.nan) for point in picture.curves[curve.name]]).T
        shared = {"color": SERIES[curve.colour], "label": curve.label or None, "gid": f"live-{name}-{curve.name}"}
        if curve.kind == "area":
            ax.fill(x, y, alpha=0.5, linewidth=0, **shared)
        else:
            ax.plot(x, y, **looks[curve.kind], **shared)
    ax.set(xlim=(panel.x.low, panel.x.high), ylim=(panel.y.low, panel.y.high))
    ax.set(xlabel=panel.x.label, ylabel=panel.y.label)
    ax.grid(axis="y", **GRID)
    ax.set_xticks(panel.x.ticks, map(panel.x.written, panel.x.ticks))
    ax.set_yticks(panel.y.ticks, map(panel.y.written, panel.y.ticks))
    ax.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, columnspacing=1.2, handlelength=1.8
    )
