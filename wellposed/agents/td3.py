"""TD3 for goals: a deterministic policy that climbs a critic, with three measures against overestimated values.

The smaller of two critics makes the target, noise on the target's action smooths it, and the policy is updated less
often than the critics. The losses are each a function of networks, batch and noise; `update` puts them together.

Source: Fujimoto et al. (2018), "Addressing Function Approximation Error in Actor-Critic Methods", arXiv 1802.09477;
equation numbers are that paper's.
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
from wellposed.nn.networks import Actor, Critics, descend, polyak
from wellposed.nn.normaliser import InputScaler
from wellposed.seeding import key_data
from wellposed.serialise import LATER
from wellposed.types import Batch, Carry, Metrics, Moment, Obs, Spec

OWN = ("train/critic_loss", "train/actor_loss", "train/q_mean", "train/target_mean", "train/action_saturation")
METRICS = {name: shared.METRICS[name] for name in OWN}


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

    def __post_init__(self) -> None:
        shared.require_off_policy(self, "policy_delay")
        for name in ("exploration_noise", "target_noise", "target_noise_clip"):
            value = getattr(self, name)
            require(0 <= value < float("inf"), f"agent.{name}", "must not be negative", value)


class Networks(NamedTuple):
    """What is trained, and the slowly following targets."""

    actor: Actor  # observation -> action before tanh [action_dim]
    critics: Critics  # observation and action -> value [1]
    target_actor: Actor
    target_critics: Critics


def policy(outputs: Array, noise: Array | float = 0.0) -> Array:
    """Actions [..., action_dim] in [-1, 1]: tanh of what the actor puts out, and noise on top."""
    return jnp.clip(jnp.tanh(outputs) + noise, -1.0, 1.0)


def smoothed_target(
    config: TD3Config, spec: Spec, nets: Networks, stats: InputStats, batch: Batch, noise: Array
) -> Array:
    """r + gamma (1 - terminated) min_i Q'_i(s', pi'(s') + clipped noise): equations 10, 14 and 15, [b].

    `noise`: standard normal [b, action_dim].
    """
    smoothing = jnp.clip(config.target_noise * noise, -config.target_noise_clip, config.target_noise_clip)
    next_action = policy(nets.target_actor(batch.next_obs, stats.obs), smoothing)
    next_q = jnp.min(nets.target_critics(batch.next_obs, batch.next_truth, stats, next_action)[..., 0], axis=0)
    return bounded(config, spec, bellman(batch.reward, batch.terminated, next_q, config.gamma))


def critic_loss(critics: Critics, stats: InputStats, batch: Batch, target: Array) -> Losses:
    """sum over critics of mean (Q_i(s, a) - target)^2: algorithm 1."""
    q = critics(batch.obs, batch.truth, stats, batch.action)[..., 0]
    loss = jnp.sum(jnp.mean((q - target) ** 2, axis=1))
    return loss, {"train/critic_loss": loss, "train/q_mean": jnp.mean(q), "train/target_mean": jnp.mean(target)}


def actor_loss(actor: Actor, critics: Critics, stats: InputStats, batch: Batch) -> Losses:
    """-mean Q_1(s, pi(s)): its gradient is the deterministic policy gradient of equation 1 and algorithm 1."""
    action, first = jnp.tanh(actor(batch.obs, stats.obs)), Critics(critics.encoder, critics.heads[:1], critics.sees)
    loss = -jnp.mean(first(batch.obs, batch.truth, stats, action))
    return loss, {"train/actor_loss": loss, "train/action_saturation": jnp.mean(jnp.abs(action) > 0.99)}


class Learner(NamedTuple):
    """All that one gradient update changes."""

    nets: Networks
    actor_opt: optax.OptState
    critic_opt: optax.OptState
    taken: Array  # updates so far, []: decides when the actor moves
    key: Array  # source of the updates' noise


def init_learner(config: TD3Config, spec: Spec, seed: int) -> Learner:
    """Fresh networks and optimisers; the targets start equal to what they follow."""
    actor_key, critic_key, key = jax.random.split(jax.random.key(key_data(seed, "learner")), 3)
    actor = shared.make_actor(config, spec, spec.action_dim, actor_key)
    critics = shared.make_critics(config, spec, spec.action_dim, 1, *jax.random.split(critic_key))
    opt: Any = optimiser(config)
    nets = Networks(actor, critics, actor, critics)
    return Learner(nets, opt.init(actor), opt.init(critics), jnp.zeros((), jnp.int32), key)


def update_step(
    config: TD3Config, spec: Spec, learner: Learner, stats: InputStats, batch: Batch, noise: Array
) -> tuple[Learner, dict[str, Array]]:
    """One gradient update of the critics and, at each `policy_delay`-th, of the actor and all targets.

    `noise`: standard normal [b, action_dim], for the action in the target.
    """
    opt, nets, taken = optimiser(config), learner.nets, learner.taken + 1
    target = smoothed_target(config, spec, nets, stats, batch, noise)
    grad, critic_metrics = jax.grad(critic_loss, has_aux=True)(nets.critics, stats, batch, target)
    critics, critic_opt = descend(opt, grad, learner.critic_opt, nets.critics)

    def move(actor_opt: optax.OptState) -> tuple[Networks, optax.OptState, dict[str, Array]]:
        """The actor's step; then the targets follow."""
        grad, metrics = jax.grad(actor_loss, has_aux=True)(nets.actor, critics, stats, batch)
        actor, actor_opt = descend(opt, grad, actor_opt, nets.actor)
        target_actor = polyak(nets.target_actor, actor, config.tau)
        target_critics = polyak(nets.target_critics, critics, config.tau)
        return Networks(actor, critics, target_actor, target_critics), actor_opt, metrics

    def wait(actor_opt: optax.OptState) -> tuple[Networks, optax.OptState, dict[str, Array]]:
        """Where it is not the actor's turn: its metrics, and all else as it was."""
        metrics = actor_loss(nets.actor, critics, stats, batch)[1]
        return nets._replace(critics=critics), actor_opt, metrics

    turn = taken % config.policy_delay == 0
    nets, actor_opt, actor_metrics = jax.lax.cond(turn, move, wait, learner.actor_opt)
    return Learner(nets, actor_opt, critic_opt, taken, learner.key), critic_metrics | actor_metrics


