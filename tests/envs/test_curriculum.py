"""The goal curriculum: every env gets it, goals lie where it says, and a state that is taken up goes on with it."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.suites.fetch import model
from wellposed.envs.suites.fetch import task as fetch
from wellposed.envs.vector import GoalSpread
from wellposed.envs.wrappers.curriculum import Curriculum, CurriculumVecEnv, schedule
from wellposed.envs.wrappers.wrapper import Wrapper
from wellposed.errors import UserError
from wellposed.types import Moment, Obs, Step

ENVS = 8
SCENE = model.load_scene(model.PICK_AND_PLACE)


def grown(
    curriculum: Curriculum, env_id: str = "FetchPickAndPlace-v4", num_envs: int = ENVS, steps: int | None = None
) -> CurriculumVecEnv:
    config = EnvConfig(env_id, max_episode_steps=steps, curriculum=curriculum)
    return make_env(config, num_envs, "training")  # type: ignore[return-value]


def way(obs: Obs) -> np.ndarray:
    """The way from object to goal, [n, 3]."""
    return obs["desired_goal"] - obs["achieved_goal"]


def envs_left_out(env: CurriculumVecEnv) -> list[int]:
    """The envs in which some of 30 goals is farther than the curriculum lets any be, from its start or upwards."""
    first = env.curriculum
    drawn = np.array([np.abs(way(env.reset(seed=None if i else 0).obs)) for i in range(30)])  # [30, n, 3]
    limit = first.reach * np.array([0.3, 0.3, 0.45])  # object and goal are each within 0.15 m of the hand
    return np.flatnonzero((drawn > limit + 1e-3).any(axis=(0, 2))).tolist()  # an object comes to rest within 1 mm


def test_every_env_gets_the_curriculum():
    assert envs_left_out(grown(Curriculum("linear", reach=0.2, air=0.5))) == []


def test_a_curriculum_that_reaches_one_env_of_eight_is_noticed(monkeypatch):
    original = fetch.sample_goal

    def first_env_only(scene, rng, start, spread=fetch.OWN_SPREAD):
        return original(scene, rng, start, spread if rng is env.env._rngs[0] else fetch.OWN_SPREAD)

    env = grown(Curriculum("linear", reach=0.2, air=0.5))
    monkeypatch.setattr(fetch, "sample_goal", first_env_only)
    assert envs_left_out(env) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("air", [0.0, 0.2, 1.0])
def test_the_share_in_the_air_is_the_one_asked_for(air):
    env, n = grown(Curriculum("linear", air=air), num_envs=40), 400
    goals = [env.reset(seed=None if i else 0).obs["desired_goal"] for i in range(n // 40)]
    kinds = env.goal_kinds(np.concatenate(goals))
    assert abs(kinds.count("air") - n * air) <= 4 * np.sqrt(n * air * (1 - air))


def drawn(spread: GoalSpread, draws: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    """Where blocks begin and goals lie, both [draws, 3], as episodes draw them, without physics."""
    rng = np.random.default_rng(0)
    starts = [np.append(fetch.sample_object(SCENE, rng), SCENE.object_height) for _ in range(draws)]
    return np.array(starts), np.array([fetch.sample_goal(SCENE, rng, start, spread) for start in starts])


def test_nearly_half_of_the_first_goals_are_reached_at_reset():
    """Chapter 5 says 44 % at the first stage and 4 % at the task itself: why the gate must not count them."""
    for spread, share in ((GoalSpread(Curriculum().reach, Curriculum().air), 0.44), (fetch.OWN_SPREAD, 0.037)):
        starts, goals = drawn(spread)
        near = np.linalg.norm(goals - starts, axis=1) < model.DISTANCE_THRESHOLD
        assert abs(near.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(near))


def test_a_pusher_passes_every_gate():
    """Chapter 5 says what one shows that never lifts, of the episodes that count: 58 % before the last of ten gates."""
    settings = Curriculum("success")
    shown = []
    for stage in range(settings.stages):
        ends = zip((settings.reach, settings.air), (1.0, 0.5), strict=True)
        starts, goals = drawn(GoalSpread(*(schedule(stage, *of_one, 0, settings.stages) for of_one in ends)))
        away = np.linalg.norm(goals - starts, axis=1) >= model.DISTANCE_THRESHOLD
        low = goals[:, 2] - SCENE.object_height < model.DISTANCE_THRESHOLD
        shown.append(low[away].mean())
    assert min(shown) == shown[-1] > settings.bar + 0.05
    assert abs(shown[-1] - 0.576) < 0.03
    assert np.flatnonzero(np.array(shown) < 0.7)[0] == 6  # before the seventh gate it stands where 70 % are asked for


@pytest.mark.parametrize(("air", "power"), [(0.0, 2), (1.0, 3)])
def test_goals_are_only_added_and_in_the_share_that_theorem_5_1_says(air, power):
    """At the reach 1, goals that belong to the reach 0.6 as well: those whose stretched way ends where goals lie."""
    reach = 0.6
    starts, goals = drawn(GoalSpread(1.0, air))
    own = starts + (goals - starts) / reach - np.append(SCENE.initial_grip[:2], SCENE.object_height)
    belongs = (np.abs(own[:, :2]) <= 0.15).all(axis=1) & (own[:, 2] <= 0.45)
    share = reach**power
    assert abs(belongs.mean() - share) < 4 * np.sqrt(share * (1 - share) / len(belongs))


def test_nearer_goals_lie_on_the_way_to_the_tasks_own():
    start = np.array([1.2, 0.8, SCENE.object_height])
    for seed in range(50):
        own, near = (
            fetch.sample_goal(SCENE, np.random.default_rng(seed), start, GoalSpread(reach, 0.5))
            for reach in (1.0, 0.25)
        )
        assert np.allclose(near, start + 0.25 * (own - start), atol=1e-15)
        assert (near[2] == SCENE.object_height) == (own[2] == SCENE.object_height)


@pytest.mark.parametrize("env_id", ["FetchPickAndPlace-v4", "FetchSlide-v4", "FetchReach-v4"])
def test_a_finished_curriculum_is_the_task_itself_to_the_last_bit(env_id):
    env, plain = grown(Curriculum("linear", finish=0), env_id), grown(Curriculum(), env_id)
    pairs = [(env.reset(seed=3).obs, plain.reset(seed=3).obs), (env.reset().obs, plain.reset().obs)]
    assert all(np.array_equal(a[key], b[key]) for a, b in pairs for key in a)


@pytest.mark.slow
def test_no_curriculum_leaves_the_environment_alone_and_others_are_refused():
    env = grown(Curriculum(), "FetchPush-v4")
    assert not isinstance(env, CurriculumVecEnv)
    assert env.metrics() == {}
    with pytest.raises(UserError, match=r"--env.curriculum.kind needs an environment whose goals can lie nearer"):
        grown(Curriculum("linear"), "PointMaze_UMaze-v3")


def test_a_wrapper_further_out_does_not_hide_the_stage():
    env = Wrapper(grown(Curriculum("linear"), "FetchPush-v4"))  # type: ignore[arg-type]
    assert env.metrics()["curriculum/reach"] == Curriculum().reach


def test_the_schedule_is_flat_straight_flat():
    values = [schedule(x, 0.2, 1.0, 10, 30) for x in (-5, 0, 10, 15, 20, 30, 99)]
    assert values == pytest.approx([0.2, 0.2, 0.2, 0.4, 0.6, 1.0, 1.0])
    assert schedule(30, 0.1, 0.3, 10, 30) == 0.3  # exactly: the task's own goals are drawn from then on
    assert [schedule(x, 0.2, 1.0, 7, 7) for x in (6, 7)] == [0.2, 1.0]  # a jump
    assert schedule(15, 1.0, 0.0, 10, 30) == 0.75  # downwards


class OneStepEpisodes:
    """Episodes of one step that end as they are told to."""

    num_envs, capabilities = ENVS, frozenset({"goal spread"})
    at_goal, ends_well = np.zeros(ENVS, bool), np.zeros(ENVS, bool)  # where the next begin, how these end

    def __init__(self) -> None:
        self.task = SimpleNamespace(own_spread=fetch.OWN_SPREAD, goal_spread=None)

    @property
    def now(self) -> Moment:
        obs = {"achieved_goal": self.at_goal.astype(float), "desired_goal": np.ones(ENVS)}
        return Moment(obs, obs)

    def reset(self, seed=None, mask=None):
        return self.now

    def step(self, action):
        no, obs = np.zeros(ENVS, bool), self.now.obs
        return Step(obs, obs, action, action, np.zeros(ENVS), no, ~no, self.ends_well, obs, obs, {})

    def is_success(self, achieved, desired):
        return achieved == desired


def test_goals_grow_with_the_steps_of_all_envs_together():
    inner: Any = OneStepEpisodes()
    env = CurriculumVecEnv(inner, Curriculum("linear", reach=0.25, air=0.1, begin=400, finish=1200))
    seen = {}
    for step in range(ENVS, 1208, ENVS):
        env.step(np.zeros(ENVS))
        assert inner.task.goal_spread == env.spread
        seen[step] = env.metrics()
    assert seen[400] == {"curriculum/progress": 0.0, "curriculum/reach": 0.25, "curriculum/air": 0.1}
    assert seen[800] == pytest.approx({"curriculum/progress": 0.5, "curriculum/reach": 0.625, "curriculum/air": 0.3})
    assert seen[1200] == {"curriculum/progress": 1.0, "curriculum/reach": 1.0, "curriculum/air": 0.5}


def gated(at_goal: int = 0, **settings) -> tuple[OneStepEpisodes, CurriculumVecEnv]:
    inner: Any = OneStepEpisodes()
    inner.at_goal = np.arange(ENVS) < at_goal
    env = CurriculumVecEnv(inner, Curriculum("success", **settings))
    env.reset()
    return inner, env


def rounds(inner: OneStepEpisodes, env: CurriculumVecEnv, successes: list[int]) -> list[float]:
    """The progress after rounds of an episode in each env, so many of which succeed."""
    found = []
    for number in successes:
        inner.ends_well = np.arange(ENVS) >= ENVS - number
        env.step(np.zeros(ENVS))
        found.append(env.grown(0.0, 1.0))
    return found


def test_success_opens_the_gate_once_a_window_of_episodes_of_the_stage_is_there():
    inner, env = gated(stages=2, window=16, bar=0.5)
    # The third round began before the stage did. The next two have 7 successes of 16, the fifth and sixth 10 of 16.
    assert rounds(inner, env, [4, 4, 8, 3, 4, 6]) == [0, 0.5, 0.5, 0.5, 0.5, 1.0]
    assert rounds(inner, env, [0] * 4) == [1.0] * 4
    assert env.spread == fetch.OWN_SPREAD


def test_too_few_successes_never_open_it():
    inner, env = gated(stages=2, window=16, bar=0.5)
    assert set(rounds(inner, env, [3] * 20)) == {0.0}


def test_episodes_that_begin_at_their_goal_do_not_count():
    """Six of eight envs begin at their goal and stay there; the two that do not fail."""
    inner, env = gated(at_goal=6, stages=2, window=4, bar=0.5)
    for _ in range(20):
        inner.ends_well = np.arange(ENVS) < 6
        env.step(np.zeros(ENVS))
    assert env.grown(0.0, 1.0) == 0.0


@pytest.mark.parametrize("kind", ["linear", "success"])
def test_a_state_that_is_taken_up_goes_on_bit_for_bit(kind):
    settings = Curriculum(kind, begin=20, finish=120, stages=3, window=2, bar=0.0)

    def short() -> CurriculumVecEnv:
        return grown(settings, num_envs=2, steps=5)

    def goals(env: CurriculumVecEnv, steps: int) -> np.ndarray:
        moves = np.random.default_rng(0).uniform(-1, 1, (steps, 2, 4)).astype(np.float32)
        found = []
        for move in moves:
            env.step(move)
            found.append([*env.now.obs["desired_goal"].ravel(), *env.metrics().values()])
        return np.array(found)

    env, fresh, unaware = short(), short(), short()
    env.reset(seed=0)
    goals(env, 18)
    state = env.get_state()
    expected = goals(env, 40)
    fresh.set_state(state)
    assert np.array_equal(goals(fresh, 40), expected)
    assert len(np.unique(expected[:, -3])) > 2, "no stage was passed, so none was taken up"
    unaware.set_state(state | {"curriculum": np.zeros(2, int)})
    assert not np.array_equal(goals(unaware, 40), expected)


def test_a_state_without_a_stage_or_of_another_curriculum_is_refused():
    env = grown(Curriculum("success", stages=3, window=4), num_envs=2)
    env.reset(seed=0)
    for change in ({"curriculum": np.array([0, 4])}, {"curriculum": np.array([-1, 0])}):
        with pytest.raises(ValueError, match="no stage of the curriculum"):
            env.set_state(env.get_state() | change)
    with pytest.raises(ValueError, match="another curriculum or another number"):
        env.set_state(grown(Curriculum("success", window=5), num_envs=2).get_state())
    with pytest.raises(KeyError):
        env.set_state(env.env.get_state())
    with pytest.raises(ValueError, match="another task"):
        env.env.set_state(env.get_state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reach": 1.5}, "--env.curriculum.reach is a share"),
        ({"air": -0.1}, "--env.curriculum.air is a share"),
        ({"window": 0}, "--env.curriculum.window must be 1 to 100,000"),
        ({"begin": 5, "finish": 4}, "--env.curriculum.finish must not be below begin"),
    ],
)
def test_settings_out_of_range_are_refused_by_name(change, message):
    with pytest.raises(UserError, match=message):
        Curriculum(**change)
