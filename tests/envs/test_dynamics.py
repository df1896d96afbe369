"""Episodes under other dynamics: what is named differs and nothing else, physics follows, states go on."""

from typing import Any

import numpy as np
import pytest

from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.suites.fetch.oracle import ScriptedPush
from wellposed.envs.wrappers.dynamics import Dynamics, domain, dynamics_from
from wellposed.errors import UserError

NEUTRAL = {
    "friction": "1..1", "mass": "1..1", "size": "1..1", "damping": "1..1", "gain": "1..1", "table_height": "0..0",
    "rate": "1..1",
}  # fmt: skip
FOREIGN = "PointMaze_UMaze-v3"


def made(num_envs: int = 2, env_id: str = "FetchPush-v4", steps: int | None = None, **dynamics: str) -> Any:
    config = EnvConfig(env_id, max_episode_steps=steps, dynamics=Dynamics(**dynamics))
    return make_env(config, num_envs, "training", seed=1)


def pushed(env: Any, steps: int = 30) -> list[np.ndarray]:
    """The object's places while a script pushes it, [moments][n, 3]."""
    policy, now = ScriptedPush(), env.reset(seed=3)
    found = [now.truth["achieved_goal"]]
    for _ in range(steps):
        action, _ = policy.act(env.now.obs)
        found.append(env.step(action).next_truth["achieved_goal"])
    return found


def test_neutral_values_are_the_environment_itself_bit_for_bit():
    for env_id, names in (("FetchPush-v4", NEUTRAL), ("FetchPickAndPlace-v4", NEUTRAL), ("FetchSlide-v4", NEUTRAL)):
        plain, varied = made(2, env_id, steps=8), made(2, env_id, steps=8, **names)
        assert np.array_equal(plain.reset(seed=0).obs["observation"], varied.reset(seed=0).obs["observation"])
        rng = np.random.default_rng(0)
        for _ in range(20):  # over the end of two episodes
            move = rng.uniform(-1, 1, (2, 4)).astype(np.float32)
            one, other = plain.step(move), varied.step(move)
            assert np.array_equal(one.next_obs["observation"], other.next_obs["observation"])
            assert np.array_equal(plain.now.obs["desired_goal"], varied.now.obs["desired_goal"])


@pytest.mark.parametrize("name", ["friction", "mass", "damping", "gain", "rate"])
def test_pairs_have_the_same_start_and_goal_and_differ_in_what_is_named(name):
    plain, varied = made(steps=20), made(2, steps=20, **{name: "0.2"})
    one, other = plain.reset(seed=5).truth, varied.reset(seed=5).truth
    assert all(np.allclose(one[key], other[key], atol=1e-9) for key in one)
    assert {key: set(value) for key, value in varied.drawn().items()} == {f"dynamics.{name}": {0.2}}
    assert plain.drawn() == {}
    moved = [pushed(env, 20) for env in (plain, varied)]
    assert max(np.abs(a - b).max() for a, b in zip(*moved, strict=True)) > 1e-4
    assert np.array_equal(plain.now.truth["desired_goal"], varied.now.truth["desired_goal"])  # of the next episode too


ALL = {
    "friction": "0.5..1.5", "mass": "0.5..2", "size": "0.8..1.2", "damping": "0.5..2", "gain": "0.5..1.5",
    "table_height": "0..0.02", "rate": "0.5,1",
}  # fmt: skip


@pytest.mark.parametrize("env_id", ["FetchPush-v4", "FetchPickAndPlace-v4"])
@pytest.mark.parametrize("forgotten", [None, "geom_friction", "body_inertia"])
def test_a_step_on_a_threads_model_is_the_step_on_the_envs_own_bit_for_bit(env_id, forgotten):
    ours, own = (made(4, env_id, steps=25, **ALL) for _ in range(2))
    own.env._models = None
    models = ours.env._models
    models._names = [name for name in models._names if name != forgotten]
    models._own = [[getattr(model, name) for name in models._names] for model in ours.env.physics.models]
    one, other = (np.array(pushed(env, 60)) for env in (ours, own))
    assert np.array_equal(one, other) == (forgotten is None)
    assert all(place.simulation.model is place.model for place in models._places)


def test_a_threads_model_takes_over_what_the_solver_stops_by():
    env = made(2, steps=25, **ALL).env
    env.reset(seed=0)
    scales = [model.stat.meaninertia for model in env.physics.models]
    assert scales[0] != scales[1]
    for i, scale in enumerate(scales):
        env._models.advance(i, np.array([1.3, 0.75, 0.5, 1.0, 0.0, 1.0, 0.0, 0.0]))
        assert env._models._of_thread.model.stat.meaninertia == scale


def test_an_object_slides_farther_with_less_friction():
    """A free slide: the way to rest is v^2 / (2 mu g)."""
    ways = []
    for factor in (1.0, 2.0):
        env = made(1, "FetchSlide-v4", friction=str(factor))
        env.reset(seed=0)
        data = env.physics.data[0]
        velocity = int(env.physics.models[0].joint("object0:joint").dofadr[0])
        start = data.qpos[env.task.scene.object_qpos][:2].copy()
        data.qvel[velocity + 1] = 0.5
        for _ in range(25):
            env.step(np.zeros((1, 4)))
        ways.append(float(np.linalg.norm(data.qpos[env.task.scene.object_qpos][:2] - start)))
    assert abs(ways[0] / (0.5**2 / (2 * 0.1 * 9.81)) - 1) < 0.05
    assert abs(ways[0] / ways[1] - 2) < 0.1


