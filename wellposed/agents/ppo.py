"""Proximal Policy Optimisation for goals: the file a student reads, and the file that trains.

PPO raises the probability of actions that went better than expected, by several passes over the same steps. Its
objective stands below under the name of its equation; advantages are made in `replay/rollout.py`.

Source: Schulman et al. (2017), "Proximal Policy Optimization Algorithms", arXiv 1707.06347; equation numbers are that
paper's.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.agents.settings import optimiser, require_shared
from wellposed.arrays import check_arrays
from wellposed.errors import require
from wellposed.nn.inputs import InputConfig, InputScaler, InputStats, input_width, network_inputs
from wellposed.nn.networks import MLP, descend
from wellposed.nn.tree import from_arrays, to_arrays
from wellposed.seeding import generator, key_data, pack_generator, unpack_generator
from wellposed.types import Dims, GoalObs, Metrics, Rollout


@dataclass(frozen=True)
class PPOConfig:
    """Settings of the algorithm; the defaults' sources stand beside them."""

    hidden: tuple[int, ...] = (64, 64)
    """Width of each hidden layer of actor and critic. Source: the paper, section 6.1."""
    gamma: float = 0.95
    """Discount per environment step."""
    gae_lambda: float = 0.95
    """Weight of what lies further ahead in an advantage: 0 trusts the critic, 1 the rewards. Source: the paper."""
    clip: float = 0.2
    """Epsilon: how far the ratio of new to old probability may leave 1 to advantage. Source: the paper, table 1."""
    epochs: int = 10
    """Passes over each rollout. Source: the paper, table 3."""
    batch_size: int = 64
    """Steps per gradient update. Source: the paper, table 3."""
    learning_rate: float = 3e-4
    """Adam step size of actor and critic. Source: the paper, table 3."""
    anneal: tuple[int, int] | None = None
    """Gradient updates from where to where the step size falls, linearly, to a tenth of itself; none keeps it."""
    entropy_weight: float = 0.0
    """Weight of the policy's entropy in its objective. Source: the paper, section 6.1."""
    initial_std: float = 1.0
    """Standard deviation of a fresh policy on each action component, which reaches from -1 to 1. Source: SB3."""
    normalise_advantages: bool = True
    """Shift and scale the advantages of each minibatch to mean 0 and standard deviation 1. Source: SB3."""
    inputs: InputConfig = field(default_factory=InputConfig)
    """What the networks are shown of an observation."""

    def __post_init__(self) -> None:
        require_shared(self, "clip", "epochs", "initial_std")
        require(0 <= self.gae_lambda <= 1, "agent.gae_lambda", "lies in [0, 1]", self.gae_lambda)
        weight = self.entropy_weight
        require(0 <= weight < float("inf"), "agent.entropy_weight", "must not be negative", weight)


class Actor(eqx.Module):
    """A diagonal Gaussian: its mean is a function of the features, its standard deviation is not."""

    mean: MLP  # features -> [action_dim]
    log_std: Array  # [action_dim]


class Networks(NamedTuple):
    """What is trained."""

    actor: Actor
    critic: MLP  # features -> value [1]


def policy(actor: Actor, x: Array, noise: Array) -> Array:
    """Actions [..., action_dim] at features x; zero noise gives the mean, which is the greedy policy."""
    return actor.mean(x) + jnp.exp(actor.log_std) * noise


def explore(_config: PPOConfig, actor: Actor, x: Array, noise: Array) -> Array:
    """Actions [..., action_dim] as environments take them, clipped to [-1, 1]; greedy ones where the noise is zero."""
    return jnp.clip(policy(actor, x, noise), -1.0, 1.0)


def log_density(actor: Actor, x: Array, action: Array) -> Array:
    """log pi(a|s) [...] = -sum_i ((a_i - mean_i)^2 / (2 std_i^2) + log std_i + log(2 pi) / 2)."""
    noise = (action - actor.mean(x)) / jnp.exp(actor.log_std)
    return -jnp.sum(0.5 * noise**2 + actor.log_std + 0.5 * jnp.log(2 * jnp.pi), axis=-1)


def entropy(actor: Actor) -> Array:
    """Of the Gaussian, the same in every state: sum_i log std_i + log(2 pi e) / 2, in nats, []."""
    return jnp.sum(actor.log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e))


