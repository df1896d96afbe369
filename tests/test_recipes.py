"""What a run is made of: defaults by task and algorithm, and strict reading."""

from dataclasses import replace

import pytest

from tests.check.point import Point
from wellposed import recipes, serialise
from wellposed.agents import ALGORITHMS, SACConfig, TD3Config
from wellposed.config import RunConfig, override, read_config
from wellposed.envs.make import EnvConfig
from wellposed.envs.wrappers.curriculum import Curriculum
from wellposed.errors import UserError
from wellposed.recipes import default_config, far_enough

REACH = EnvConfig("FetchReach-v4")
every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)
every_replay = pytest.mark.parametrize("algo", [algo for algo, entry in ALGORITHMS.items() if not entry.on_policy])


@every_algorithm
def test_a_configuration_of_each_algorithm_survives_json(algo):
    config = override(default_config("FetchPush-v4", algo), {"seed": 3, "agent.hidden": [7, 8], "until_success": 0.9})
    assert type(config.agent) is ALGORITHMS[algo].config
    assert config.agent.hidden == (7, 8)
    assert read_config(serialise.to_dict(config), "here") == config


@every_replay
def test_a_task_may_need_other_settings_and_says_so_in_the_registry(algo):
    kind = ALGORITHMS[algo].config
    assert default_config("FetchSlide-v4", algo).agent.hidden == (128, 128, 128)
    assert default_config("FetchPush-v4", algo).agent == default_config("FetchReach-v4", algo).agent == kind()


@every_replay
def test_targets_are_bounded_except_on_the_dense_rewards_of_fetch(algo):
    """The bound is that of the rewards the environment was measured to give, so that others need no exception."""
    assert default_config("FetchReach-v4", algo).agent.bound_targets
    assert not default_config("FetchReachDense-v4", algo).agent.bound_targets
    assert default_config("HandReach-v3", algo).agent.bound_targets


def test_sac_is_the_default():
    assert default_config("FetchReach-v4") == default_config("FetchReach-v4", "sac")
    assert RunConfig(REACH) == RunConfig(REACH, "sac", agent=SACConfig())


def test_an_environment_may_be_given_by_its_id():
    assert RunConfig("FetchReach-v4") == RunConfig(REACH)  # type: ignore[arg-type]
    assert default_config("FetchReach-v4") == default_config(REACH)


def test_settings_are_overridden_by_dotted_name():
    config = override(default_config("FetchPush-v4"), {"agent.inputs.relative": False, "replay.k": 8, "num_envs": 3})
    assert not config.agent.inputs.relative
    assert config.agent.inputs.distances
    assert (config.replay.k, config.num_envs) == (8, 3)


def test_a_curriculum_is_written_only_where_there_is_one():
    """So the names of runs that were made before there were any stay what they are."""
    without = default_config("FetchPickAndPlace-v4")
    with_one = override(without, {"env.curriculum.kind": "success", "env.curriculum.air": 0.2})
    assert serialise.to_dict(without)["env"] == {"id": "FetchPickAndPlace-v4"}
    assert (with_one.env.curriculum.kind, with_one.env.curriculum.air) == ("success", 0.2)
    assert override(with_one, {"env.curriculum.kind": "none", "env.curriculum.air": Curriculum().air}) == without
    for config in (without, with_one):
        assert read_config(serialise.to_dict(config), "here") == config
    assert read_config(serialise.whole(without), "here") == without
    incomplete = serialise.to_dict(with_one)
    incomplete["env"]["curriculum"].pop("bar")
    with pytest.raises(ValueError, match="here: env: curriculum: missing key bar"):
        read_config(incomplete, "here")


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("curriculum.kind", "env.curriculum.kind"), ("agent.gama", "agent.gamma"), ("replay.kk", "replay.k")],
)
def test_a_setting_that_does_not_exist_is_told_with_the_nearest_one(wrong, meant):
    with pytest.raises(ValueError, match=rf"there is no setting '{wrong}' \(did you mean '{meant}'\?\)"):
        override(default_config("FetchPush-v4"), {wrong: 1})


def test_the_agents_settings_must_be_those_of_the_algorithm():
    with pytest.raises(UserError, match="--agent of --algo td3 must be a TD3Config, got SACConfig"):
        RunConfig(REACH, algo="td3")
    with pytest.raises(UserError, match="--agent of --algo sac must be a SACConfig, got TD3Config"):
        replace(RunConfig(REACH, agent=SACConfig()), agent=TD3Config())


@pytest.mark.parametrize("argument", [float("nan"), [0.0, float("inf")], {1, 2}, object()])
def test_what_no_record_can_hold_is_no_argument_of_a_run(argument):
    with pytest.raises(UserError, match=r"--env.kwargs must hold texts, finite numbers"):
        RunConfig(EnvConfig("my_env:make", kwargs={"walls": argument}))


