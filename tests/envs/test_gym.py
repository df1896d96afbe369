"""Gymnasium goal environments that are not Fetch, behind the same interface."""

import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest

from tests.check.point import Point
from wellposed import envs
from wellposed.envs.gymnasium_edge import successor
from wellposed.errors import UserError

gym.register_envs(gymnasium_robotics)


@pytest.mark.parametrize("env_id", ["HandReach-v3", "PointMaze_UMaze-v3"])
def test_copies_play_the_episodes_of_the_original(env_id):
    ours = envs.make_vec(env_id, 2)
    theirs = [gym.make(env_id) for _ in range(2)]
    obs, _ = ours.reset(seed=8)
    for i, env in enumerate(theirs):
        assert np.array_equal(obs["observation"][i], env.reset(seed=8 + i)[0]["observation"])
    rng, ended = np.random.default_rng(0), 0
    for _ in range(ours.max_episode_steps + 5):
        actions = rng.uniform(-1, 1, ours.action_space.shape).astype(np.float32)
        obs, reward, terminated, truncated, info = ours.step(actions)
        after = successor(obs, info)
        for i, env in enumerate(theirs):
            other, other_reward, other_terminated, other_truncated, _ = env.step(actions[i])
            assert np.array_equal(after["observation"][i], other["observation"])
            assert (reward[i], terminated[i], truncated[i]) == (other_reward, other_terminated, other_truncated)
            if other_terminated or other_truncated:
                ended += 1
                again = env.reset(seed=ours.episode_seeds[i])[0]["observation"]
                assert np.array_equal(obs["observation"][i], again)
    assert ended >= 2


@pytest.mark.parametrize("env_id", ["HandReach-v3", "PointMaze_UMaze-v3", "AntMaze_UMaze-v5"])
def test_reward_termination_and_success_can_be_asked_for_any_goal(env_id):
    env = envs.make_vec(env_id, 3)
    obs, _ = env.reset(seed=0)
    achieved, desired = obs["achieved_goal"], obs["desired_goal"]
    assert env.compute_reward(achieved, desired).shape == (3,)
    assert env.compute_terminated(achieved, desired).shape == (3,)
    assert env.is_success(desired, desired).all()
    assert not env.is_success(desired + 100.0, desired).any()


def test_a_termination_test_that_mixes_a_batch_is_asked_row_by_row():
    """The maze takes one norm over whatever it is given; a batch must not be judged as one."""
    env = envs.make_vec("PointMaze_UMaze-v3", 2, continuing_task=False)
    desired = np.zeros((2, 2))
    achieved = np.array([[0.0, 0.0], [9.0, 9.0]])
    assert env.compute_terminated(achieved, desired).tolist() == [True, False]


class Ends(Point):
    """Ends its episodes at the goal; no method tells of it."""

    def ends(self, obs):
        return bool(self.at(self.distance(obs["achieved_goal"], obs["desired_goal"])))

    def at(self, distance):
        return distance < 0.1


class EndsElsewhereToo(Ends):
    def at(self, distance):
        return distance < 0.1 or distance > 0.8


class EndsOnceItHasStayed(Ends):
    def at(self, distance):
        return distance < 0.1 and self.steps > 3


class HidesItsGoal(Ends):
    """Its goal cannot be moved from outside, but now and then an episode begins at it."""

    def start(self):
        super().start()
        self._goal = self.position if self.np_random.random() < 0.2 else self.goal

    def observe(self):
        return super().observe() | {"desired_goal": self._goal.copy()}


@pytest.mark.parametrize(
    ("kind", "ends"),
    [(Ends, True), (HidesItsGoal, True), (Point, False), (EndsElsewhereToo, False), (EndsOnceItHasStayed, False)],
)
def test_episodes_that_end_at_their_goal_without_saying_so_end_there_for_goals_in_hindsight_too(kind, ends):
    gym.register("EndsOfItsOwn-v0", kind, max_episode_steps=50)
    try:
        env = envs.make_vec("EndsOfItsOwn-v0", 2)
    finally:
        gym.registry.pop("EndsOfItsOwn-v0")
    achieved, desired = np.zeros((2, 2)), np.array([[0.05, 0.0], [0.5, 0.0]])
    assert env.compute_terminated(achieved, desired).tolist() == [ends, False]


def test_a_termination_at_the_goal_is_not_a_truncation():
    env = envs.make_vec("PointMaze_UMaze-v3", 1, continuing_task=False)
    obs, _ = env.reset(seed=0)
    for _ in range(300):
        push = obs["desired_goal"] - obs["achieved_goal"] - 0.3 * obs["observation"][:, 2:]
        obs, _, terminated, truncated, info = env.step(np.clip(push, -1, 1).astype(np.float32))
        if terminated[0] or truncated[0]:
            break
    assert terminated[0] != truncated[0]
    assert info["is_success"][0] == terminated[0]


@pytest.mark.parametrize(
    ("env_id", "reason"),
    [
        ("CartPole-v1", "not a dict with observation"),
        ("PointMaze_UMazeDense-v3", "no success test"),
        ("FetchPush-v2", "leaked state through resets"),
        ("FetchPsh-v4", "Did you mean FetchPush-v4"),
        ("nothing:Nothing-v0", "could not make"),
    ],
)
def test_what_is_unknown_or_not_well_posed_is_refused_with_the_reason(env_id, reason):
    with pytest.raises(UserError, match=reason):
        envs.make_vec(env_id)
