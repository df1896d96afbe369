"""What other people's environments do: kinds of fault from public reports, each with several instances.

Where an environment can be read it is, whatever its units, frame, shapes and infos; else one sentence says why not.
"""

from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from tests.check.broken import spaces
from tests.check.point import Point
from tests.envs.own import Own, make
from wellposed import seeding
from wellposed.budget import budget, too_short
from wellposed.check import certify
from wellposed.config import RunConfig
from wellposed.data import ReplayBuffer, ReplayConfig
from wellposed.envs import EnvConfig, make_vec
from wellposed.envs.make import make_env
from wellposed.errors import UserError
from wellposed.units import origin

OWN = "tests.envs.own:make"


def vec(num_envs: int = 4, **kwargs):
    return make_env(EnvConfig(OWN, kwargs), num_envs, "training")


def steps(env, n: int = 200, seed: int = 0):
    """Steps that head for the goal every second time, and anywhere else."""
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for t in range(n):
        way = (env.now.obs["desired_goal"] - env.now.obs["achieved_goal"]) / env.spec.radius
        anywhere = rng.uniform(-1, 1, (env.num_envs, env.spec.action_dim))
        yield env.step(np.where(t % 2, np.clip(way, -1, 1), anywhere).astype(np.float32))


# --- goals far from zero, and in small units


@pytest.mark.parametrize("offset", [(500_000.0, 5_300_000.0), (-3e4, 0.0), (0.0, 1e9), (900.0, 0.5)])
@pytest.mark.parametrize("sees", ["its own", "goals"])
def test_goals_far_from_zero_are_learnt_from_as_those_near_it(offset, sees):
    with closing(vec()) as near, closing(vec(offset=offset, sees=sees)) as far:
        replay = ReplayBuffer(ReplayConfig(10_000), far.spec, 4, far.compute_reward, far.compute_terminated)
        for here, there in zip(steps(near), steps(far), strict=True):
            assert np.array_equal(here.reward, there.reward)
            assert np.array_equal(here.success, there.success)
            replay.add(there)
        batch = replay.sample(4, 256, seeding.generator(0, "replay"))
        goals = batch.next_obs["achieved_goal"], batch.obs["desired_goal"]
        assert all(np.abs(goal).max() < 20 for goal in goals)
        away = np.linalg.norm(np.subtract(*goals, dtype=np.float64), axis=-1)
        clear = np.abs(away - Own.radius) > 1e-5
        assert clear.mean() > 0.95
        assert np.array_equal(batch.reward[clear], np.where(away < Own.radius, 0.0, -1.0)[clear])


@pytest.mark.parametrize("offset", [(500_000.0, 5_300_000.0), (0.0, 1e9)])
def test_at_the_edge_everything_is_as_the_environment_has_it(offset):
    theirs = make(offset=offset, sees="goals")
    env = make_vec(OWN, 1, offset=offset, sees="goals")
    ours, expected = env.reset(seed=3)[0], theirs.reset(seed=3)[0]
    action = np.array([[0.3, -0.4]], np.float32)
    for _ in range(50):
        assert all(np.array_equal(ours[key][0], expected[key]) for key in expected)
        ours, reward, _, _, info = env.step(action)
        expected, their_reward, *_ = theirs.step(action[0])
        assert reward[0] == their_reward
    assert np.array_equal(info["final_obs"][0]["achieved_goal"], expected["achieved_goal"])
    assert env.compute_reward(expected["achieved_goal"][None], expected["achieved_goal"][None]) == 0.0
    assert env.is_success(expected["achieved_goal"][None], expected["achieved_goal"][None]).all()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e6])
def test_an_origin_is_exact_and_only_where_it_is_needed(scale):
    rng = np.random.default_rng(0)
    near, far = (scale * (rng.uniform(-1, 1, (100, 3)) + offset) for offset in (0.0, [0.0, 1e5, -3e7]))
    assert origin(near, scale * 0.1) == ()
    found = np.array(origin(far, scale * 0.1))
    assert found[0] == 0.0
    assert np.array_equal((far - found) + found, far)
    assert np.abs(far - found).max() < 4 * scale


