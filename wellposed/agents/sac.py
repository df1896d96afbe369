"""Soft Actor-Critic for goals: the file a student reads, and the file that trains.

SAC maximises reward plus temperature times entropy. Its three losses have the names of their equations, each a function
of networks, batch and noise; `update` puts them together.

Source: Haarnoja et al. (2018), "Soft Actor-Critic Algorithms and Applications", arXiv 1812.05905; equation numbers are
that paper's. Twin critics: Fujimoto et al. (2018), arXiv 1802.09477.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.agents import shared
from wellposed.agents.probe import Seen, Sight
from wellposed.agents.shared import Losses, bellman, bounded, optimiser
from wellposed.errors import require
from wellposed.nn.augment import augment, augmentations
from wellposed.nn.inputs import InputConfig, InputStats, Scales, stored
from wellposed.nn.networks import Actor, Critics, descend, polyak, squashed_gaussian
from wellposed.nn.normaliser import InputScaler
from wellposed.seeding import key_data
from wellposed.serialise import LATER
from wellposed.types import Batch, Carry, Metrics, Moment, Obs, Spec

LOG_STD_RANGE = (-20.0, 2.0)  # as in Stable-Baselines3
METRICS = shared.METRICS | {"train/temperature": "SAC: weight of entropy against reward"}


@dataclass(frozen=True)
class SACConfig:
    """Settings of the algorithm; the defaults' sources stand beside them."""

    hidden: tuple[int, ...] = (64, 64, 64)
    """Width of each hidden layer of actor and critics."""
    gamma: float = 0.95
    """Discount per environment step. robotics_series' sweep on sparse Push: 0.98 costs 11 points."""
    tau: float = 0.05
    """Share of the online critics that enters the target critics at each update."""
    learning_rate: float = 1e-3
    """Adam step size of actor, critics and temperature."""
    anneal: tuple[int, int] | None = None
    """Gradient updates from where to where the step size falls, linearly, to a tenth of itself; none keeps it."""
    batch_size: int = 256
    """Transitions per gradient update."""
    temperature: float = 0.05
    """Weight of entropy against reward, or its start value. robotics_series' sweep: 0.2 costs 19.5 points."""
    learn_temperature: bool = False
    """Adjust the temperature so that the policy's entropy meets minus the number of action dimensions."""
    bound_targets: bool = True
    """Clip critic targets into the range of returns, where the range of rewards is known: [-1/(1-gamma), 0] for the
    reward -1/0. Source: HER, appendix A."""
    mirror: bool = True
    """Learn from mirror images as well, where the task's geometry has a mirror: half of each batch, drawn anew."""
    shift: int = field(default=0, metadata=LATER)
    """Learn from images moved by up to this many pixels. Source: DrQ, arXiv 2004.13649 (4 pixels of 84 there)."""
    inputs: InputConfig = field(default_factory=InputConfig)
    """What the networks are shown of an observation."""
    critic_sees: Literal["obs", "truth"] = field(default="obs", metadata=LATER)
    """What the critics read: what the policy sees, or what is true where that is something else."""
    shared_encoder: bool = field(default=False, metadata=LATER)
    """The actor reads with the critics' encoder, and only their loss trains it. Source: DrQ, arXiv 2004.13649."""

    def __post_init__(self) -> None:
        shared.require_off_policy(self, "temperature")
        sees = "agent.shared_encoder", "needs critics that see what the actor sees (--agent.critic-sees obs)"
        require(not self.shared_encoder or self.critic_sees == "obs", *sees, self.critic_sees)


class Networks(NamedTuple):
    """What is trained, and the slowly following targets."""

    actor: Actor  # observation -> mean and log standard deviation [2 * action_dim]
    critics: Critics  # observation and action -> value [1]
    target_critics: Critics
    log_temperature: Array  # []


def policy(outputs: Array, noise: Array) -> tuple[Array, Array]:
    """Actions [..., action_dim] of the squashed Gaussian that the actor puts out, and their log densities [...].

    Zero noise gives the deterministic policy tanh(mean).
    """
    mean, log_std = jnp.split(outputs, 2, axis=-1)
    return squashed_gaussian(mean, jnp.clip(log_std, *LOG_STD_RANGE), noise)


def soft_bellman(
    reward: Array, terminated: Array, next_q: Array, next_log_prob: Array, gamma: float, temperature: Array
) -> Array:
    """r + gamma (1 - terminated) (min_i Q'_i(s', a') - temperature log pi(a'|s')): equations 2 and 3, [b].

    `next_q`: the values [critics, b] of the target critics at (s', a').
    """
    return bellman(reward, terminated, jnp.min(next_q, axis=0) - temperature * next_log_prob, gamma)


