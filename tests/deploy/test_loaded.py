"""A loaded policy plays in a plain loop of Gymnasium: single observations, batches, and memory."""

import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest

import wellposed as wp
from wellposed.errors import UserError
from wellposed.portable import LoadedPolicy, Seen

gym.register_envs(gymnasium_robotics)


class Counting:
    """A policy that remembers how many moments of the episode it has seen, and says so."""

    def initial_carry(self, n: int) -> np.ndarray:
        return np.zeros((n, 1))

    def act(self, obs, carry=(), rng=None):
        return carry / 10, carry + 1


def counting() -> LoadedPolicy:
    return LoadedPolicy(Counting(), [Seen("observation", [2], [], [], 0.0)], [-1.0], [1.0], {})


def test_a_run_plays_in_three_lines(run):
    policy = wp.load_policy(run)
    env = gym.make("FetchReach-v4", max_episode_steps=3)
    obs, _ = env.reset(seed=0)
    for _ in range(3):
        action = policy(obs)
        assert env.action_space.contains(action)
        obs, *_ = env.step(action)
    assert policy.card["run"] == run.name
    env.close()


def test_it_acts_as_the_agent_of_the_run(run):
    _, agent, _ = wp.load_run(run)
    rng = np.random.default_rng(0)
    obs = {one.name: rng.standard_normal((5, *one.shape)) for one in agent.spec.obs}
    np.testing.assert_allclose(wp.load_policy(run)(obs), agent.act(obs)[0], atol=1e-5)


def test_one_observation_is_a_batch_of_one(run):
    policy = wp.load_policy(run)
    rng = np.random.default_rng(0)
    obs = {one.name: rng.standard_normal((4, *one.shape)) for one in policy.fields}
    together = policy(obs)
    for i in range(4):
        np.testing.assert_allclose(policy({name: array[i] for name, array in obs.items()}), together[i], atol=1e-6)


def test_a_memory_goes_on_from_call_to_call_until_it_is_reset():
    policy, obs = counting(), {"observation": np.zeros(2)}
    assert [float(policy(obs)[0]) for _ in range(3)] == pytest.approx([0.0, 0.1, 0.2])
    policy.reset()
    assert float(policy(obs)[0]) == 0.0


def test_only_envs_that_ended_forget():
    policy, obs = counting(), {"observation": np.zeros((3, 2))}
    policy(obs)
    policy.reset(np.array([True, False, True]))
    np.testing.assert_allclose(policy(obs)[:, 0], [0.0, 0.1, 0.0])


def test_another_number_of_envs_begins_anew():
    policy = counting()
    policy({"observation": np.zeros((3, 2))})
    np.testing.assert_allclose(policy({"observation": np.zeros((2, 2))})[:, 0], [0.0, 0.0])


@pytest.mark.parametrize(
    ("obs", "why"),
    [
        ({"other": np.zeros(2)}, "lacks observation; it has other"),
        ({"observation": np.zeros(3)}, r"must be \[2\] or a batch"),
        ({"observation": np.zeros((2, 2, 2))}, r"must be \[2\] or a batch"),
    ],
)
def test_an_observation_of_another_environment_is_refused(obs, why):
    with pytest.raises(UserError, match=why):
        counting()(obs)
