"""Proximal Policy Optimisation for goals: the file a student reads, and the file that trains.

PPO raises the probability of actions that did better than expected, in several passes over the same steps. Its
objective has the name of its equation; advantages are computed in `data/rollout.py`.

Source: Schulman et al. (2017), "Proximal Policy Optimization Algorithms", arXiv 1707.06347; equation numbers are that
paper's.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.agents import shared
from wellposed.agents.probe import Seen
from wellposed.agents.shared import Losses, optimiser
from wellposed.errors import require
from wellposed.nn.encoders import ENCODERS
from wellposed.nn.inputs import Encoder, InputConfig, InputStats, Scales, stored
from wellposed.nn.networks import MLP, Critics, descend
from wellposed.nn.normaliser import InputScaler
from wellposed.seeding import key_data
from wellposed.serialise import LATER
from wellposed.types import Batch, Carry, Metrics, Moment, Obs, Rollout, Spec

METRICS = {name: shared.METRICS[name] for name in ("train/actor_loss", "train/entropy")} | {
    "train/value_loss": "PPO: mean squared difference of the critic's values from the lambda-returns",
    "train/clip_fraction": "PPO: share of probability ratios beyond the clipping, mean over the updates on a rollout",
    "train/kl": "PPO: divergence from the policy that collected a rollout to the one that has learnt from it, nats",
    "train/explained_variance": "PPO: share of the variance of lambda-returns that the critic foretold",
}


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
    critic_sees: Literal["obs", "truth"] = field(default="obs", metadata=LATER)
    """What the critic reads: what the policy sees, or what is true where that is something else."""

    def __post_init__(self) -> None:
        remembers = ENCODERS.find(self.inputs.encoder).has_memory
        rule = "must have no memory with PPO; choose another algorithm for one that has"
        require(not remembers, "agent.inputs.encoder", rule, self.inputs.encoder)
        shared.require_shared(self, "clip", "epochs", "initial_std")
        require(0 <= self.gae_lambda <= 1, "agent.gae_lambda", "lies in [0, 1]", self.gae_lambda)
        weight = self.entropy_weight
        require(0 <= weight < float("inf"), "agent.entropy_weight", "must not be negative", weight)


class Actor(eqx.Module):
    """A diagonal Gaussian: its mean is a function of what is seen, its standard deviation is not."""

    encoder: Encoder
    head: MLP  # features -> mean [action_dim]
    log_std: Array  # [action_dim]

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """The mean action [b, action_dim] at observations [b, ...]; it may lie outside [-1, 1]."""
        return self.head(self.encoder(obs, scales))


class Networks(NamedTuple):
    """What is trained."""

    actor: Actor
    critic: Critics  # one of states alone -> value [1]


def log_density(mean: Array, log_std: Array, action: Array) -> Array:
    """log pi(a|s) [...] = -sum_i ((a_i - mean_i)^2 / (2 std_i^2) + log std_i + log(2 pi) / 2)."""
    noise = (action - mean) / jnp.exp(log_std)
    return -jnp.sum(0.5 * noise**2 + log_std + 0.5 * jnp.log(2 * jnp.pi), axis=-1)


def entropy(log_std: Array) -> Array:
    """Of the Gaussian, the same in every state: sum_i log std_i + log(2 pi e) / 2, in nats, []."""
    return jnp.sum(log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e))


def divergence(old_mean: Array, old_log_std: Array, new_mean: Array, new_log_std: Array) -> Array:
    """KL(old || new) of two Gaussians with means [..., action_dim], in nats, [...]."""
    apart = (old_mean - new_mean) ** 2
    scale = 2 * (new_log_std - old_log_std)
    return 0.5 * jnp.sum(jnp.exp(-scale) + apart * jnp.exp(-2 * new_log_std) - 1 + scale, axis=-1)


def values(critic: Critics, stats: InputStats, obs: Any, truth: Any) -> Array:
    """V(s, g) [b] of what is seen and what is true, [b, ...]."""
    return critic(obs, truth, stats)[0, :, 0]


def clipped_objective(ratio: Array, advantage: Array, epsilon: float) -> Array:
    """L^CLIP = mean min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A), to be maximised: equation 7, []."""
    return jnp.mean(jnp.minimum(ratio * advantage, jnp.clip(ratio, 1 - epsilon, 1 + epsilon) * advantage))


def normalised(advantage: Array) -> Array:
    """Advantages [b] with mean 0 and standard deviation 1, as Stable-Baselines3 has it (b - 1 degrees of freedom)."""
    return (advantage - jnp.mean(advantage)) / (jnp.std(advantage, ddof=1) + 1e-8)


class Minibatch(NamedTuple):
    """Steps of a rollout as the losses see them."""

    obs: Any  # by field, [b, ...]
    truth: Any  # by field, [b, ...]; {} where `obs` is the truth
    action: Array  # [b, action_dim]
    advantage: Array  # [b]
    value_target: Array  # [b]
    log_density: Array  # [b], of the policy that took the actions


def actor_loss(actor: Actor, config: PPOConfig, stats: InputStats, batch: Minibatch) -> Losses:
    """-(L^CLIP + weight x entropy): equation 9 without the value function's term, which is a loss of its own."""
    log_prob = log_density(actor(batch.obs, stats.obs), actor.log_std, batch.action)
    ratio = jnp.exp(log_prob - batch.log_density)
    advantage = normalised(batch.advantage) if config.normalise_advantages else batch.advantage
    loss = -clipped_objective(ratio, advantage, config.clip) - config.entropy_weight * entropy(actor.log_std)
    clipped = jnp.mean(jnp.abs(ratio - 1) > config.clip)
    return loss, {"train/actor_loss": loss, "train/clip_fraction": clipped}


