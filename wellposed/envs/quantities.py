"""What the numbers of an environment are: the name, the unit and the frame of each.

The names are not taken on trust: tests/envs/test_quantities.py computes every one of these quantities from the physics
state by another way, and holds it against the number that bears its name.
"""

from dataclasses import dataclass

AXES = ("x", "y", "z")
WORLD = "world"  # x away from the robot, y to its left, z up; the origin on the floor


@dataclass(frozen=True)
class Quantity:
    """One number."""

    name: str
    unit: str
    frame: str  # what it is measured in and from


@dataclass(frozen=True)
class Quantities:
    """All numbers of an environment, in the order in which they come."""

    observation: tuple[Quantity, ...]
    goal: tuple[Quantity, ...]
    action: tuple[Quantity, ...]

    def find(self, part: str, name: str) -> int:
        """Where a part ("observation", "goal" or "action") holds the number of that name."""
        return [quantity.name for quantity in getattr(self, part)].index(name)


def _vector(name: str, unit: str, frame: str) -> tuple[Quantity, ...]:
    """The three components of a vector."""
    return tuple(Quantity(f"{name} {axis}", unit, frame) for axis in AXES)


def _pair(name: str, unit: str) -> tuple[Quantity, ...]:
    """The same of both fingers, in the order of the model's joints."""
    return tuple(Quantity(f"{side} finger {name}", unit, "the finger's joint, 0 closed") for side in ("right", "left"))


HAND = _vector("hand", "m", WORLD)
FINGERS = _pair("opening", "m")
HAND_VELOCITY = _vector("hand velocity", "m/step", WORLD)
FINGER_VELOCITY = _pair("velocity", "m/step")
OBJECT = (
    *_vector("object", "m", WORLD),
    *_vector("object from hand", "m", "world axes, origin in the hand"),
)
OBJECT_MOTION = (
    *_vector("object angle", "rad", "world, Euler angles, R = Rx Ry Rz"),
    *_vector("object velocity from hand", "m/step", "world axes, less the hand's"),
    *_vector("object turning", "rad/step", "world axes"),
)
ACTION = (
    *_vector("hand target", "0.05 m", "world axes, origin in the hand"),
    Quantity("finger targets", "m", "each finger's joint, from where it is"),
)


def fetch_quantities(has_object: bool) -> Quantities:
    """The numbers of a Fetch task: 10 of an observation without an object, 25 with one.

    Velocities are displacements per environment step of 40 ms. Source: gymnasium-robotics 1.4.2,
    `envs/fetch/fetch_env.py`, `generate_mujoco_observations`.
    """
    position, motion = (OBJECT, OBJECT_MOTION) if has_object else ((), ())
    observation = (*HAND, *position, *FINGERS, *motion, *HAND_VELOCITY, *FINGER_VELOCITY)
    return Quantities(observation, _vector("object" if has_object else "hand", "m", WORLD), ACTION)
