"""Soft Actor-Critic for goals: the file a student reads, and the file that trains.

SAC maximises reward plus temperature times entropy. Its three losses stand below under the names of their
equations, each a function of networks, batch and noise. The bookkeeping around them is in `off_policy.py`.

Source: Haarnoja et al. (2018), "Soft Actor-Critic Algorithms and Applications", arXiv 1812.05905;
equation numbers are that paper's. Twin critics: Fujimoto et al. (2018), arXiv 1802.09477.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from wellposed.agents.off_policy import (
    Algorithm,
    OffPolicyAgent,
    Transition,
    bellman,
    bounded,
    init_networks,
    require_off_policy,
    values,
)
from wellposed.agents.settings import optimiser
from wellposed.nn.inputs import InputConfig
from wellposed.nn.networks import MLP, descend, polyak, squashed_gaussian
from wellposed.types import Dims

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
    anneal: tuple[int, int] | None = None
    """Gradient updates from where to where the step size falls, linearly, to a tenth of itself; none keeps it."""
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
        require_off_policy(self, "temperature")


class Networks(NamedTuple):
    """What is trained, and the slowly following targets."""

    actor: MLP  # features -> mean and log standard deviation [2 * action_dim]
    critics: tuple[MLP, MLP]  # features and action -> value [1]
    target_critics: tuple[MLP, MLP]
    log_temperature: Array  # []


def policy(actor: MLP, x: Array, noise: Array) -> tuple[Array, Array]:
    """Actions [..., action_dim] of the squashed Gaussian at features x, and their log densities [...].

    Zero noise gives the deterministic policy tanh(mean).
    """
    mean, log_std = jnp.split(actor(x), 2, axis=-1)
    return squashed_gaussian(mean, jnp.clip(log_std, *LOG_STD_RANGE), noise)


def soft_bellman(
    reward: Array, terminated: Array, next_q: Array, next_log_prob: Array, gamma: float, temperature: Array
) -> Array:
    """r + gamma (1 - terminated) (min_i Q'_i(s', a') - temperature log pi(a'|s')): equations 2 and 3, [b].

    `next_q`: the values [critics, b] of the target critics at (s', a').
    """
    return bellman(reward, terminated, jnp.min(next_q, axis=0) - temperature * next_log_prob, gamma)


def soft_target(config: SACConfig, nets: Networks, batch: Transition, noise: Array) -> Array:
    """What the critics are drawn to, [b]: the right side of the soft Bellman equation at one draw a' ~ pi."""
    next_action, next_log_prob = policy(nets.actor, batch.next_features, noise)
    next_q = values(nets.target_critics, batch.next_features, next_action)
    temperature = jnp.exp(nets.log_temperature)
    return bounded(
        config, soft_bellman(batch.reward, batch.terminated, next_q, next_log_prob, config.gamma, temperature)
    )


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
    actor, critics, key = init_networks(config, dims, seed, actor_outputs=2 * dims.action)
    nets = Networks(actor, critics, critics, jnp.log(jnp.asarray(config.temperature)))
    opt: Any = optimiser(config)
    return Learner(nets, opt.init(nets.actor), opt.init(nets.critics), opt.init(nets.log_temperature), key)


def update_step(
    config: SACConfig, learner: Learner, batch: Transition, noise: Array
) -> tuple[Learner, dict[str, Array]]:
    """One gradient update of temperature, critics and actor, in the order of Stable-Baselines3.

    `noise`: standard normal [2, b, action_dim], for the policy at s' (in the target) and at s (in the actor's loss).
    """
    opt = optimiser(config)
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


def explore(_config: SACConfig, actor: MLP, x: Array, noise: Array) -> Array:
    """Actions [n, action_dim] at features x: a sample of the policy, or tanh(mean) where the noise is zero."""
    return policy(actor, x, noise)[0]


SAC = partial(OffPolicyAgent, Algorithm(init_learner, update_step, explore, soft_target, draws=2))
"""The agent: `SAC(config, dims, seed)`."""