@pytest.mark.parametrize(
    ("edit", "error", "message"),
    [
        (lambda d: d.update(algo="dqn"), UserError, "There is no algorithm 'dqn'; there are sac, td3"),
        (lambda d: d.update(algo=["td3"]), UserError, "There is no algorithm"),
        (lambda d: d.pop("algo"), ValueError, "here: missing key algo"),
        (lambda d: d.update(algo="sac"), ValueError, "here: agent: .*key"),
        (lambda d: d["agent"].pop("policy_delay"), ValueError, "here: agent: missing key policy_delay"),
        (lambda d: d["agent"].update(temperature=0.05), ValueError, "here: agent: unknown key temperature"),
        (lambda d: d["agent"].update(policy_delay="2"), ValueError, "Expected `int`"),
        (lambda d: d["agent"].update(policy_delay=0), UserError, "--agent.policy-delay must be greater than 0"),
    ],
)
def test_what_does_not_fit_the_algorithm_is_an_error(edit, error, message):
    data = serialise.to_dict(default_config("FetchReach-v4", "td3"))
    edit(data)
    with pytest.raises(error, match=message):
        read_config(data, "here")


class Slow(Point):
    """A point so slow that the typical goal is about 170 steps away."""

    max_episode_steps = 400
    force = 0.0005

    def step(self, action):
        obs, reward, terminated, _, told = super().step(action)
        return obs, reward, terminated, self.steps >= (self.max_episode_steps or 0), told


class SlowAndShort(Slow):
    """Goals as far away, in episodes in which nobody gets there."""

    max_episode_steps = 89


def test_the_discount_stays_where_a_reward_counts_from_where_goals_are():
    for steps in (0.5, 20, 89):
        assert far_enough(0.95, steps) == 0.95
    assert far_enough(0.999, 334) == 0.999


@pytest.mark.parametrize(("steps", "horizon"), [(90, 100), (100, 100), (102, 200), (259, 500), (500.5, 1000)])
def test_else_its_horizon_is_the_distance_rounded_up(steps, horizon):
    gamma = far_enough(0.95, steps)
    assert 1 / (1 - gamma) == pytest.approx(horizon)
    assert gamma**steps > 0.36  # nearly 1/e; rounded to the nearest or down, less would be left
    assert 0.95**steps < 0.01


def test_a_recipe_of_an_environment_without_an_entry_looks_as_far_as_its_goals_are():
    """0.95 looks 20 steps ahead: of a reward at 170 steps 0.02 % would be left."""
    assert default_config("tests.test_recipes:Slow").agent.gamma == pytest.approx(1 - 1 / 200)
    assert default_config("tests.test_recipes:Slow", "ppo").agent.gamma == pytest.approx(1 - 1 / 200)
    assert default_config("tests.check.point:Point") == replace(
        default_config("tests.test_recipes:Slow", measure=False), env=EnvConfig("tests.check.point:Point")
    )


class Tenth(Point):
    def compute_reward(self, achieved, desired, info):
        return 0.1 * super().compute_reward(achieved, desired, info)


@pytest.mark.parametrize(
    ("env", "worth"),
    [
        ("tests.test_recipes:Tenth", 0.1),
        ("tests.check.sound:OneForSuccess", 1.0),  # for ever
        ("tests.check.sound:OneForSuccessAtTheEnd", 1 - 0.95),  # once
        ("tests.check.sound:EndsAtTheGoal", 1.0),  # what it costs elsewhere ends
        ("tests.check.sound:Dense", 1.0),  # the size of a dense reward says nothing of its goal
        ("tests.check.broken:GoingOnPays", 1.0),  # training refuses it
    ],
)
def test_the_temperature_is_in_proportion_to_what_the_goal_is_worth(env, worth):
    assert default_config(env).agent.temperature == pytest.approx(SACConfig().temperature * worth)
    assert default_config(env, "td3").agent == replace(TD3Config(), gamma=default_config(env).agent.gamma)


def test_nothing_is_measured_where_episodes_are_short_or_the_discount_is_chosen(monkeypatch):
    monkeypatch.setattr(recipes.Evidence, "measured", None)
    assert default_config("tests.test_recipes:SlowAndShort").agent.gamma == 0.95
    assert default_config("tests.test_recipes:Slow", measure=False).agent.gamma == 0.95
    assert default_config("FetchPush-v4").agent == SACConfig()
    recipes._measured_for.cache_clear()
    with pytest.raises(TypeError):  # it would be measured here
        default_config("tests.test_recipes:Slow")