def test_masses_and_sizes_are_what_they_are_said_to_be():
    env = made(1, mass="0.5", size="1.2", table_height="-0.01")
    resting = env.reset(seed=0).truth["achieved_goal"][0, 2]
    model = env.physics.models[0]
    own = env.task.scene.model
    assert model.body("object0").mass[0] == own.body("object0").mass[0] / 2
    assert np.allclose(model.geom("object0").size, 1.2 * own.geom("object0").size)
    assert np.allclose(model.body("object0").inertia, 0.5 * 1.44 * own.body("object0").inertia)
    for _ in range(5):  # it starts where it rests: on the table, its centre half its height above
        env.step(np.array([[0, 0, 1, 0.0]]))
    table = 0.4 - 0.01
    assert abs(resting - (table + 1.2 * 0.025)) < 1e-3
    assert abs(env.now.truth["achieved_goal"][0, 2] - resting) < 1e-3
    assert own.body("object0").mass[0] == 2.0  # the shared model is not written to


def test_a_slower_control_gives_each_action_more_time():
    env = made(1, "FetchReach-v4", rate="0.5")
    env.reset(seed=0)
    before = env.physics.data[0].time
    env.step(np.zeros((1, 4)))
    assert np.isclose(env.physics.data[0].time - before, 0.08)


def test_a_stiffer_hand_follows_more_closely():
    ways = []
    for factor in ("0.1", "1", "4"):
        env = made(1, "FetchReach-v4", gain=factor)
        start = env.reset(seed=0).truth["achieved_goal"]
        ways.append(np.linalg.norm(env.step(np.array([[1.0, 0, 0, 0]])).next_truth["achieved_goal"] - start))
    assert ways[0] < ways[1] < ways[2] < 0.05


def test_values_are_drawn_anew_for_each_episode_and_do_not_depend_on_the_number_of_envs():
    def drawn(num_envs: int) -> np.ndarray:
        env, found = made(num_envs, steps=3, friction="0.5..1.5", mass="0.5,2"), []
        env.reset(seed=[7, 8, 9][:num_envs])
        for _ in range(12):
            env.step(np.zeros((num_envs, 4)))
            found.append([env.drawn()[f"dynamics.{name}"][0] for name in ("friction", "mass")])
        return np.array(found)

    few, many = drawn(1), drawn(3)
    assert np.array_equal(few, many)
    assert len(set(few[:, 0])) == 5
    assert ((few[:, 0] >= 0.5) & (few[:, 0] <= 1.5)).all()
    assert set(few[:, 1]) <= {0.5, 2.0}


@pytest.mark.parametrize("env_id", ["FetchPickAndPlace-v4", FOREIGN])
def test_a_state_goes_on_with_the_same_dynamics(env_id):
    dynamics = {"friction": "0.2..2", "mass": "0.3..3", "damping": "0.1..3"}
    env, fresh, plain = (made(2, env_id, steps=12, **d) for d in (dynamics, dynamics, {"friction": "1..1"}))
    env.reset(seed=0)
    moves = np.random.default_rng(0).uniform(-1, 1, (40, 2, env.spec.action_dim)).astype(np.float32)
    for move in moves[:5]:
        env.step(move)
    state = {key: value.copy() for key, value in env.get_state().items()}
    expected = [env.step(move).next_obs["observation"] for move in moves[5:]]
    fresh.reset(seed=9)
    fresh.set_state(state)
    assert np.array_equal(expected, [fresh.step(move).next_obs["observation"] for move in moves[5:]])
    with pytest.raises((ValueError, KeyError)):
        plain.set_state(state)


def test_gymnasiums_environments_on_mujoco_vary_too():
    plain, varied = made(2, FOREIGN, steps=30), made(2, FOREIGN, steps=30, mass="4")
    assert "dynamics" in plain.capabilities
    one, other = plain.reset(seed=1).truth, varied.reset(seed=1).truth
    assert all(np.array_equal(one[key], other[key]) for key in one)
    for _ in range(10):
        ways = [env.step(np.ones((2, 2))).next_truth["observation"][:, 2:] for env in (plain, varied)]
    assert (np.abs(ways[1]) < np.abs(ways[0])).all()  # heavier, so slower


def test_what_cannot_be_varied_is_refused_with_what_can():
    with pytest.raises(UserError, match=r"dynamics.size: this environment can vary friction, damping, gain, rate"):
        made(1, "FetchReach-v4", size="1.1")
    with pytest.raises(UserError, match=r"--env.dynamics.table-height takes LOW..HIGH, A,B,C or a number"):
        Dynamics(table_height="high")
    with pytest.raises(UserError, match="is a factor, greater than 0"):
        Dynamics(mass="0..1")
    with pytest.raises(UserError, match=r"--dynamics takes NAME=RANGE, got 'mas=1'; did you mean 'mass'\?"):
        dynamics_from(["mas=1"])


def test_ranges_and_sets_are_read_as_they_are_written():
    assert (domain("-0.02..0.02").values, domain("-0.02..0.02").between) == ((-0.02, 0.02), True)
    assert (domain("0.5,1,2").values, domain("0.5,1,2").between) == ((0.5, 1.0, 2.0), False)
    rng = np.random.default_rng(0)
    draws = [domain("1..3").draw(rng) for _ in range(400)]
    assert 1 <= min(draws) < 1.1
    assert 2.9 < max(draws) <= 3
    assert abs(np.mean(draws) - 2) < 0.1
    for wrong in ("2..1", "1..2..3", "", "nan"):
        with pytest.raises(ValueError):
            domain(wrong)
    assert dynamics_from(["friction=0.5..1.5", "mass=2"]) == Dynamics("0.5..1.5", "2")
