"""Every number of an observation is what its name says: held against the same quantity, found in another way.

The physics is put into a state in which all quantities differ (object tumbling, fingers apart, every joint moving), so
that a name on the wrong number, a wrong sign, unit or frame shows. Nothing here uses the Jacobians, the columns or the
Euler angles that the observation is made with: positions come from MuJoCo by name, velocities from the positions of a
state that moves on for a millionth of a second, rotations from products of three elementary ones.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from wellposed import envs
from wellposed.envs.quantities import AXES, WORLD, Quantities

TASKS = ("FetchReach-v4", "FetchPush-v4", "FetchSlide-v4", "FetchPickAndPlace-v4")
STEP = 0.04  # seconds of an environment step
INSTANT = 1e-6  # seconds over which velocities are differences of positions
FINGER_JOINTS = {"right": "robot0:r_gripper_finger_joint", "left": "robot0:l_gripper_finger_joint"}


def tumbling(env_id: str, seed: int = 0):
    """One env in a state of its own, and what it observes there."""
    env = envs.make_vec(env_id, 1)
    env.reset(seed=seed)
    rng, data = np.random.default_rng(seed), env.physics.data[0]
    data.qpos[env.task.scene.finger_qpos] = 0.011, 0.037
    data.qpos[:3] += rng.uniform(-0.05, 0.05, 3)
    if env.task.variant.has_object:
        turn = rng.normal(size=4)
        data.qpos[env.task.scene.object_qpos] = (*rng.uniform(0.3, 0.8, 3), *turn / np.linalg.norm(turn))
    data.qvel[:] = rng.uniform(-1, 1, env.task.scene.model.nv)
    mujoco.mj_forward(env.task.scene.model, data)
    env.simulations[0].read()
    return env, env.observe().obs


def elementary(axis: int, angle: float) -> np.ndarray:
    """The rotation by an angle about a coordinate axis."""
    turned = np.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    turned[i, i] = turned[j, j] = np.cos(angle)
    turned[j, i] = np.sin(angle)
    turned[i, j] = -np.sin(angle)
    return turned


def later(env) -> mujoco.MjData:
    """The same physics after an instant of its present velocities, without forces."""
    model, data = env.task.scene.model, mujoco.MjData(env.task.scene.model)
    data.qpos[:] = env.physics.data[0].qpos
    mujoco.mj_integratePos(model, data.qpos, env.physics.data[0].qvel, INSTANT)
    mujoco.mj_kinematics(model, data)
    return data


def truths(env, obs: dict[str, np.ndarray], quantities: Quantities) -> dict[str, float]:
    """What MuJoCo says of every name."""
    now, then = env.physics.data[0], later(env)
    vectors = {"hand": now.site("robot0:grip").xpos}
    vectors["hand velocity"] = (then.site("robot0:grip").xpos - vectors["hand"]) / INSTANT * STEP
    if env.task.variant.has_object:
        place, rotation = now.site("object0").xpos, now.site("object0").xmat.reshape(3, 3)
        velocity = (then.site("object0").xpos - place) / INSTANT * STEP
        spin = (then.site("object0").xmat.reshape(3, 3) - rotation) / INSTANT @ rotation.T  # skew: w x r
        first = quantities.find("observation", "object angle x")
        angles = obs["observation"][0, first : first + 3]
        read = elementary(0, angles[0]) @ elementary(1, angles[1]) @ elementary(2, angles[2])
        vectors |= {
            "object": place,
            "object from hand": place - vectors["hand"],
            "object velocity from hand": velocity - vectors["hand velocity"],
            "object turning": np.array([spin[2, 1], spin[0, 2], spin[1, 0]]) * STEP,
            # Angles are not unique, what they turn is: where the rotation read from them is the object's, they stand.
            "object angle": np.where(np.allclose(read, rotation, atol=1e-9), angles, np.nan),
        }
    found = {f"{name} {axis}": vector[i] for name, vector in vectors.items() for i, axis in enumerate(AXES)}
    for side, joint in FINGER_JOINTS.items():
        found[f"{side} finger opening"] = now.joint(joint).qpos[0]
        found[f"{side} finger velocity"] = now.joint(joint).qvel[0] * STEP
    return found


def quantities_of(env_id: str) -> Quantities:
    found = envs.find(env_id).quantities
    assert found is not None
    return found


def differing(env_id: str, quantities: Quantities | None = None) -> list[str]:
    """The names that do not say what their number is."""
    env, obs = tumbling(env_id)
    quantities = quantities or quantities_of(env_id)
    truth, numbers = truths(env, obs, quantities), obs["observation"][0]
    assert len({round(number, 6) for number in numbers}) == len(numbers), "two numbers are alike and could be confused"
    pairs = zip(quantities.observation, numbers, strict=True)
    return [q.name for q, number in pairs if truth[q.name] != pytest.approx(number, abs=2e-6)]


@pytest.mark.parametrize("env_id", TASKS)
def test_every_number_is_what_its_name_says(env_id):
    assert differing(env_id) == []
    assert quantities_of(env_id.replace("-", "Dense-")) == quantities_of(env_id)


def test_an_observation_is_not_the_state():
    """Chapter 1: 43 numbers of position and velocity stand behind the 25 of Push."""
    model = envs.make_vec("FetchPush-v4").task.model
    assert (model.nq, model.nv) == (15 + 7, 15 + 6)


def swapped(quantities: Quantities, i: int, j: int) -> Quantities:
    names = list(quantities.observation)
    names[i], names[j] = names[j], names[i]
    return replace(quantities, observation=tuple(names))


@pytest.mark.parametrize("i", range(25))
def test_a_name_on_another_number_is_found_out(i):
    """Each name in the place of its neighbour. The three angles of a rotation only make sense together."""
    wrong = swapped(quantities_of("FetchPush-v4"), i, (i + 1) % 25)
    assert differing("FetchPush-v4", wrong)


@pytest.mark.parametrize("env_id", TASKS)
def test_goals_are_the_places_that_they_are_named_after(env_id):
    env, obs = tumbling(env_id)
    quantities = quantities_of(env_id)
    truth = truths(env, obs, quantities)
    assert [truth[q.name] for q in quantities.goal] == pytest.approx(obs["achieved_goal"][0].tolist(), abs=1e-12)


def test_places_in_the_world_are_the_points_that_the_geometry_shifts():
    quantities = quantities_of("FetchPush-v4")
    assert {q.unit for q in quantities.observation} == {"m", "rad", "m/step", "rad/step"}
    shifted = {i for point in envs.make_vec("FetchPush-v4").geometry.points for i in point}
    places = {i for i, q in enumerate(quantities.observation) if (q.frame, q.unit) == (WORLD, "m")}
    assert places == shifted
    assert [q.frame for q in quantities.goal] == [WORLD] * 3
