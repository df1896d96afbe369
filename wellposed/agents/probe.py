"""A learner seen from within at one moment: evidence for a diagnosis, never part of training.

Nothing here changes an agent or draws from its random streams: weights are bit for bit the same with and without it.
An update is tried on the side to see how large its steps are, and forgotten.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.agents.off_policy import Algorithm, Settings, join_goals, update_scan, values
from wellposed.nn.inputs import InputStats
from wellposed.nn.networks import MLP
from wellposed.types import Batch, Dims, Metrics

ROWS = 1024  # transitions that the networks are shown at most
SATURATED = 0.99  # size of an action component beyond which tanh hardly answers
AT_BOUND = 0.95  # share of the way to the lowest possible return at which a target counts as being there


def probe(agent: Any, batches: Batch) -> Metrics:
    """What networks, optimisers and statistics are like on minibatches [u, b, ...], by the names in `METRICS`.

    `agent`: an `OffPolicyAgent`, as every registered algorithm makes.
    """
    learner, stats, config = agent.learner, agent.scaler.stats, agent.config
    tried, _ = update_scan(agent.algorithm, config, agent.dims, learner, stats, batches)
    rows = Batch(*(np.asarray(field).reshape(-1, *np.shape(field)[2:])[:ROWS] for field in batches))
    found = look(agent.algorithm, config, agent.dims, learner.nets, stats, rows)
    moved = compare(learner.nets, agent.first, tried.nets)
    gradients = {
        "probe/actor_gradient": gradient_norm(learner.actor_opt),
        "probe/critic_gradient": gradient_norm(learner.critic_opt),
    }
    scalars = {name: float(value) for name, value in (found | moved | gradients).items()}
    updates = len(batches.reward)
    for name in ("probe/actor_step", "probe/critic_step"):
        scalars[name] /= updates
    return scalars | {"probe/normaliser_count": agent.scaler.count}


@partial(jax.jit, static_argnums=(0, 1, 2))
def look(
    algorithm: Algorithm, config: Settings, dims: Dims, nets: Any, stats: InputStats, batch: Batch
) -> dict[str, Array]:
    """What the networks make of transitions [b, ...]."""
    seen = join_goals(config, dims, stats, batch)
    swapped = batch._replace(desired_goal=jnp.roll(batch.desired_goal, 1, axis=0))
    noise = jax.random.normal(jax.random.key(0), batch.action.shape)
    q = values(nets.critics, seen.features, seen.action)
    target = algorithm.target(config, nets, seen, noise)
    greedy = algorithm.explore(config, nets.actor, seen.features, jnp.zeros_like(noise))
    explored = algorithm.explore(config, nets.actor, seen.features, noise)
    other = join_goals(config, dims, stats, swapped).features
    lowest = jnp.min(batch.reward) / (1 - config.gamma)
    actor_layers = activations(nets.actor, seen.features)
    critic_layers = activations(nets.critics[0], jnp.concatenate([seen.features, seen.action], axis=-1))
    return {
        "probe/q_min": jnp.min(q),
        "probe/q_mean": jnp.mean(q),
        "probe/q_max": jnp.max(q),
        "probe/q_spread": jnp.std(q[0]),
        "probe/target_at_bound": jnp.mean((target <= AT_BOUND * lowest) & (lowest < 0)),
        "probe/td_error": jnp.sqrt(jnp.mean((q - target) ** 2)),
        "probe/exploration": jnp.mean(jnp.abs(explored - greedy)),
        "probe/greedy_saturation": jnp.mean(jnp.abs(greedy) > SATURATED),
        "probe/goal_in_inputs": jnp.mean(jnp.any(other != seen.features, axis=-1)),
        "probe/inputs_clipped": jnp.mean(jnp.abs(seen.features) >= config.inputs.clip),
        "probe/actor_dead": dead_share(actor_layers),
        "probe/critic_dead": dead_share(critic_layers),
        "probe/actor_rank": effective_rank(actor_layers[-1]),
        "probe/critic_rank": effective_rank(critic_layers[-1]),
    }


@jax.jit
def compare(nets: Any, first: Any, tried: Any) -> dict[str, Array]:
    """How far the weights have come since the seed gave them, how far they step, how far the targets lag behind."""
    return {
        "probe/actor_travel": relative_distance(nets.actor, first.actor),
        "probe/critic_travel": relative_distance(nets.critics, first.critics),
        "probe/target_travel": relative_distance(nets.target_critics, first.target_critics),
        "probe/target_lag": relative_distance(nets.target_critics, nets.critics),
        "probe/actor_step": relative_distance(tried.actor, nets.actor),
        "probe/critic_step": relative_distance(tried.critics, nets.critics),
    }


def activations(mlp: MLP, x: Array) -> list[Array]:
    """The output [b, width] of each hidden layer; without one, the input itself."""
    layers = []
    for weight, bias in zip(mlp.weights[:-1], mlp.biases[:-1], strict=True):
        x = jax.nn.relu(x @ weight + bias)
        layers.append(x)
    return layers or [x]


def dead_share(layers: list[Array]) -> Array:
    """The share of units that answer to no row of the batch, of all hidden layers."""
    return jnp.mean(jnp.concatenate([jnp.all(layer <= 0, axis=0) for layer in layers]))


def effective_rank(features: Array) -> Array:
    """exp of the entropy of the singular values of features [b, width], as shares of their sum.

    Source: Roy & Vetterli (2007), "The effective rank: a measure of effective dimensionality".
    """
    squares = jnp.linalg.eigvalsh(features.T @ features)
    sizes = jnp.sqrt(jnp.maximum(squares, 0.0))
    shares = sizes / jnp.maximum(jnp.sum(sizes), 1e-12)
    return jnp.exp(-jnp.sum(jnp.where(shares > 0, shares * jnp.log(jnp.maximum(shares, 1e-12)), 0.0)))


def relative_distance(now: Any, then: Any) -> Array:
    """|now - then| / |then| over all weights."""
    difference = jax.tree.map(jnp.subtract, now, then)
    return optax.global_norm(difference) / jnp.maximum(optax.global_norm(then), 1e-12)


def gradient_norm(state: Any) -> Array:
    """Typical size of the gradient over the last thousand updates or so: from Adam's mean of its squares."""
    squares = optax.tree_utils.tree_get(state, "nu")
    return jnp.sqrt(sum(jnp.sum(leaf) for leaf in jax.tree.leaves(squares)))
