"""Our update on the weights, batch and noise of a Stable-Baselines3 case, compared array by array."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax

from wellposed.agents.sac import (
    Learner,
    Networks,
    SACConfig,
    Transition,
    actor_loss,
    critic_loss,
    policy,
    soft_target,
    temperature_loss,
    update_step,
)
from wellposed.nn.networks import MLP

Case = dict[str, np.ndarray]
GAMMA, TAU, LEARNING_RATE, TEMPERATURE = 0.95, 0.05, 1e-3, 0.05


def relative_error(ours: object, theirs: np.ndarray) -> float:
    """Size of the difference over the size of the reference (Euclidean norm)."""
    return float(np.linalg.norm(np.asarray(ours) - theirs) / np.linalg.norm(theirs))


def compare(case: Case, config: SACConfig | None = None) -> dict[str, float]:
    """Relative error of each loss, and of each weight after one update, in double precision.

    `config`: another algorithm than the reference's, to see that the comparison notices.
    """
    learn = "loss/temperature" in case
    config = config or SACConfig(
        gamma=GAMMA, tau=TAU, learning_rate=LEARNING_RATE, temperature=TEMPERATURE, learn_temperature=learn,
        bound_targets=False,
    )  # fmt: skip
    with jax.enable_x64(True):
        batch = Transition(*(jnp.asarray(case[f"batch/{field}"]) for field in Transition._fields))
        noise = jnp.asarray(case["noise/next"]), jnp.asarray(case["noise/here"])
        learner = _learner(case, config)
        errors = {
            f"{k} loss": relative_error(v, case[f"loss/{k}"]) for k, v in _losses(config, learner, batch, noise).items()
        }
        after, _ = jax.jit(update_step, static_argnums=0)(config, learner, batch, noise)
        return errors | _weight_errors(after.nets, case, learn)


def _losses(config: SACConfig, learner: Learner, batch: Transition, noise: tuple) -> dict[str, jax.Array]:
    """The three losses; the actor's is taken after the critics' step, as Stable-Baselines3 does."""
    nets, alpha = learner.nets, jnp.exp(learner.nets.log_temperature)
    after, _ = update_step(config, learner, batch, noise)
    losses = {
        "critic": critic_loss(nets.critics, batch, soft_target(config, nets, batch, noise[0]))[0],
        "actor": actor_loss(nets.actor, after.nets.critics, alpha, batch, noise[1])[0],
    }
    if config.learn_temperature:
        log_prob = policy(nets.actor, batch.features, noise[1])[1]
        losses["temperature"] = temperature_loss(nets.log_temperature, log_prob, -float(batch.action.shape[1]))
    return losses


def _learner(case: Case, config: SACConfig) -> Learner:
    def mlp(name: str) -> MLP:
        layers = sum(key.startswith(f"before/{name}/weight") for key in case)
        sizes = [case[f"before/{name}/weight{i}"].shape[0] for i in range(layers)]
        template = MLP([*sizes, case[f"before/{name}/bias{layers - 1}"].shape[0]], jax.random.key(0))
        template.weights[:] = [jnp.asarray(case[f"before/{name}/weight{i}"]) for i in range(layers)]
        template.biases[:] = [jnp.asarray(case[f"before/{name}/bias{i}"]) for i in range(layers)]
        return template

    log_temperature = jnp.asarray(case.get("before/log_temperature", np.log(TEMPERATURE)))
    critics, targets = (mlp("critic0"), mlp("critic1")), (mlp("target0"), mlp("target1"))
    nets, opt = Networks(mlp("actor"), critics, targets, log_temperature), cast(Any, optax.adam(config.learning_rate))
    states = (opt.init(nets.actor), opt.init(nets.critics), opt.init(nets.log_temperature))
    return Learner(nets, *states, jax.random.key(0))


def _weight_errors(nets: Networks, case: Case, learn: bool) -> dict[str, float]:
    named = {"actor": nets.actor, "critic0": nets.critics[0], "critic1": nets.critics[1]}
    named |= {"target0": nets.target_critics[0], "target1": nets.target_critics[1]}
    errors = {}
    for name, network in named.items():
        for i, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
            errors[f"{name}/weight{i}"] = relative_error(weight, case[f"after/{name}/weight{i}"])
            errors[f"{name}/bias{i}"] = relative_error(bias, case[f"after/{name}/bias{i}"])
    if learn:
        errors["log_temperature"] = relative_error(nets.log_temperature, case["after/log_temperature"])
    return errors
