"""One SAC update by Stable-Baselines3 on stated weights, batch and noise: the oracle our update is held against.

Needs the peers extra. `scripts/make_sb3_reference.py` stores its answers for those who do not have it.
"""

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import SAC
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples

FEATURES, ACTIONS, HIDDEN, BATCH = 7, 3, (16, 16), 64
GAMMA, TAU, LEARNING_RATE, TEMPERATURE = 0.95, 0.05, 1e-3, 0.05


class _Shapes(gym.Env):
    """Nothing but spaces; it is never stepped."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (FEATURES,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)


def make_case(seed: int, learn_temperature: bool, guard: float = 0.0) -> dict[str, np.ndarray]:
    """Weights, batch and noise going in, losses and weights coming out, as named float64 arrays.

    `guard`: what SB3 adds inside the logarithm of the squashing's Jacobian; 1e-6 as it ships.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = SAC(
        "MlpPolicy",
        _Shapes(),
        gamma=GAMMA,
        tau=TAU,
        learning_rate=LEARNING_RATE,
        ent_coef=f"auto_{TEMPERATURE}" if learn_temperature else TEMPERATURE,
        policy_kwargs={"net_arch": list(HIDDEN)},
        device="cpu",
    )
    # Double precision, so that what differs is the algorithm and not the rounding; SB3 casts its inputs to float.
    model.policy.double()
    for network in (model.actor, model.critic, model.critic_target):
        network.extract_features = lambda obs, _: obs  # type: ignore[method-assign]
    # SB3 adds 1e-6 inside log(1 - tanh(u)^2) against log(0); ours is exact in another form. Without that guard both
    # compute the same function; with it the actor's loss differs in the fourth digit.
    model.actor.action_dist.epsilon = guard
    if model.log_ent_coef is not None:
        model.log_ent_coef = _to_double(model.log_ent_coef)
        model.ent_coef_optimizer = torch.optim.Adam([model.log_ent_coef], lr=LEARNING_RATE)
    else:
        model.ent_coef_tensor = torch.tensor(TEMPERATURE, dtype=torch.float64)
    batch = {
        "features": rng.standard_normal((BATCH, FEATURES)),
        "action": np.tanh(rng.standard_normal((BATCH, ACTIONS))),
        "reward": -(rng.random(BATCH) < 0.7).astype(float),
        "next_features": rng.standard_normal((BATCH, FEATURES)),
        "terminated": (rng.random(BATCH) < 0.2).astype(float),
    }
    noise = {name: rng.standard_normal((BATCH, ACTIONS)) for name in ("here", "next")}
    case = {f"batch/{k}": v for k, v in batch.items()} | {f"noise/{k}": v for k, v in noise.items()}
    case |= {f"before/{k}": v for k, v in _weights(model).items()}
    losses = _train_once(model, batch, noise)
    case |= {f"loss/{k}": np.array(v) for k, v in losses.items()}
    case |= {f"after/{k}": v for k, v in _weights(model).items()}
    return {name: np.asarray(array, order="C") for name, array in case.items()}  # safetensors stores memory as it lies


def _to_double(parameter: torch.Tensor) -> torch.Tensor:
    """The same parameter as a new leaf in double precision."""
    return parameter.detach().double().requires_grad_(True)


def _weights(model: SAC) -> dict[str, np.ndarray]:
    """Actor, critics and targets; each linear layer as weight [in, out] and bias."""
    actor = model.actor
    layers = {"actor": [m for m in actor.latent_pi if isinstance(m, torch.nn.Linear)]}
    for prefix, critic in (("critic", model.critic), ("target", model.critic_target)):
        for i, network in enumerate(critic.q_networks):
            layers[f"{prefix}{i}"] = [m for m in network if isinstance(m, torch.nn.Linear)]
    named: dict[str, np.ndarray] = {}
    for name, linears in layers.items():
        for i, linear in enumerate(linears):
            named[f"{name}/weight{i}"] = linear.weight.detach().numpy().T.copy()
            named[f"{name}/bias{i}"] = linear.bias.detach().numpy().copy()
    # Our actor has one last layer for mean and log standard deviation.
    heads, last = (actor.mu, actor.log_std), len(layers["actor"])
    named[f"actor/weight{last}"] = np.concatenate([h.weight.detach().numpy().T for h in heads], axis=1)
    named[f"actor/bias{last}"] = np.concatenate([h.bias.detach().numpy() for h in heads])
    if model.log_ent_coef is not None:
        named["log_temperature"] = model.log_ent_coef.detach().numpy().reshape(()).copy()
    return named


def _train_once(model: SAC, batch: dict[str, np.ndarray], noise: dict[str, np.ndarray]) -> dict[str, float]:
    """`model.train` with the given batch and noise; returns the losses that it logged."""
    tensor = {k: torch.as_tensor(v) for k, v in batch.items()}
    samples: Any = ReplayBufferSamples(
        observations=tensor["features"],
        actions=tensor["action"],
        next_observations=tensor["next_features"],
        dones=tensor["terminated"][:, None],
        rewards=tensor["reward"][:, None],
    )
    model.replay_buffer.sample = lambda *_, **__: samples  # type: ignore[union-attr, method-assign]
    model.set_logger(Logger(None, []))
    draws = iter([noise["here"], noise["next"]])  # the order in which SB3's train() samples its policy
    original = torch.distributions.normal._standard_normal
    torch.distributions.normal._standard_normal = lambda *_, **__: torch.as_tensor(next(draws))
    try:
        model.train(gradient_steps=1, batch_size=BATCH)
    finally:
        torch.distributions.normal._standard_normal = original
    logged = model.logger.name_to_value
    names = {"critic": "train/critic_loss", "actor": "train/actor_loss", "temperature": "train/ent_coef_loss"}
    return {name: float(logged[key]) for name, key in names.items() if key in logged}
