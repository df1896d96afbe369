"""What every registered algorithm owes the laboratory. An algorithm is tested by being registered."""

from typing import Any

import numpy as np
import pytest

from tests.agents.data import DIMS, batches, experience
from wellposed.agents import ALGORITHMS, make_agent
from wellposed.errors import UserError
from wellposed.types import Agent, Batch

CASES = [(algo, {}) for algo in ALGORITHMS] + [("sac", {"learn_temperature": True})]
OBS = {"observation": np.ones((4, 3)), "achieved_goal": np.zeros((4, 2)), "desired_goal": np.ones((4, 2))}
OFF_POLICY = [algo for algo, entry in ALGORITHMS.items() if not entry.on_policy]
every_algorithm = pytest.mark.parametrize("algo", ALGORITHMS)
every_case = pytest.mark.parametrize(("algo", "settings"), CASES)
every_replay_case = pytest.mark.parametrize(("algo", "settings"), [case for case in CASES if case[0] in OFF_POLICY])


def fresh(algo: str, seed: int = 0, hidden: tuple[int, ...] = (16, 16), **settings: Any) -> Any:
    return make_agent(algo, ALGORITHMS[algo].config(hidden=hidden, **settings), DIMS, seed)


def weight_of(state: dict[str, np.ndarray], layer: str) -> str:
    """The full name of a layer of the actor, as in `biases[2]`."""
    (name,) = [name for name in state if name.startswith("learner.nets.actor.") and name.endswith(layer)]
    return name


@every_case
def test_updates_repeat_bit_for_bit_and_differ_by_seed(algo, settings):
    agents = [fresh(algo, seed, **settings) for seed in (0, 0, 1)]
    for agent in agents:
        agent.update(experience(algo, 3, 32))
    a, b, c = (agent.state() for agent in agents)
    assert all(np.array_equal(a[k], b[k]) for k in a)
    first = weight_of(a, "weights[0]")
    assert not np.array_equal(a[first], c[first])


@every_replay_case
def test_one_scan_is_as_many_single_updates(algo, settings):
    scanned, single = fresh(algo, **settings), fresh(algo, **settings)
    data = batches(4, 32)
    scanned.update(data)
    for i in range(4):
        single.update(Batch(*(field[i : i + 1] for field in data)))
    a, b = scanned.state(), single.state()
    assert scanned.updates == single.updates == 4
    assert all(np.allclose(a[k], b[k], rtol=1e-5, atol=1e-6) for k in a if k.startswith("learner"))


@every_case
def test_a_saved_agent_goes_on_bit_for_bit(algo, settings):
    agent = fresh(algo, **settings)
    agent.observe(OBS)
    agent.update(experience(algo, 3, 32))
    agent.act(OBS, deterministic=False)
    saved = {name: array.copy() for name, array in agent.state().items()}
    other = fresh(algo, seed=77, **settings)
    other.load_state(saved)
    for one in (agent, other):
        assert isinstance(one, Agent)
        assert one.updates == agent.updates > 2
    for _ in range(2):
        acted, found = (one.act(OBS, deterministic=False) for one in (agent, other))
        assert np.array_equal(acted, found)
        assert agent.update(experience(algo, 3, 32, seed=1)) == other.update(experience(algo, 3, 32, seed=1))
    a, b = agent.state(), other.state()
    assert all(np.array_equal(a[k], b[k]) for k in a)


@every_algorithm
def test_actions_stay_in_their_range_and_greedy_ones_repeat(algo):
    """Far from what the scaler has seen, and with an actor that is pushed into saturation."""
    agent = fresh(algo)
    state = agent.state()
    last = weight_of(state, "biases[2]")
    agent.load_state(state | {last: state[last] + 3})
    far = {key: 1e3 * value for key, value in OBS.items()}
    for obs in (OBS, far):
        for deterministic in (True, False):
            actions = agent.act(obs, deterministic)
            assert actions.shape == (4, DIMS.action)
            assert np.abs(actions).max() <= 1
    assert np.array_equal(agent.act(OBS), agent.act(OBS))
    first, second = (fresh(algo).act(OBS, deterministic=False) for _ in range(2))
    assert np.array_equal(first, second), "exploration belongs to the seed"
    agent = fresh(algo)  # one in saturation may well be cut off at the same end of the range twice
    assert not np.array_equal(agent.act(OBS, deterministic=False), agent.act(OBS, deterministic=False))


@every_algorithm
def test_an_agent_of_another_shape_is_refused_by_name(algo):
    state = fresh(algo, hidden=(8,)).state()
    with pytest.raises(UserError, match="does not fit"):
        fresh(algo, hidden=(9,)).load_state(state)
    state.pop("updates")
    with pytest.raises(UserError, match="updates"):
        fresh(algo, hidden=(8,)).load_state(state)


@every_algorithm
def test_an_agent_of_another_algorithm_is_refused(algo):
    others = [other for other in ALGORITHMS if other != algo]
    for other in others:
        with pytest.raises(UserError, match="does not fit"):
            fresh(algo).load_state(fresh(other).state())


@every_algorithm
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": 1.0}, r"--agent.gamma lies in \[0, 1\), got 1.0"),
        ({"learning_rate": float("nan")}, "--agent.learning-rate must be greater than 0"),
        ({"batch_size": 0}, "--agent.batch-size must be greater than 0"),
        ({"hidden": (64, 0)}, "--agent.hidden takes widths"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(algo, change, message):
    with pytest.raises(UserError, match=message):
        ALGORITHMS[algo].config(**change)


@pytest.mark.parametrize("algo", OFF_POLICY)
def test_targets_that_never_follow_are_refused(algo):
    with pytest.raises(UserError, match=r"--agent.tau lies in \(0, 1\]"):
        ALGORITHMS[algo].config(tau=0.0)


@pytest.mark.parametrize("name", ["dqn", ["sac"], None])
def test_an_unknown_algorithm_is_refused(name):
    with pytest.raises(UserError, match=r"There is no algorithm .*; there are sac, td3, ppo"):
        make_agent(name, None, DIMS, 0)
