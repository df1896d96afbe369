"""Drawings of what a camera sees of the table, by the laboratory's own camera, and of whose gradient trains what."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from scipy.stats import chi

from course.book.drawings.primitives import GREEN, MUTED, PURPLE, SMALL, arrow, box, canvas, charts, label
from wellposed.envs.suites.fetch import model
from wellposed.report.figures import ACCENT, FAINT, INK, WARN

SIZE = 48  # pixels of a frame, as the chapter has it
BLOCK, FINGER, TABLE = 0.05, 0.077, 0.4  # metres: width of the block, heights of a finger and of the table
ENDS = (1.05, 1.55)  # of the table, away from the robot, in metres


class Pinhole(NamedTuple):
    """A camera that draws a point where its ray meets the image."""

    place: np.ndarray  # [3] metres
    axes: np.ndarray  # [3, 3] unit vectors: to the right and down in the image, and ahead
    focal: float  # pixels
    size: int  # pixels

    def depth(self, points: Any) -> np.ndarray:
        """How far ahead points [..., 3] lie, in metres [...]."""
        return (np.asarray(points) - self.place) @ self.axes[2]

    def seen(self, points: Any) -> np.ndarray:
        """Where points [..., 3] are drawn, in pixels to the right and down from the corner [..., 2]."""
        offset = (np.asarray(points) - self.place) @ self.axes[:2].T
        return self.size / 2 + self.focal * offset / self.depth(points)[..., None]

    def ray(self, pixel: Any) -> np.ndarray:
        """The direction in which a pixel [2] looks, [3], one metre ahead."""
        return np.append((np.asarray(pixel) - self.size / 2) / self.focal, 1.0) @ self.axes


def camera_of(variant: model.Variant, size: int) -> Pinhole:
    """The camera of a task from pictures of `size` pixels."""
    camera, angles = model.view(variant).camera, np.radians(model.load_scene(variant).model.vis.global_.fovy)
    azimuth, elevation = np.radians([camera.azimuth, camera.elevation])
    ahead = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)])
    right = np.cross(ahead, [0, 0, 1])
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(ahead, right), ahead])
    return Pinhole(np.array(camera.look_at) - camera.distance * ahead, axes, size / 2 / np.tan(angles / 2), size)


def middle_of(variant: model.Variant) -> np.ndarray:
    """A block that lies under the hand at the start of an episode, [3]."""
    scene = model.load_scene(variant)
    return np.append(scene.initial_grip[:2], scene.object_height)


def pixel_of(variant: model.Variant, size: int) -> float:
    """How wide a pixel is there, across the ray, in metres."""
    camera = camera_of(variant, size)
    return float(camera.depth(middle_of(variant)) / camera.focal)


def misread(width: float) -> float:
    """By how much a bar is off that is read from one row of pixels, in pixels, root mean square over all its places.

    A pixel is dark if its centre is in the bar, whose width in pixels is known. While the bar moves by a pixel, each of
    its ends passes one centre, and between these two moments nothing changes: its place is known up to the share of
    them that the width leaves over a whole number, or up to the rest.
    """
    over = width % 1
    return float(np.sqrt((over**3 + (1 - over) ** 3) / 12))


def camera_rays() -> Axes:
    """Push from the side, to scale. The camera stands above the far edge of the table and looks down at the hand. Every
    fourth pixel's ray meets the table; nearer the camera they are closer together. Behind the hand, on the robot's
    side, lies a strip of the table that no ray reaches."""
    ax, scale, left, ground = canvas(92), 105, 1.02, 8
    camera, middle = camera_of(model.PUSH, SIZE), middle_of(model.PUSH)
    at = lambda x, z: (8 + scale * (x - left), ground + scale * (z - TABLE))  # noqa: E731
    eye, top = at(camera.place[0], camera.place[2]), at(0, TABLE)[1]
    near, far = (at(x, TABLE)[0] for x in ENDS)
    ax.add_patch(Rectangle((near, top - 3), far - near, 3, facecolor=FAINT, alpha=0.35, linewidth=0))
    ax.plot([near, far], [top, top], color=INK, linewidth=1)
    for pixel in range(0, SIZE + 1, 4):
        ray = camera.ray((SIZE / 2, pixel))
        x = camera.place[0] + ray[0] * (TABLE - camera.place[2]) / ray[2]
        look: Any = {"color": ACCENT, "linewidth": 1.2 if pixel in (0, SIZE) else 0.6, "alpha": 0.8}
        if x > ENDS[0]:
            ax.plot([eye[0], at(x, TABLE)[0]], [eye[1], top], **look)
    finger = middle + np.array([0, 0, FINGER - BLOCK / 2])
    ray = finger - camera.place
    behind = finger + ray * (TABLE - finger[2]) / ray[2]
    strip = at(behind[0], TABLE)[0], at(middle[0], TABLE)[0]
    ax.plot(strip, [top - 1.5] * 2, color=WARN, linewidth=4, solid_capstyle="butt")
    ax.add_patch(Rectangle((strip[1] - 0.9, top), 1.8, scale * FINGER, color=INK, alpha=0.7, linewidth=0))
    corner = at(middle[0] + 0.09, TABLE)
    ax.add_patch(Rectangle(corner, scale * BLOCK, scale * BLOCK, color=ACCENT, alpha=0.75, linewidth=0))
    ax.plot(*eye, "o", color=INK, markersize=6)
    arrow(ax, (22, 62), (8, 62))
    for x, y, text, colour, side in (
        (eye[0] - 4, eye[1] + 3, "camera", INK, "right"),
        (corner[0] + 12, top + 3, "block", ACCENT, "left"),
        (strip[0] - 2, top - 7, f"hidden: {100 * (middle[0] - behind[0]):.1f} cm", WARN, "left"),
        (strip[1] - 4, top + 7.5, "finger", INK, "right"),
        (2, 68, "the robot\nstands there", INK, "left"),
    ):
        label(ax, x, y, text, colour, side, size=SMALL)  # type: ignore[arg-type]
    label(
        ax,
        98,
        22,
        f"*n* = {SIZE}\n*f* = {camera.focal:.1f} pixels\ndepth {100 * camera.depth(middle):.1f} cm",
        align="right",
    )
    return ax


def pixel_and_goal() -> Axes:
    """Left: the width of a pixel on the table against the size of the image, for Push and PickAndPlace, with the width
    of the block as a line that both meet below 20 pixels. Right: the share of episodes in which a block that is put
    where the estimate says lies within 5 cm of its goal, against the error on each axis, on a table and in space."""
    left, right = charts(2.9, 2)
    sizes = np.arange(8, 97)
    for variant, colour, y in ((model.PUSH, ACCENT, 9), (model.PICK_AND_PLACE, PURPLE, 40)):
        widths = 1000 * np.array([pixel_of(variant, int(size)) for size in sizes])
        left.plot(sizes, widths, color=colour, linewidth=2)
        label(left, 46, y, variant.name, colour, "left" if y > 20 else "right", size=SMALL)
    left.axhline(1000 * BLOCK, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    label(left, 96, 55, "the block", size=SMALL, align="right")
    left.set(xlim=(8, 96), ylim=(0, 80), xlabel="pixels across the image", ylabel="a pixel, mm", xticks=[16, 48, 84])
    off = np.linspace(0.001, 0.06, 200)
    for axes, colour, name, place in ((2, ACCENT, "on a table", (3.2, 78)), (3, PURPLE, "in space", (2.15, 50))):
        right.plot(100 * off, 100 * placed(off, axes), color=colour, linewidth=2)
        label(right, *place, name, colour, "left" if axes == 2 else "right", size=SMALL)
    right.axhline(95, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    label(right, 5.9, 90, "95 %", size=SMALL, align="right")
    right.set(xlim=(0, 6), ylim=(0, 103), xlabel="error on each axis, cm", ylabel="within 5 cm, %")
    return left


def placed(off: np.ndarray, axes: int) -> np.ndarray:
    """The chance that normal errors of this size on each axis, in metres, add up to less than the goal's radius."""
    return chi.cdf(model.DISTANCE_THRESHOLD / off, axes)


