"""Probes while training: weights are what they are without, and each number tells what it says it tells."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from tests.agents.data import PICTURES, SPEC
from tests.test_resume import TINY_PPO
from tests.test_training import TINY
from wellposed import envs
from wellposed.agents.probe import Sight
from wellposed.arrays import map_leaves
from wellposed.data import ReplayBuffer, ReplayConfig
from wellposed.diagnose import diagnose, read_evidence
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.wrappers.control import Control
from wellposed.loop import off_policy
from wellposed.nn.inputs import Encoder
from wellposed.probe import missed_by, probe_motion, probe_pictures, probe_rewards
from wellposed.runs import checkpoint
from wellposed.runs.record import METRICS
from wellposed.runs.store import RunReader
from wellposed.training import train
from wellposed.types import Batch, Field, Spec, Step


def whole_state(path) -> dict[str, np.ndarray]:
    """Weights, optimisers, random streams, environments: everything that a checkpoint holds."""
    return RunReader(path).load_state(checkpoint.manifests(path)[0])[1]


@pytest.mark.slow
def test_a_run_is_bit_for_bit_the_same_with_and_without_probes(tmp_path, monkeypatch):
    probed, _ = train(TINY, tmp_path / "probed", quiet=True)
    monkeypatch.setattr(off_policy, "take_probe", lambda *_: {})
    plain, _ = train(TINY, tmp_path / "plain", quiet=True)
    with_probes, without = whole_state(probed), whole_state(plain)
    assert with_probes.keys() == without.keys()
    assert [name for name in without if with_probes[name].tobytes() != without[name].tobytes()] == []
    names = [{name for name in row.metrics if name.startswith("probe/")} for row in RunReader(probed).metrics]
    assert names[-1] == {name for name in METRICS if name.startswith("probe/")}
    assert not any(name.startswith("probe/") for row in RunReader(plain).metrics for name in row.metrics)


@pytest.mark.slow
def test_a_probe_that_drew_from_the_runs_stream_would_be_noticed(tmp_path, monkeypatch):
    def greedy(_config, _agent, _replay, env, _step):
        env.reset()
        return {}

    plain, _ = train(TINY, tmp_path / "plain", quiet=True)
    monkeypatch.setattr(off_policy, "take_probe", greedy)
    other, _ = train(TINY, tmp_path / "other", quiet=True)
    one, two = whole_state(plain), whole_state(other)
    assert any(one[name].tobytes() != two[name].tobytes() for name in one)


@pytest.fixture(scope="module", params=["FetchReach-v4", "FetchPush-v4"])
def collected(request):
    """An environment, and a minibatch of random actions in it."""
    env = envs.make_vec(request.param, 8).inner
    replay = ReplayBuffer(ReplayConfig(2000), env.spec, 8, env.compute_reward, env.compute_terminated)
    policy, now = RandomPolicy(4, np.random.default_rng(0)), env.reset(seed=0)
    for _ in range(100):
        replay.add(env.step(policy.act(now.obs)[0]))
        now = env.now
    yield env, map_leaves(lambda array: array[0], replay.sample(1, 512, np.random.default_rng(0)))
    env.close()


NONE = np.zeros(512, bool)  # of these transitions failed


@pytest.mark.slow
@pytest.mark.parametrize("config", [TINY, TINY_PPO], ids=["replay", "rollout"])
def test_what_a_delayed_and_filtered_action_does_is_asked_of_what_arrived(config, tmp_path):
    late = replace(config, env=replace(config.env, control=Control(smoothing=0.3, delay=3)))
    path, _ = train(late, tmp_path, quiet=True)
    answered = [row.metrics["probe/action_answered"] for row in RunReader(path).metrics if row.step > 200]
    assert min(answered) > 0.5
    assert "unanswered_actions" not in [finding.name for finding in diagnose(read_evidence(path)).findings]


@pytest.mark.slow
def test_an_applied_action_in_the_replay_is_asked_as_it_is(tmp_path):
    """It has been delayed and filtered already; what is stored is what moved the hand."""
    late = replace(TINY, env=replace(TINY.env, control=Control(delay=3)), replay=replace(TINY.replay, action="applied"))
    path, _ = train(late, tmp_path, quiet=True)
    assert min(row.metrics["probe/action_answered"] for row in RunReader(path).metrics if row.step > 200) > 0.5


def test_sound_data_are_told_as_sound(collected):
    env, rows = collected
    found = probe_rewards(rows, NONE, env) | probe_motion(rows, env.spec)
    assert found.keys() <= METRICS.keys()
    assert (found["probe/reward_wrong"], found["probe/terminated_wrong"]) == (0, 0)
    assert (found["probe/reward_min"], found["probe/reward_max"]) == (-1, 0)
    assert (found["probe/reward_least"], found["probe/reward_greatest"]) == (-1, 0)
    assert found["probe/action_answered"] > 0.9
    assert found["probe/motion_observed"] > 0.9
    assert found["probe/action_max"] > 0.95
    assert 0 < found["probe/success_before"] < 1


def test_rewards_and_ends_of_other_goals_are_noticed(collected):
    env, rows = collected
    found = probe_rewards(rows._replace(reward=rows.reward * 0 - 1), NONE, env)
    assert found["probe/reward_wrong"] == pytest.approx(np.mean(rows.reward == 0))
    assert found["probe/reward_wrong"] > 0.05
    ended = rows._replace(terminated=rows.reward * 0 + 1)
    assert probe_rewards(ended, NONE, env)["probe/terminated_wrong"] == 1
    assert probe_rewards(ended, ~NONE, env)["probe/terminated_wrong"] == 0, "who failed has ended for every goal"
    assert probe_rewards(rows, ~NONE, env)["probe/terminated_wrong"] == 1


def test_goals_and_rewards_are_those_of_the_truth(collected):
    env, rows = collected
    seen = {key: array + 1 for key, array in rows.obs.items()}
    hidden = rows._replace(obs=seen, next_obs=seen, truth=rows.obs, next_truth=rows.next_obs)
    assert probe_rewards(hidden, NONE, env) == probe_rewards(rows, NONE, env)


def test_where_no_radius_is_known_nothing_is_said_to_have_moved(collected):
    env, rows = collected
    unknown = SimpleNamespace(
        spec=env.spec._replace(radius=None), compute_reward=env.compute_reward,
        compute_terminated=env.compute_terminated, is_success=env.is_success,
    )  # fmt: skip
    found = probe_rewards(rows, NONE, env)
    del found["probe/goal_moved"]
    assert probe_rewards(rows, NONE, unknown) == found  # type: ignore[arg-type]


def test_actions_that_were_not_sent_are_noticed(collected):
    env, rows = collected
    for actions in (np.roll(rows.action, 1, axis=0), rows.action * 0):
        assert probe_motion(rows._replace(action=actions), env.spec)["probe/action_answered"] < 0.05


def test_actions_answer_in_the_truth_whatever_sensors_show(collected):
    env, rows = collected
    rng = np.random.default_rng(0)
    noisy = lambda obs: {key: array + rng.normal(0, 0.1, array.shape) for key, array in obs.items()}  # noqa: E731
    sensed = rows._replace(obs=noisy(rows.obs), next_obs=noisy(rows.next_obs))
    spec = env.spec._replace(truth=env.spec.obs)
    found = probe_motion(sensed._replace(truth=rows.obs, next_truth=rows.next_obs), spec)
    clean = probe_motion(rows, env.spec)
    assert found["probe/action_answered"] == clean["probe/action_answered"]
    assert found["probe/motion_observed"] < 0.9, "what noise hides is not observed"
    assert probe_motion(sensed, env.spec)["probe/action_answered"] < 0.5, "asked of noise, actions would go unanswered"


@pytest.mark.parametrize("shown", ["vector", "image"])
def test_observations_are_probed_by_kind_and_not_by_name(shown):
    rng = np.random.default_rng(0)
    goal, action = np.zeros((64, 2)), rng.uniform(-1, 1, (64, 3))
    before = {"own": rng.normal(size=(64, 3)), "achieved_goal": goal, "desired_goal": goal}
    after = before | {"own": before["own"] + action}
    fields = Field("own", (3,), shown), Field("achieved_goal", (2,), "goal"), Field("desired_goal", (2,), "goal")
    rows = Batch(before, action, goal[:, 0], after, goal[:, 0], {}, {})
    answered = probe_motion(rows, Spec(fields, 3, 10))["probe/action_answered"]
    assert answered == pytest.approx(1.0 if shown == "vector" else 0.0)


def test_an_observation_without_velocities_is_noticed(collected):
    env, rows = collected
    size = env.spec.size("observation")
    first = 14 if size == 25 else 5
    blind = lambda obs: {"observation": np.where(np.arange(size) < first, obs["observation"], 0)}  # noqa: E731
    found = probe_motion(rows._replace(obs=blind(rows.obs), next_obs=blind(rows.next_obs)), env.spec)
    assert found["probe/motion_observed"] < 0.2
    assert found["probe/observation_constant"] >= size - first


def test_where_nothing_moves_nothing_is_divided_by_nothing(collected):
    env, rows = collected
    still = {"observation": rows.obs["observation"] * 0}
    found = probe_motion(rows._replace(obs=still, next_obs=still), env.spec)
    assert (found["probe/action_answered"], found["probe/motion_observed"]) == (0, 0)


def test_a_task_without_geometry_is_probed_too(collected):
    env, rows = collected
    found = probe_motion(rows, env.spec._replace(geometry=None))
    assert found["probe/action_answered"] > 0.9
    assert "probe/motion_observed" not in found


NOTHING = [lambda achieved, _: np.zeros(len(achieved))] * 2  # reward and termination


class Brightness(Encoder):
    """The mean colour of a picture."""

    def __call__(self, obs, scales):
        return obs["camera"].mean(axis=(-3, -2))


class Told(Encoder):
    """The robot's own number."""

    def __call__(self, obs, scales):
        return obs["own"]