@pytest.mark.parametrize(("unit", "sees"), [(1e-9, "goals"), (1e-5, "its own"), (1e-3, "goals"), (1e4, "goals")])
def test_in_any_unit_it_is_the_same_environment(unit, sees, in_metres):
    with closing(vec(unit=unit, sees=sees)) as env:
        spec = env.spec
        assert spec.radius == pytest.approx(0.1 * unit, rel=1e-5)
        assert spec.field("desired_goal").floor == pytest.approx((0.1 * unit / 50,), rel=1e-5)
        assert spec.reward_range == (-1.0, 0.0)
        assert spec.field("desired_goal").origin == ()
    found = certify_of(unit=unit, sees=sees)
    large = {"observation scaled"} if unit > 1 else set()  # which networks without normalisation would not bear
    assert {name for name in found if found[name] != in_metres[name]} == large


@pytest.fixture(scope="module")
def in_metres() -> dict[str, str]:
    return certify_of()


def certify_of(**kwargs) -> dict[str, str]:
    """Every condition and its status."""
    return {f.name: f.status for f in certify(OWN, gamma=0.95, kwargs=kwargs).findings}


# --- rewards


@pytest.mark.parametrize(("low", "high"), [(-1, 0), (0, 1), (-0.01, 0.0), (2, 5), (-3e-6, 4e-6), (-1000, 100)])
def test_targets_are_bounded_by_the_rewards_that_there_are(low, high):
    with closing(vec(1, reward=[low, high])) as env:
        assert env.spec.reward_range == (low, high)


@pytest.mark.parametrize("kind", ["dense", "exp"])
@pytest.mark.parametrize("unit", [1e-6, 1.0])
def test_a_dense_reward_is_none_of_two_values_in_any_unit(kind, unit):
    with closing(vec(1, reward=kind, unit=unit)) as env:
        assert env.spec.reward_range is None
        assert env.spec.radius == pytest.approx(0.1 * unit, rel=0.05)


@pytest.mark.parametrize("bound", [np.inf, 1000.0, 10.0, float(np.finfo(np.float32).max)])
@pytest.mark.parametrize("kind", ["dense", "exp"])
def test_success_is_what_the_environment_says_whatever_it_declares(bound, kind):
    kwargs = {"reward": kind, "bound": bound}
    assert "fails" not in certify_of(**kwargs).values()
    with closing(vec(4, **kwargs)) as env:
        reached = 0
        for step in steps(env):
            away = np.linalg.norm(step.next_obs["achieved_goal"] - step.obs["desired_goal"], axis=1)
            assert np.array_equal(step.success, away < Own.radius)
            reached += int(step.success.sum())
        assert reached > 5


def test_success_of_a_step_is_told_even_where_the_measured_radius_is_off(monkeypatch):
    with closing(vec(4, reward="dense")) as env:
        monkeypatch.setattr(env, "is_success", lambda achieved, _: np.zeros(len(achieved), bool))
        assert sum(step.success.sum() for step in steps(env)) > 5


def test_a_dense_reward_and_no_word_of_success_is_refused_by_certificate_and_training_alike():
    with pytest.raises(UserError, match="nothing says which goals are reached"):
        vec(1, reward="dense", tells=False)
    assert certify_of(reward="dense", tells=False)["success stated"] == "fails"


# --- shapes, infos and ends


class Ways(Point):
    """What a subclass changes is how it answers, not what."""

    def told(self, obs) -> dict[str, Any]:
        return {"is_success": bool(super().told(obs)["is_success"])}


class OneElement(Ways):
    """One number for one pair, in an array."""

    def compute_reward(self, achieved, desired, info):
        return super().compute_reward(np.atleast_2d(achieved), np.atleast_2d(desired), info)

    def reward_of(self, obs, action):
        return float(super().reward_of(obs, action)[0])


class Column(OneElement):
    """A column for many pairs."""

    def compute_reward(self, achieved, desired, info):
        return super().compute_reward(achieved, desired, info)[:, None]

    def reward_of(self, obs, action):
        return float(np.squeeze(self.compute_reward(obs["achieved_goal"], obs["desired_goal"], {})))