def four_ways() -> Axes:
    """What each way reads and whose gradient trains it. Estimate, then act: pictures pass through an estimator, whose
    loss compares with the truth; the critics read the truth and train the actor. Distil: pictures pass through a pupil,
    whose loss compares with the action of a teacher on the truth. End to end: the gradient of critics that read the
    truth passes through the actor into its encoder. Nothing but pixels: the loss of the critics trains the encoder, and
    the actor reads with it without a gradient."""
    ax = canvas(124)
    _estimated(ax, 110.5)
    _distilled(ax, 77)
    _end_to_end(ax, 45)
    _from_pixels(ax, 15.5)
    for y in (91, 59.5, 30.2):
        ax.plot([0, 100], [y, y], color=FAINT, linewidth=0.8)
    return ax


def _begin(ax: Axes, y: float, name: str) -> tuple[Any, Any]:
    """The name of a way, its pictures, and the truth below them."""
    label(ax, 0, y + 9.5, name, align="left")
    return box(ax, 9, y, "pictures", 18, 8, ACCENT), box(ax, 9, y - 11, "truth", 18, 8, WARN)


def _back(ax: Axes, *points: tuple[float, float]) -> None:
    """The way of a gradient."""
    arrow(ax, *points, colour=GREEN, dashed=True)