def value_loss(critic: Critics, stats: InputStats, batch: Minibatch) -> Losses:
    """L^VF = mean (V(s) - target)^2: equation 9."""
    loss = jnp.mean((values(critic, stats, batch.obs, batch.truth) - batch.value_target) ** 2)
    return loss, {"train/value_loss": loss}


class Learner(NamedTuple):
    """All that gradient updates change."""

    nets: Networks
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    key: Array  # source of the order in which a rollout is gone through


def init_learner(config: PPOConfig, spec: Spec, seed: int) -> Learner:
    """Fresh networks and optimisers."""
    actor_key, critic_key, key = jax.random.split(jax.random.key(key_data(seed, "learner")), 3)
    mean = shared.make_actor(config, spec, spec.action_dim, actor_key)
    actor = Actor(mean.encoder, mean.head, jnp.full(spec.action_dim, jnp.log(config.initial_std)))
    critic = shared.make_critics(config, spec, 0, 1, critic_key)
    opt: Any = optimiser(config)
    return Learner(Networks(actor, critic), opt.init(actor), opt.init(critic), key)


def update_step(
    config: PPOConfig, learner: Learner, stats: InputStats, batch: Minibatch
) -> tuple[Learner, dict[str, Array]]:
    """One gradient update of actor and critic."""
    opt, (actor, critic) = optimiser(config), learner.nets
    grad, actor_metrics = jax.grad(actor_loss, has_aux=True)(actor, config, stats, batch)
    actor, actor_opt = descend(opt, grad, learner.actor_opt, actor)
    grad, critic_metrics = jax.grad(value_loss, has_aux=True)(critic, stats, batch)
    critic, critic_opt = descend(opt, grad, learner.critic_opt, critic)
    return Learner(Networks(actor, critic), actor_opt, critic_opt, learner.key), actor_metrics | critic_metrics


def minibatches(config: PPOConfig, key: Array, size: int) -> Array:
    """The rows of each minibatch, [epochs * (size // b), b]: each epoch goes through the rows in a new random order.

    What is left of an epoch after its last whole minibatch is not used in that epoch.
    """
    whole = size // config.batch_size
    orders = jax.vmap(lambda key: jax.random.permutation(key, size))(jax.random.split(key, config.epochs))
    return orders[:, : whole * config.batch_size].reshape(-1, config.batch_size)


