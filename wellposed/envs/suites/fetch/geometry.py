"""The symmetries of the Fetch tasks."""

from wellposed.envs.suites.fetch.model import FetchScene
from wellposed.types import Geometry, Mirror


def fetch_geometry(scene: FetchScene) -> Geometry:
    """What the table leaves unchanged: shifts along it, and the mirror image that swaps left and right (y).

    Both hold for the hand, which a weld drags, and for what it touches. The arm behind it obeys neither, which shows in
    5 mm at most (tests/envs/test_geometry.py). A reflection in y turns
    the x and z components of angles and angular velocities round, and swaps the fingers.

    Where goals lie beyond the arm's reach (Slide) shifts are no symmetry: at its edge the hand cannot follow the puck.
    """
    has_object = scene.variant.has_object
    order = list(range(25 if has_object else 10))
    for first in (9, 23) if has_object else (3, 8):  # positions, then velocities of the fingers
        order[first], order[first + 1] = first + 1, first
    odd = {1, 4, 7, 11, 13, 15, 17, 19, 21} if has_object else {1, 6}
    points = ((0, 1, 2), (3, 4, 5)) if has_object else ((0, 1, 2),)
    across = 2 * float(scene.initial_grip[1])  # y + y' of a point and its image
    shift_axes = () if any(scene.variant.target_offset) else (0, 1)
    absolute = {point[1] for point in points}
    mirror = Mirror(
        observation_order=tuple(order),
        observation_sign=tuple(-1 if i in odd else 1 for i in range(len(order))),
        observation_offset=tuple(across if i in absolute else 0.0 for i in range(len(order))),
        goal_sign=(1, -1, 1),
        goal_offset=(0.0, across, 0.0),
        action_sign=(1, -1, 1, 1),
    )
    return Geometry(effector=points[0], points=points, shift_axes=shift_axes, mirror=mirror)
