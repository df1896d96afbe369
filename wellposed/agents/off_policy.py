"""What SAC and TD3 share: all but their policies, their losses and the order of their updates.

An algorithm hands in its functions (`Algorithm`). This file feeds them minibatches, noise and mirror images in one
compiled call, and puts what they learn behind the `Agent` protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from wellposed.agents import settings
from wellposed.agents.settings import require_shared
from wellposed.arrays import check_arrays
from wellposed.errors import require
from wellposed.nn.inputs import InputScaler, InputStats, input_width, mirror_half, network_inputs
from wellposed.nn.networks import MLP, twin
from wellposed.nn.tree import from_arrays, to_arrays
from wellposed.seeding import generator, key_data, pack_generator, unpack_generator
from wellposed.types import Batch, Dims, GoalObs, Metrics


class Settings(settings.Settings, Protocol):
    """What this file reads of an algorithm's configuration."""

    @property
    def bound_targets(self) -> bool:
        """Clip critic targets into the range of returns of the reward -1/0."""
        ...

    @property
    def mirror(self) -> bool:
        """Learn from mirror images as well."""
        ...


class Transition(NamedTuple):
    """A minibatch as the losses see it: goals and observations already joined into features."""

    features: Array  # [b, f]
    action: Array  # [b, action_dim]
    reward: Array  # [b]
    next_features: Array  # [b, f]
    terminated: Array  # [b]


@dataclass(frozen=True)
class Algorithm:
    """The functions that make an algorithm; they may read nothing but their arguments, for they are compiled.

    Its learner is a NamedTuple of all that one update changes: `nets` with an `actor` among them, `key`, and more.
    """

    init_learner: Callable[[Any, Dims, int], Any]
    """(config, dims, seed) -> a fresh learner."""
    update_step: Callable[[Any, Any, Transition, Array], tuple[Any, dict[str, Array]]]
    """(config, learner, batch, noise [draws, b, action_dim]) -> the learner after one gradient update, metrics."""
    explore: Callable[[Any, MLP, Array, Array], Array]
    """(config, actor, features [n, f], noise [n, action_dim]) -> actions [n, action_dim]; greedy ones at no noise."""
    target: Callable[[Any, Any, Transition, Array], Array]
    """(config, nets, batch, noise [b, action_dim]) -> what the critics are drawn to, [b]."""
    draws: int
    """How many standard normal numbers `update_step` takes for each component of the batch's actions."""


def require_off_policy(config: Any, *positive: str) -> None:
    """Check the settings that off-policy algorithms have, and that those named in `positive` are finite and above 0.

    Raises:
        UserError: naming the setting as the command line does.
    """
    require_shared(config, *positive)
    require(0 < config.tau <= 1, "agent.tau", "lies in (0, 1]", config.tau)


def init_networks(config: Settings, dims: Dims, seed: int, actor_outputs: int) -> tuple[MLP, tuple[MLP, MLP], Array]:
    """A fresh actor, features -> [actor_outputs], fresh critics, features and action -> [1], and the updates' key."""
    actor_key, critic_key, key = jax.random.split(jax.random.key(key_data(seed, "learner")), 3)
    width = input_width(config.inputs, dims)
    actor = MLP([width, *config.hidden, actor_outputs], actor_key)
    return actor, twin([width + dims.action, *config.hidden, 1], critic_key), key


def values(critics: tuple[MLP, ...], x: Array, action: Array) -> Array:
    """Each critic's Q(s, a, g), [critics, b]."""
    inputs = jnp.concatenate([x, action], axis=-1)
    return jnp.stack([critic(inputs)[..., 0] for critic in critics])


def bellman(reward: Array, terminated: Array, next_value: Array, gamma: float) -> Array:
    """r + gamma (1 - terminated) V(s'), [b]."""
    return reward + gamma * (1 - terminated) * next_value


def bounded(config: Settings, target: Array) -> Array:
    """A critic target [b], within the range of returns where the configuration says so; no gradient goes through it."""
    if config.bound_targets:
        target = jnp.clip(target, -1 / (1 - config.gamma), 0.0)
    return jax.lax.stop_gradient(target)