def soft_target(config: SACConfig, spec: Spec, nets: Networks, stats: InputStats, batch: Batch, noise: Array) -> Array:
    """What the critics are drawn to, [b]: the right side of the soft Bellman equation at one draw a' ~ pi."""
    next_action, next_log_prob = policy(nets.actor(batch.next_obs, stats.obs), noise)
    next_q = nets.target_critics(batch.next_obs, batch.next_truth, stats, next_action)[..., 0]
    temperature = jnp.exp(nets.log_temperature)
    target = soft_bellman(batch.reward, batch.terminated, next_q, next_log_prob, config.gamma, temperature)
    return bounded(config, spec, target)


def critic_loss(critics: Critics, stats: InputStats, batch: Batch, target: Array) -> Losses:
    """J_Q = sum over critics of 1/2 mean (Q_i(s, a) - target)^2: equation 5."""
    q = critics(batch.obs, batch.truth, stats, batch.action)[..., 0]
    loss = 0.5 * jnp.sum(jnp.mean((q - target) ** 2, axis=1))
    return loss, {"train/critic_loss": loss, "train/q_mean": jnp.mean(q), "train/target_mean": jnp.mean(target)}


def actor_loss(
    actor: Actor, critics: Critics, stats: InputStats, temperature: Array, batch: Batch, noise: Array
) -> Losses:
    """J_pi = mean (temperature log pi(a|s) - min_i Q_i(s, a)), a ~ pi by reparameterisation: equation 9."""
    action, log_prob = policy(actor(batch.obs, stats.obs), noise)
    q = critics(batch.obs, batch.truth, stats, action)[..., 0]
    loss = jnp.mean(temperature * log_prob - jnp.min(q, axis=0))
    logged = {"train/entropy": -jnp.mean(log_prob), "train/action_saturation": jnp.mean(jnp.abs(action) > 0.99)}
    return loss, {"train/actor_loss": loss} | logged


def temperature_loss(log_temperature: Array, log_prob: Array, target_entropy: float) -> Array:
    """J = -mean log(temperature) (log pi(a|s) + target entropy): equation 18, in the logarithm as SB3 has it."""
    return -jnp.mean(log_temperature * jax.lax.stop_gradient(log_prob + target_entropy))


def reading(config: SACConfig, actor: Actor, critics: Critics) -> Actor:
    """The actor; its head on the critics' encoder where they share one, by which its loss then has no gradient."""
    return Actor(critics.encoder, actor.head) if config.shared_encoder else actor


class Learner(NamedTuple):
    """All that one gradient update changes."""

    nets: Networks
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    temperature_opt: optax.OptState
    key: Array  # source of the updates' noise


def init_learner(config: SACConfig, spec: Spec, seed: int) -> Learner:
    """Fresh networks and optimisers; the targets start equal to the critics."""
    actor_key, critic_key, key = jax.random.split(jax.random.key(key_data(seed, "learner")), 3)
    actor = shared.make_actor(config, spec, 2 * spec.action_dim, actor_key)
    critics = shared.make_critics(config, spec, spec.action_dim, 1, *jax.random.split(critic_key))
    nets = Networks(reading(config, actor, critics), critics, critics, jnp.log(jnp.asarray(config.temperature)))
    opt: Any = optimiser(config)
    return Learner(nets, opt.init(nets.actor), opt.init(nets.critics), opt.init(nets.log_temperature), key)


def update_step(
    config: SACConfig, spec: Spec, learner: Learner, stats: InputStats, batch: Batch, noise: Array
) -> tuple[Learner, dict[str, Array]]:
    """One gradient update of temperature, critics and actor, in the order of Stable-Baselines3.

    `noise`: standard normal [2, b, action_dim], for the policy at s' (in the target) and at s (in the actor's loss).
    """
    opt = optimiser(config)
    nets, temperature = learner.nets, jnp.exp(learner.nets.log_temperature)
    log_temperature, temperature_opt = nets.log_temperature, learner.temperature_opt
    if config.learn_temperature:
        log_prob = policy(nets.actor(batch.obs, stats.obs), noise[1])[1]
        grad = jax.grad(temperature_loss)(log_temperature, log_prob, -float(batch.action.shape[-1]))
        log_temperature, temperature_opt = descend(opt, grad, temperature_opt, log_temperature)

    target = soft_target(config, spec, nets, stats, batch, noise[0])
    grad, critic_metrics = jax.grad(critic_loss, has_aux=True)(nets.critics, stats, batch, target)
    critics, critic_opt = descend(opt, grad, learner.critic_opt, nets.critics)

    own_loss = lambda actor, *rest: actor_loss(reading(config, actor, critics), *rest)  # noqa: E731
    grad, actor_metrics = jax.grad(own_loss, has_aux=True)(nets.actor, critics, stats, temperature, batch, noise[1])
    actor, actor_opt = descend(opt, grad, learner.actor_opt, nets.actor)
    actor = reading(config, actor, critics)

    nets = Networks(actor, critics, polyak(nets.target_critics, critics, config.tau), log_temperature)
    metrics = {"train/temperature": temperature} | critic_metrics | actor_metrics
    return Learner(nets, actor_opt, critic_opt, temperature_opt, learner.key), metrics


