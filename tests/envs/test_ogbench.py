"""OGBench's goals as stated here: its own success on any state, and episodes that their seeds determine."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from typing import Any

import mujoco
import numpy as np
import pytest

from wellposed.envs import registered
from wellposed.envs.suites import ogbench

pytest.importorskip("ogbench.manipspace", reason="needs the extra ogbench")
pytestmark = pytest.mark.filterwarnings("ignore::glfw.GLFWError")
MAKERS = {"cube-single-v0": ogbench.cube_single, "scene-v0": ogbench.scene}


@pytest.fixture(scope="module")
def made() -> dict[str, list[ogbench.GoalEnv]]:
    """Two instances of each."""
    registered()
    return {name: [make(), make()] for name, make in MAKERS.items()}


def random_state(env: Any, rng: np.random.Generator) -> None:
    """Put everything somewhere, near its place where rules change their mind."""
    inner, near = env.inner, rng.choice([0.0, 0.02, 0.04])
    cube = inner.data.joint("object_joint_0").qpos
    cube[:3] = inner.data.mocap_pos[0] + rng.normal(size=3) * near
    if "drawer" in env.task.summary:
        inner.data.joint("drawer_slide").qpos[0] = inner._target_drawer_pos + rng.normal() * near
        inner.data.joint("window_slide").qpos[0] = inner._target_window_pos + rng.normal() * near
        switched = rng.random(2) < 0.2
        inner._cur_button_states = np.where(switched, 1 - inner._target_button_states, inner._target_button_states)


def theirs(env: Any) -> bool:
    """What OGBench's `post_step` makes of it."""
    found = env.inner._compute_successes()
    flat = found if isinstance(found, list) else [*found[0], *found[1], *found[2:]]
    return bool(np.all(flat))


def judged(env: Any, is_success: Any, states: int = 300) -> tuple[list[bool], list[bool]]:
    """Success of random states of ten episodes, by OGBench and by a function of the two goals."""
    rng, told, ours = np.random.default_rng(0), [], []
    for i in range(states):
        if i % 30 == 0:
            env.reset(seed=i)
        random_state(env, rng)
        told.append(theirs(env))
        ours.append(bool(is_success(env.inner.compute_oracle_observation(), env.task.wanted(env.inner))))
    return told, ours


@pytest.mark.parametrize("name", MAKERS)
def test_success_is_ogbenchs_own_on_random_states(name, made):
    env = made[name][0]
    told, ours = judged(env, env.is_success)
    assert told == ours
    assert 0.1 < np.mean(told) < 0.9


@pytest.mark.parametrize("name", MAKERS)
def test_one_distance_over_all_numbers_of_a_goal_would_be_noticed(name, made):
    env = made[name][0]
    told, ours = judged(env, lambda achieved, desired: np.linalg.norm(achieved - desired) <= 0.6)
    assert told != ours


@pytest.mark.parametrize("name", MAKERS)
def test_many_pairs_get_what_each_gets(name, made):
    env = made[name][0]
    rng = np.random.default_rng(1)
    desired = rng.integers(0, 2, (50, env.observation_space["desired_goal"].shape[0])).astype(float)
    achieved = desired + rng.choice([0.0, 0.3, 0.55, 0.65], desired.shape, p=[0.7, 0.1, 0.1, 0.1])
    one_by_one = [env.is_success(a, d) for a, d in zip(achieved, desired, strict=True)]
    assert env.is_success(achieved, desired).tolist() == one_by_one
    assert env.compute_reward(achieved, desired, {}).tolist() == [found - 1.0 for found in one_by_one]
    assert env.compute_terminated(achieved, desired, {}).tolist() == one_by_one


def episode(env: Any, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = [env.reset(seed=seed)[0]]
    rows += [env.step(rng.uniform(-1, 1, 5).astype(np.float32))[0] for _ in range(15)]
    return np.array([np.concatenate([*row.values()]) for row in rows])


def physics(env: Any, seed: int) -> np.ndarray:
    """All that the simulation goes on from at the first moment of an episode."""
    env.reset(seed=seed)
    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(env.inner.model, kind))
    mujoco.mj_getState(env.inner.model, env.inner.data, state, kind)
    return state


@pytest.mark.parametrize("name", MAKERS)
def test_an_episode_is_determined_by_seed_and_actions(name, made, monkeypatch):
    env, other = made[name]
    expected = episode(env, 3)
    episode(other, 4)  # something to carry over
    assert np.array_equal(episode(other, 3), expected)
    assert np.array_equal(physics(env, 3), physics(other, 3))
    monkeypatch.setattr(ogbench.GoalEnv, "_forget", lambda _: None)
    assert not np.array_equal(physics(env, 3), physics(other, 3)), "OGBench's own reset leaves a trace"


def test_every_task_is_drawn_and_can_be_chosen(made):
    env = made["cube-single-v0"][0]
    drawn = [(env.reset(seed=seed), env.inner.cur_task_id)[1] for seed in range(20)]
    assert set(drawn) == {1, 2, 3, 4, 5}
    assert drawn[:5] == [(env.reset(seed=seed), env.inner.cur_task_id)[1] for seed in range(5)]
    env.reset(seed=0, options={"task_id": 4})
    assert env.inner.cur_task_id == 4


def test_an_episode_that_goes_on_at_its_goal_says_so():
    env = ogbench.cube_single(terminate_at_goal=False)
    env.reset(seed=0)
    goal = env.task.wanted(env.inner)
    assert env.is_success(goal, goal)
    assert not env.compute_terminated(goal, goal, {})
