"""Imitation: a policy is fitted to the actions of another one, so that what its class can express is seen.

The loss is of the actions alone: critics, temperature and targets stay as they were.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from wellposed.agents.off_policy import OffPolicyAgent
from wellposed.agents.ppo import PPO
from wellposed.agents.settings import Settings, optimiser
from wellposed.nn.inputs import InputStats, network_inputs
from wellposed.nn.networks import descend
from wellposed.types import Dims, GoalObs

# (config, actor, features [n, f], noise [n, action_dim]) -> actions [n, action_dim]; greedy ones at no noise.
Explore = Callable[[Any, Any, Array, Array], Array]


def imitation_loss(explore: Explore, config: Settings, actor: Any, x: Array, labels: Array) -> Array:
    """J = mean |pi(x) - a|^2 over features x [b, f] and labels a [b, action_dim]; pi is the greedy policy.

    Source: Ross, Gordon & Bagnell (2011), "A Reduction of Imitation Learning and Structured Prediction to No-Regret
    Online Learning", arXiv 1011.0686, section 3, with the squared error as its surrogate loss.
    """
    greedy = explore(config, actor, x, jnp.zeros_like(labels))
    return jnp.mean(jnp.sum((greedy - labels) ** 2, axis=-1))


def imitate(
    agent: OffPolicyAgent | PPO, obs: GoalObs, labels: np.ndarray, updates: int, rng: np.random.Generator
) -> Array:
    """Take gradient updates of the agent's actor towards the labels, with its own optimiser and batch size.

    Args:
        agent: its actor and the actor's optimiser are changed, nothing else.
        obs: goal observations of m moments; they are in the input statistics already (`agent.observe`).
        labels: actions [m, action_dim] in [-1, 1] for them.
        updates: how many.
        rng: draws the minibatches.

    Returns:
        The loss before each update, [updates].
    """
    rows = rng.integers(len(labels), size=(updates, agent.config.batch_size))
    batches: Any = {key: value[rows].astype(np.float32) for key, value in obs.items()}
    learner, wanted = agent.learner, labels[rows].astype(np.float32)
    actor, state, losses = _imitation_scan(
        agent.explore, agent.config, agent.dims, learner.nets.actor, learner.actor_opt, agent.scaler.stats, batches,
        wanted,
    )  # fmt: skip
    agent.learner = learner._replace(nets=learner.nets._replace(actor=actor), actor_opt=state)
    return losses


@partial(jax.jit, static_argnums=(0, 1, 2))
def _imitation_scan(
    explore: Explore, config: Settings, dims: Dims, actor: Any, state: Any, stats: InputStats,
    batches: dict[str, Array], labels: Array,
) -> tuple[Any, Any, Array]:  # fmt: skip
    """Updates on minibatches with leading axes [updates, b] in one compiled call."""
    opt = optimiser(config)

    def body(carry: tuple[Any, Any], batch: tuple[dict[str, Array], Array]) -> tuple[tuple[Any, Any], Array]:
        (actor, state), (obs, wanted) = carry, batch
        x = network_inputs(config.inputs, dims, stats, obs["observation"], obs["achieved_goal"], obs["desired_goal"])
        loss, gradient = jax.value_and_grad(imitation_loss, argnums=2)(explore, config, actor, x, wanted)
        return descend(opt, gradient, state, actor), loss

    (actor, state), losses = jax.lax.scan(body, (actor, state), (batches, labels))
    return actor, state, losses
