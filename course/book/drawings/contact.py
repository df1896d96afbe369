"""Drawings of a peg and a hole: forces, what holds it, how it is searched for, and what memory is worth."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Annulus, Polygon, Rectangle

from course.book.drawings.primitives import GREEN, MUTED, PURPLE, SMALL, arrow, canvas, charts, label
from course.measure.jamming import holding_moment, tilt_at_both_walls, tip_below
from course.measure.search import PITCH
from wellposed.envs.suites.peg import model
from wellposed.envs.suites.peg.guarded import history_draws, memoryless_bound, probing_success
from wellposed.envs.suites.peg.oracle import SpiralSearch, spiral_points
from wellposed.envs.suites.peg.task import PegTask
from wellposed.report.figures import ACCENT, FAINT, INK, WARN

Point = tuple[float, float]
CELLS = 5
HOLES = 300  # of which a share is found
REACH = 3.7e-3  # metres from the middle to the farthest place where the peg goes in
FINE = 5e-5  # metres between the points of a spiral at which it is asked whether the peg is over the hole


def contacts() -> Axes:
    """Four states of a peg, with the forces on it; the clearance is enlarged. On the plate the force acts in the
    middle. Partly over the hole it acts on the side that is left, away from the hole. In the hole, pressed sideways,
    one wall answers at its edge, with friction upwards. Tilted, the other wall answers at the tip: two forces that
    oppose each other."""
    ax = canvas(60)
    width, gap, deep, top = 11.0, 13.0, 16.0, 26.0
    for i, name in enumerate(("on the plate", "partly over it", "at one wall", "at both walls")):
        x = 12.5 + 25 * i
        _plate(ax, x, x + (30 if i == 0 else 0), gap, deep, top)
        label(ax, x, 4, name, size=SMALL)
    _peg(ax, (12.5, top), width, 0.0)
    _force(ax, (12.5, top), (0, 1))
    beside = 37.5 + 3.0
    _peg(ax, (beside, top), width, 0.0)
    _force(ax, (((37.5 + gap / 2) + (beside + width / 2)) / 2, top), (0, 1))
    ax.plot([beside, beside], [top - 5, top + 22], color=MUTED, linewidth=0.8, linestyle=(0, (3, 3)))
    down = 12.0
    tilt = tilt_at_both_walls(width, gap, down)
    for middle, angle, below in ((62.5, 0.06, down), (87.5, tilt, gap * np.sin(tilt) + down * np.cos(tilt))):
        edge = (middle + gap / 2, top)
        _peg(ax, tip_below(edge, width, below, angle), width, angle)
        _cone(ax, edge, np.pi, 0.4)
        _force(ax, edge, (-1, 0.4))
    foot = (87.5 - gap / 2, top - down)
    _cone(ax, foot, 0.0, 0.4)
    _force(ax, foot, (1, 0.4))
    return ax


def _peg(ax: Axes, tip: Point, width: float, tilt: float, length: float = 26.0) -> None:
    along, across = np.array([np.sin(tilt), np.cos(tilt)]), np.array([np.cos(tilt), -np.sin(tilt)])
    foot = np.array(tip)
    corners = [foot - width / 2 * across, foot + width / 2 * across]
    corners += [corners[1] + length * along, corners[0] + length * along]
    for look in ({"facecolor": ACCENT, "alpha": 0.18, "linewidth": 0}, {"fill": False, "edgecolor": ACCENT, "lw": 1.5}):
        ax.add_patch(Polygon(corners, closed=True, **look))


def _plate(ax: Axes, x: float, hole: float, gap: float, deep: float, top: float) -> None:
    """The plate around x with its hole around `hole`, which may lie beyond what is drawn."""
    left, right = x - 11.5, x + 11.5
    edges = np.clip([left, hole - gap / 2, hole + gap / 2, right], left, right)
    for low, high in (edges[:2], edges[2:]):
        ax.add_patch(Rectangle((low, top - deep), high - low, deep, facecolor=FAINT, alpha=0.35, linewidth=0))
    floor = np.full(2, top - deep)
    if edges[1] < right:
        ax.plot(edges[[1, 1, 2, 2]], [top, *floor, top], color=INK, linewidth=1)
        ax.plot(edges[2:], [top, top], color=INK, linewidth=1)
    ax.plot(edges[:2], [top, top], color=INK, linewidth=1)


def _force(ax: Axes, at: Point, way: Point, size: float = 9.0) -> None:
    """A force on the peg, which begins where it acts."""
    unit = np.array(way) / np.linalg.norm(way)
    end = np.array(at) + size * unit
    arrow(ax, at, (float(end[0]), float(end[1])), colour=WARN)
    ax.plot(*at, "o", color=WARN, markersize=4)


def _cone(ax: Axes, at: Point, normal: float, friction: float, size: float = 8.0) -> None:
    """The directions that a force may have at a wall, around its normal."""
    angles = normal + np.arctan(friction) * np.linspace(-1, 1, 9)
    rim = np.array(at) + size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ax.add_patch(Polygon([at, *rim.tolist()], closed=True, facecolor=GREEN, alpha=0.3, linewidth=0))


def jamming() -> Axes:
    """The jamming diagram at friction 0.4: the force sideways over the force down across, the moment about the tip over
    the force down upwards, in units of half the peg's width. Inside a parallelogram the peg slides. It grows with
    depth, from 6.4 mm over 10 to 20 mm. A push at the wrist leaves it soon, along a steep line; one at the tip late."""
    (ax,) = charts(3.8)
    friction = 0.4
    for depth, colour in ((0.02, ACCENT), (0.01, GREEN), (friction * model.WIDTH, WARN)):
        corners = parallelogram(depth, friction)
        ax.add_patch(Polygon(corners, closed=True, facecolor=colour, alpha=0.1, linewidth=0))
        ax.add_patch(Polygon(corners, closed=True, fill=False, edgecolor=colour, linewidth=1.8))
        label(ax, -2.55, corners[0][1], f"{1000 * depth:g} mm", colour, "right", size=SMALL)
    steep = 2 * model.LENGTH / model.WIDTH
    ax.plot([-8 / steep, 8 / steep], [8, -8], color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
    ax.axhline(0, color=INK, linewidth=1.2, linestyle=(0, (1, 2)))
    label(ax, -0.35, 6.6, "pushed at\nthe wrist", align="left", size=SMALL)
    label(ax, 3.3, 0.7, "at the tip", align="right", size=SMALL)
    label(ax, -1.55, 1.3, "slides", MUTED)
    label(ax, 2.2, 4.2, "may be held", MUTED)
    ax.set(xlim=(-3.4, 3.4), ylim=(-8, 8), xlabel="force sideways over force down", ylabel="moment")
    ax.set_xticks([-2.5, 0, 2.5], ["−1/*μ*", "0", "1/*μ*"])
    ax.grid(visible=False)
    return ax


def parallelogram(depth: float, friction: float) -> list[Point]:
    """The corners of the jamming diagram, F_x/F_z and M/(r F_z), r half the peg's width; the top left one first."""
    most = 1 / friction
    above = [(x, -holding_moment(depth, friction, -x)) for x in (-most, most)]
    return [*above, *((x, holding_moment(depth, friction, x)) for x in (most, -most))]


