"""The probe of an agent: what it tells is true in closed form, and it leaves no trace; over every algorithm."""

from functools import partial

import numpy as np
import pytest

from tests.agents.data import MOMENT, batches, first, rollout
from tests.agents.test_contract import every_replay_case, fresh
from wellposed.agents.probe import dead_share, effective_rank, probe, probe_policy, relative_distance
from wellposed.runs.record import METRICS


@every_replay_case
def test_a_probe_leaves_no_trace_and_tells_what_has_moved(algo, settings):
    agent = fresh(algo, **settings)
    data = partial(batches, 4, 32, window=agent.window)
    unmoved = probe(agent, data(0))
    for name in ("actor_travel", "critic_travel", "target_travel", "target_lag", "actor_gradient", "critic_gradient"):
        assert unmoved[f"probe/{name}"] == 0, name
    agent.observe(MOMENT)
    agent.update(data(0))
    before = {name: array.copy() for name, array in agent.state().items()}
    found = probe(agent, data(1))
    after = agent.state()
    assert before.keys() == after.keys()
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    assert found == probe(agent, data(1))
    assert found != probe(agent, data(2))
    assert found.keys() <= METRICS.keys()
    assert np.isfinite(list(found.values())).all()
    assert found["probe/normaliser_count"] == 4
    assert found["probe/goal_in_inputs"] == 1
    assert 0 < found["probe/actor_step"] < found["probe/actor_travel"]
    assert 0 < found["probe/target_lag"] < found["probe/critic_travel"]
    assert found["probe/actor_gradient"] > 0


def test_a_probe_of_a_policy_leaves_no_trace_either():
    agent, one = fresh("ppo"), first(batches(1, 32))
    unmoved = probe_policy(agent, one)
    assert unmoved["probe/actor_travel"] == unmoved["probe/critic_travel"] == unmoved["probe/actor_gradient"] == 0
    # The noise of a fresh policy has standard deviation 1, and what it leaves of [-1, 1] is clipped.
    assert 0.3 < unmoved["probe/exploration"] < 0.8
    agent.update(rollout(96))
    before = {name: array.copy() for name, array in agent.state().items()}
    found = probe_policy(agent, one)
    assert all(before[name].tobytes() == array.tobytes() for name, array in agent.state().items())
    assert found.keys() <= METRICS.keys()
    assert np.isfinite(list(found.values())).all()
    assert found["probe/actor_travel"] > 0 < found["probe/critic_travel"]
    assert found["probe/goal_in_inputs"] == 1


def test_targets_at_the_lowest_return_are_counted():
    """With a discount of 0 the target is the reward, and the lowest return is the lowest reward."""
    data = batches(4, 32)
    reward = np.where(np.arange(32) < 8, -1.0, 0.0).astype(np.float32)
    data = data._replace(reward=np.tile(reward, (4, 1)))
    assert probe(fresh("td3", gamma=0.0), data)["probe/target_at_bound"] == pytest.approx(0.25)


def test_the_effective_rank_counts_directions():
    assert effective_rank(np.eye(8)) == pytest.approx(8)
    assert effective_rank(np.outer(np.arange(1.0, 9), np.ones(8))) == pytest.approx(1, abs=1e-4)
    assert effective_rank(np.zeros((4, 8))) == 0


def test_dead_units_answer_to_no_row():
    layer = np.array([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0]])
    assert dead_share([layer]) == 0.5
    assert dead_share([layer, np.ones((2, 4))]) == 0.25


def test_a_distance_is_relative():
    assert relative_distance([np.array([3.0, 4.0])], [np.array([0.0, 4.0])]) == pytest.approx(0.75)