def join_goals(config: Settings, dims: Dims, stats: InputStats, batch: Batch) -> Transition:
    """A replay batch as the losses see it."""
    shown = partial(network_inputs, config.inputs, dims, stats)
    here = shown(batch.observation, batch.achieved_goal, batch.desired_goal)
    there = shown(batch.next_observation, batch.next_achieved_goal, batch.desired_goal)
    return Transition(here, batch.action, batch.reward, there, batch.terminated)


@partial(jax.jit, static_argnums=(0, 1, 2))
def update_scan(
    algorithm: Algorithm, config: Settings, dims: Dims, learner: Any, stats: InputStats, batches: Batch
) -> tuple[Any, dict[str, Array]]:
    """u updates on batches with leading axes [u, b] in one compiled call; metrics are their means."""
    mirror = dims.geometry.mirror if config.mirror and dims.geometry else None

    def body(learner: Any, batch: Batch) -> tuple[Any, dict[str, Array]]:
        key, noise_key, mirror_key = jax.random.split(learner.key, 3)
        if mirror is not None:
            batch = mirror_half(mirror, batch, mirror_key)
        noise = jax.random.normal(noise_key, (algorithm.draws, *batch.action.shape))
        transition = join_goals(config, dims, stats, batch)
        return algorithm.update_step(config, learner._replace(key=key), transition, noise)

    learner, metrics = jax.lax.scan(body, learner, batches)
    return learner, jax.tree.map(jnp.mean, metrics)


@partial(jax.jit, static_argnums=(0, 1, 2))
def act(
    algorithm: Algorithm, config: Settings, dims: Dims, actor: MLP, stats: InputStats, obs: dict[str, Array],
    noise: Array,
) -> Array:  # fmt: skip
    """Actions [n, action_dim] for goal observations."""
    x = network_inputs(config.inputs, dims, stats, obs["observation"], obs["achieved_goal"], obs["desired_goal"])
    return algorithm.explore(config, actor, x, noise)


class OffPolicyAgent:
    """The agent: learner, input statistics and exploration noise behind the `Agent` protocol."""

    def __init__(self, algorithm: Algorithm, config: Any, dims: Dims, seed: int):
        """`config`: of the algorithm's own type."""
        self.algorithm, self.config, self.dims, self.updates = algorithm, config, dims, 0
        self.explore = algorithm.explore
        self.learner = algorithm.init_learner(config, dims, seed)
        self.first = self.learner.nets  # what the seed gave: how far the weights have come is told from here
        self._noise = generator(seed, "exploration")
        self.scaler = InputScaler(config.inputs, dims)

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, action_dim] in [-1, 1]: the greedy ones, or with the algorithm's exploration noise."""
        shape = (len(obs["observation"]), self.dims.action)
        noise: Any = np.zeros(shape, np.float32) if deterministic else self._noise.standard_normal(shape, np.float32)
        obs32: Any = {key: value.astype(np.float32) for key, value in obs.items()}
        actor, stats = self.learner.nets.actor, self.scaler.stats
        return np.asarray(act(self.algorithm, self.config, self.dims, actor, stats, obs32, noise))

    def observe(self, obs: GoalObs) -> None:
        """Take observations and both kinds of goals into the input statistics."""
        self.scaler.observe(obs)

    def update(self, batches: Batch) -> Metrics:
        """Take u gradient updates on batches [u, b, ...]; returns the means of their metrics."""
        self.learner, metrics = update_scan(
            self.algorithm, self.config, self.dims, self.learner, self.scaler.stats, batches
        )
        self.updates += len(batches.reward)
        return {name: float(value) for name, value in metrics.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Networks, optimisers, noise keys and input statistics as named arrays."""
        return (
            to_arrays(self.learner, "learner")
            | self.scaler.state()
            | {"exploration": pack_generator(self._noise), "updates": np.array(self.updates)}
        )

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned.

        Raises:
            UserError: if the arrays are not those of an agent of this configuration.
        """
        check_arrays(self.state(), state)
        self.learner = from_arrays(self.learner, state, "learner")
        self.scaler.load_state(state)
        unpack_generator(self._noise, state["exploration"])
        self.updates = int(state["updates"])