def search() -> Axes:
    """Left: the spiral over the plate, in millimetres, its turns 0.6 apart; the hole's middle lies in a ring from 1 to
    3. Right: the share of holes that it has met after so many steps, for clearances of 2, 1, 0.5 and 0.3 mm. The last
    curve does not reach the top within the hundred steps of an episode."""
    left, right = charts(2.9, 2)
    near, far = 1000 * np.array(PegTask().offset)
    left.add_patch(Annulus((0, 0), far, far - near, facecolor=FAINT, alpha=0.3, linewidth=0))
    pitch = PITCH * 1e-3
    points = 1000 * spiral_points(np.arange(0, np.pi * REACH**2 / pitch, FINE), pitch)
    left.plot(points[:, 0], points[:, 1], color=ACCENT, linewidth=1.3)
    left.add_patch(Rectangle((1.2 - 0.5, 1.5 - 0.5), 1, 1, fill=False, edgecolor=WARN, linewidth=1.6))
    left.set(xlim=(-4, 4), ylim=(-4, 4), aspect="equal", xlabel="mm", xticks=[-3, 0, 3], yticks=[-3, 0, 3])
    left.grid(visible=False)
    steps = np.arange(0, 101)
    for clearance, colour, at in ((2e-3, GREEN, 8), (1e-3, ACCENT, 21), (5e-4, PURPLE, 43), (3e-4, WARN, 78)):
        met = holes_met(clearance, steps)
        right.plot(steps, 100 * met, color=colour, linewidth=1.8)
        label(right, at + 2, 100 * met[at] - 7, f"{1000 * clearance:g}", colour, "left")
    right.set(xlim=(0, 100), ylim=(0, 103), xlabel="steps on the spiral", ylabel="holes met, %")
    return left