class ListOfRewards(Ways):
    def compute_reward(self, achieved, desired, info):
        return np.asarray(super().compute_reward(achieved, desired, info)).tolist()


class NestedInfos(Ways):
    """Info holds whatever comes to somebody's mind, and no two steps hold the same."""

    def told(self, obs):
        more = {"contacts": np.arange(self.steps % 4), "why": None if self.steps % 2 else "x", "deep": {"a": [self]}}
        return {**super().told(obs), **(more if self.steps % 3 else {})}


class Answers(Ways):
    """Success in an array of one."""

    def told(self, obs):
        return {"is_success": np.array([super().told(obs)["is_success"]])}


@pytest.mark.parametrize("kind", [OneElement, Column, ListOfRewards, NestedInfos, Answers])
def test_what_can_be_read_is_read_the_same(kind, monkeypatch):
    env, plain = of_class(kind, monkeypatch), make_env(EnvConfig("tests.check.point:Point"), 2, "training")
    for ours, expected in zip(steps(env, 60), steps(plain, 60), strict=True):
        assert np.array_equal(ours.reward, expected.reward)
        assert np.array_equal(ours.success, expected.success)
    goals = expected.next_obs["achieved_goal"], expected.obs["desired_goal"]
    assert np.array_equal(env.compute_reward(*goals), plain.compute_reward(*goals))


def of_class(kind, monkeypatch, num_envs: int = 2):
    monkeypatch.setitem(globals(), "MADE", kind)
    return make_env(EnvConfig(f"{__name__}:MADE", {}), num_envs, "training")


class Fails(Point):
    """Ends at its goal, and outside of the area too, and says of any goal whether it would."""

    def ends(self, obs):
        return bool(self.compute_terminated(obs["achieved_goal"], obs["desired_goal"], {}))

    def compute_terminated(self, achieved, desired, info):
        return bool(self.distance(achieved, desired) < self.radius or np.abs(achieved).max() > 0.6)


def test_ends_at_the_goal_and_by_failure_are_told_apart_for_goals_in_hindsight(monkeypatch):
    env = of_class(Fails, monkeypatch, 4)
    replay = ReplayBuffer(ReplayConfig(20_000), env.spec, 4, env.compute_reward, env.compute_terminated)
    ended = 0
    for step in steps(env, 300):
        replay.add(step)
        ended += int(step.terminated.sum())
    assert ended > 10
    batch = replay.sample(8, 256, seeding.generator(0, "replay"))
    there, goal = batch.next_obs["achieved_goal"].astype(float), batch.obs["desired_goal"].astype(float)
    away, out = np.linalg.norm(there - goal, axis=-1), np.abs(there).max(axis=-1)
    clear = (np.abs(away - Point.radius) > 1e-5) & (np.abs(out - 0.6) > 1e-5)
    failed, reached = out > 0.6, away < Point.radius
    assert min(failed.sum(), reached.sum(), (~failed & ~reached).sum()) > 10
    assert np.array_equal(batch.terminated[clear] > 0, (failed | reached)[clear])


class ReadsInfo(Point):
    """compute_reward needs what the step's info holds."""

    def told(self, obs):
        return {**super().told(obs), "effort": float(abs(self.velocity[0]))}

    def reward_of(self, obs, action):
        return float(self.compute_reward(obs["achieved_goal"], obs["desired_goal"], self.told(obs)))

    def compute_reward(self, achieved, desired, info):
        effort = info["effort"] if isinstance(info, dict) else np.array([one["effort"] for one in info])
        return super().compute_reward(achieved, desired, info) - 0.1 * effort


class ReadsInfoIfItIsThere(ReadsInfo):
    def compute_reward(self, achieved, desired, info):
        return Point.compute_reward(self, achieved, desired, info) - 0.5 * info.get("effort", 0.0)


class NeedsAList(ReadsInfo):
    def compute_reward(self, achieved, desired, info):
        return super().compute_reward(achieved, desired, [info][0] if info else info)


