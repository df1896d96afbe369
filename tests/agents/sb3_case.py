"""Our updates on the weights, batch and noise of a Stable-Baselines3 case, compared array by array."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from tests.agents.data import SPEC
from wellposed.agents import ppo, sac, td3
from wellposed.agents.ppo import Minibatch, PPOConfig
from wellposed.agents.sac import SACConfig
from wellposed.agents.td3 import TD3Config
from wellposed.data.rollout import gae
from wellposed.nn.inputs import Encoder, InputStats, Scales
from wellposed.nn.networks import MLP, Actor, Critics
from wellposed.types import Batch

Case = dict[str, np.ndarray]
TEMPERATURE = 0.05
STATS = InputStats({}, {})
SHARED: dict[str, Any] = {"gamma": 0.95, "tau": 0.05, "learning_rate": 1e-3, "bound_targets": False}


class Given(Encoder):
    """Features as they come: SB3's networks begin where its feature extractor ends."""

    def __call__(self, obs: dict[str, jax.Array], scales: Scales) -> jax.Array:
        return obs["features"]


def relative_error(ours: object, theirs: np.ndarray) -> float:
    """Size of the difference over the size of the reference (Euclidean norm)."""
    return float(np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs))


def compare_sac(case: Case, **changes: Any) -> dict[str, float]:
    """Relative error of each loss, and of each weight after one update of SAC, in double precision.

    `changes`: settings other than the reference's, to see that the comparison notices.
    """
    learn = "loss/temperature" in case
    config = SACConfig(**(SHARED | {"temperature": TEMPERATURE, "learn_temperature": learn} | changes))
    with jax.enable_x64(True):
        batch, noise = _batch(case), jnp.stack([case["noise/next"], case["noise/here"]])
        learner = _sac_learner(case, config)
        after, _ = jax.jit(sac.update_step, static_argnums=(0, 1))(config, SPEC, learner, STATS, batch, noise)
        errors = _loss_errors(_sac_losses(config, learner, after.nets, batch, noise), case)
        if learn:
            errors["log_temperature"] = relative_error(after.nets.log_temperature, case["after/log_temperature"])
        return errors | _weight_errors(after.nets, case)


def compare_td3(case: Case, **changes: Any) -> dict[str, float]:
    """As `compare_sac`, after as many updates of TD3 as the case has noise for; the losses are those of the last."""
    config = TD3Config(**(SHARED | changes))
    step = jax.jit(td3.update_step, static_argnums=(0, 1))
    with jax.enable_x64(True):
        batch, learner = _batch(case), _td3_learner(case, config)
        losses = {}
        for noise in jnp.asarray(case["noise/target"]):
            before = learner.nets
            learner, _ = step(config, SPEC, learner, STATS, batch, noise)
            target = td3.smoothed_target(config, SPEC, before, STATS, batch, noise)
            losses["critic"] = td3.critic_loss(before.critics, STATS, batch, target)[0]
            losses["actor"] = td3.actor_loss(before.actor, learner.nets.critics, STATS, batch)[0]
        return _loss_errors(losses, case) | _weight_errors(learner.nets, case)


def compare_ppo(case: Case, updates: int, **changes: Any) -> dict[str, float]:
    """As `compare_sac`, after that many updates of PPO on the whole rollout; the losses are those of the last."""
    settings: dict[str, Any] = {"learning_rate": 1e-3, "clip": 0.2, "entropy_weight": 0.01}
    config = PPOConfig(**(settings | changes))
    step = jax.jit(ppo.update_step, static_argnums=0)
    with jax.enable_x64(True):
        given = {name: jnp.asarray(case[f"batch/{name}"]) for name in ("features", *Minibatch._fields[2:])}
        batch = Minibatch({"features": given.pop("features")}, {}, **given)
        actor = ppo.Actor(Given(), _mlp(case, "actor"), jnp.asarray(case["before/log_std"]))
        critic, opt = Critics(Given(), (_mlp(case, "critic"),), "obs"), optax.adam(config.learning_rate)
        state: Any = opt.init
        learner = ppo.Learner(ppo.Networks(actor, critic), state(actor), state(critic), jax.random.key(0))
        before = learner.nets
        for _ in range(updates):
            before = learner.nets
            learner, _ = step(config, learner, STATS, batch)
        entropy = ppo.entropy(before.actor.log_std)
        loss, told = ppo.actor_loss(before.actor, config, STATS, batch)
        losses = {"policy": loss + config.entropy_weight * entropy, "entropy": -entropy}
        losses |= {
            "value": ppo.value_loss(before.critic, STATS, batch)[0],
            "clip_fraction": told["train/clip_fraction"],
        }
        after = {"actor": learner.nets.actor.head, "critic": learner.nets.critic.heads[0]}
        errors = _loss_errors(losses, case) | _network_errors(after, case)
        return errors | {"log_std": relative_error(learner.nets.actor.log_std, case["after/log_std"])}


