"""SAC against closed forms: the density, the losses, and the soft values of a chain that is solved by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from tests.agents.data import PICTURES, SPEC, batches, first, spec_of
from wellposed.agents.sac import SAC, SACConfig, critic_loss, policy
from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig
from wellposed.nn.networks import MLP, polyak, squashed_gaussian
from wellposed.types import Batch


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
    outputs = jax.random.normal(jax.random.key(0), (5, 4))
    assert np.allclose(policy(outputs, jnp.zeros((5, 2)))[0], jnp.tanh(outputs[:, :2]))


def test_the_critic_loss_by_hand():
    agent, batch = SAC(SACConfig(hidden=(8,)), SPEC, seed=0), first(batches(1, 3))
    critics, stats, target = agent.learner.nets.critics, agent.scaler.stats, jnp.array([1.0, 2.0, 3.0])
    q = critics(batch.obs, {}, stats, batch.action)[..., 0]
    expected = 0.5 * sum(np.mean((np.asarray(one) - target) ** 2) for one in q)
    assert critic_loss(critics, stats, batch, target)[0] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [True, False])
def test_a_shared_encoder_learns_from_the_critics_alone_and_is_the_actors_too(shared):
    """An actor's loss that is a hundred times as steep changes an encoder of its own, and not the critics'."""

    def learnt(temperature: float) -> SAC:
        inputs = InputConfig(encoder="cnn", width=4)
        config = SACConfig((8,), inputs=inputs, shared_encoder=shared, temperature=temperature, gamma=0.0)
        agent = SAC(config, PICTURES, seed=0)
        agent.update(batches(2, 8, spec=PICTURES))
        return agent

    one, other = learnt(0.05).learner.nets, learnt(5.0).learner.nets
    equal = lambda a, b: all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))  # noqa: E731
    assert equal(one.critics.encoder, other.critics.encoder)
    assert equal(one.actor.encoder, one.critics.encoder) == equal(one.actor.encoder, other.actor.encoder) == shared
    assert not equal(one.actor.head, other.actor.head)


def test_an_encoder_is_shared_only_where_actor_and_critics_see_the_same():
    with pytest.raises(UserError, match=r"--agent\.shared-encoder needs critics that see what the actor sees"):
        SACConfig(shared_encoder=True, critic_sees="truth")


def test_polyak_moves_a_share_of_the_way():
    zero, one = jax.tree.map(jnp.zeros_like, MLP([2, 2], jax.random.key(0))), MLP([2, 2], jax.random.key(0))
    moved = polyak(zero, one, 0.25)
    assert np.allclose(moved.weights[0], 0.25 * one.weights[0])


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
    as32 = lambda array: np.asarray(array, np.float32)  # noqa: E731
    shown = lambda state: {  # noqa: E731
        "observation": as32(state), "achieved_goal": as32(nothing), "desired_goal": as32(nothing)
    }  # fmt: skip
    ends = as32((s == 2) * float(respect_end))
    return Batch(shown(one_hot[s]), as32(np.tanh(pre_tanh)), as32(reward), shown(after), ends, {}, {})


def learnt_soft_values(calls: int, respect_end: bool) -> np.ndarray:
    """E[min Q - temperature log pi] in the three states after training on random transitions."""
    config = SACConfig(
        hidden=(32, 32),
        gamma=GAMMA,
        temperature=TEMPERATURE,
        learning_rate=1e-3,
        bound_targets=False,
        inputs=InputConfig(normalise=False, distances=False),
    )
    agent = SAC(config, spec_of(3, 1, 1, max_episode_steps=3), seed=0)
    for i in range(calls):
        agent.update(chain_batches(50, 128, i, respect_end))
    nets = agent.learner.nets
    nothing = jnp.zeros((6000, 1))
    obs = {"observation": jnp.repeat(jnp.eye(3), 2000, axis=0), "achieved_goal": nothing, "desired_goal": nothing}
    noise = jnp.asarray(np.random.default_rng(0).standard_normal((6000, 1)), jnp.float32)
    action, log_prob = policy(nets.actor(obs, agent.scaler.stats.obs), noise)
    soft = jnp.min(nets.critics(obs, {}, agent.scaler.stats, action)[..., 0], axis=0) - TEMPERATURE * log_prob
    return np.asarray(soft).reshape(3, 2000).mean(axis=1)


@pytest.mark.slow
def test_the_soft_values_of_a_chain_are_learnt_within_two_percent():
    exact = np.zeros(4)
    for s in (2, 1, 0):
        exact[s] = GAINS[s] + GAMMA * exact[s + 1]
    learnt = learnt_soft_values(40, respect_end=True)
    assert np.abs(learnt / exact[:3] - 1).max() < 0.02, (learnt, exact)
    assert (learnt_soft_values(10, respect_end=False) / exact[:3]).max() > 1.2, "bootstrapping past the end"