def holes_met(clearance: float, steps: np.ndarray) -> np.ndarray:
    """The share of the task's holes over which the peg has been after so many steps [n] along the spiral."""
    rng, task = np.random.default_rng(0), PegTask()
    angle, distance = rng.uniform(0, 2 * np.pi, HOLES), rng.uniform(*task.offset, HOLES)
    middle = distance * np.array([np.cos(angle), np.sin(angle)]) - rng.uniform(-task.grasp, task.grasp, (2, HOLES))
    lengths = np.arange(0, SpiralSearch().speed * steps.max() + FINE, FINE)
    points = spiral_points(lengths, PITCH * clearance)
    first = np.full(HOLES, np.inf)
    for i, hole in enumerate(middle.T):
        if (over := (np.abs(points - hole) <= clearance / 2).all(axis=1)).any():
            first[i] = lengths[over.argmax()]
    return (first[None] <= SpiralSearch().speed * steps[:, None]).mean(axis=1)


def guarded_moves() -> Axes:
    """Success with five cells. Left, against the number of moves: one cell for ever stays at 20 per cent, drawn cells
    reach 67 after five moves, one cell after another all of them. Right, after five moves against the length of the
    history: greedy 20, 40, 60, 80 and 100, drawn 67, 75, 82, 90 and 100."""
    left, right = charts(2.9, 2, sharey=True)
    moves = np.arange(0, 15)
    for success, colour, at, text in (
        (np.minimum(moves, CELLS) / CELLS, GREEN, (5.4, 108), "remembers"),
        ([memoryless_bound(CELLS, int(n)) for n in moves], ACCENT, (7.5, 66), "draws"),
        (np.minimum(moves, 1) / CELLS, WARN, (5.4, 27), "one cell for ever"),
    ):
        left.plot(moves, 100 * np.array(success), "o-", color=colour, linewidth=1.6, markersize=3.5)
        label(left, *at, text, colour, "left", size=SMALL)
    left.axvline(CELLS, color=FAINT, linewidth=1, linestyle=":")
    left.set(xlim=(0, 14), ylim=(0, 115), yticks=range(0, 101, 20), xlabel="moves", ylabel="success, %")
    lengths = np.arange(1, 7)
    for greedy, colour, mark in ((True, WARN, "s"), (False, ACCENT, "o")):
        found = [100 * probing_success(history_draws(CELLS, CELLS, int(n), greedy=greedy)) for n in lengths]
        right.plot(lengths, found, f"{mark}-", color=colour, linewidth=1.6, markersize=5)
    label(right, 1.5, 84, "drawn", ACCENT)
    label(right, 3.5, 50, "greedy", WARN)
    right.set(xlim=(0.5, 6.5), xticks=lengths, xlabel="observations remembered")
    return left