def gae_error(case: Case, **changes: Any) -> float:
    """Relative error of our advantages; `changes`: other data than the reference had."""
    data: dict[str, Any] = {name: array for name, array in case.items() if name != "advantages"}
    return relative_error(gae(**(data | changes)), case["advantages"])


def _sac_losses(
    config: SACConfig, learner: sac.Learner, after: sac.Networks, batch: Batch, noise: jax.Array
) -> dict[str, jax.Array]:
    """The three losses; the actor's is taken after the critics' step, as Stable-Baselines3 does."""
    nets, alpha = learner.nets, jnp.exp(learner.nets.log_temperature)
    log_prob = sac.policy(nets.actor(batch.obs, {}), noise[1])[1]
    target = sac.soft_target(config, SPEC, nets, STATS, batch, noise[0])
    return {
        "critic": sac.critic_loss(nets.critics, STATS, batch, target)[0],
        "actor": sac.actor_loss(nets.actor, after.critics, STATS, alpha, batch, noise[1])[0],
        "temperature": sac.temperature_loss(nets.log_temperature, log_prob, -float(batch.action.shape[1])),
    }


def _batch(case: Case) -> Batch:
    given = {name: jnp.asarray(case[f"batch/{name}"]) for name in ("action", "reward", "terminated")}
    here, there = ({"features": jnp.asarray(case[f"batch/{name}"])} for name in ("features", "next_features"))
    return Batch(obs=here, next_obs=there, truth={}, next_truth={}, **given)


def _mlp(case: Case, name: str) -> MLP:
    """The network of that name as it went into the update."""
    layers = sum(key.startswith(f"before/{name}/weight") for key in case)
    sizes = [case[f"before/{name}/weight{i}"].shape[0] for i in range(layers)]
    network = MLP([*sizes, case[f"before/{name}/bias{layers - 1}"].shape[0]], jax.random.key(0))
    network.weights[:] = [jnp.asarray(case[f"before/{name}/weight{i}"]) for i in range(layers)]
    network.biases[:] = [jnp.asarray(case[f"before/{name}/bias{i}"]) for i in range(layers)]
    return network


def _twins(case: Case) -> tuple[Critics, Critics]:
    """Critics and target critics."""
    twins = [tuple(_mlp(case, f"{name}{i}") for i in range(2)) for name in ("critic", "target")]
    return Critics(Given(), twins[0], "obs"), Critics(Given(), twins[1], "obs")


def _sac_learner(case: Case, config: SACConfig) -> sac.Learner:
    log_temperature = jnp.asarray(case.get("before/log_temperature", np.log(TEMPERATURE)))
    opt: Any = optax.adam(config.learning_rate)
    nets = sac.Networks(Actor(Given(), _mlp(case, "actor")), *_twins(case), log_temperature)
    states = opt.init(nets.actor), opt.init(nets.critics), opt.init(log_temperature)
    return sac.Learner(nets, *states, jax.random.key(0))


def _td3_learner(case: Case, config: TD3Config) -> td3.Learner:
    critics, targets = _twins(case)
    opt: Any = optax.adam(config.learning_rate)
    nets = td3.Networks(
        Actor(Given(), _mlp(case, "actor")), critics, Actor(Given(), _mlp(case, "target_actor")), targets
    )
    return td3.Learner(nets, opt.init(nets.actor), opt.init(critics), jnp.zeros((), jnp.int32), jax.random.key(0))


def _loss_errors(losses: dict[str, jax.Array], case: Case) -> dict[str, float]:
    """Of the losses that the reference holds: no temperature's where it is fixed, no actor's where it waits."""
    return {f"{k} loss": relative_error(v, case[f"loss/{k}"]) for k, v in losses.items() if f"loss/{k}" in case}


def _weight_errors(nets: sac.Networks | td3.Networks, case: Case) -> dict[str, float]:
    named = {"actor": nets.actor.head}
    for name, critics in (("critic", nets.critics), ("target", nets.target_critics)):
        named |= {f"{name}{i}": head for i, head in enumerate(critics.heads)}
    if isinstance(nets, td3.Networks):
        named["target_actor"] = nets.target_actor.head
    return _network_errors(named, case)


def _network_errors(named: dict[str, MLP], case: Case) -> dict[str, float]:
    errors = {}
    for name, network in named.items():
        for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            errors[f"{name}/weight{i}"] = relative_error(weight, case[f"after/{name}/weight{i}"])
            errors[f"{name}/bias{i}"] = relative_error(bias, case[f"after/{name}/bias{i}"])
    return errors
