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
    seen = jax.tree.map(np.asarray, look(agent.algorithm, config, agent.dims, learner.nets, stats, rows))
    nets, first, updates = learner.nets, agent.first, len(batches.reward)
    found = describe(seen, config, rows.reward) | {
        "probe/actor_travel": relative_distance(nets.actor, first.actor),
        "probe/critic_travel": relative_distance(nets.critics, first.critics),
        "probe/target_travel": relative_distance(nets.target_critics, first.target_critics),
        "probe/target_lag": relative_distance(nets.target_critics, nets.critics),
        "probe/actor_step": relative_distance(tried.nets.actor, nets.actor) / updates,
        "probe/critic_step": relative_distance(tried.nets.critics, nets.critics) / updates,
        "probe/actor_gradient": gradient_norm(learner.actor_opt),
        "probe/critic_gradient": gradient_norm(learner.critic_opt),
        "probe/normaliser_count": agent.scaler.count,
    }
    return {name: float(value) for name, value in found.items()}


class Seen(NamedTuple):
    """What the networks make of transitions: all that has to be computed by them."""

    q: Any  # [2, b] of both critics
    target: Any  # [b]
    greedy: Any  # [b, action_dim]
    explored: Any  # the same with the policy's own noise
    features: Any  # [b, f]
    swapped: Any  # the same with each transition's goal replaced by another's
    actor_layers: list[Any]  # [b, width] each
    critic_layers: list[Any]


@partial(jax.jit, static_argnums=(0, 1, 2))
def look(algorithm: Algorithm, config: Settings, dims: Dims, nets: Any, stats: InputStats, batch: Batch) -> Seen:
    """Run the networks on transitions [b, ...]."""
    seen = join_goals(config, dims, stats, batch)
    swapped = batch._replace(desired_goal=jnp.roll(batch.desired_goal, 1, axis=0))
    noise = jax.random.normal(jax.random.key(0), batch.action.shape)
    return Seen(
        q=values(nets.critics, seen.features, seen.action),
        target=algorithm.target(config, nets, seen, noise),
        greedy=algorithm.explore(config, nets.actor, seen.features, jnp.zeros_like(noise)),
        explored=algorithm.explore(config, nets.actor, seen.features, noise),
        features=seen.features,
        swapped=join_goals(config, dims, stats, swapped).features,
        actor_layers=activations(nets.actor, seen.features),
        critic_layers=activations(nets.critics[0], jnp.concatenate([seen.features, seen.action], axis=-1)),
    )


def describe(seen: Seen, config: Settings, reward: np.ndarray) -> dict[str, Any]:
    """The same as numbers."""
    lowest = np.min(reward) / (1 - config.gamma)
    return {
        "probe/q_min": np.min(seen.q),
        "probe/q_mean": np.mean(seen.q),
        "probe/q_max": np.max(seen.q),
        "probe/q_spread": np.std(seen.q[0]),
        "probe/target_at_bound": np.mean((seen.target <= AT_BOUND * lowest) & (lowest < 0)),
        "probe/td_error": np.sqrt(np.mean((seen.q - seen.target) ** 2)),
        "probe/exploration": np.mean(np.abs(seen.explored - seen.greedy)),
        "probe/greedy_saturation": np.mean(np.abs(seen.greedy) > SATURATED),
        "probe/goal_in_inputs": np.mean(np.any(seen.swapped != seen.features, axis=-1)),
        "probe/inputs_clipped": np.mean(np.abs(seen.features) >= config.inputs.clip),
        "probe/actor_dead": dead_share(seen.actor_layers),
        "probe/critic_dead": dead_share(seen.critic_layers),
        "probe/actor_rank": effective_rank(seen.actor_layers[-1]),
        "probe/critic_rank": effective_rank(seen.critic_layers[-1]),
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
