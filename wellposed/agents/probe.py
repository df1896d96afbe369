"""A learner seen from within at one moment: evidence for a diagnosis, never part of training.

Nothing here changes an agent or draws from its random streams: weights are bit for bit the same with and without it.
An update is tried on the side to see how large its steps are, and forgotten.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.agents import ppo
from wellposed.agents.off_policy import Algorithm, Settings, join_goals, update_scan, values
from wellposed.agents.ppo import PPO, PPOConfig
from wellposed.nn.inputs import InputStats, network_inputs
from wellposed.nn.networks import MLP
from wellposed.types import Batch, Dims, Metrics

ROWS = 1024  # transitions that the networks are shown at most
SATURATED = 0.99  # size of an action component beyond which tanh hardly answers
AT_BOUND = 0.95  # share of the way to the lowest possible return at which a target counts as being there


def probe(agent: Any, batches: Batch) -> Metrics:
    """What networks, optimisers and statistics are like on minibatches [u, b, ...], by the names in `METRICS`.

    `agent`: an `OffPolicyAgent`, as every registered algorithm with a replay makes.
    """
    learner, stats, config = agent.learner, agent.scaler.stats, agent.config
    tried, _ = update_scan(agent.algorithm, config, agent.dims, learner, stats, batches)
    rows = Batch(*(np.asarray(field).reshape(-1, *np.shape(field)[2:])[:ROWS] for field in batches))
    seen, target = jax.tree.map(np.asarray, look(agent.algorithm, config, agent.dims, learner.nets, stats, rows))
    nets, first, updates = learner.nets, agent.first, len(batches.reward)
    lowest = np.min(rows.reward) / (1 - config.gamma)
    found = describe(seen, config) | describe_learner(agent, nets.critics, first.critics) | {
        "probe/target_at_bound": np.mean((target <= AT_BOUND * lowest) & (lowest < 0)),
        "probe/td_error": np.sqrt(np.mean((seen.q - target) ** 2)),
        "probe/target_travel": relative_distance(nets.target_critics, first.target_critics),
        "probe/target_lag": relative_distance(nets.target_critics, nets.critics),
        "probe/actor_step": relative_distance(tried.nets.actor, nets.actor) / updates,
        "probe/critic_step": relative_distance(tried.nets.critics, nets.critics) / updates,
    }  # fmt: skip
    return {name: float(value) for name, value in found.items()}


def probe_policy(agent: PPO, rows: Batch) -> Metrics:
    """The same of an agent without replay and targets, on steps [b, ...] that it took."""
    rows, nets = Batch(*(field[:ROWS] for field in rows)), agent.learner.nets
    seen = jax.tree.map(np.asarray, look_at_policy(agent.config, agent.dims, nets, agent.scaler.stats, rows))
    found = describe(seen, agent.config) | describe_learner(agent, nets.critic, agent.first.critic)
    return {name: float(value) for name, value in found.items()}


class Seen(NamedTuple):
    """What the networks make of transitions: all that has to be computed by them."""

    q: Any  # [critics, b]
    greedy: Any  # [b, action_dim]
    explored: Any  # the same with the policy's own noise
    features: Any  # [b, f]
    swapped: Any  # the same with each transition's goal replaced by another's
    actor_layers: list[Any]  # [b, width] each
    critic_layers: list[Any]


@partial(jax.jit, static_argnums=(0, 1, 2))
def look(
    algorithm: Algorithm, config: Settings, dims: Dims, nets: Any, stats: InputStats, batch: Batch
) -> tuple[Seen, Array]:
    """Run the networks on transitions [b, ...]; the Bellman targets [b] beside what they make of them."""
    seen = join_goals(config, dims, stats, batch)
    noise = jax.random.normal(jax.random.key(0), batch.action.shape)
    return Seen(
        q=values(nets.critics, seen.features, seen.action),
        greedy=algorithm.explore(config, nets.actor, seen.features, jnp.zeros_like(noise)),
        explored=algorithm.explore(config, nets.actor, seen.features, noise),
        features=seen.features,
        swapped=join_goals(config, dims, stats, with_other_goals(batch)).features,
        actor_layers=activations(nets.actor, seen.features),
        critic_layers=activations(nets.critics[0], jnp.concatenate([seen.features, seen.action], axis=-1)),
    ), algorithm.target(config, nets, seen, noise)


@partial(jax.jit, static_argnums=(0, 1))
def look_at_policy(config: PPOConfig, dims: Dims, nets: ppo.Networks, stats: InputStats, batch: Batch) -> Seen:
    """Run the networks of PPO on transitions [b, ...]."""
    shown = lambda rows: network_inputs(  # noqa: E731
        config.inputs, dims, stats, rows.observation, rows.achieved_goal, rows.desired_goal
    )
    x, noise = shown(batch), jax.random.normal(jax.random.key(0), batch.action.shape)
    return Seen(
        q=ppo.value(nets.critic, x)[None],
        greedy=ppo.explore(config, nets.actor, x, jnp.zeros_like(noise)),
        explored=ppo.explore(config, nets.actor, x, noise),
        features=x,
        swapped=shown(with_other_goals(batch)),
        actor_layers=activations(nets.actor.mean, x),
        critic_layers=activations(nets.critic, x),
    )


def with_other_goals(batch: Batch) -> Batch:
    """The batch with each transition's goal replaced by another's."""
    return batch._replace(desired_goal=jnp.roll(batch.desired_goal, 1, axis=0))


def describe(seen: Seen, config: Any) -> dict[str, Any]:
    """The same as numbers."""
    return {
        "probe/q_min": np.min(seen.q),
        "probe/q_mean": np.mean(seen.q),
        "probe/q_max": np.max(seen.q),
        "probe/q_spread": np.std(seen.q[0]),
        "probe/exploration": np.mean(np.abs(seen.explored - seen.greedy)),
        "probe/greedy_saturation": np.mean(np.abs(seen.greedy) > SATURATED),
        "probe/goal_in_inputs": np.mean(np.any(seen.swapped != seen.features, axis=-1)),
        "probe/inputs_clipped": np.mean(np.abs(seen.features) >= config.inputs.clip),
        "probe/actor_dead": dead_share(seen.actor_layers),
        "probe/critic_dead": dead_share(seen.critic_layers),
        "probe/actor_rank": effective_rank(seen.actor_layers[-1]),
        "probe/critic_rank": effective_rank(seen.critic_layers[-1]),
    }


def describe_learner(agent: Any, critics: Any, first_critics: Any) -> dict[str, Any]:
    """How far weights have come, how large gradients are, and what the input statistics rest on."""
    learner = agent.learner
    return {
        "probe/actor_travel": relative_distance(learner.nets.actor, agent.first.actor),
        "probe/critic_travel": relative_distance(critics, first_critics),
        "probe/actor_gradient": gradient_norm(learner.actor_opt),
        "probe/critic_gradient": gradient_norm(learner.critic_opt),
        "probe/normaliser_count": agent.scaler.count,
    }


def activations(mlp: MLP, x: Array) -> list[Array]:
    """The output [b, width] of each hidden layer; without one, the input itself."""
    layers = []
    for weight, bias in zip(mlp.weights[:-1], mlp.biases[:-1], strict=True):
        x = jax.nn.relu(x @ weight + bias)
        layers.append(x)
    return layers or [x]


def dead_share(layers: list[np.ndarray]) -> float:
    """The share of units that answer to no row of the batch, of all hidden layers."""
    return float(np.mean(np.concatenate([np.all(layer <= 0, axis=0) for layer in layers])))


def effective_rank(features: np.ndarray) -> float:
    """exp of the entropy of the singular values of features [b, width], as shares of their sum; 0 where all are 0.

    Source: Roy & Vetterli (2007), "The effective rank: a measure of effective dimensionality".
    """
    if not np.isfinite(features).all() or not features.any():
        return 0.0
    wide = features.astype(np.float64)
    sizes = np.sqrt(np.maximum(np.linalg.eigvalsh(wide.T @ wide), 0.0))
    shares = sizes[sizes > 0] / sizes.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def relative_distance(now: Any, then: Any) -> float:
    """|now - then| / |then| over all weights."""
    pairs = zip(jax.tree.leaves(now), jax.tree.leaves(then), strict=True)
    moved, size = 0.0, 0.0
    for one, other in pairs:
        moved += float(np.sum((np.asarray(one) - np.asarray(other)) ** 2))
        size += float(np.sum(np.asarray(other) ** 2))
    return float(np.sqrt(moved / max(size, 1e-24)))


def gradient_norm(state: Any) -> float:
    """Typical size of the gradient over the last thousand updates or so: from Adam's mean of its squares."""
    squares = optax.tree_utils.tree_get(state, "nu")
    return float(np.sqrt(sum(np.sum(np.asarray(leaf)) for leaf in jax.tree.leaves(squares))))
