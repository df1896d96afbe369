"""TD3 for goals: a deterministic policy that climbs a critic, and three measures against values that are too high.

The smaller of two critics makes the target, noise on the target's action smooths it, and the policy waits until the
critics have moved several times. The losses stand below, each a function of networks, batch and noise; the
bookkeeping around them is in `off_policy.py`.

Source: Fujimoto et al. (2018), "Addressing Function Approximation Error in Actor-Critic Methods", arXiv 1802.09477;
equation numbers are that paper's.
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
from wellposed.errors import require
from wellposed.nn.inputs import InputConfig
from wellposed.nn.networks import MLP, descend, polyak
from wellposed.types import Dims


@dataclass(frozen=True)
class TD3Config:
    """Settings of the algorithm. What SAC has too is set as there; all else is the paper's, section 6.1."""

    hidden: tuple[int, ...] = (64, 64, 64)
    """Width of each hidden layer of actor and critics."""
    gamma: float = 0.95
    """Discount per environment step."""
    tau: float = 0.05
    """Share of the online networks that enters the targets whenever the actor moves."""
    learning_rate: float = 1e-3
    """Adam step size of actor and critics."""
    anneal: tuple[int, int] | None = None
    """Gradient updates from where to where the step size falls, linearly, to a tenth of itself; none keeps it."""
    batch_size: int = 256
    """Transitions per gradient update."""
    exploration_noise: float = 0.1
    """Standard deviation of the noise on actions while training; actions lie in [-1, 1]."""
    policy_delay: int = 2
    """Critic updates for each update of the actor and of all targets."""
    target_noise: float = 0.2
    """Standard deviation of the noise on the action in the critics' target."""
    target_noise_clip: float = 0.5
    """Bound on the size of that noise."""
    bound_targets: bool = True
    """Clip critic targets into [-1/(1-gamma), 0], the range of returns of the reward -1/0. Source: HER, appendix A."""
    mirror: bool = True
    """Learn from mirror images as well, where the task's geometry has a mirror: half of each batch, drawn anew."""
    inputs: InputConfig = field(default_factory=InputConfig)
    """What the networks are shown of an observation."""

    def __post_init__(self) -> None:
        require_off_policy(self, "policy_delay")
        for name in ("exploration_noise", "target_noise", "target_noise_clip"):
            value = getattr(self, name)
            require(0 <= value < float("inf"), f"agent.{name}", "must not be negative", value)


class Networks(NamedTuple):
    """What is trained, and the slowly following targets."""

    actor: MLP  # features -> action before tanh [action_dim]
    critics: tuple[MLP, MLP]  # features and action -> value [1]
    target_actor: MLP
    target_critics: tuple[MLP, MLP]


def policy(actor: MLP, x: Array) -> Array:
    """Actions [..., action_dim] at features x."""
    return jnp.tanh(actor(x))


def smoothed_target(config: TD3Config, nets: Networks, batch: Transition, noise: Array) -> Array:
    """r + gamma (1 - terminated) min_i Q'_i(s', pi'(s') + clipped noise): equations 10, 14 and 15, [b].

    `noise`: standard normal [b, action_dim].
    """
    smoothing = jnp.clip(config.target_noise * noise, -config.target_noise_clip, config.target_noise_clip)
    next_action = jnp.clip(policy(nets.target_actor, batch.next_features) + smoothing, -1.0, 1.0)
    next_q = jnp.min(values(nets.target_critics, batch.next_features, next_action), axis=0)
    return bounded(config, bellman(batch.reward, batch.terminated, next_q, config.gamma))


def critic_loss(critics: tuple[MLP, MLP], batch: Transition, target: Array) -> tuple[Array, dict[str, Array]]:
    """sum over critics of mean (Q_i(s, a) - target)^2: algorithm 1."""
    q = values(critics, batch.features, batch.action)
    loss = jnp.sum(jnp.mean((q - target) ** 2, axis=1))
    return loss, {"train/critic_loss": loss, "train/q_mean": jnp.mean(q), "train/target_mean": jnp.mean(target)}


def actor_loss(actor: MLP, critics: tuple[MLP, MLP], batch: Transition) -> tuple[Array, dict[str, Array]]:
    """-mean Q_1(s, pi(s)): its gradient is the deterministic policy gradient of equation 1 and algorithm 1."""
    action = policy(actor, batch.features)
    loss = -jnp.mean(values(critics[:1], batch.features, action))
    return loss, {"train/actor_loss": loss, "train/action_saturation": jnp.mean(jnp.abs(action) > 0.99)}


class Learner(NamedTuple):
    """All that one gradient update changes."""

    nets: Networks
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    taken: Array  # updates so far, []: it says when it is the actor's turn
    key: Array  # source of the update's noise


def init_learner(config: TD3Config, dims: Dims, seed: int) -> Learner:
    """Fresh networks and optimisers; the targets start equal to what they follow."""
    actor, critics, key = init_networks(config, dims, seed, actor_outputs=dims.action)
    opt: Any = optimiser(config)
    return Learner(
        Networks(actor, critics, actor, critics), opt.init(actor), opt.init(critics), jnp.zeros((), jnp.int32), key
    )


def update_step(
    config: TD3Config, learner: Learner, batch: Transition, noise: Array
) -> tuple[Learner, dict[str, Array]]:
    """One gradient update of the critics and, at each `policy_delay`-th, of the actor and all targets.

    `noise`: standard normal [1, b, action_dim], for the action in the target.
    """
    nets, taken = learner.nets, learner.taken + 1
    target = smoothed_target(config, nets, batch, noise[0])
    grad, critic_metrics = jax.grad(critic_loss, has_aux=True)(nets.critics, batch, target)
    critics, critic_opt = descend(optimiser(config), grad, learner.critic_opt, nets.critics)
    nets, actor_opt, actor_metrics = jax.lax.cond(
        taken % config.policy_delay == 0,
        partial(move_actor, config),
        keep_actor,
        nets._replace(critics=critics),
        learner.actor_opt,
        batch,
    )
    return Learner(nets, actor_opt, critic_opt, taken, learner.key), critic_metrics | actor_metrics


def move_actor(
    config: TD3Config, nets: Networks, actor_opt: optax.OptState, batch: Transition
) -> tuple[Networks, optax.OptState, dict[str, Array]]:
    """One gradient update of the actor; then the targets follow."""
    grad, metrics = jax.grad(actor_loss, has_aux=True)(nets.actor, nets.critics, batch)
    actor, actor_opt = descend(optimiser(config), grad, actor_opt, nets.actor)
    target_actor = polyak(nets.target_actor, actor, config.tau)
    target_critics = polyak(nets.target_critics, nets.critics, config.tau)
    return Networks(actor, nets.critics, target_actor, target_critics), actor_opt, metrics


def keep_actor(
    nets: Networks, actor_opt: optax.OptState, batch: Transition
) -> tuple[Networks, optax.OptState, dict[str, Array]]:
    """What `move_actor` returns where it is not the actor's turn: its metrics, and all else as it was."""
    return nets, actor_opt, actor_loss(nets.actor, nets.critics, batch)[1]


def explore(config: TD3Config, actor: MLP, x: Array, noise: Array) -> Array:
    """Actions [n, action_dim] at features x: the policy's, Gaussian noise on top, clipped to [-1, 1]."""
    return jnp.clip(policy(actor, x) + config.exploration_noise * noise, -1.0, 1.0)


TD3 = partial(OffPolicyAgent, Algorithm(init_learner, update_step, explore, smoothed_target, draws=1))
"""The agent: `TD3(config, dims, seed)`."""