def test_how_well_pictures_are_read_is_judged_on_other_episodes_and_numbers_do_not_help():
    replay, rng = ReplayBuffer(ReplayConfig(1000), PICTURES, 1, *NOTHING), np.random.default_rng(0)
    places = rng.uniform(-1, 1, (60, 2))
    for place in places:  # an episode each; its picture and, where it is not asked, a number tell the place
        camera = np.zeros((1, 8, 8, 3), np.uint8)
        camera[..., :2] = (place + 1) * 127
        obs = {"camera": camera, "own": place[None, :1], "desired_goal": place[None]}
        truth = {"observation": np.zeros((1, 3)), "achieved_goal": place[None], "desired_goal": place[None]}
        no, ended = np.zeros(1, bool), np.ones(1, bool)
        replay.add(Step(obs, truth, np.zeros((1, 2)), np.zeros((1, 2)), no, no, ended, no, obs, truth, {}))
    agent = SimpleNamespace(window=1, sight=Sight(Brightness(), Told(), {}))
    found = probe_pictures(agent, replay, np.random.SeedSequence(0))
    spread = np.sqrt(places.var(axis=0).sum())
    assert found["sight/miss"] < 0.05 * spread
    assert found["sight/miss_at_first"] == pytest.approx(spread, rel=0.2)
    plain = ReplayBuffer(ReplayConfig(1000), SPEC, 1, *NOTHING)
    assert probe_pictures(agent, plain, np.random.SeedSequence(0)) == {}


def test_a_linear_fit_is_judged_where_it_was_not_made():
    rng, held_out = np.random.default_rng(0), np.arange(120) > 59
    inputs, noise = rng.standard_normal((120, 20)), rng.standard_normal((120, 2))
    linear = inputs @ rng.standard_normal((20, 2)) + 7
    assert missed_by(inputs, linear, held_out) < 0.1 * np.sqrt(linear.var(axis=0).sum())
    assert missed_by(inputs, noise, held_out) > 1.2, "what it knows by heart does not count"
    assert missed_by(inputs[:, :0], linear, held_out) == pytest.approx(np.sqrt(linear.var(axis=0).sum()), rel=0.2)