def divergence(old: Actor, new: Actor, x: Array) -> Array:
    """KL(old || new) of the policies at features x, exact for Gaussians, in nats, [...]."""
    apart = (old.mean(x) - new.mean(x)) ** 2
    scale = 2 * (new.log_std - old.log_std)
    return 0.5 * jnp.sum(jnp.exp(-scale) + apart * jnp.exp(-2 * new.log_std) - 1 + scale, axis=-1)


def value(critic: MLP, x: Array) -> Array:
    """V(s, g) [...] at features x."""
    return critic(x)[..., 0]


def clipped_objective(ratio: Array, advantage: Array, epsilon: float) -> Array:
    """L^CLIP = mean min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A), to be maximised: equation 7, []."""
    return jnp.mean(jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - epsilon, 1 + epsilon) * advantage))


def normalised(advantage: Array) -> Array:
    """Advantages [b] with mean 0 and standard deviation 1, as Stable-Baselines3 has it (b - 1 degrees of freedom)."""
    return (advantage - jnp.mean(advantage)) / (jnp.std(advantage, ddof=1) + 1e-8)


class Minibatch(NamedTuple):
    """Steps of a rollout as the losses see them."""

    features: Array  # [b, f]
    action: Array  # [b, action_dim]
    advantage: Array  # [b]
    value_target: Array  # [b]
    log_density: Array  # [b], of the policy that took the actions


def actor_loss(config: PPOConfig, actor: Actor, batch: Minibatch) -> tuple[Array, dict[str, Array]]:
    """-(L^CLIP + weight x entropy): equation 9 without the value function's term, which is a loss of its own."""
    ratio = jnp.exp(log_density(actor, batch.features, batch.action) - batch.log_density)
    advantage = normalised(batch.advantage) if config.normalise_advantages else batch.advantage
    loss = -clipped_objective(ratio, advantage, config.clip) - config.entropy_weight * entropy(actor)
    clipped = jnp.mean(jnp.abs(ratio - 1) > config.clip)
    return loss, {"train/actor_loss": loss, "train/clip_fraction": clipped}


def value_loss(critic: MLP, batch: Minibatch) -> tuple[Array, dict[str, Array]]:
    """L^VF = mean (V(s) - target)^2: equation 9."""
    loss = jnp.mean((value(critic, batch.features) - batch.value_target) ** 2)
    return loss, {"train/value_loss": loss}


class Learner(NamedTuple):
    """All that gradient updates change."""

    nets: Networks
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    key: Array  # source of the order in which a rollout is gone through


def init_learner(config: PPOConfig, dims: Dims, seed: int) -> Learner:
    """Fresh networks and optimisers."""
    actor_key, critic_key, key = jax.random.split(jax.random.key(key_data(seed, "learner")), 3)
    width = input_width(config.inputs, dims)
    log_std = jnp.full(dims.action, jnp.log(config.initial_std))
    actor = Actor(MLP([width, *config.hidden, dims.action], actor_key), log_std)
    critic = MLP([width, *config.hidden, 1], critic_key)
    opt: Any = optimiser(config)
    return Learner(Networks(actor, critic), opt.init(actor), opt.init(critic), key)


def update_step(config: PPOConfig, learner: Learner, batch: Minibatch) -> tuple[Learner, dict[str, Array]]:
    """One gradient update of actor and critic."""
    opt, (actor, critic) = optimiser(config), learner.nets
    grad, actor_metrics = jax.grad(partial(actor_loss, config), has_aux=True)(actor, batch)
    actor, actor_opt = descend(opt, grad, learner.actor_opt, actor)
    grad, critic_metrics = jax.grad(value_loss, has_aux=True)(critic, batch)
    critic, critic_opt = descend(opt, grad, learner.critic_opt, critic)
    return Learner(Networks(actor, critic), actor_opt, critic_opt, learner.key), actor_metrics | critic_metrics


def minibatches(config: PPOConfig, key: Array, size: int) -> Array:
    """The rows of each minibatch, [epochs * (size // b), b]: every epoch goes through all rows in an order of its own.

    What is left of an epoch after its last whole minibatch waits for the next.
    """
    whole = size // config.batch_size
    orders = jax.vmap(lambda key: jax.random.permutation(key, size))(jax.random.split(key, config.epochs))
    return orders[:, : whole * config.batch_size].reshape(-1, config.batch_size)


def features(config: PPOConfig, dims: Dims, stats: InputStats, seen: Rollout) -> Array:
    """What the networks are shown of the steps of a rollout, [b, f]."""
    return network_inputs(config.inputs, dims, stats, seen.observation, seen.achieved_goal, seen.desired_goal)


