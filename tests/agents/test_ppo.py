"""PPO in closed form: densities, entropy and divergence of Gaussians, the clipped objective, minibatches."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agents.data import DIMS, rollout
from wellposed.agents import ppo
from wellposed.agents.ppo import PPO, Actor, Minibatch, PPOConfig
from wellposed.errors import UserError
from wellposed.nn.networks import MLP

CONFIG = PPOConfig(hidden=(16, 16))
FEATURES = 5


def actor_of(seed: int, std: float) -> Actor:
    return Actor(MLP([FEATURES, 8, 2], jax.random.key(seed)), jnp.log(jnp.array([std, 2 * std])))


def features(n: int = 6) -> jax.Array:
    return jax.random.normal(jax.random.key(9), (n, FEATURES))


def test_the_density_of_the_policy_is_that_of_independent_gaussians():
    actor, x = actor_of(0, 0.5), features()
    action = ppo.policy(actor, x, jax.random.normal(jax.random.key(1), (6, 2)))
    by_hand = jax.scipy.stats.norm.logpdf(action, actor.mean(x), jnp.array([0.5, 1.0])).sum(axis=1)
    assert np.allclose(ppo.log_density(actor, x, action), by_hand, atol=1e-5)


def test_entropy_and_divergence_are_means_over_the_policys_own_actions():
    """Both are closed forms of expectations; a large sample of actions gives the same."""
    old, new, x = actor_of(0, 0.5), actor_of(1, 0.4), features(1)
    action = ppo.policy(old, x, jax.random.normal(jax.random.key(2), (200_000, 2)))
    log_old, log_new = (np.asarray(ppo.log_density(actor, x, action)) for actor in (old, new))
    assert ppo.entropy(old) == pytest.approx(-log_old.mean(), abs=0.01)
    assert ppo.divergence(old, new, x)[0] == pytest.approx((log_old - log_new).mean(), abs=0.01)
    assert abs(ppo.divergence(old, new, x)[0] - ppo.divergence(new, old, x)[0]) > 0.05, "it is not symmetric"
    assert ppo.divergence(old, old, x)[0] == pytest.approx(0, abs=1e-6)


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
    actor, x = actor_of(0, 0.5), features(64)
    action = ppo.policy(actor, x, jax.random.normal(jax.random.key(1), (64, 2)))
    advantage = jax.random.normal(jax.random.key(2), (64,))
    batch = Minibatch(x, action, advantage, advantage, ppo.log_density(actor, x, action))
    config = replace(CONFIG, normalise_advantages=False)
    found = jax.grad(lambda actor: ppo.actor_loss(config, actor, batch)[0])(actor)
    expected = jax.grad(lambda actor: -jnp.mean(advantage * ppo.log_density(actor, x, action)))(actor)
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(*map(jax.tree.leaves, (found, expected)), strict=True))


def test_outside_the_clipping_nothing_is_learnt():
    """Probabilities that have doubled already, of actions that were good: the actor's loss has no slope."""
    actor, x = actor_of(0, 0.5), features(8)
    action = ppo.policy(actor, x, jnp.ones((8, 2)))
    long_ago = ppo.log_density(actor, x, action) - jnp.log(2.0)
    batch = Minibatch(x, action, jnp.ones(8), jnp.ones(8), long_ago)
    config = replace(CONFIG, normalise_advantages=False)
    loss = lambda config, actor: ppo.actor_loss(config, actor, batch)[0]  # noqa: E731
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


def test_one_compiled_call_is_as_many_single_updates():
    agent, data = PPO(CONFIG, DIMS, 0), rollout(128)
    learner = agent.learner
    key, order = jax.random.split(learner.key)
    x = ppo.features(CONFIG, DIMS, agent.scaler.stats, data)
    steps = Minibatch(
        x, data.action, data.advantage, data.value_target, ppo.log_density(learner.nets.actor, x, data.action)
    )
    for rows in ppo.minibatches(CONFIG, order, 128):
        batch = jax.tree.map(lambda values, rows=rows: values[rows], steps)
        learner, _ = ppo.update_step(CONFIG, learner, batch)
    agent.update(data)
    assert agent.updates == 20
    pairs = zip(*map(jax.tree.leaves, (agent.learner.nets, learner.nets)), strict=True)
    assert all(np.allclose(a, b, atol=1e-5) for a, b in pairs)


def test_metrics_speak_of_the_rollout():
    agent, data = PPO(CONFIG, DIMS, 0), rollout(128)
    foretold = agent.values({"observation": data.observation, "achieved_goal": data.achieved_goal,
                             "desired_goal": data.desired_goal})  # fmt: skip
    told = agent.update(data._replace(value_target=foretold))
    assert told["train/explained_variance"] == pytest.approx(1, abs=1e-5)
    assert told["train/kl"] > 0
    assert told["train/entropy"] == pytest.approx(float(ppo.entropy(agent.learner.nets.actor)))


def test_samples_are_drawn_as_they_are_and_acted_on_clipped():
    obs = {"observation": np.ones((500, 3)), "achieved_goal": np.zeros((500, 2)), "desired_goal": np.ones((500, 2))}
    drawn, acted = PPO(CONFIG, DIMS, 0).sample(obs), PPO(CONFIG, DIMS, 0).act(obs, deterministic=False)
    assert np.abs(drawn).max() > 1.5
    assert np.array_equal(np.clip(drawn, -1, 1), acted)


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
