"""Draw the house as its source says it is: docs/images/architecture.svg, for docs/architecture.md.

python scripts/draw_architecture.py

Above, the way the data flow, with the types that the functions on the way return. Below, the parts of the package in
the rows of CONTRIBUTING's table and who imports whom, without what an import of an import implies.
"""

import ast
import re
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from wellposed.report.figures import ACCENT, FAINT, INK, STYLE, as_svg

ROOT = Path(__file__).parent.parent
PACKAGES = ("wellposed", "course")
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
WIDTH, ROW, BOX = 15.6, 0.92, 0.36  # inches: of the picture, from row to row, the height of a box
WAY_FILL, FILL = "#d7e7f4", "#f4f5f7"

IMPORT: Any = {"arrowstyle": "-|>", "mutation_scale": 7, "color": FAINT, "linewidth": 0.8, "zorder": 1}

Graph = dict[str, set[str]]


class Station(NamedTuple):
    """A stop on the way of the data, and the function whose result goes on to the next."""

    name: str
    file: str
    function: str

    @property
    def part(self) -> str:
        """Where it stands in the package."""
        return self.file.partition("/")[0]


WAY = (
    Station("environment", "envs/vector.py", "MujocoVecEnv.step"),
    Station("replay", "data/episodes.py", "ReplayBuffer.sample"),
    Station("agent", "agents/sac.py", "SAC.update"),
    Station("run record", "runs/store.py", "RunReader.evaluations"),
    Station("analysis", "analysis/curves.py", "learning_curve"),
    Station("report", "report/page.py", "write_report"),
)


def carried(station: Station) -> str:
    """The type that goes on from a station, as its source writes it."""
    body: list[ast.stmt] = ast.parse((ROOT / "wellposed" / station.file).read_text()).body
    returns = None
    for name in station.function.split("."):
        (found,) = [node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name]
        body, returns = found.body, getattr(found, "returns", None)
    assert returns is not None, f"{station.function} says no type"
    return ast.unparse(returns)


def rows_of_parts() -> list[list[str]]:
    """The parts of the package by layer, from the table of CONTRIBUTING."""
    table = (ROOT / "CONTRIBUTING.md").read_text().partition("## Who may import whom")[2]
    rows = re.findall(r"^\| \d+ \| (.*?) \|", table, re.MULTILINE)
    return [[name for name in re.findall(r"`([\w.]+)`", row) if name not in PACKAGES] for row in rows]


def part_of(module: str) -> str:
    """The part that a module belongs to: `envs` for `wellposed.envs.make`, `course.book` for `course.book.build`."""
    package, *below = module.split(".")
    return ".".join(below[:1] if package == "wellposed" else [package, *below[:1]])


def imports(parts: list[str]) -> Graph:
    """The parts that each part imports, wherever in it."""
    found: Graph = {part: set() for part in parts}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        own = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text())) if own in found else ():
            if isinstance(node, ast.ImportFrom) and node.module:
                found[own] |= {part_of(f"{node.module}.{alias.name}") for alias in node.names}
    return {part: {name for name in names if name in found and name != part} for part, names in found.items()}


def reduced(graph: Graph) -> Graph:
    """The graph without the edges that a longer way implies."""

    def beyond(part: str) -> set[str]:
        return graph[part].union(*map(beyond, graph[part]))

    implied = {part: set[str]().union(*map(beyond, graph[part])) for part in graph}
    return {part: graph[part] - implied[part] for part in graph}


def places(rows: list[list[str]], graph: Graph) -> dict[str, tuple[float, float]]:
    """Where the middle of each part's box is. Within a row, parts stand near those that they have to do with."""
    order = [list(row) for row in rows]
    near = {part: graph[part] | {other for other in graph if part in graph[other]} for part in graph}

    def across(row: list[str]) -> dict[str, float]:
        return {part: (i + 0.5) * WIDTH / len(row) for i, part in enumerate(row)}

    for _ in range(20):
        for i, row in enumerate(order):
            x = {part: value for other in order for part, value in across(other).items()}
            mean = {part: sum(x[other] for other in near[part]) / max(1, len(near[part])) for part in row}
            order[i] = sorted(row, key=lambda part: (round(mean[part], 6), part))
    return {part: (x, i * ROW) for i, row in enumerate(order) for part, x in across(row).items()}


def box(ax: Axes, x: float, y: float, text: str, fill: str, width: float, height: float = BOX) -> None:
    """A box with a name around (x, y)."""
    corner, shape = (x - width / 2, y - height / 2), "round,pad=0,rounding_size=0.07"
    ax.add_patch(FancyBboxPatch(corner, width, height, shape, facecolor=fill, edgecolor=FAINT, linewidth=0.8, zorder=3))
    ax.text(x, y, text, ha="center", va="center", color=INK, zorder=4)


def arrow(ax: Axes, begin: tuple[float, float], end: tuple[float, float], bend: float = 0.0, **style: Any) -> None:
    """An arrow between two points; `bend` is twice its height as a share of its length."""
    shape = f"arc3,rad={bend}"
    ax.add_patch(FancyArrowPatch(begin, end, connectionstyle=shape, shrinkA=0, shrinkB=0, **style))


def draw_way(ax: Axes, y: float) -> None:
    """The way the data flow, at height `y`."""
    step = WIDTH / len(WAY)
    for i, station in enumerate(WAY):
        x = (i + 0.5) * step
        box(ax, x, y, f"{station.name}\n{station.file}", WAY_FILL, step * 0.72, 0.62)
    for i, (station, _) in enumerate(pairwise(WAY)):
        begin, end = ((i + 0.5 + 0.36) * step, y), ((i + 1.5 - 0.36) * step, y)
        arrow(ax, begin, end, arrowstyle="-|>", mutation_scale=12, color=ACCENT, linewidth=1.6)
        ax.text((i + 1) * step, y + 0.42, carried(station), ha="center", va="bottom", color=ACCENT)


def draw_parts(ax: Axes) -> float:
    """The parts by layer, the lowest at the bottom, and what each imports; returns the height that they take."""
    rows = rows_of_parts()
    graph = reduced(imports([part for row in rows for part in row]))
    where, on_the_way = places(rows, graph), {station.part for station in WAY}
    for part, (x, y) in where.items():
        box(ax, x, y, part, WAY_FILL if part in on_the_way else FILL, 1.2)
        for other in sorted(graph[part]):
            if other in next(row for row in rows if part in row):  # over the boxes that may stand between
                begin, end = (x, y + BOX / 2), (where[other][0], y + BOX / 2)
                arrow(ax, begin, end, bend=0.5 / (x - end[0]), **IMPORT)
            else:
                arrow(ax, (x, y - BOX / 2), (where[other][0], where[other][1] + BOX / 2), **IMPORT)
    for i in range(len(rows)):
        ax.text(-0.25, i * ROW, str(i), ha="right", va="center", color=FAINT)
    return len(rows) * ROW


def draw() -> str:
    """The picture as SVG."""
    with plt.rc_context(STYLE | {"font.size": 9}):
        fig, ax = plt.subplots()
        height = draw_parts(ax)
        draw_way(ax, height + 0.35)
        top = height + 1.2
        fig.set_size_inches(WIDTH + 0.5, top + 0.4)
        fig.subplots_adjust(0, 0, 1, 1)
        ax.set(xlim=(-0.5, WIDTH), ylim=(-0.4, top))
        ax.set_axis_off()
        return as_svg(fig) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(draw())
