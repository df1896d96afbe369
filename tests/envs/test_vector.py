"""Contracts that every registered environment keeps; a new one is tested by being registered."""

import gymnasium as gym
import numpy as np
import pytest

from wellposed import envs
from wellposed.envs.gymnasium_edge import successor

IDS = [entry.id for entry in envs.registered()]
everywhere = pytest.mark.parametrize("env_id", IDS)


def actions(n: int, steps: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, n, 4)).astype(np.float32)


def trace(env, moves: np.ndarray) -> np.ndarray:
    """Observations, goals and rewards of a sequence of moves, flattened: [steps, n, d]."""
    rows = []
    for move in moves:
        obs, reward, *_ = env.step(move)
        rows.append(np.concatenate([*obs.values(), reward[:, None]], axis=1))
    return np.array(rows)


@everywhere
def test_observations_lie_in_the_declared_spaces(env_id):
    env = envs.make_vec(env_id, 3)
    obs, info = env.reset(seed=0)
    assert obs in env.observation_space
    assert info == {}
    obs, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert obs in env.observation_space
    assert reward.shape == terminated.shape == truncated.shape == (3,)
    assert reward.dtype == np.float64
    assert terminated.dtype == truncated.dtype == bool


@everywhere
def test_the_reward_is_that_of_the_next_achieved_goal_for_any_batch(env_id):
    env = envs.make_vec(env_id, 4)
    obs, _ = env.reset(seed=0)
    for move in actions(4, 55):
        obs, reward, terminated, truncated, info = env.step(move)
        after = successor(obs, info)
        achieved, desired = after["achieved_goal"], after["desired_goal"]
        assert np.array_equal(reward, env.compute_reward(achieved, desired))
        assert np.array_equal(terminated, env.compute_terminated(achieved, desired))
        assert np.array_equal(info["is_success"], env.is_success(achieved, desired))
        one_by_one = [env.compute_reward(a[None], d[None])[0] for a, d in zip(achieved, desired, strict=True)]
        assert np.array_equal(reward, one_by_one)


@everywhere
def test_an_episode_is_truncated_never_terminated_and_its_last_observation_handed_over(env_id):
    env = envs.make_vec(env_id, 2)
    start, _ = env.reset(seed=0)
    for t, move in enumerate(actions(2, 50), 1):
        obs, _, terminated, truncated, info = env.step(move)
        assert not terminated.any()
        assert truncated.all() == (t == 50)
        assert ("final_obs" in info) == (t == 50)
    assert info["_final_obs"].all()
    assert not np.array_equal(info["final_obs"][0]["observation"], obs["observation"][0])
    assert not np.array_equal(obs["desired_goal"], start["desired_goal"])
    assert np.array_equal(obs["observation"][:, :2], start["observation"][:, :2])  # the hand starts where it did


@everywhere
def test_the_number_of_threads_and_of_copies_changes_nothing(env_id):
    moves = actions(5, 60)
    traces = []
    for copies, threads in ((5, 1), (5, 2), (5, 4), (3, 2)):
        env = envs.make_vec(env_id, copies, threads=threads)
        env.reset(seed=3)
        traces.append(trace(env, moves[:, :copies])[:, :3])
        env.close()
    assert all(np.array_equal(traces[0], other) for other in traces[1:])


@everywhere
def test_a_restored_state_goes_on_bit_for_bit_in_a_fresh_environment(env_id):
    env = envs.make_vec(env_id, 3, threads=2)
    env.reset(seed=5)
    moves = actions(3, 100)
    trace(env, moves[:20])
    state = {key: value.copy() for key, value in env.get_state().items()}
    expected = trace(env, moves[20:])  # runs over the end of the episode, into the next reset
    fresh = envs.make_vec(env_id, 3)
    fresh.reset(seed=99)
    trace(fresh, moves[:7])
    restored = fresh.set_state(state)
    assert np.array_equal(restored["desired_goal"], state["desired_goal"])
    assert np.array_equal(trace(fresh, moves[20:]), expected)


@everywhere
def test_the_readings_belong_to_the_state(env_id):
    """They cannot be recomputed: a restored state whose hand is off by a micrometre goes another way."""
    env = envs.make_vec(env_id, 1)
    env.reset(seed=5)
    moves = actions(1, 40)
    trace(env, moves[:20])
    state = env.get_state()
    expected = trace(env, moves[20:])
    env.set_state(state | {"readings": state["readings"] + 1e-6})
    assert not np.array_equal(trace(env, moves[20:]), expected)


