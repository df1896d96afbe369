"""TD3 against closed forms: the smoothed target, the losses, and whose turn it is."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agents.data import ONES, SPEC, batches, first
from wellposed.agents import td3
from wellposed.agents.td3 import TD3, Networks, TD3Config, actor_loss, critic_loss, policy
from wellposed.errors import UserError
from wellposed.nn.networks import MLP, Critics

FREE = TD3Config(hidden=(8,), bound_targets=False)
BATCH = first(batches(1, 4))
STATS = TD3(FREE, SPEC, seed=0).scaler.stats


def smoothed_target(config: TD3Config, nets: Networks, noise: Any) -> Any:
    return td3.smoothed_target(config, SPEC, nets, STATS, BATCH, noise)


@pytest.fixture
def nets() -> Networks:
    return TD3(FREE, SPEC, seed=0).learner.nets


def constant(value: float) -> MLP:
    """A head that gives everything the same value."""
    nothing = jax.tree.map(jnp.zeros_like, MLP([10, 1], jax.random.key(0)))
    nothing.biases[0] = jnp.array([value])
    return nothing


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(*pair) for pair in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


@pytest.mark.parametrize("pair", [(-3.0, -1.0), (-1.0, -3.0)])
def test_the_target_takes_the_smaller_of_two_critics(nets, pair):
    targets = Critics(nets.critics.encoder, tuple(constant(value) for value in pair), "obs")
    nets = nets._replace(target_critics=targets)
    assert np.allclose(smoothed_target(FREE, nets, jnp.zeros((4, 2))), -1 + FREE.gamma * -3)


def test_the_targets_noise_is_scaled_and_clipped(nets):
    """0.2 times 100 is cut to 0.5, which 0.2 times 2.5 is without a cut; without the clip they differ."""
    many, few = jnp.full((4, 2), 100.0), jnp.full((4, 2), 2.5)
    clipped, at_the_clip = (smoothed_target(FREE, nets, noise) for noise in (many, few))
    assert np.allclose(clipped, at_the_clip, rtol=1e-6)
    unclipped = smoothed_target(replace(FREE, target_noise_clip=1e9), nets, many)
    assert not np.allclose(clipped, unclipped, rtol=1e-3)
    by_hand = jnp.clip(jnp.tanh(nets.target_actor(BATCH.next_obs, STATS.obs)) + 0.2, -1, 1)
    next_q = nets.target_critics(BATCH.next_obs, {}, STATS, by_hand)[..., 0]
    expected = -1 + FREE.gamma * next_q.min(axis=0)
    assert np.allclose(smoothed_target(FREE, nets, jnp.ones((4, 2))), expected, rtol=1e-6)


def test_the_target_follows_the_target_networks(nets):
    other: Networks = TD3(FREE, SPEC, seed=1).learner.nets
    target = lambda given: smoothed_target(FREE, given, jnp.zeros((4, 2)))  # noqa: E731
    assert np.array_equal(target(nets), target(nets._replace(actor=other.actor, critics=other.critics)))
    assert not np.allclose(target(nets), target(nets._replace(target_actor=other.actor)))
    assert not np.allclose(target(nets), target(nets._replace(target_critics=other.critics)))


def test_the_losses_by_hand(nets):
    target = jnp.array([1.0, 2.0, 3.0, 4.0])
    q = np.asarray(nets.critics(BATCH.obs, {}, STATS, BATCH.action))[..., 0]
    expected = sum(np.mean((one - np.asarray(target)) ** 2) for one in q)
    assert critic_loss(nets.critics, STATS, BATCH, target)[0] == pytest.approx(float(expected), rel=1e-6)
    action = policy(nets.actor(BATCH.obs, STATS.obs))
    of_first = nets.critics(BATCH.obs, {}, STATS, action)[0]
    assert actor_loss(nets.actor, nets.critics, STATS, BATCH)[0] == pytest.approx(-float(of_first.mean()), rel=1e-6)


@pytest.mark.parametrize("delay", [1, 2, 3])
def test_the_actor_and_all_targets_move_at_each_delayed_update_only(delay):
    agent, data = TD3(replace(FREE, policy_delay=delay), SPEC, seed=0), batches(7, 32)
    for n in range(1, 8):
        before: Networks = agent.learner.nets
        metrics = agent.update(jax.tree.map(lambda array, n=n: array[n - 1 : n], data))
        after: Networks = agent.learner.nets
        moved = {name for name in Networks._fields if not same(getattr(before, name), getattr(after, name))}
        assert moved == (set(Networks._fields) if n % delay == 0 else {"critics"})
        assert {"train/critic_loss", "train/actor_loss", "train/action_saturation"} <= metrics.keys()


def test_exploration_noise_has_the_stated_size_and_actions_are_clipped():
    obs = {name: np.repeat(array[:1], 20_000, axis=0) for name, array in ONES.items()}
    greedy, found = (TD3(FREE, SPEC, 0).act(obs, (), rng)[0] for rng in (None, np.random.default_rng(0)))
    assert np.allclose((found - greedy).std(axis=0), 0.1, rtol=0.02)
    loud = TD3(replace(FREE, exploration_noise=10.0), SPEC, 0)
    assert np.abs(loud.act(obs, (), np.random.default_rng(0))[0]).max() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy_delay": 0}, "--agent.policy-delay must be greater than 0"),
        ({"exploration_noise": -0.1}, "--agent.exploration-noise must not be negative"),
        ({"target_noise": float("nan")}, "--agent.target-noise must not be negative"),
        ({"target_noise_clip": -1.0}, "--agent.target-noise-clip must not be negative"),
    ],
)
def test_a_setting_outside_its_range_is_refused_by_name(change, message):
    with pytest.raises(UserError, match=message):
        TD3Config(**change)
