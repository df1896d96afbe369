"""What the numbers of a Fetch task are.

tests/envs/test_quantities.py computes each of them from the physics state in another way and compares it with the
number of that name.
"""

from wellposed.envs.quantities import WORLD, Quantities, Quantity, vector


def _pair(name: str, unit: str) -> tuple[Quantity, ...]:
    """The same of both fingers, in the order of the model's joints."""
    return tuple(Quantity(f"{side} finger {name}", unit, "the finger's joint, 0 closed") for side in ("right", "left"))


HAND = vector("hand", "m", WORLD)
FINGERS = _pair("opening", "m")
HAND_VELOCITY = vector("hand velocity", "m/step", WORLD)
FINGER_VELOCITY = _pair("velocity", "m/step")
OBJECT = (
    *vector("object", "m", WORLD),
    *vector("object from hand", "m", "world axes, origin in the hand"),
)
OBJECT_MOTION = (
    *vector("object angle", "rad", "world, Euler angles, R = Rx Ry Rz"),
    *vector("object velocity from hand", "m/step", "world axes, less the hand's"),
    *vector("object turning", "rad/step", "world axes"),
)
ACTION = (
    *vector("hand target", "0.05 m", "world axes, origin in the hand"),
    Quantity("finger targets", "m", "each finger's joint, from where it is"),
)


def fetch_quantities(has_object: bool) -> Quantities:
    """The numbers of a Fetch task: 10 of an observation without an object, 25 with one.

    Velocities are displacements per environment step of 40 ms. Source: gymnasium-robotics 1.4.2,
    `envs/fetch/fetch_env.py`, `generate_mujoco_observations`.
    """
    position, motion = (OBJECT, OBJECT_MOTION) if has_object else ((), ())
    observation = (*HAND, *position, *FINGERS, *motion, *HAND_VELOCITY, *FINGER_VELOCITY)
    return Quantities(observation, vector("object" if has_object else "hand", "m", WORLD), ACTION)
