"""What a learner is like at one moment: evidence for a diagnosis, never part of training.

Nothing here changes an agent or draws from its random streams: weights are bit for bit the same with and without it. An
update is tried on the side to measure its steps, and forgotten.
"""

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.nn.inputs import Encoder, InputStats, Scales
from wellposed.nn.networks import Critics
from wellposed.types import Batch, Metrics

ROWS = 1024  # transitions that the networks are shown at most
SATURATED = 0.99  # size of an action component beyond which tanh hardly answers
AT_BOUND = 0.95  # share of the way to the lowest possible return at which a target counts as being there


class Seen(NamedTuple):
    """What an agent makes of transitions."""

    q: Any  # [critics, b]
    target: Any  # [b], what the critics are drawn to; None without targets
    greedy: Any  # [b, action_dim]
    explored: Any  # the same with the policy's own noise


class Inside(NamedTuple):
    """What its networks compute on the same transitions."""

    features: Any  # [b, f], of the actor's encoder
    swapped: Any  # the same with each transition's goal replaced by another's; None where no goal is seen
    actor_layers: list[Any]  # [b, width] each
    critic_layers: list[Any]  # of the first critic


class Sight(NamedTuple):
    """What reads observations: an encoder, the same with its first weights, and the scales of its inputs."""

    encoder: Encoder
    first: Encoder
    scales: Scales


class Probed(Protocol):
    """The parts of an agent that a probe looks at.

    An agent with a replay has the networks `actor`, `critics` and `target_critics`, another one `actor` and `critic`.
    """

    config: Any
    learner: Any  # `nets`, and Adam's states `actor_opt` and `critic_opt`
    first: Any  # the `nets` that the seed gave
    scaler: Any  # an `InputScaler`

    @property
    def sight(self) -> Sight:
        """What reads observations. Asked of agents with a replay, where the policy sees pictures."""
        ...

    def probed(self, batches: Batch) -> tuple[Any, Batch]:
        """Of an agent with a replay: what of it a probe looks at, and minibatches [u, b, ...] as that sees them."""
        ...

    def look(self, batch: Batch) -> Seen:
        """What the networks make of transitions [b, ...]."""
        ...

    def tried(self, batches: Batch) -> Any:
        """Of an agent with a replay: the learner after updates on batches [u, b, ...]; the agent stays as it is."""
        ...


def probe(agent: Probed, batches: Batch) -> Metrics:
    """Numbers about networks, optimisers and statistics on minibatches [u, b, ...], by the names in `METRICS`."""
    nets, tried, updates = agent.learner.nets, agent.tried(batches)[0].nets, len(batches.reward)
    rows: Batch = jax.tree.map(lambda array: np.reshape(array, (-1, *np.shape(array)[2:]))[:ROWS], batches)
    seen, lowest = jax.tree.map(np.asarray, agent.look(rows)), np.min(rows.reward) / (1 - agent.config.gamma)
    inside = look_inside(nets.actor, nets.critics, agent.scaler.stats, rows, rows.action)
    found = describe(seen, inside, agent.config) | describe_learner(agent, nets.critics, agent.first.critics) | {
        "probe/target_at_bound": np.mean((seen.target <= AT_BOUND * lowest) & (lowest < 0)),
        "probe/td_error": np.sqrt(np.mean((seen.q - seen.target) ** 2)),
        "probe/target_travel": relative_distance(nets.target_critics, agent.first.target_critics),
        "probe/target_lag": relative_distance(nets.target_critics, nets.critics),
        "probe/actor_step": relative_distance(tried.actor, nets.actor) / updates,
        "probe/critic_step": relative_distance(tried.critics, nets.critics) / updates,
    }  # fmt: skip
    return {name: float(value) for name, value in found.items()}


def probe_policy(agent: Probed, rows: Batch) -> Metrics:
    """The same for an agent without replay and targets, on steps [b, ...] that it took."""
    nets, rows = agent.learner.nets, jax.tree.map(lambda array: array[:ROWS], rows)
    seen = jax.tree.map(np.asarray, agent.look(rows))
    inside = look_inside(nets.actor, nets.critic, agent.scaler.stats, rows)
    found = describe(seen, inside, agent.config) | describe_learner(agent, nets.critic, agent.first.critic)
    return {name: float(value) for name, value in found.items()}


@jax.jit
def features(encoder: Encoder, obs: dict[str, Array], scales: Scales) -> Array:
    """What an encoder makes of observations [b, ...]: [b, f]."""
    return encoder(obs, scales)


@jax.jit
def look_inside(actor: Any, critics: Critics, stats: InputStats, batch: Batch, *action: Array) -> Inside:
    """Run the networks on transitions [b, ...]; `action` for critics of actions."""
    other = {name: jnp.roll(one, 1, axis=0) if name == "desired_goal" else one for name, one in batch.obs.items()}
    features, inputs = actor.encoder(batch.obs, stats.obs), critics.inputs(batch.obs, batch.truth, stats, *action)
    swapped = actor.encoder(other, stats.obs) if "desired_goal" in batch.obs else None
    return Inside(features, swapped, actor.head.hidden(features), critics.heads[0].hidden(inputs))


def describe(seen: Seen, inside: Inside, config: Any) -> dict[str, Any]:
    """What was seen, as numbers."""
    inside = jax.tree.map(np.asarray, inside)
    return {
        "probe/q_min": np.min(seen.q),
        "probe/q_mean": np.mean(seen.q),
        "probe/q_max": np.max(seen.q),
        "probe/q_spread": np.std(seen.q[0]),
        "probe/exploration": np.mean(np.abs(seen.explored - seen.greedy)),
        "probe/greedy_saturation": np.mean(np.abs(seen.greedy) > SATURATED),
        **_goal_in_inputs(inside),
        "probe/inputs_clipped": np.mean(np.abs(inside.features) >= config.inputs.clip),
        "probe/actor_dead": dead_share(inside.actor_layers),
        "probe/critic_dead": dead_share(inside.critic_layers),
        "probe/actor_rank": effective_rank(inside.actor_layers[-1]),
        "probe/critic_rank": effective_rank(inside.critic_layers[-1]),
    }


def _goal_in_inputs(inside: Inside) -> dict[str, Any]:
    """Whether the policy's inputs change with the goal; nothing of a policy that sees none."""
    if inside.swapped is None:
        return {}
    return {"probe/goal_in_inputs": np.mean(np.any(inside.swapped != inside.features, axis=-1))}


def describe_learner(agent: Probed, critics: Any, first_critics: Any) -> dict[str, Any]:
    """How far weights have moved, the size of gradients, and the count of the input statistics."""
    learner = agent.learner
    return {
        "probe/actor_travel": relative_distance(learner.nets.actor, agent.first.actor),
        "probe/critic_travel": relative_distance(critics, first_critics),
        "probe/actor_gradient": gradient_norm(learner.actor_opt),
        "probe/critic_gradient": gradient_norm(learner.critic_opt),
        "probe/normaliser_count": agent.scaler.count,
    }


def dead_share(layers: list[np.ndarray]) -> float:
    """The share of units of all hidden layers that are 0 on every row of the batch."""
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
    """Typical size of the gradient over about the last thousand updates, from Adam's mean of squares."""
    squares = optax.tree_utils.tree_get(state, "nu")
    return float(np.sqrt(sum(np.sum(np.asarray(leaf)) for leaf in jax.tree.leaves(squares))))