@everywhere
def test_what_a_step_returned_stays_as_it_was(env_id):
    env = envs.make_vec(env_id, 2)
    obs, _ = env.reset(seed=0)
    move = actions(2, 1)[0]
    first, reward, *_ = env.step(move)
    kept = {key: value.copy() for key, value in first.items()}
    env.step(-move)
    assert all(np.array_equal(first[key], kept[key]) for key in kept)
    assert np.array_equal(move, actions(2, 1)[0]), "the caller's actions were written to"


@everywhere
def test_seeds_name_episodes(env_id):
    env = envs.make_vec(env_id, 2)
    goals = [env.reset(seed=s)[0]["desired_goal"] for s in (4, 5, [4, 9], 4)]
    assert np.array_equal(goals[0], goals[3])
    assert np.array_equal(goals[0][1], goals[1][0])  # copy i has seed s + i
    assert np.array_equal(goals[0][0], goals[2][0])
    assert not np.array_equal(goals[0][1], goals[2][1])
    assert not np.array_equal(env.reset()[0]["desired_goal"], goals[0])  # the streams go on


@everywhere
@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (np.zeros((2, 3)), ValueError),
        (np.zeros(4), ValueError),
        (np.full((2, 4), np.nan), FloatingPointError),
        (np.full((2, 4), np.inf), FloatingPointError),
    ],
)
def test_senseless_actions_are_refused(env_id, bad, error):
    env = envs.make_vec(env_id, 2)
    env.reset(seed=0)
    with pytest.raises(error, match="actions must"):
        env.step(bad)


@everywhere
def test_a_mask_resets_only_some_copies(env_id):
    env = envs.make_vec(env_id, 2)
    env.reset(seed=0)
    before = env.step(actions(2, 1)[0])[0]
    after, _ = env.reset(options={"reset_mask": np.array([True, False])})
    assert not np.array_equal(after["desired_goal"][0], before["desired_goal"][0])
    assert all(np.array_equal(after[key][1], before[key][1]) for key in after)


def test_a_seed_with_a_mask_or_a_none_leaves_the_other_streams_alone():
    env, untouched = envs.make_vec("FetchReach-v4", 2), envs.make_vec("FetchReach-v4", 2)
    env.reset(seed=0)
    untouched.reset(seed=0)
    env.reset(seed=7, options={"reset_mask": np.array([True, False])})
    env.reset(seed=[3, None], options={"reset_mask": np.array([True, False])})
    expected = untouched.reset()[0]["desired_goal"][1]
    assert np.array_equal(env.reset()[0]["desired_goal"][1], expected)
    assert np.array_equal(env.reset(seed=np.int64(4))[0]["desired_goal"], env.reset(seed=4)[0]["desired_goal"])


@everywhere
def test_the_action_that_reached_the_simulator_is_told(env_id):
    env = envs.make_vec(env_id, 2)
    env.reset(seed=0)
    info = env.step(np.full((2, 4), 3.0, np.float32))[-1]
    assert np.array_equal(info["applied_action"], np.ones((2, 4)))


def test_gymnasiums_own_vector_wrappers_take_it():
    """Anyone's code can use it: the statistics wrapper finds the episodes where Gymnasium's interface has them."""
    env = gym.wrappers.vector.RecordEpisodeStatistics(envs.make_vec("FetchReach-v4", 2))
    env.reset(seed=0)
    for move in actions(2, 50):
        *_, info = env.step(move)
    episode = info["episode"] if "episode" in info else info["final_info"]["episode"]
    assert episode["l"].tolist() == [50, 50]
    assert (episode["r"] <= 0).all()


def test_a_state_of_another_task_or_size_is_refused():
    push, reach = envs.make_vec("FetchPush-v4", 2), envs.make_vec("FetchReach-v4", 2)
    for other in (reach, envs.make_vec("FetchPush-v4", 3)):
        with pytest.raises(ValueError, match="another task or another number"):
            push.set_state(other.get_state())


def test_a_wrong_number_of_seeds_is_refused():
    with pytest.raises(ValueError, match="2 seeds, got 3"):
        envs.make_vec("FetchReach-v4", 2).reset(seed=[1, 2, 3])