@partial(jax.jit, static_argnums=0)
def update(
    config: PPOConfig, learner: Learner, stats: InputStats, rollout: Rollout
) -> tuple[Learner, dict[str, Array]]:
    """All updates on one rollout in one compiled call; the metrics of losses are means over them."""
    (old, critic), obs, truth = learner.nets, rollout.obs, rollout.truth
    mean = old(obs, stats.obs)
    acted = log_density(mean, old.log_std, rollout.action)
    steps = Minibatch(obs, truth, rollout.action, rollout.advantage, rollout.value_target, acted)
    error = rollout.value_target - values(critic, stats, obs, truth)
    explained = 1 - jnp.var(error) / jnp.maximum(jnp.var(rollout.value_target), 1e-12)
    key, order_key = jax.random.split(learner.key)

    def one(learner: Learner, rows: Array) -> tuple[Learner, dict[str, Array]]:
        return update_step(config, learner, stats, jax.tree.map(lambda values: values[rows], steps))

    learner, metrics = jax.lax.scan(one, learner._replace(key=key), minibatches(config, order_key, len(acted)))
    actor = learner.nets.actor
    return learner, jax.tree.map(jnp.mean, metrics) | {
        "train/kl": jnp.mean(divergence(mean, old.log_std, actor(obs, stats.obs), actor.log_std)),
        "train/explained_variance": explained,
        "train/entropy": entropy(actor.log_std),
    }


@jax.jit
def act(actor: Actor, scales: Scales, obs: dict[str, Array], noise: Array) -> Array:
    """Actions [n, action_dim] as the policy draws them, not clipped; zero noise gives the mean."""
    return actor(obs, scales) + jnp.exp(actor.log_std) * noise


judge = jax.jit(values)


def greedy(actor: Actor, obs: dict[str, Array], scales: Scales) -> Array:
    """Greedy actions [b, action_dim], clipped as environments clip; differentiable by the actor."""
    return jnp.clip(actor(obs, scales), -1.0, 1.0)


@jax.jit
def look(nets: Networks, stats: InputStats, batch: Batch) -> Seen:
    """What the networks make of transitions [b, ...], for a probe."""
    noise = jax.random.normal(jax.random.key(0), batch.action.shape)
    return Seen(
        q=nets.critic(batch.obs, batch.truth, stats)[..., 0],
        target=None,
        greedy=greedy(nets.actor, batch.obs, stats.obs),
        explored=jnp.clip(act(nets.actor, stats.obs, batch.obs, noise), -1.0, 1.0),
    )


class PPO:
    """The agent: `PPO(config, spec, seed)`."""

    greedy = staticmethod(greedy)

    def __init__(self, config: PPOConfig, spec: Spec, seed: int):
        self.config, self.spec, self.updates = config, spec, 0
        self.learner = init_learner(config, spec, seed)
        self.first = self.learner.nets  # the first weights, for probes
        self.scaler = InputScaler(config.inputs, spec, config.critic_sees)

    def initial_carry(self, n: int) -> Carry:
        """(): it has no memory."""
        return ()

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim]: the mean, clipped to [-1, 1]; with `rng` as the policy draws them, not clipped."""
        noise, seen = shared.action_noise(rng, obs, self.spec), stored(self.spec.obs, obs)
        action = np.asarray(act(self.learner.nets.actor, self.scaler.stats.obs, seen, noise))
        return (np.clip(action, -1, 1) if rng is None else action), carry

    def values(self, moment: Moment) -> np.ndarray:
        """The value function at n moments, [n]."""
        obs, truth = stored(self.spec.obs, moment.obs), stored(self.spec.truth, moment.truth)
        return np.asarray(judge(self.learner.nets.critic, self.scaler.stats, obs, truth))

    def observe(self, moment: Moment) -> None:
        """Take newly collected observations into the input statistics."""
        self.scaler.observe(moment)

    def update(self, rollout: Rollout) -> Metrics:
        """Take epochs x minibatches gradient updates on one rollout; returns their metrics."""
        self.learner, metrics = update(self.config, self.learner, self.scaler.stats, rollout)
        self.updates += self.config.epochs * (len(rollout.advantage) // self.config.batch_size)
        return {name: float(number) for name, number in metrics.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Networks, optimisers, keys and input statistics as named arrays."""
        return shared.saved(self)

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned; raises UserError if it is of another configuration."""
        shared.load(self, state)

    def look(self, batch: Batch) -> Seen:
        """What the networks make of transitions [b, ...], for a probe."""
        return look(self.learner.nets, self.scaler.stats, batch)
