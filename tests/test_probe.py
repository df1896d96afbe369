"""Probes while training: weights are what they are without, and each number tells what it says it tells."""

import numpy as np
import pytest

from tests.test_training import TINY
from wellposed import envs
from wellposed.envs.policies import RandomPolicy
from wellposed.loop import off_policy
from wellposed.probe import probe_motion, probe_rewards
from wellposed.replay import ReplayBuffer, ReplayConfig
from wellposed.runs import checkpoint
from wellposed.runs.record import METRICS
from wellposed.runs.store import RunReader
from wellposed.training import train
from wellposed.types import Batch, successor


def whole_state(path) -> dict[str, np.ndarray]:
    """Weights, optimisers, random streams, environments: everything that a checkpoint holds."""
    return RunReader(path).load_state(checkpoint.manifests(path)[0])[1]


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


def test_a_probe_that_drew_from_the_runs_stream_would_be_noticed(tmp_path, monkeypatch):
    def greedy(*run):
        run[2].act({"observation": np.zeros((1, 10)), **dict.fromkeys(GOALS, np.zeros((1, 3)))}, deterministic=False)
        return {}

    plain, _ = train(TINY, tmp_path / "plain", quiet=True)
    monkeypatch.setattr(off_policy, "take_probe", greedy)
    other, _ = train(TINY, tmp_path / "other", quiet=True)
    one, two = whole_state(plain), whole_state(other)
    assert any(one[name].tobytes() != two[name].tobytes() for name in one)


GOALS = ("achieved_goal", "desired_goal")


@pytest.fixture(scope="module", params=["FetchReach-v4", "FetchPush-v4"])
def collected(request):
    """An environment, its sizes, and a minibatch of random actions in it."""
    env = envs.make_vec(request.param, 8)
    dims = envs.dims(env)
    replay = ReplayBuffer(ReplayConfig(2000), dims, 8, env.compute_reward, env.compute_terminated)
    policy, (obs, _) = RandomPolicy(4, np.random.default_rng(0)), env.reset(seed=0)
    for _ in range(100):
        action = policy.act(obs)
        new, reward, terminated, truncated, info = env.step(action)
        replay.add(obs, action, reward, successor(new, info), terminated, truncated)
        obs = new
    batch = replay.sample(1, 512, np.random.default_rng(0))
    yield env, dims, Batch(*(field[0] for field in batch))
    env.close()


def test_sound_data_are_told_as_sound(collected):
    env, dims, rows = collected
    found = probe_rewards(rows, env) | probe_motion(rows, dims)
    assert found.keys() <= METRICS.keys()
    assert (found["probe/reward_wrong"], found["probe/terminated_wrong"]) == (0, 0)
    assert (found["probe/reward_min"], found["probe/reward_max"]) == (-1, 0)
    assert found["probe/action_answered"] > 0.9
    assert found["probe/motion_observed"] > 0.9
    assert found["probe/action_max"] > 0.95
    assert 0 < found["probe/success_before"] < 1


def test_rewards_and_ends_of_other_goals_are_noticed(collected):
    env, _, rows = collected
    found = probe_rewards(rows._replace(reward=rows.reward * 0 - 1), env)
    assert found["probe/reward_wrong"] == pytest.approx(np.mean(rows.reward == 0))
    assert found["probe/reward_wrong"] > 0.05
    assert probe_rewards(rows._replace(terminated=rows.reward * 0 + 1), env)["probe/terminated_wrong"] == 1


def test_actions_that_were_not_sent_are_noticed(collected):
    _, dims, rows = collected
    for actions in (np.roll(rows.action, 1, axis=0), rows.action * 0):
        assert probe_motion(rows._replace(action=actions), dims)["probe/action_answered"] < 0.05


def test_an_observation_without_velocities_is_noticed(collected):
    _, dims, rows = collected
    first = 14 if dims.observation == 25 else 5
    blind = lambda obs: np.where(np.arange(dims.observation) < first, obs, 0)  # noqa: E731
    found = probe_motion(
        rows._replace(observation=blind(rows.observation), next_observation=blind(rows.next_observation)), dims
    )
    assert found["probe/motion_observed"] < 0.5
    assert found["probe/observation_constant"] >= dims.observation - first


def test_where_nothing_moves_nothing_is_divided_by_nothing(collected):
    _, dims, rows = collected
    found = probe_motion(rows._replace(observation=rows.observation * 0, next_observation=rows.observation * 0), dims)
    assert (found["probe/action_answered"], found["probe/motion_observed"]) == (0, 0)


def test_a_task_without_geometry_is_probed_too(collected):
    _, dims, rows = collected
    found = probe_motion(rows, dims._replace(geometry=None))
    assert found["probe/action_answered"] > 0.9
    assert "probe/motion_observed" not in found
