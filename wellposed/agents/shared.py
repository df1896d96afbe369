"""What algorithms share, as functions: checks of settings, fresh networks, targets, saving and loading."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.arrays import Arrays, check_arrays
from wellposed.errors import require
from wellposed.nn.encoders import ENCODERS, make_encoder
from wellposed.nn.inputs import feature_width
from wellposed.nn.networks import MLP, Actor, Critics
from wellposed.types import Obs, Spec
from wellposed.units import return_range

Losses = tuple[Array, dict[str, Array]]  # a loss, and what is logged of it

# What most algorithms log, and what it means; each file has its own.
METRICS = {
    "train/critic_loss": "mean squared Bellman error, summed over both critics; half of that in SAC",
    "train/actor_loss": "minus what the actor maximises: value of its actions (PPO: clipped objective), entropy",
    "train/q_mean": "mean value both critics give the batch",
    "train/target_mean": "mean of the (bounded) Bellman target, a soft one in SAC",
    "train/entropy": "SAC: minus the mean log density of the policy's actions; PPO: entropy of its Gaussian; in nats",
    "train/action_saturation": "share of the policy's action components beyond 0.99 in size",
}


# Far beyond use; asked before anything is made in memory.
MOST_LAYERS, MOST_WIDTH, MOST_BATCH, MOST_SHIFT = 100, 2**16, 2**24, 512


def require_shared(config: Any, *positive: str) -> None:
    """Check the settings that all algorithms have, and that those named in `positive` are finite and above 0."""
    widths = len(config.hidden) <= MOST_LAYERS and all(0 < width <= MOST_WIDTH for width in config.hidden)
    require(widths, "agent.hidden", f"takes up to {MOST_LAYERS} widths of 1 to {MOST_WIDTH:,}", str(config.hidden)[:80])
    require(0 <= config.gamma < 1, "agent.gamma", "lies in [0, 1)", config.gamma)
    for name in ("learning_rate", "batch_size", *positive):
        value = getattr(config, name)
        require(0 < value < float("inf"), f"agent.{name}", "must be greater than 0", value)
    require(config.batch_size <= MOST_BATCH, "agent.batch_size", f"must be at most {MOST_BATCH:,}", config.batch_size)
    begin, end = config.anneal or (0, 1)
    require(0 <= begin < end, "agent.anneal", "takes two numbers of updates, the first smaller", config.anneal)
    inputs, remembers = config.inputs, ENCODERS.find(config.inputs.encoder).has_memory
    rule = f"must be greater than 1 with the encoder {inputs.encoder}" if remembers else "must be 1 without memory"
    require(remembers == (inputs.memory > 1), "agent.inputs.memory", rule, inputs.memory)


def require_off_policy(config: Any, *positive: str) -> None:
    """As `require_shared`, and the settings of algorithms with a replay."""
    require_shared(config, *positive)
    require(0 < config.tau <= 1, "agent.tau", "lies in (0, 1]", config.tau)
    require(0 <= config.shift <= MOST_SHIFT, "agent.shift", f"must be 0 to {MOST_SHIFT} pixels", config.shift)


def optimiser(config: Any) -> Any:
    """Adam; with `anneal` its step size falls linearly to a tenth, counted in steps of the optimiser."""
    rate: Any = config.learning_rate
    if config.anneal is not None:
        begin, end = config.anneal
        rate = optax.linear_schedule(rate, rate / 10, end - begin, begin)
    return optax.adam(rate)


def make_actor(config: Any, spec: Spec, outputs: int, key: Array) -> Actor:
    """A fresh actor: an observation -> [outputs]."""
    encoder = make_encoder(config.inputs, spec.obs, spec, jax.random.fold_in(key, 1))
    return Actor(encoder, MLP([feature_width(encoder, spec.obs), *config.hidden, outputs], key))


def make_critics(config: Any, spec: Spec, inputs: int, outputs: int, *keys: Array) -> Critics:
    """Fresh value functions, one for each key: what `critic_sees` says and an action [inputs] -> [outputs]."""
    fields = spec.goals if config.critic_sees == "truth" else spec.obs
    encoder = make_encoder(config.inputs, fields, spec, jax.random.fold_in(keys[0], 1))
    sizes = [feature_width(encoder, fields) + inputs, *config.hidden, outputs]
    return Critics(encoder, tuple(MLP(sizes, key) for key in keys), config.critic_sees)


def bellman(reward: Array, terminated: Array, next_value: Array, gamma: float) -> Array:
    """r + gamma (1 - terminated) V(s'), [b]."""
    return reward + gamma * (1 - terminated) * next_value


def bounded(config: Any, spec: Spec, target: Array) -> Array:
    """A critic target [b], clipped to the range of returns if that is known and wanted; without gradient."""
    if config.bound_targets and spec.reward_range is not None:
        target = jnp.clip(target, *return_range(spec.reward_range, config.gamma))
    return jax.lax.stop_gradient(target)


def one_by_one(spec: Spec) -> bool:
    """Whether the updates of one call are compiled one after another, not as a loop: for images, on CPUs.

    In a loop, XLA takes some twenty times as long there for a gradient of convolutions.
    """
    return jax.default_backend() == "cpu" and any(one.kind == "image" for one in spec.obs)


def action_noise(rng: np.random.Generator | None, obs: Obs, spec: Spec) -> Any:
    """Standard normal numbers [n, action_dim] for n observations; zeros without a generator."""
    shape = (len(next(iter(obs.values()))), spec.action_dim)
    return np.zeros(shape, np.float32) if rng is None else rng.standard_normal(shape, np.float32)


def saved(agent: Any) -> dict[str, np.ndarray]:
    """Networks, optimisers, keys and input statistics of an agent as named arrays."""
    return to_arrays(agent.learner, "learner") | agent.scaler.state() | {"updates": np.array(agent.updates)}


def load(agent: Any, state: dict[str, np.ndarray]) -> None:
    """Load what `saved` returned. Raises UserError if it is not of an agent of this configuration."""
    check_arrays(saved(agent), state)
    agent.learner = from_arrays(agent.learner, state, "learner")
    agent.scaler.load_state(state)
    agent.updates = int(state["updates"])


def to_arrays(tree: Any, prefix: str) -> Arrays:
    """Every leaf of a tree of JAX arrays by a name with its place, e.g. `learner.nets.actor.weights[0]`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {prefix + jax.tree_util.keystr(path): np.asarray(_raw(leaf)) for path, leaf in leaves}


def from_arrays(template: Any, arrays: Arrays, prefix: str) -> Any:
    """A tree like `template` with the leaves that `to_arrays` named; call `check_arrays` first."""

    def restore(path: Any, leaf: Any) -> Any:
        value = jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)])
        return jax.random.wrap_key_data(value) if _is_key(leaf) else value

    return jax.tree_util.tree_map_with_path(restore, template)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf
