"""SAC against closed forms: the density, the losses, and the soft values of a chain that is solved by hand."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from wellposed.agents import make_agent
from wellposed.agents.sac import SAC, SACConfig, Transition, critic_loss, policy, soft_target, values
from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig, network_inputs
from wellposed.nn.networks import MLP, polyak, squashed_gaussian
from wellposed.types import Agent, Batch, Dims

DIMS = Dims(observation=3, goal=2, action=2, max_episode_steps=5)


def batches(u: int, b: int, seed: int = 0, dims: Dims = DIMS) -> Batch:
    rng = np.random.default_rng(seed)
    normal = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    ones = np.ones((u, b), np.float32)
    return Batch(
        normal(u, b, dims.observation), normal(u, b, dims.goal), np.tanh(normal(u, b, dims.action)), -ones,
        normal(u, b, dims.observation), normal(u, b, dims.goal), normal(u, b, dims.goal), 0 * ones,
    )  # fmt: skip


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.7, -1.0), (-1.5, 0.3)])
def test_the_squashed_density_integrates_to_one(mean, log_std):
    def density(action: float) -> float:
        noise = (np.arctanh(action) - mean) / np.exp(log_std)
        return float(jnp.exp(squashed_gaussian(jnp.array([mean]), jnp.array([log_std]), jnp.array([noise]))[1]))

    with jax.enable_x64(True):
        assert quad(density, -1, 1, epsabs=1e-8)[0] == pytest.approx(1, abs=1e-6)


def test_the_squashed_density_does_not_overflow_where_tanh_saturates():
    action, log_prob = squashed_gaussian(jnp.array([40.0]), jnp.array([0.0]), jnp.array([0.0]))
    assert action == 1
    assert np.isfinite(log_prob)


def test_no_noise_is_the_deterministic_policy():
    actor = MLP([3, 8, 4], jax.random.key(0))
    x = jnp.ones((5, 3))
    assert np.allclose(policy(actor, x, jnp.zeros((5, 2)))[0], jnp.tanh(actor(x)[:, :2]))


def test_targets_stop_at_the_bounds_of_the_return():
    agent = SAC(SACConfig(hidden=(8,), gamma=0.9), DIMS, seed=0)
    batch = Transition(
        jnp.ones((4, 8)), jnp.zeros((4, 2)), jnp.array([-50.0, 50, -1, -1]), jnp.ones((4, 8)), jnp.zeros(4)
    )
    bounded = soft_target(agent.config, agent.learner.nets, batch, jnp.zeros((4, 2)))
    assert bounded[0] == pytest.approx(-10)
    assert bounded[1] == 0
    free = soft_target(replace(agent.config, bound_targets=False), agent.learner.nets, batch, jnp.zeros((4, 2)))
    assert free[0] < -40
    assert free[1] > 40


def test_a_terminal_successor_has_no_value():
    agent = SAC(SACConfig(hidden=(8,), bound_targets=False), DIMS, seed=0)
    batch = Transition(jnp.ones((2, 8)), jnp.zeros((2, 2)), jnp.full(2, -1.0), jnp.ones((2, 8)), jnp.array([1.0, 0.0]))
    target = soft_target(agent.config, agent.learner.nets, batch, jnp.zeros((2, 2)))
    assert target[0] == -1
    assert target[1] != -1


def test_the_critic_loss_by_hand():
    agent = SAC(SACConfig(hidden=(8,)), DIMS, seed=0)
    batch = Transition(jnp.ones((3, 8)), jnp.zeros((3, 2)), jnp.zeros(3), jnp.ones((3, 8)), jnp.zeros(3))
    target = jnp.array([1.0, 2.0, 3.0])
    q = values(agent.learner.nets.critics, batch.features, batch.action)
    expected = 0.5 * sum(np.mean((np.asarray(one) - target) ** 2) for one in q)
    assert critic_loss(agent.learner.nets.critics, batch, target)[0] == pytest.approx(float(expected), rel=1e-6)


def test_polyak_moves_a_share_of_the_way():
    zero, one = jax.tree.map(jnp.zeros_like, MLP([2, 2], jax.random.key(0))), MLP([2, 2], jax.random.key(0))
    moved = polyak(zero, one, 0.25)
    assert np.allclose(moved.weights[0], 0.25 * one.weights[0])


def test_updates_repeat_bit_for_bit_and_differ_by_seed():
    agents = [make_agent("sac", SACConfig(hidden=(16, 16)), DIMS, seed) for seed in (0, 0, 1)]
    for agent in agents:
        agent.update(batches(3, 32))
    a, b, c = (agent.state() for agent in agents)
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(a["learner.nets.actor.weights[0]"], c["learner.nets.actor.weights[0]"])


def test_one_scan_is_as_many_single_updates():
    config = SACConfig(hidden=(16, 16), learn_temperature=True)
    scanned, single = SAC(config, DIMS, 0), SAC(config, DIMS, 0)
    data = batches(4, 32)
    scanned.update(data)
    for i in range(4):
        single.update(Batch(*(field[i : i + 1] for field in data)))
    a, b = scanned.state(), single.state()
    assert scanned.updates == single.updates == 4
    assert all(np.allclose(a[k], b[k], rtol=1e-5, atol=1e-6) for k in a if k.startswith("learner"))


@pytest.mark.parametrize("learn_temperature", [False, True])
def test_a_saved_agent_goes_on_bit_for_bit(learn_temperature):
    config = SACConfig(hidden=(16, 16), learn_temperature=learn_temperature)
    agent = SAC(config, DIMS, 0)
    obs = {"observation": np.ones((4, 3)), "achieved_goal": np.zeros((4, 2)), "desired_goal": np.ones((4, 2))}
    agent.observe(obs)
    agent.update(batches(2, 32))
    agent.act(obs, deterministic=False)
    saved = {name: array.copy() for name, array in agent.state().items()}
    expected = agent.update(batches(2, 32, seed=1)), agent.act(obs, deterministic=False)
    other = SAC(config, DIMS, seed=77)
    other.load_state(saved)
    found = other.update(batches(2, 32, seed=1)), other.act(obs, deterministic=False)
    assert found[0] == expected[0]
    assert np.array_equal(found[1], expected[1])
    assert isinstance(agent, Agent)


def test_an_agent_of_another_shape_is_refused_by_name():
    state = SAC(SACConfig(hidden=(8,)), DIMS, 0).state()
    with pytest.raises(UserError, match="does not fit"):
        SAC(SACConfig(hidden=(9,)), DIMS, 0).load_state(state)
    state.pop("updates")
    with pytest.raises(UserError, match="updates"):
        SAC(SACConfig(hidden=(8,)), DIMS, 0).load_state(state)


def test_an_unknown_algorithm_is_refused():
    with pytest.raises(UserError, match="no algorithm 'dqn'"):
        make_agent("dqn", SACConfig(), DIMS, 0)


# A chain of states 0 -> 1 -> 2 -> end. The reward is gain[s] + temperature * log pi*(a) for a squashed Gaussian pi*
# of our choice. Then pi* is the soft-optimal policy, the entropy bonus cancels its log density, and the soft value
# of a state is the discounted sum of the gains ahead: V(s) = gain[s] + gamma V(s + 1), V(end) = 0.
GAINS, GAMMA, TEMPERATURE = np.array([1.0, 2.0, 3.0]), 0.9, 0.2
STAR_MEAN, STAR_LOG_STD = 0.4, -0.5


def chain_batches(u: int, b: int, seed: int, respect_end: bool) -> Batch:
    rng = np.random.default_rng(seed)
    s = rng.integers(3, size=(u, b))
    pre_tanh = rng.uniform(-1.5, 2.0, (u, b, 1))
    noise = (pre_tanh - STAR_MEAN) / np.exp(STAR_LOG_STD)
    with jax.enable_x64(True):
        log_star = np.asarray(squashed_gaussian(jnp.array(STAR_MEAN), jnp.array(STAR_LOG_STD), jnp.asarray(noise))[1])
    reward = GAINS[s] + TEMPERATURE * log_star
    one_hot = np.eye(3)
    nothing = np.zeros((u, b, 1))
    after = one_hot[np.minimum(s + 1, 2)]
    fields = (one_hot[s], nothing, np.tanh(pre_tanh), reward, after, nothing, nothing, (s == 2) * float(respect_end))
    return Batch(*(np.asarray(field, np.float32) for field in fields))


def learnt_soft_values(respect_end: bool) -> np.ndarray:
    """E[min Q - temperature log pi] in the three states after training on random transitions."""
    config = SACConfig(
        hidden=(64, 64),
        gamma=GAMMA,
        temperature=TEMPERATURE,
        learning_rate=1e-3,
        bound_targets=False,
        inputs=InputConfig(normalise=False, distances=False),
    )
    agent = SAC(config, Dims(3, 1, 1, 3), seed=0)
    for i in range(40):
        agent.update(chain_batches(50, 256, i, respect_end))
    nets = agent.learner.nets
    shown = network_inputs(
        config.inputs, agent.dims, agent.scaler.stats, jnp.eye(3), jnp.zeros((3, 1)), jnp.zeros((3, 1))
    )
    x = jnp.repeat(shown, 2000, axis=0)
    noise = jnp.asarray(np.random.default_rng(0).standard_normal((6000, 1)), jnp.float32)
    action, log_prob = policy(nets.actor, x, noise)
    soft = jnp.min(values(nets.critics, x, action), axis=0) - TEMPERATURE * log_prob
    return np.asarray(soft).reshape(3, 2000).mean(axis=1)


def test_the_soft_values_of_a_chain_are_learnt_within_two_percent():
    exact = np.zeros(4)
    for s in (2, 1, 0):
        exact[s] = GAINS[s] + GAMMA * exact[s + 1]
    learnt = learnt_soft_values(respect_end=True)
    assert np.abs(learnt / exact[:3] - 1).max() < 0.02, (learnt, exact)
    assert np.abs(learnt_soft_values(respect_end=False) / exact[:3] - 1).max() > 0.2  # bootstrapping past the end