class WholeNumbers(Point):
    """Goals are cells."""

    def __init__(self):
        super().__init__()
        cells = gym.spaces.Box(-10, 10, (2,), np.int64)
        spaces(self, achieved_goal=cells, desired_goal=cells)

    def observe(self):
        cells = {k: np.round(5 * v).astype(np.int64) for k, v in super().observe().items() if k != "observation"}
        return super().observe() | cells


class MoreThanAsked(Point):
    """An achieved goal has numbers that a desired one has not."""

    def __init__(self):
        super().__init__()
        long = gym.spaces.Box(-np.inf, np.inf, (4,), np.float64)
        spaces(self, achieved_goal=long)

    def observe(self):
        return super().observe() | {"achieved_goal": np.concatenate([self.position, self.velocity])}

    def distance(self, achieved, desired):
        return np.linalg.norm(achieved[..., :2] - desired, axis=-1)


class TwoNumbers(Point):
    def compute_reward(self, achieved, desired, info):
        return np.stack([super().compute_reward(achieved, desired, info)] * 2)

    def reward_of(self, obs, action):
        return -1.0


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (ReadsInfo, "with an empty info compute_reward raised KeyError: 'effort'"),
        (ReadsInfoIfItIsThere, "info changed the reward of"),
        (NeedsAList, "with an empty info compute_reward raised KeyError"),
        (WholeNumbers, "is declared as int64"),
        (MoreThanAsked, "an achieved goal has 4 numbers, a desired one 2"),
        (TwoNumbers, r"an answer of shape \(2,\), not one number"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_says_why(kind, reason, monkeypatch):
    with pytest.raises(UserError, match=reason) as refused:
        of_class(kind, monkeypatch)
    assert "Traceback" not in str(refused.value)
    assert str(refused.value).count("\n") == 0


class Table(Point):
    """Looks its reward up, and has no row for places outside of the room."""

    room = 0.9

    def __init__(self):
        super().__init__()
        self.table = np.zeros((18, 18))
        self.table.setflags(write=False)

    def move(self, action):
        super().move(action)
        self.position = np.clip(self.position, -self.room, self.room - 1e-9)

    def compute_reward(self, achieved, desired, info):
        row, column = np.moveaxis(np.floor(10 * (np.asarray(achieved) + self.room)).astype(int), -1, 0)
        if np.min([row, column]) < 0:
            raise IndexError("outside of the room")
        return super().compute_reward(achieved, desired, info) + self.table[row, column]


class HandsOutItself(Point):
    """Its observations are its own state, and it forbids to write into them."""

    def observe(self):
        obs = {"observation": np.concatenate([self.position, self.velocity])}
        for key, own in (("achieved_goal", self.position), ("desired_goal", self.goal)):
            own.setflags(write=False)
            obs[key] = own
        return obs


@pytest.mark.parametrize("kind", [Table, HandsOutItself])
def test_nothing_is_asked_outside_of_what_was_seen_and_nothing_of_its_own_is_written_to(kind, monkeypatch):
    env = of_class(kind, monkeypatch)
    for step in steps(env, 60):
        env.compute_reward(step.next_obs["achieved_goal"], step.obs["desired_goal"])


# --- long episodes


@pytest.mark.parametrize(
    ("num_envs", "limit", "total", "advice"),
    [
        (16, 1000, 9_600, "at most --num-envs 9, or --total-steps above 16000"),
        (4, 50, 200, "at most --num-envs 3, or --total-steps above 200"),
        (2, 50, 50, "Take --total-steps above 100"),
    ],
)
def test_a_budget_in_which_no_episode_ends_is_told_with_what_would_do(num_envs, limit, total, advice):
    env = EnvConfig("FetchReach-v4", max_episode_steps=limit)
    config = RunConfig(env, num_envs=num_envs, total_steps=total, random_steps=10)
    spec = make_env(config.env, 1, "training").spec
    assert advice in too_short(config, spec)
    assert budget(config).updates == 0
    enough = RunConfig(config.env, num_envs=num_envs, total_steps=num_envs * limit + num_envs, random_steps=10)
    assert too_short(enough, spec) == ""
    assert budget(enough).updates > 0
