"""Behaviour cloning: fit a policy to the actions of another one, to see what its class can express.

The loss is about actions alone: critics, temperature and targets stay as they were.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from wellposed.agents.shared import optimiser
from wellposed.errors import UserError
from wellposed.nn.inputs import Scales, stored
from wellposed.nn.networks import descend
from wellposed.types import Obs

Greedy = Callable[[Any, dict[str, Array], Scales], Array]  # (actor, observations, scales) -> actions [b, action_dim]


def imitation_loss(actor: Any, greedy: Greedy, scales: Scales, obs: dict[str, Array], labels: Array) -> Array:
    """J = mean |pi(s) - a|^2 over observations s [b, ...] and labels a [b, action_dim]; pi is the greedy policy.

    Source: Ross, Gordon & Bagnell (2011), "A Reduction of Imitation Learning and Structured Prediction to No-Regret
    Online Learning", arXiv 1011.0686, section 3, with the squared error as its surrogate loss.
    """
    return jnp.mean(jnp.sum((greedy(actor, obs, scales) - labels) ** 2, axis=-1))


def not_cloned(agent: Any) -> str:
    """Why single moments cannot train an agent's policy, and what to do, in a sentence; "" if they can."""
    if not hasattr(agent, "learner"):
        return "This algorithm cannot clone demonstrations; with --clone-updates 0 they enter the replay only."
    if agent.config.inputs.memory > 1:
        return "A policy with memory cannot be cloned from single moments; set --agent.inputs.memory 1."
    return ""


def imitate(agent: Any, obs: Obs, labels: np.ndarray, updates: int, rng: np.random.Generator) -> Array:
    """Take gradient updates of the agent's actor towards labels, actions [m, action_dim] in [-1, 1].

    It uses the agent's own optimiser and batch size and changes nothing else. `obs` are the observations of m moments,
    in the input statistics already (`agent.observe`); `rng` draws the minibatches. Returns the loss before each update,
    [updates].

    Raises:
        UserError: if the agent has a memory or acts on pictures through a network of its own, which single moments
            cannot train.
    """
    if why := not_cloned(agent):
        raise UserError(why)
    rows = rng.integers(len(labels), size=(updates, agent.config.batch_size))
    seen: Any = {name: array[rows] for name, array in stored(agent.spec.obs, obs).items()}
    learner, wanted = agent.learner, labels[rows].astype(np.float32)
    actor, state, losses = update(
        agent.config, agent.greedy, learner.nets.actor, learner.actor_opt, agent.scaler.stats.obs, seen, wanted
    )
    agent.learner = learner._replace(nets=learner.nets._replace(actor=actor), actor_opt=state)
    return losses


@partial(jax.jit, static_argnums=(0, 1))
def update(
    config: Any, greedy: Greedy, actor: Any, state: Any, scales: Scales, batches: dict[str, Array], labels: Array
) -> tuple[Any, Any, Array]:
    """Updates on minibatches with leading axes [updates, b] in one compiled call."""
    opt = optimiser(config)

    def one(learner: tuple[Any, Any], batch: tuple[dict[str, Array], Array]) -> tuple[tuple[Any, Any], Array]:
        actor, state = learner
        loss, gradient = jax.value_and_grad(imitation_loss)(actor, greedy, scales, *batch)
        return descend(opt, gradient, state, actor), loss

    (actor, state), losses = jax.lax.scan(one, (actor, state), (batches, labels))
    return actor, state, losses
