"""TQC: SAC whose critics foretell quantiles of the return, the highest dropped (Kuznetsov 2020, arXiv 2005.04269)."""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from wellposed.agents import ALGORITHMS, SAC, Entry, SACConfig, sac, shared
from wellposed.agents.sac import Learner, Networks, policy
from wellposed.errors import require
from wellposed.nn.augment import augment, augmentations
from wellposed.nn.networks import descend, polyak


@dataclass(frozen=True)
class TQCConfig(SACConfig):
    """SAC's settings and these, from the paper; there are two critics here and five there."""

    quantiles: int = 25  # that each critic foretells
    dropped: int = 2  # highest quantiles that are dropped, for each critic

    def __post_init__(self):
        super().__post_init__()
        require(0 <= self.dropped < self.quantiles, "agent.dropped", "must be less than quantiles", self.dropped)
        require(not self.learn_temperature, "agent.learn_temperature", "is not written for TQC", True)


def truncated_target(config, spec, nets, stats, batch, noise):
    """Targets [b, kept]: the lowest quantiles of both critics taken together, one step back."""
    action, log_prob = policy(nets.actor(batch.next_obs, stats.obs), noise)
    z = nets.target_critics(batch.next_obs, batch.next_truth, stats, action)  # [critics, b, quantiles]
    lowest = jnp.sort(jnp.concatenate(list(z), axis=-1))[:, : len(z) * (config.quantiles - config.dropped)]
    value = lowest - jnp.exp(nets.log_temperature) * log_prob[:, None]
    target = shared.bellman(batch.reward[:, None], batch.terminated[:, None], value, config.gamma)
    return shared.bounded(config, spec, target)


def critic_loss(critics, stats, batch, target):
    """The quantile Huber loss of every quantile against every target."""
    q = critics(batch.obs, batch.truth, stats, batch.action)  # [critics, b, quantiles]
    share = (jnp.arange(q.shape[-1]) + 0.5) / q.shape[-1]
    apart = target[:, None, :] - q[..., None]  # [critics, b, quantiles, kept]
    huber = jnp.where(jnp.abs(apart) < 1, 0.5 * apart**2, jnp.abs(apart) - 0.5)
    loss = jnp.mean(jnp.abs(share[:, None] - (apart < 0)) * huber)
    return loss, {"train/critic_loss": loss, "train/q_mean": q.mean(), "train/target_mean": target.mean()}


@partial(jax.jit, static_argnums=(0, 1))
def update(config, spec, learner, stats, batches):
    """u gradient updates on batches [u, b, ...]; the actor's loss is SAC's, of the mean of all quantiles."""
    opt, chosen = shared.optimiser(config), augmentations(config, spec)

    def one(learner, batch):
        nets, temperature = learner.nets, jnp.exp(learner.nets.log_temperature)
        key, noise_key, augment_key = jax.random.split(learner.key, 3)
        batch, noise = augment(chosen, batch, augment_key), jax.random.normal(noise_key, (2, *batch.action.shape))
        target = truncated_target(config, spec, nets, stats, batch, noise[0])
        grad, told = jax.grad(critic_loss, has_aux=True)(nets.critics, stats, batch, target)
        critics, critic_opt = descend(opt, grad, learner.critic_opt, nets.critics)
        mean = lambda *shown: critics(*shown).mean((0, 2))[None, :, None]  # noqa: E731
        grad, more = jax.grad(sac.actor_loss, has_aux=True)(nets.actor, mean, stats, temperature, batch, noise[1])
        actor, actor_opt = descend(opt, grad, learner.actor_opt, nets.actor)
        nets = Networks(actor, critics, polyak(nets.target_critics, critics, config.tau), nets.log_temperature)
        return Learner(nets, actor_opt, critic_opt, learner.temperature_opt, key), told | more

    learner, metrics = jax.lax.scan(one, learner, batches)
    return learner, jax.tree.map(jnp.mean, metrics)


class TQC(SAC):
    """SAC's agent with other critics, another update, and means of quantiles where a probe asks for values."""

    def __init__(self, config: TQCConfig, spec, seed):
        super().__init__(config, spec, seed)
        keys = jax.random.split(jax.random.fold_in(self.learner.key, 0))
        critics = shared.make_critics(config, spec, spec.action_dim, config.quantiles, *keys)
        self.first = self.learner.nets._replace(critics=critics, target_critics=critics)
        self.learner = self.learner._replace(nets=self.first, critic_opt=shared.optimiser(config).init(critics))

    def tried(self, batches):  # noqa: D102
        return update(self.config, self.spec, self.learner, self.scaler.stats, batches)

    def look(self, batch):  # noqa: D102
        given = self.config, self.spec, self.learner.nets, self.scaler.stats, batch, jnp.zeros_like(batch.action)
        q = self.learner.nets.critics(batch.obs, batch.truth, self.scaler.stats, batch.action).mean(-1)
        return super().look(batch)._replace(q=q, target=truncated_target(*given).mean(-1))


ALGORITHMS.register("tqc", Entry(TQCConfig, TQC, shared.METRICS, squash="tanh"))
