"""Our updates on the weights, batch and noise of a Stable-Baselines3 case, compared array by array."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from wellposed.agents import ppo, sac, td3
from wellposed.agents.off_policy import Transition
from wellposed.agents.ppo import Minibatch, PPOConfig
from wellposed.agents.sac import SACConfig
from wellposed.agents.td3 import TD3Config
from wellposed.nn.networks import MLP
from wellposed.data.rollout import gae

Case = dict[str, np.ndarray]
TEMPERATURE = 0.05
SHARED: dict[str, Any] = {"gamma": 0.95, "tau": 0.05, "learning_rate": 1e-3, "bound_targets": False}


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
        after, _ = jax.jit(sac.update_step, static_argnums=0)(config, learner, batch, noise)
        errors = _loss_errors(_sac_losses(config, learner, after.nets, batch, noise), case)
        if learn:
            errors["log_temperature"] = relative_error(after.nets.log_temperature, case["after/log_temperature"])
        return errors | _weight_errors(after.nets, case)


def compare_td3(case: Case, **changes: Any) -> dict[str, float]:
    """As `compare_sac`, after as many updates of TD3 as the case has noise for; the losses are those of the last."""
    config = TD3Config(**(SHARED | changes))
    step = jax.jit(td3.update_step, static_argnums=0)
    with jax.enable_x64(True):
        batch, learner = _batch(case), _td3_learner(case, config)
        losses = {}
        for noise in jnp.asarray(case["noise/target"]):
            before = learner.nets
            learner, _ = step(config, learner, batch, noise[None])
            target = td3.smoothed_target(config, before, batch, noise)
            losses["critic"] = td3.critic_loss(before.critics, batch, target)[0]
            losses["actor"] = td3.actor_loss(before.actor, learner.nets.critics, batch)[0]
        return _loss_errors(losses, case) | _weight_errors(learner.nets, case)


def compare_ppo(case: Case, updates: int, **changes: Any) -> dict[str, float]:
    """As `compare_sac`, after that many updates of PPO on the whole rollout; the losses are those of the last."""
    settings: dict[str, Any] = {"learning_rate": 1e-3, "clip": 0.2, "entropy_weight": 0.01}
    config = PPOConfig(**(settings | changes))
    step = jax.jit(ppo.update_step, static_argnums=0)
    with jax.enable_x64(True):
        batch = Minibatch(*(jnp.asarray(case[f"batch/{field}"]) for field in Minibatch._fields))
        actor = ppo.Actor(_mlp(case, "actor"), jnp.asarray(case["before/log_std"]))
        critic, opt = _mlp(case, "critic"), optax.adam(config.learning_rate)
        state: Any = opt.init
        learner = ppo.Learner(ppo.Networks(actor, critic), state(actor), state(critic), jax.random.key(0))
        before = learner.nets
        for _ in range(updates):
            before = learner.nets
            learner, _ = step(config, learner, batch)
        entropy = ppo.entropy(before.actor)
        loss, told = ppo.actor_loss(config, before.actor, batch)
        losses = {"policy": loss + config.entropy_weight * entropy, "entropy": -entropy}
        losses |= {"value": ppo.value_loss(before.critic, batch)[0], "clip_fraction": told["train/clip_fraction"]}
        after = {"actor": learner.nets.actor.mean, "critic": learner.nets.critic}
        errors = _loss_errors(losses, case) | _network_errors(after, case)
        return errors | {"log_std": relative_error(learner.nets.actor.log_std, case["after/log_std"])}


def gae_error(case: Case, **changes: Any) -> float:
    """Relative error of our advantages; `changes`: other data than the reference had."""
    data: dict[str, Any] = {name: array for name, array in case.items() if name != "advantages"}
    return relative_error(gae(**(data | changes)), case["advantages"])


def _sac_losses(
    config: SACConfig, learner: sac.Learner, after: sac.Networks, batch: Transition, noise: jax.Array
) -> dict[str, jax.Array]:
    """The three losses; the actor's is taken after the critics' step, as Stable-Baselines3 does."""
    nets, alpha = learner.nets, jnp.exp(learner.nets.log_temperature)
    log_prob = sac.policy(nets.actor, batch.features, noise[1])[1]
    return {
        "critic": sac.critic_loss(nets.critics, batch, sac.soft_target(config, nets, batch, noise[0]))[0],
        "actor": sac.actor_loss(nets.actor, after.critics, alpha, batch, noise[1])[0],
        "temperature": sac.temperature_loss(nets.log_temperature, log_prob, -float(batch.action.shape[1])),
    }


def _batch(case: Case) -> Transition:
    return Transition(*(jnp.asarray(case[f"batch/{field}"]) for field in Transition._fields))


def _mlp(case: Case, name: str) -> MLP:
    """The network of that name as it went into the update."""
    layers = sum(key.startswith(f"before/{name}/weight") for key in case)
    sizes = [case[f"before/{name}/weight{i}"].shape[0] for i in range(layers)]
    network = MLP([*sizes, case[f"before/{name}/bias{layers - 1}"].shape[0]], jax.random.key(0))
    network.weights[:] = [jnp.asarray(case[f"before/{name}/weight{i}"]) for i in range(layers)]
    network.biases[:] = [jnp.asarray(case[f"before/{name}/bias{i}"]) for i in range(layers)]
    return network


def _twins(case: Case) -> tuple[tuple[MLP, MLP], tuple[MLP, MLP]]:
    """Critics and target critics."""
    return (_mlp(case, "critic0"), _mlp(case, "critic1")), (_mlp(case, "target0"), _mlp(case, "target1"))


def _sac_learner(case: Case, config: SACConfig) -> sac.Learner:
    log_temperature = jnp.asarray(case.get("before/log_temperature", np.log(TEMPERATURE)))
    opt: Any = optax.adam(config.learning_rate)
    nets = sac.Networks(_mlp(case, "actor"), *_twins(case), log_temperature)
    states = opt.init(nets.actor), opt.init(nets.critics), opt.init(log_temperature)
    return sac.Learner(nets, *states, jax.random.key(0))


def _td3_learner(case: Case, config: TD3Config) -> td3.Learner:
    critics, targets = _twins(case)
    opt: Any = optax.adam(config.learning_rate)
    nets = td3.Networks(_mlp(case, "actor"), critics, _mlp(case, "target_actor"), targets)
    return td3.Learner(nets, opt.init(nets.actor), opt.init(critics), jnp.zeros((), jnp.int32), jax.random.key(0))


def _loss_errors(losses: dict[str, jax.Array], case: Case) -> dict[str, float]:
    """Of the losses that the reference holds: no temperature's where it is fixed, no actor's where it waits."""
    return {f"{k} loss": relative_error(v, case[f"loss/{k}"]) for k, v in losses.items() if f"loss/{k}" in case}


def _weight_errors(nets: sac.Networks | td3.Networks, case: Case) -> dict[str, float]:
    named = {"actor": nets.actor, "critic0": nets.critics[0], "critic1": nets.critics[1]}
    named |= {"target0": nets.target_critics[0], "target1": nets.target_critics[1]}
    if isinstance(nets, td3.Networks):
        named["target_actor"] = nets.target_actor
    return _network_errors(named, case)


def _network_errors(named: dict[str, MLP], case: Case) -> dict[str, float]:
    errors = {}
    for name, network in named.items():
        for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            errors[f"{name}/weight{i}"] = relative_error(weight, case[f"after/{name}/weight{i}"])
            errors[f"{name}/bias{i}"] = relative_error(bias, case[f"after/{name}/bias{i}"])
    return errors
