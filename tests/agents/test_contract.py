"""What every registered algorithm owes the laboratory. An algorithm is tested by being registered."""

from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from tests.agents.data import MOMENT, ON_STATES, ONES, SPEC, batches, experience
from wellposed.agents import ALGORITHMS, make_agent
from wellposed.errors import UserError
from wellposed.loop.monitor import Monitor
from wellposed.nn.inputs import InputConfig
from wellposed.types import Agent

GRU = {"inputs": InputConfig(encoder="gru", width=4, memory=3)}
OFF_POLICY = [algo for algo in ON_STATES if not ALGORITHMS[algo].on_policy]
REPLAY_CASES: list[tuple[str, dict[str, Any]]] = [(algo, {}) for algo in OFF_POLICY]
REPLAY_CASES += [("sac", {"learn_temperature": True}), *((algo, GRU) for algo in OFF_POLICY)]
CASES = REPLAY_CASES + [(algo, {}) for algo in ON_STATES if algo not in OFF_POLICY]
every_algorithm = pytest.mark.parametrize("algo", ON_STATES)
every_case = pytest.mark.parametrize(("algo", "settings"), CASES)
every_replay_case = pytest.mark.parametrize(("algo", "settings"), REPLAY_CASES)


def fresh(algo: str, seed: int = 0, hidden: tuple[int, ...] = (16,), **settings: Any) -> Any:
    return make_agent(algo, ALGORITHMS[algo].config(hidden=hidden, **settings), SPEC, seed)


def learn(agent: Any, algo: str, u: int = 3, seed: int = 0) -> dict[str, float]:
    return agent.update(experience(algo, u, 32, seed, agent.config.inputs.memory))


def act(agent: Any, obs: dict[str, np.ndarray] = ONES, seed: int | None = None) -> np.ndarray:
    """Actions at the start of an episode, greedy without a seed."""
    rng = None if seed is None else np.random.default_rng(seed)
    return agent.act(obs, agent.initial_carry(4), rng)[0]


def weight_of(state: dict[str, np.ndarray], layer: str) -> str:
    """The full name of a layer of the actor, as in `biases[2]`."""
    (name,) = [name for name in state if name.startswith("learner.nets.actor.head.") and name.endswith(layer)]
    return name


@every_case
def test_updates_repeat_bit_for_bit_differ_by_seed_and_log_what_is_declared(algo, settings):
    agents = [fresh(algo, seed, **settings) for seed in (0, 0, 1)]
    for agent in agents:
        metrics = learn(agent, algo)
        assert metrics.keys() == ALGORITHMS[algo].metrics.keys()
        assert np.isfinite(list(metrics.values())).all()
    a, b, c = (agent.state() for agent in agents)
    assert all(np.array_equal(a[k], b[k]) for k in a)
    name = weight_of(a, "weights[0]")
    assert not np.array_equal(a[name], c[name])


def test_a_metric_means_the_same_wherever_it_is_logged():
    meanings = [pair for entry in ALGORITHMS.values() for pair in entry.metrics.items()]
    assert len(set(meanings)) == len({name for name, _ in meanings})


def test_a_metric_that_an_algorithm_does_not_declare_cannot_be_logged():
    monitor: Any = SimpleNamespace(
        declared={"train/loss"}, config=SimpleNamespace(algo="own"), agent=SimpleNamespace(updates=1)
    )
    Monitor.learn(monitor, {"train/loss": 1.0})
    with pytest.raises(ValueError, match="own does not declare what it logs: train/mystery"):
        Monitor.learn(monitor, {"train/loss": 1.0, "train/mystery": 1.0})


@every_replay_case
def test_one_scan_is_as_many_single_updates(algo, settings):
    scanned, single = fresh(algo, **settings), fresh(algo, **settings)
    data = batches(3, 32, window=scanned.window)
    scanned.update(data)
    for i in range(3):
        single.update(jax.tree.map(lambda array, i=i: array[i : i + 1], data))
    a, b = scanned.state(), single.state()
    assert scanned.updates == single.updates == 3
    assert all(np.allclose(a[k], b[k], rtol=1e-4, atol=1e-5) for k in a if k.startswith("learner"))


