"""Gymnasium goal environments that are not Fetch, behind the same interface."""

import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest

import wellposed as wp
from tests.check.point import Point
from wellposed import envs
from wellposed.envs.gymnasium_edge import successor
from wellposed.errors import UserError

gym.register_envs(gymnasium_robotics)


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["HandReach-v3", "PointMaze_UMaze-v3"])
def test_envs_play_the_episodes_of_the_original(env_id):
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


@pytest.mark.slow
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


@pytest.fixture
def make(monkeypatch):
    """Makes two envs of an environment by its class."""

    def made(kind, steps=50):
        monkeypatch.setitem(gym.registry, "OfItsOwn-v0", None)
        gym.registry.pop("OfItsOwn-v0")
        gym.register("OfItsOwn-v0", kind, max_episode_steps=steps)
        return envs.make_vec("OfItsOwn-v0", 2)

    return made


@pytest.mark.parametrize(("kind", "ends"), [(Ends, True), (HidesItsGoal, True), (Point, False)])
def test_episodes_that_end_at_their_goal_without_saying_so_end_there_for_goals_in_hindsight_too(kind, ends, make):
    achieved, desired = np.zeros((2, 2)), np.array([[0.05, 0.0], [0.5, 0.0]])
    assert make(kind).compute_terminated(achieved, desired).tolist() == [ends, False]


@pytest.mark.parametrize("kind", [EndsElsewhereToo, EndsOnceItHasStayed])
def test_endings_that_goals_do_not_explain_are_refused(kind, make):
    with pytest.raises(UserError, match="terminate elsewhere than at their goals"):
        make(kind)


class EndsUnseen(Ends):
    """Ends at goals that nobody reaches by chance."""

    radius = 1e-3

    def at(self, distance):
        return distance < self.radius


def test_an_ending_that_chance_never_meets_is_found_by_putting_the_goal_where_an_episode_stands(make):
    class Elsewhere(EndsUnseen):
        """Starts far from all goals, slowly."""

        force = 1e-4

        def start(self):
            super().start()
            self.goal = self.goal + 5.0

    achieved = np.array([[0.0, 0.0], [0.5, 0.0]])
    assert make(Elsewhere).compute_terminated(achieved, np.zeros((2, 2))).tolist() == [True, False]


class DecidesByAny(Point):
    """The shape of the batch, and the answer of its luckiest pair."""

    def compute_reward(self, achieved, desired, info):
        away = np.asarray(self.distance(achieved, desired))
        return np.full(away.shape, 0.0 if (away < self.radius).any() else -1.0)


class DecidesByAll(Point):
    def compute_reward(self, achieved, desired, info):
        away = np.asarray(self.distance(achieved, desired))
        return np.full(away.shape, 0.0 if (away < self.radius).all() else -1.0)


class SquareBatches(Point):
    """Takes a batch of as many pairs as a goal has numbers for transposed."""

    def distance(self, achieved, desired):
        apart = achieved - desired
        return np.linalg.norm(apart.T if apart.shape == (2, 2) else apart, axis=-1)


@pytest.mark.parametrize("kind", [Point, DecidesByAny, DecidesByAll, SquareBatches])
def test_a_batch_gets_the_rewards_and_successes_of_its_pairs(kind, make):
    env = make(kind)
    achieved, desired = np.zeros((2, 2)), np.array([[0.05, 0.0], [0.5, 0.3]])
    assert env.compute_reward(achieved, desired).tolist() == [0.0, -1.0]
    assert env.is_success(achieved, desired).tolist() == [True, False]
    assert env.compute_reward(np.tile(achieved, (8, 1)), np.tile(desired, (8, 1))).tolist() == [0.0, -1.0] * 8


class DenseOfInfo(Point):
    def compute_reward(self, achieved, desired, info):
        return -self.distance(achieved, desired)


def test_success_of_a_dense_reward_is_what_info_tells(make):
    env = make(DenseOfInfo)
    assert env.inner.spec.radius == pytest.approx(Point.radius, rel=0.05)
    apart = np.array([[0.08, 0.0], [0.12, 0.0]])
    assert env.is_success(apart, np.zeros((2, 2))).tolist() == [True, False]


class Costs(Point):
    """Its reward needs the step's info."""

    def told(self, obs):
        return {**super().told(obs), "effort": abs(float(self.velocity[0]))}

    def reward_of(self, obs, action):
        return self.compute_reward(obs["achieved_goal"], obs["desired_goal"], self.told(obs))

    def compute_reward(self, achieved, desired, info):
        return super().compute_reward(achieved, desired, info) - info.get("effort", 0.0)


class Silent(Point):
    def compute_reward(self, achieved, desired, info):
        return -self.distance(achieved, desired)

    def told(self, obs):
        return {}


class TwoNumbers(Point):
    def compute_reward(self, achieved, desired, info):
        return np.stack([super().compute_reward(achieved, desired, info)] * 2, axis=-1)

    def reward_of(self, obs, action):
        return 0.0


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Costs, "info changed the reward of"), (Silent, "nothing says which goals are reached"),
        (TwoNumbers, r"compute_reward gave an answer of shape \(2,\), not one number"),
    ],
)  # fmt: skip
def test_rules_that_nobody_could_relabel_by_are_refused_with_the_reason(kind, reason, make):
    with pytest.raises(UserError, match=reason):
        make(kind)


class Strict(Point):
    """Refuses an action that is one bit out of its bounds, and tells things that no batch can hold."""

    low, high = np.full(2, -1.4, np.float32), np.array([0.8, 0.1], np.float32)

    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.Box(self.low, self.high)

    def step(self, action):
        assert self.action_space.contains(action)
        return super().step(action)

    def told(self, obs):
        return {**super().told(obs), "contacts": np.arange(self.steps % 3)}


def test_actions_are_inside_their_bounds_to_the_last_bit_and_info_is_left_alone(make):
    env = make(Strict)
    env.reset(seed=0)
    for action in (-1.0, 1.0):
        env.step(np.full((2, 2), action, np.float32))
    assert env.step(np.zeros((2, 2), np.float32))[4]["is_success"].dtype == bool


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
        ("CartPole-v1", "not a dict with achieved_goal"),
        ("FetchPush-v2", "leaked state through resets"),
        ("FetchPsh-v4", "Did you mean FetchPush-v4"),
        ("nothing:Nothing-v0", "could not be imported"),
    ],
)
def test_what_is_unknown_or_not_well_posed_is_refused_with_the_reason(env_id, reason):
    with pytest.raises(UserError, match=reason):
        wp.make_vec(env_id)
