"""PPO in closed form: densities, entropy and divergence of Gaussians, the clipped objective, minibatches."""

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agents.data import ONES, SPEC, rollout
from tests.agents.sb3_case import Given
from wellposed.agents import ppo
from wellposed.agents.ppo import PPO, Actor, Minibatch, PPOConfig
from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig, InputStats
from wellposed.nn.networks import MLP
from wellposed.types import Moment

CONFIG = PPOConfig(hidden=(16, 16))
FEATURES = 5
STATS = InputStats({}, {})


def actor_of(seed: int, std: float) -> Actor:
    return Actor(Given(), MLP([FEATURES, 8, 2], jax.random.key(seed)), jnp.log(jnp.array([std, 2 * std])))


def observed(n: int = 6) -> dict[str, jax.Array]:
    return {"features": jax.random.normal(jax.random.key(9), (n, FEATURES))}


def log_density(actor: Actor, obs: dict[str, jax.Array], action: jax.Array) -> jax.Array:
    return ppo.log_density(actor(obs, {}), actor.log_std, action)


def divergence(old: Actor, new: Actor, obs: dict[str, jax.Array]) -> jax.Array:
    return ppo.divergence(old(obs, {}), old.log_std, new(obs, {}), new.log_std)


def steps(obs: dict[str, jax.Array], *fields: Any) -> Minibatch:
    return Minibatch(obs, {}, *fields)


def test_the_density_of_the_policy_is_that_of_independent_gaussians():
    actor, x = actor_of(0, 0.5), observed()
    action = ppo.act(actor, {}, x, jax.random.normal(jax.random.key(1), (6, 2)))
    by_hand = jax.scipy.stats.norm.logpdf(action, actor(x, {}), jnp.array([0.5, 1.0])).sum(axis=1)
    assert np.allclose(log_density(actor, x, action), by_hand, atol=1e-5)


def test_entropy_and_divergence_are_means_over_the_policys_own_actions():
    """Both are closed forms of expectations; a large sample of actions gives the same."""
    old, new, x = actor_of(0, 0.5), actor_of(1, 0.4), observed(1)
    action = ppo.act(old, {}, x, jax.random.normal(jax.random.key(2), (200_000, 2)))
    log_old, log_new = (np.asarray(log_density(actor, x, action)) for actor in (old, new))
    assert ppo.entropy(old.log_std) == pytest.approx(-log_old.mean(), abs=0.01)
    assert divergence(old, new, x)[0] == pytest.approx((log_old - log_new).mean(), abs=0.01)
    assert abs(divergence(old, new, x)[0] - divergence(new, old, x)[0]) > 0.05, "it is not symmetric"
    assert divergence(old, old, x)[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("ratio", "advantage", "objective", "slope"),
    [
        (1.0, 2.0, 2.0, 2.0),
        (1.1, 2.0, 2.2, 2.0),
        (1.3, 2.0, 2.4, 0.0),  # already made much likelier: nothing more to gain
        (0.7, 2.0, 1.4, 2.0),  # made less likely although it was good: undone
        (0.7, -2.0, -1.6, 0.0),
        (1.3, -2.0, -2.6, -2.0),
    ],
)
def test_the_clipped_objective_and_its_slope_on_both_sides(ratio, advantage, objective, slope):
    found, gradient = jax.value_and_grad(ppo.clipped_objective)(jnp.array([ratio]), jnp.array([advantage]), 0.2)
    assert found == pytest.approx(objective)
    assert gradient[0] == pytest.approx(slope)


def test_a_clipping_without_the_minimum_would_be_noticed():
    """The minimum lets a step that went the wrong way be undone; the clipped term alone has no slope there."""
    wrong = lambda ratio, advantage: jnp.mean(jnp.clip(ratio, 0.8, 1.2) * advantage)  # noqa: E731
    assert jax.grad(wrong)(jnp.array([0.7]), jnp.array([2.0]))[0] == 0
    assert jax.grad(ppo.clipped_objective)(jnp.array([0.7]), jnp.array([2.0]), 0.2)[0] == 2


def test_at_the_policy_that_acted_the_gradient_is_the_policy_gradient():
    """There the ratio is 1 and its gradient the score: mean A grad log pi, whatever the clipping."""
    actor, x = actor_of(0, 0.5), observed(64)
    action = ppo.act(actor, {}, x, jax.random.normal(jax.random.key(1), (64, 2)))
    advantage = jax.random.normal(jax.random.key(2), (64,))
    batch = steps(x, action, advantage, advantage, log_density(actor, x, action))
    config = replace(CONFIG, normalise_advantages=False)
    found = jax.grad(lambda actor: ppo.actor_loss(actor, config, STATS, batch)[0])(actor)
    expected = jax.grad(lambda actor: -jnp.mean(advantage * log_density(actor, x, action)))(actor)
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True))