@every_case
def test_a_saved_agent_goes_on_bit_for_bit(algo, settings):
    agent = fresh(algo, **settings)
    agent.observe(MOMENT)
    learn(agent, algo)
    saved = {name: array.copy() for name, array in agent.state().items()}
    other = fresh(algo, seed=77, **settings)
    other.load_state(saved)
    for one in (agent, other):
        assert isinstance(one, Agent)
        assert one.updates == agent.updates > 2
    for seed in range(2):
        assert np.array_equal(act(agent, seed=seed), act(other, seed=seed))
        assert learn(agent, algo, seed=1) == learn(other, algo, seed=1)
    a, b = agent.state(), other.state()
    assert all(np.array_equal(a[k], b[k]) for k in a)


@every_case
def test_a_carry_is_of_each_env_and_empty_without_memory(algo, settings):
    agent, rng = fresh(algo, **settings), np.random.default_rng(0)
    moments = [{name: rng.standard_normal(array.shape) for name, array in ONES.items()} for _ in range(3)]
    carry = agent.initial_carry(4)
    if settings is not GRU:
        assert carry == () == agent.act(moments[0], carry)[1]
        return
    rows, alone = np.array([0]), agent.initial_carry(1)
    for obs in moments:
        action, carry = agent.act(obs, carry)
        own, alone = agent.act({name: array[rows] for name, array in obs.items()}, alone)
        assert np.allclose(action[rows], own, atol=1e-6)
        assert np.allclose(carry[rows], alone, atol=1e-6)
    assert not np.allclose(act(agent, moments[-1]), action), "what came before must matter"
    with pytest.raises(ValueError, match="initial_carry"):
        agent.act(ONES)


@every_algorithm
def test_actions_stay_in_their_range_and_exploration_comes_from_the_generator(algo):
    """Far from what the scaler has seen, and with an actor that is pushed into saturation."""
    agent = fresh(algo)
    state = agent.state()
    last = weight_of(state, "biases[1]")
    agent.load_state(state | {last: state[last] + 3})
    far = {key: 1e3 * value for key, value in ONES.items()}
    for obs in (ONES, far):
        assert act(agent, obs).shape == act(agent, obs, seed=0).shape == (4, SPEC.action_dim)
        assert np.abs(act(agent, obs)).max() <= 1
        assert ALGORITHMS[algo].on_policy or np.abs(act(agent, obs, seed=0)).max() <= 1
    agent = fresh(algo)  # one in saturation may well be cut off at the same end of the range twice
    assert np.array_equal(act(agent), act(agent))
    assert np.array_equal(act(agent, seed=0), act(agent, seed=0))
    assert not np.array_equal(act(agent, seed=0), act(agent, seed=1))


@every_algorithm
def test_exploring_draws_one_standard_normal_number_for_each_action_component(algo):
    rng, same = np.random.default_rng(5), np.random.default_rng(5)
    fresh(algo).act(ONES, (), rng)
    same.standard_normal((4, SPEC.action_dim), np.float32)
    assert rng.bit_generator.state == same.bit_generator.state


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
    others = [other for other in ON_STATES if other != algo]
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
        ({"hidden": (64, 0)}, "--agent.hidden takes up to 100 widths"),
        ({"inputs": InputConfig(memory=2)}, "memory"),
        ({"inputs": InputConfig(encoder="nose")}, "no encoder 'nose'; there are state, cnn, frames, history, gru"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(algo, change, message):
    with pytest.raises(UserError, match=message):
        ALGORITHMS[algo].config(**change)


@pytest.mark.parametrize("algo", OFF_POLICY)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau": 0.0}, r"--agent.tau lies in \(0, 1\]"),
        ({"shift": -1}, "--agent.shift must be 0 to 512 pixels"),
        ({"inputs": InputConfig(encoder="gru")}, "--agent.inputs.memory must be greater than 1 with the encoder gru"),
    ],
)
def test_a_setting_of_algorithms_with_a_replay_is_refused_by_name(algo, change, message):
    with pytest.raises(UserError, match=message):
        ALGORITHMS[algo].config(**change)


@pytest.mark.parametrize("name", ["dqn", ["sac"], None])
def test_an_unknown_algorithm_is_refused(name):
    with pytest.raises(UserError, match=r"There is no algorithm .*; there are sac, td3, ppo"):
        make_agent(name, None, SPEC, 0)


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="algorithm 'sac' is registered already"):
        ALGORITHMS.register("sac", ALGORITHMS["td3"])