@partial(jax.jit, static_argnums=(0, 1))
def update_scan(
    config: PPOConfig, dims: Dims, learner: Learner, stats: InputStats, rollout: Rollout
) -> tuple[Learner, dict[str, Array]]:
    """All updates on one rollout in one compiled call; the metrics of losses are means over them."""
    x = features(config, dims, stats, rollout)
    old, critic = learner.nets
    steps = Minibatch(x, rollout.action, rollout.advantage, rollout.value_target, log_density(old, x, rollout.action))
    error = rollout.value_target - value(critic, x)
    explained = 1 - jnp.var(error) / jnp.maximum(jnp.var(rollout.value_target), 1e-12)
    key, order_key = jax.random.split(learner.key)

    def body(learner: Learner, rows: Array) -> tuple[Learner, dict[str, Array]]:
        return update_step(config, learner, jax.tree.map(lambda values: values[rows], steps))

    learner, metrics = jax.lax.scan(body, learner._replace(key=key), minibatches(config, order_key, len(x)))
    return learner, jax.tree.map(jnp.mean, metrics) | {
        "train/kl": jnp.mean(divergence(old, learner.nets.actor, x)),
        "train/explained_variance": explained,
        "train/entropy": entropy(learner.nets.actor),
    }


@partial(jax.jit, static_argnums=(0, 1))
def act(config: PPOConfig, dims: Dims, actor: Actor, stats: InputStats, obs: dict[str, Array], noise: Array) -> Array:
    """Actions [n, action_dim] for goal observations, not clipped."""
    x = network_inputs(config.inputs, dims, stats, obs["observation"], obs["achieved_goal"], obs["desired_goal"])
    return policy(actor, x, noise)


@partial(jax.jit, static_argnums=(0, 1))
def judge(config: PPOConfig, dims: Dims, critic: MLP, stats: InputStats, obs: dict[str, Array]) -> Array:
    """Values [n] of goal observations."""
    x = network_inputs(config.inputs, dims, stats, obs["observation"], obs["achieved_goal"], obs["desired_goal"])
    return value(critic, x)


class PPO:
    """The agent: learner, input statistics and exploration noise behind the `OnPolicyLearner` protocol."""

    def __init__(self, config: PPOConfig, dims: Dims, seed: int):
        self.config, self.dims, self.updates, self.explore = config, dims, 0, explore
        self.learner = init_learner(config, dims, seed)
        self.first = self.learner.nets  # what the seed gave: how far the weights have come is told from here
        self._noise = generator(seed, "exploration")
        self.scaler = InputScaler(config.inputs, dims)

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, action_dim] in [-1, 1]: the mean, or a sample, clipped as environments clip."""
        if not deterministic:
            return np.clip(self.sample(obs), -1, 1)
        return np.clip(self._act(obs, np.zeros((len(obs["observation"]), self.dims.action), np.float32)), -1, 1)

    def sample(self, obs: GoalObs) -> np.ndarray:
        """Actions [n, action_dim] as the policy draws them."""
        return self._act(obs, self._noise.standard_normal((len(obs["observation"]), self.dims.action), np.float32))

    def values(self, obs: GoalObs) -> np.ndarray:
        """The value function at goal observations of n moments, [n]."""
        return np.asarray(judge(self.config, self.dims, self.learner.nets.critic, self.scaler.stats, _as32(obs)))

    def observe(self, obs: GoalObs) -> None:
        """Take observations and both kinds of goals into the input statistics."""
        self.scaler.observe(obs)

    def update(self, rollout: Rollout) -> Metrics:
        """Take epochs x minibatches gradient updates on one rollout; returns their metrics."""
        self.learner, metrics = update_scan(self.config, self.dims, self.learner, self.scaler.stats, rollout)
        self.updates += self.config.epochs * (len(rollout.advantage) // self.config.batch_size)
        return {name: float(number) for name, number in metrics.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Networks, optimisers, keys and input statistics as named arrays."""
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

    def _act(self, obs: GoalObs, noise: Any) -> np.ndarray:
        return np.asarray(act(self.config, self.dims, self.learner.nets.actor, self.scaler.stats, _as32(obs), noise))


def _as32(obs: GoalObs) -> Any:
    return {key: array.astype(np.float32) for key, array in obs.items()}