def test_outside_the_clipping_nothing_is_learnt():
    """Probabilities that have doubled already, of actions that were good: the actor's loss has no slope."""
    actor, x = actor_of(0, 0.5), observed(8)
    action = ppo.act(actor, {}, x, jnp.ones((8, 2)))
    long_ago = log_density(actor, x, action) - jnp.log(2.0)
    batch = steps(x, action, jnp.ones(8), jnp.ones(8), long_ago)
    config = replace(CONFIG, normalise_advantages=False)
    loss = lambda config, actor: ppo.actor_loss(actor, config, STATS, batch)[0]  # noqa: E731
    slopes = {clip: jax.grad(partial(loss, replace(config, clip=clip)))(actor) for clip in (0.2, 1e6)}
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(slopes[0.2]))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(slopes[1e6]))


def test_normalised_advantages_have_mean_0_and_spread_1():
    found = np.asarray(ppo.normalised(jnp.array([1.0, 2.0, 3.0, 10.0])))
    assert found.mean() == pytest.approx(0, abs=1e-6)
    assert found.std(ddof=1) == pytest.approx(1, rel=1e-5)


def test_every_epoch_goes_through_all_rows_once_in_an_order_of_its_own():
    rows = np.asarray(ppo.minibatches(replace(CONFIG, epochs=3, batch_size=4), jax.random.key(0), 12))
    assert rows.shape == (9, 4)
    epochs = rows.reshape(3, 12)
    assert (np.sort(epochs, axis=1) == np.arange(12)).all()
    assert not np.array_equal(epochs[0], epochs[1])
    assert np.asarray(ppo.minibatches(replace(CONFIG, epochs=3, batch_size=5), jax.random.key(0), 12)).shape == (6, 5)


@pytest.mark.slow
def test_one_compiled_call_is_as_many_single_updates():
    agent, data = PPO(CONFIG, SPEC, 0), rollout(128)
    learner, update_step = agent.learner, jax.jit(ppo.update_step, static_argnums=0)
    key, order = jax.random.split(learner.key)
    stats, old = agent.scaler.stats, learner.nets.actor
    acted = ppo.log_density(old(data.obs, stats.obs), old.log_std, data.action)
    whole = steps(data.obs, data.action, data.advantage, data.value_target, acted)
    for rows in ppo.minibatches(CONFIG, order, 128):
        batch = jax.tree.map(lambda values, rows=rows: values[rows], whole)
        learner, _ = update_step(CONFIG, learner, stats, batch)
    agent.update(data)
    assert agent.updates == 20
    pairs = zip(*map(jax.tree.leaves, (agent.learner.nets, learner.nets)), strict=True)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_metrics_speak_of_the_rollout():
    agent, data = PPO(CONFIG, SPEC, 0), rollout(128)
    foretold = agent.values(Moment(data.obs, data.obs))
    told = agent.update(data._replace(value_target=foretold))
    assert told["train/explained_variance"] == pytest.approx(1, abs=1e-5)
    assert told["train/kl"] > 0
    assert told["train/entropy"] == pytest.approx(float(ppo.entropy(agent.learner.nets.actor.log_std)))


def test_samples_are_as_drawn_and_greedy_actions_clipped():
    obs = {name: np.repeat(array[:1], 500, axis=0) for name, array in ONES.items()}
    agent = PPO(CONFIG, SPEC, 0)
    drawn, greedy = agent.act(obs, (), np.random.default_rng(0))[0], agent.act(obs)[0]
    assert np.abs(drawn).max() > 1.5
    assert np.allclose((drawn - greedy).std(axis=0), 1, rtol=0.1)
    state, name = agent.state(), "learner.nets.actor.head.biases[2]"
    agent.load_state(state | {name: state[name] + 7})
    assert (agent.act(obs)[0] == 1).all()


@pytest.mark.parametrize("inputs", [InputConfig(encoder="gru", memory=4), InputConfig(encoder="gru")])
def test_a_memory_is_refused(inputs):
    with pytest.raises(UserError, match=r"--agent\.inputs\.encoder must have no memory with PPO; .*, got gru"):
        PPOConfig(inputs=inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": 0.0}, "--agent.clip must be greater than 0"),
        ({"epochs": 0}, "--agent.epochs must be greater than 0"),
        ({"gae_lambda": 1.1}, r"--agent.gae-lambda lies in \[0, 1\], got 1.1"),
        ({"entropy_weight": -1.0}, "--agent.entropy-weight must not be negative"),
        ({"initial_std": 0.0}, "--agent.initial-std must be greater than 0"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(change, message):
    with pytest.raises(UserError, match=message):
        PPOConfig(**change)