def _estimated(ax: Axes, y: float) -> None:
    pictures, truth = _begin(ax, y, "(a), (c)  Estimate, then act")
    eye, actor = box(ax, 34, y, "estimator", 20, 8), box(ax, 88, y, "actor", 20, 8)
    estimate, loss = box(ax, 61, y, "*ŝ*", 12, 8, MUTED), box(ax, 61, y - 11, "|*ŝ* − *s*|", 22, 8)
    critics = box(ax, 88, y - 11, "critics", 20, 8)
    for one, other in ((pictures, eye), (eye, estimate), (estimate, actor), (truth, loss)):
        arrow(ax, one.right, other.left)
    arrow(ax, estimate.bottom, loss.top)
    _back(ax, (52, y - 7), (52, y - 2.2), (44, y - 2.2))
    _back(ax, critics.top, actor.bottom)
    arrow(ax, truth.bottom, (9, y - 16.2), (88, y - 16.2), critics.bottom, colour=WARN)


def _distilled(ax: Axes, y: float) -> None:
    pictures, truth = _begin(ax, y, "(b)  Distil")
    pupil, teacher = box(ax, 38, y, "pupil", 20, 8), box(ax, 38, y - 11, "teacher", 20, 8)
    loss = box(ax, 86, y - 5.5, "|*a* − *a*′|^2", 22, 8)
    for one, other in ((pictures, pupil), (truth, teacher)):
        arrow(ax, one.right, other.left)
    arrow(ax, pupil.right, (loss.x - 4, y), (loss.x - 4, y - 1.5))
    arrow(ax, teacher.right, (loss.x - 4, y - 11), (loss.x - 4, y - 9.5))
    _back(ax, loss.left, (62, y - 5.5), (62, y - 2), (48, y - 2))
    label(ax, 66, y + 3, "*a*")
    label(ax, 70, y - 8.3, "*a*′")


def _end_to_end(ax: Axes, y: float) -> None:
    pictures, truth = _begin(ax, y, "(c)  End to end, critics on the truth")
    encoder, actor, critics = (
        box(ax, x, y, text, 20, 8) for x, text in ((36, "encoder"), (63, "actor"), (89, "critics"))
    )
    for one, other in ((pictures, encoder), (encoder, actor), (actor, critics)):
        arrow(ax, (one.right[0], y + 1.5), (other.left[0], y + 1.5))
    for one, other in ((critics, actor), (actor, encoder)):
        _back(ax, (one.left[0], y - 1.8), (other.right[0], y - 1.8))
    arrow(ax, truth.right, (critics.x, y - 11), critics.bottom, colour=WARN)


def _from_pixels(ax: Axes, y: float) -> None:
    label(ax, 0, y + 9.5, "(d)  Nothing but pixels", align="left")
    pictures = box(ax, 9, y, "pictures", 18, 8, ACCENT)
    encoder, critics = box(ax, 36, y, "encoder", 20, 8), box(ax, 63, y, "critics", 20, 8)
    loss, actor = box(ax, 89, y, "(*Q* − *y*)^2", 20, 8), box(ax, 63, y - 11, "actor", 20, 8)
    for one, other in ((pictures, encoder), (encoder, critics), (critics, loss)):
        arrow(ax, (one.right[0], y + 1.5), (other.left[0], y + 1.5))
    for one, other in ((loss, critics), (critics, encoder)):
        _back(ax, (one.left[0], y - 1.8), (other.right[0], y - 1.8))
    arrow(ax, encoder.bottom, (36, y - 11), actor.left)
    ax.plot([43, 45], [y - 13.5, y - 8.5], color=WARN, linewidth=2)
    label(ax, 44, y - 15.5, "no gradient", WARN, size=SMALL)
