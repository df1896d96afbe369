"""Soft Actor-Critic for goals: the file a student reads, and the file that trains.

SAC maximises reward plus temperature times entropy. Its three losses stand below under the names of their
equations, each a function of networks, batch and noise. Everything else is bookkeeping around them.

Source: Haarnoja et al. (2018), "Soft Actor-Critic Algorithms and Applications", arXiv 1812.05905;
equation numbers are that paper's. Twin critics: Fujimoto et al. (2018), arXiv 1802.09477.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.arrays import check_arrays
from wellposed.errors import require
from wellposed.nn.inputs import InputConfig, InputScaler, InputStats, input_width, mirror_half, network_inputs
from wellposed.nn.networks import MLP, descend, polyak, squashed_gaussian, twin
from wellposed.nn.tree import from_arrays, to_arrays
from wellposed.seeding import generator, key_data, pack_generator, unpack_generator
from wellposed.types import Batch, Dims, GoalObs, Metrics

LOG_STD_RANGE = (-20.0, 2.0)  # as in Stable-Baselines3


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
    batch_size: int = 256
    """Transitions per gradient update."""
    temperature: float = 0.05
    """Weight of entropy against reward, or its start value. robotics_series' sweep: 0.2 costs 19.5 points."""
    learn_temperature: bool = False
    """Adjust the temperature so that the policy's entropy meets minus the number of action dimensions."""
    bound_targets: bool = True
    """Clip critic targets into [-1/(1-gamma), 0], the range of returns of the reward -1/0. Source: HER, appendix A."""
    mirror: bool = True
    """Learn from mirror images as well, where the task's geometry has a mirror: half of each batch, drawn anew."""
    inputs: InputConfig = field(default_factory=InputConfig)
    """What the networks are shown of an observation."""

    def __post_init__(self) -> None:
        require(all(width > 0 for width in self.hidden), "agent.hidden", "takes widths greater than 0", self.hidden)
        require(0 <= self.gamma < 1, "agent.gamma", "lies in [0, 1)", self.gamma)
        require(0 < self.tau <= 1, "agent.tau", "lies in (0, 1]", self.tau)
        for name in ("learning_rate", "batch_size", "temperature"):
            value = getattr(self, name)
            require(0 < value < float("inf"), f"agent.{name}", "must be greater than 0", value)


class Networks(NamedTuple):
    """What is trained, and the slowly following targets."""

    actor: MLP  # features -> mean and log standard deviation [2 * action_dim]
    critics: tuple[MLP, MLP]  # features and action -> value [1]
    target_critics: tuple[MLP, MLP]
    log_temperature: Array  # []


class Transition(NamedTuple):
    """A minibatch as the losses see it: goals and observations already joined into features."""

    features: Array  # [b, f]
    action: Array  # [b, action_dim]
    reward: Array  # [b]
    next_features: Array  # [b, f]
    terminated: Array  # [b]


def policy(actor: MLP, x: Array, noise: Array) -> tuple[Array, Array]:
    """Actions [..., action_dim] of the squashed Gaussian at features x, and their log densities [...].

    Zero noise gives the deterministic policy tanh(mean).
    """
    mean, log_std = jnp.split(actor(x), 2, axis=-1)
    return squashed_gaussian(mean, jnp.clip(log_std, *LOG_STD_RANGE), noise)


def values(critics: tuple[MLP, MLP], x: Array, action: Array) -> Array:
    """Both critics' Q(s, a, g), [2, b]."""
    inputs = jnp.concatenate([x, action], axis=-1)
    return jnp.stack([critic(inputs)[..., 0] for critic in critics])


def soft_target(config: SACConfig, nets: Networks, batch: Transition, noise: Array) -> Array:
    """r + gamma (1 - terminated) (min_i Q'_i(s', a') - temperature log pi(a'|s')), a' ~ pi: equations 2 and 3, [b]."""
    next_action, next_log_prob = policy(nets.actor, batch.next_features, noise)
    next_q = jnp.min(values(nets.target_critics, batch.next_features, next_action), axis=0)
    next_value = next_q - jnp.exp(nets.log_temperature) * next_log_prob
    target = batch.reward + config.gamma * (1 - batch.terminated) * next_value
    if config.bound_targets:
        target = jnp.clip(target, -1 / (1 - config.gamma), 0.0)
    return jax.lax.stop_gradient(target)