@partial(jax.jit, static_argnums=(0, 1))
def update(
    config: TD3Config, spec: Spec, learner: Learner, stats: InputStats, batches: Batch
) -> tuple[Learner, dict[str, Array]]:
    """u gradient updates on batches with leading axes [u, b] in one compiled call; metrics are their means."""
    chosen = augmentations(config, spec)

    def one(learner: Learner, batch: Batch) -> tuple[Learner, dict[str, Array]]:
        key, noise_key, augment_key = jax.random.split(learner.key, 3)
        batch = augment(chosen, batch, augment_key)
        noise = jax.random.normal(noise_key, batch.action.shape)
        return update_step(config, spec, learner._replace(key=key), stats, batch, noise)

    learner, metrics = jax.lax.scan(one, learner, batches, unroll=shared.one_by_one(spec))
    return learner, jax.tree.map(jnp.mean, metrics)


@partial(jax.jit, static_argnums=0)
def act(
    config: TD3Config, actor: Actor, scales: Scales, obs: dict[str, Array], carry: Carry, noise: Array
) -> tuple[Array, Carry]:
    """The policy's actions [n, action_dim] with standard normal noise scaled as set; and the new carry."""
    outputs, carry = actor.step(obs, scales, carry)
    return policy(outputs, config.exploration_noise * noise), carry


def greedy(actor: Actor, obs: dict[str, Array], scales: Scales) -> Array:
    """Greedy actions [b, action_dim], differentiable by the actor."""
    return policy(actor(obs, scales))


@partial(jax.jit, static_argnums=(0, 1))
def look(config: TD3Config, spec: Spec, nets: Networks, stats: InputStats, batch: Batch) -> Seen:
    """What the networks make of transitions [b, ...], for a probe."""
    noise, outputs = jax.random.normal(jax.random.key(0), batch.action.shape), nets.actor(batch.obs, stats.obs)
    return Seen(
        q=nets.critics(batch.obs, batch.truth, stats, batch.action)[..., 0],
        target=smoothed_target(config, spec, nets, stats, batch, noise),
        greedy=greedy(nets.actor, batch.obs, stats.obs),
        explored=policy(outputs, config.exploration_noise * noise),
    )


class TD3:
    """The agent: `TD3(config, spec, seed)`."""

    greedy = staticmethod(greedy)
    looks = None

    def __init__(self, config: TD3Config, spec: Spec, seed: int):
        self.config, self.spec, self.updates, self.window = config, spec, 0, config.inputs.memory
        self.learner = init_learner(config, spec, seed)
        self.first = self.learner.nets  # the first weights, for probes
        self.scaler = InputScaler(config.inputs, spec, config.critic_sees)

    def initial_carry(self, n: int) -> Carry:
        """What the policy remembers at the start of n episodes; () without memory."""
        return self.learner.nets.actor.encoder.initial_carry(n)

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim] in [-1, 1], greedy, or with `rng` Gaussian noise on top; and the new carry."""
        noise, seen = shared.action_noise(rng, obs, self.spec), stored(self.spec.obs, obs)
        action, carry = act(self.config, self.learner.nets.actor, self.scaler.stats.obs, seen, carry, noise)
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