@partial(jax.jit, static_argnums=(0, 1))
def update(
    config: SACConfig, spec: Spec, learner: Learner, stats: InputStats, batches: Batch
) -> tuple[Learner, dict[str, Array]]:
    """u gradient updates on batches with leading axes [u, b] in one compiled call; metrics are their means."""
    chosen = augmentations(config, spec)

    def one(learner: Learner, batch: Batch) -> tuple[Learner, dict[str, Array]]:
        key, noise_key, augment_key = jax.random.split(learner.key, 3)
        batch = augment(chosen, batch, augment_key)
        noise = jax.random.normal(noise_key, (2, *batch.action.shape))
        return update_step(config, spec, learner._replace(key=key), stats, batch, noise)

    learner, metrics = jax.lax.scan(one, learner, batches, unroll=shared.one_by_one(spec))
    return learner, jax.tree.map(jnp.mean, metrics)


@jax.jit
def act(actor: Actor, scales: Scales, obs: dict[str, Array], carry: Carry, noise: Array) -> tuple[Array, Carry]:
    """Actions [n, action_dim], samples of the policy, or tanh(mean) where the noise is zero; and the new carry."""
    outputs, carry = actor.step(obs, scales, carry)
    return policy(outputs, noise)[0], carry


def greedy(actor: Actor, obs: dict[str, Array], scales: Scales) -> Array:
    """Greedy actions [b, action_dim], differentiable by the actor."""
    outputs = actor(obs, scales)
    return policy(outputs, jnp.zeros_like(outputs[..., : outputs.shape[-1] // 2]))[0]


@partial(jax.jit, static_argnums=(0, 1))
def look(config: SACConfig, spec: Spec, nets: Networks, stats: InputStats, batch: Batch) -> Seen:
    """What the networks make of transitions [b, ...], for a probe."""
    noise, outputs = jax.random.normal(jax.random.key(0), batch.action.shape), nets.actor(batch.obs, stats.obs)
    return Seen(
        q=nets.critics(batch.obs, batch.truth, stats, batch.action)[..., 0],
        target=soft_target(config, spec, nets, stats, batch, noise),
        greedy=greedy(nets.actor, batch.obs, stats.obs),
        explored=policy(outputs, noise)[0],
    )


class SAC:
    """The agent: `SAC(config, spec, seed)`."""

    greedy = staticmethod(greedy)
    looks = None

    def __init__(self, config: SACConfig, spec: Spec, seed: int):
        self.config, self.spec, self.updates, self.window = config, spec, 0, config.inputs.memory
        self.learner = init_learner(config, spec, seed)
        self.first = self.learner.nets  # the first weights, for probes
        self.scaler = InputScaler(config.inputs, spec, config.critic_sees)

    def initial_carry(self, n: int) -> Carry:
        """What the policy remembers at the start of n episodes; () without memory."""
        return self.learner.nets.actor.encoder.initial_carry(n)

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim] in [-1, 1], greedy or with `rng` samples of the policy; and the new carry."""
        noise, seen = shared.action_noise(rng, obs, self.spec), stored(self.spec.obs, obs)
        action, carry = act(self.learner.nets.actor, self.scaler.stats.obs, seen, carry, noise)
        return np.asarray(action), jax.tree.map(np.asarray, carry)

    def observe(self, moment: Moment) -> None:
        """Take newly collected observations into the input statistics."""
        self.scaler.observe(moment)

    def update(self, batches: Batch) -> Metrics:
        """Take u gradient updates on batches [u, b, ...]; returns the means of their metrics."""
        self.learner, metrics = self.tried(batches)
        self.updates += len(batches.reward)
        return {name: float(value) for name, value in metrics.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Networks, optimisers, keys and input statistics as named arrays."""
        return shared.saved(self)

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned; raises UserError if it is of another configuration."""
        shared.load(self, state)

    def probed(self, batches: Batch) -> tuple[Any, Batch]:
        """Itself and the minibatches, for a probe."""
        return self, batches

    @property
    def sight(self) -> Sight:
        """What reads observations, for a probe."""
        return Sight(self.learner.nets.actor.encoder, self.first.actor.encoder, self.scaler.stats.obs)

    def look(self, batch: Batch) -> Seen:
        """What the networks make of transitions [b, ...], for a probe."""
        return look(self.config, self.spec, self.learner.nets, self.scaler.stats, batch)

    def tried(self, batches: Batch) -> tuple[Learner, dict[str, Array]]:
        """The learner after updates on batches [u, b, ...] and their mean metrics; the agent stays as it is."""
        return update(self.config, self.spec, self.learner, self.scaler.stats, batches)