def critic_loss(critics: tuple[MLP, MLP], batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
    """J_Q = sum over critics of 1/2 mean (Q_i(s, a) - target)^2: equation 5."""
    q = values(critics, batch.features, batch.action)
    loss = 0.5 * jnp.sum(jnp.mean((q - target) ** 2, axis=1))
    return loss, {"train/critic_loss": loss, "train/q_mean": jnp.mean(q), "train/target_mean": jnp.mean(target)}


def actor_loss(
    actor: MLP, critics: tuple[MLP, MLP], temperature: Array, batch: Transition, noise: Array
) -> tuple[Array, dict[str, Array]]:
    """J_pi = mean (temperature log pi(a|s) - min_i Q_i(s, a)), a ~ pi by reparameterisation: equation 9."""
    action, log_prob = policy(actor, batch.features, noise)
    q = jnp.min(values(critics, batch.features, action), axis=0)
    loss = jnp.mean(temperature * log_prob - q)
    saturation = jnp.mean(jnp.abs(action) > 0.99)
    return loss, {
        "train/actor_loss": loss,
        "train/entropy": -jnp.mean(log_prob),
        "train/action_saturation": saturation,
    }


def temperature_loss(log_temperature: Array, log_prob: Array, target_entropy: float) -> Array:
    """J = -mean log(temperature) (log pi(a|s) + target entropy): equation 18, in the logarithm as SB3 has it."""
    return -jnp.mean(log_temperature * jax.lax.stop_gradient(log_prob + target_entropy))


class Learner(NamedTuple):
    """All that one gradient update changes."""

    nets: Networks
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    temperature_opt: optax.OptState
    key: Array  # source of the update's noise


def init_learner(config: SACConfig, dims: Dims, seed: int) -> Learner:
    """Fresh networks and optimisers; the targets start equal to the critics."""
    actor_key, critic_key, key = jax.random.split(jax.random.key(key_data(seed, "learner")), 3)
    width = input_width(config.inputs, dims)
    actor = MLP([width, *config.hidden, 2 * dims.action], actor_key)
    critics = twin([width + dims.action, *config.hidden, 1], critic_key)
    nets = Networks(actor, critics, critics, jnp.log(jnp.asarray(config.temperature)))
    opt: Any = optax.adam(config.learning_rate)
    return Learner(nets, opt.init(nets.actor), opt.init(nets.critics), opt.init(nets.log_temperature), key)


def update_step(
    config: SACConfig, learner: Learner, batch: Transition, noise: tuple[Array, Array]
) -> tuple[Learner, dict[str, Array]]:
    """One gradient update of temperature, critics and actor, in the order of Stable-Baselines3.

    `noise`: standard normal [b, action_dim] for the policy at s' (in the target) and at s (in the actor's loss).
    """
    opt = optax.adam(config.learning_rate)
    nets, temperature = learner.nets, jnp.exp(learner.nets.log_temperature)
    metrics = {"train/temperature": temperature}
    log_temperature, temperature_opt = nets.log_temperature, learner.temperature_opt
    if config.learn_temperature:
        log_prob = policy(nets.actor, batch.features, noise[1])[1]
        grad = jax.grad(temperature_loss)(log_temperature, log_prob, -float(batch.action.shape[-1]))
        log_temperature, temperature_opt = descend(opt, grad, temperature_opt, log_temperature)

    target = soft_target(config, nets, batch, noise[0])
    grad, critic_metrics = jax.grad(critic_loss, has_aux=True)(nets.critics, batch, target)
    critics, critic_opt = descend(opt, grad, learner.critic_opt, nets.critics)

    grad, actor_metrics = jax.grad(actor_loss, has_aux=True)(nets.actor, critics, temperature, batch, noise[1])
    actor, actor_opt = descend(opt, grad, learner.actor_opt, nets.actor)

    nets = Networks(actor, critics, polyak(nets.target_critics, critics, config.tau), log_temperature)
    return Learner(nets, actor_opt, critic_opt, temperature_opt, learner.key), metrics | critic_metrics | actor_metrics


def join_goals(config: SACConfig, dims: Dims, stats: InputStats, batch: Batch) -> Transition:
    """A replay batch as the losses see it."""
    shown = partial(network_inputs, config.inputs, dims, stats)
    here = shown(batch.observation, batch.achieved_goal, batch.desired_goal)
    there = shown(batch.next_observation, batch.next_achieved_goal, batch.desired_goal)
    return Transition(here, batch.action, batch.reward, there, batch.terminated)


@partial(jax.jit, static_argnums=(0, 1))
def update_scan(
    config: SACConfig, dims: Dims, learner: Learner, stats: InputStats, batches: Batch
) -> tuple[Learner, dict[str, Array]]:
    """u updates on batches with leading axes [u, b] in one compiled call; metrics are their means."""
    mirror = dims.geometry.mirror if config.mirror and dims.geometry else None

    def body(learner: Learner, batch: Batch) -> tuple[Learner, dict[str, Array]]:
        key, noise_key, mirror_key = jax.random.split(learner.key, 3)
        if mirror is not None:
            batch = mirror_half(mirror, batch, mirror_key)
        noise = jax.random.normal(noise_key, (2, *batch.action.shape))
        transition = join_goals(config, dims, stats, batch)
        return update_step(config, learner._replace(key=key), transition, (noise[0], noise[1]))

    learner, metrics = jax.lax.scan(body, learner, batches)
    return learner, jax.tree.map(jnp.mean, metrics)


@partial(jax.jit, static_argnums=(0, 1))
def act(config: SACConfig, dims: Dims, actor: MLP, stats: InputStats, obs: dict[str, Array], noise: Array) -> Array:
    """Actions [n, action_dim] for goal observations."""
    x = network_inputs(config.inputs, dims, stats, obs["observation"], obs["achieved_goal"], obs["desired_goal"])
    return policy(actor, x, noise)[0]


class SAC:
    """The agent: learner, input statistics and exploration noise behind the `Agent` protocol."""

    def __init__(self, config: SACConfig, dims: Dims, seed: int):
        self.config, self.dims, self.updates = config, dims, 0
        self.learner = init_learner(config, dims, seed)
        self._noise = generator(seed, "exploration")
        self.scaler = InputScaler(config.inputs, dims)

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, action_dim] in [-1, 1]: tanh(mean), or a sample of the policy."""
        shape = (len(obs["observation"]), self.dims.action)
        noise = np.zeros(shape, np.float32) if deterministic else self._noise.standard_normal(shape, np.float32)
        obs32: Any = {key: value.astype(np.float32) for key, value in obs.items()}
        return np.asarray(act(self.config, self.dims, self.learner.nets.actor, self.scaler.stats, obs32, noise))

    def observe(self, obs: GoalObs) -> None:
        """Take observations and both kinds of goals into the input statistics."""
        self.scaler.observe(obs)

    def update(self, batches: Batch) -> Metrics:
        """Take u gradient updates on batches [u, b, ...]; returns the means of their metrics."""
        self.learner, metrics = update_scan(self.config, self.dims, self.learner, self.scaler.stats, batches)
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
