"""Updates by Stable-Baselines3 on stated weights, batch and noise: the oracle our updates are held against.

Needs the peers extra. `scripts/make_sb3_reference.py` stores its answers for those who do not have it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import ReplayBufferSamples

FEATURES, ACTIONS, HIDDEN, BATCH = 7, 3, (16, 16), 64
GAMMA, TAU, LEARNING_RATE, TEMPERATURE = 0.95, 0.05, 1e-3, 0.05
LOSSES = {"critic": "train/critic_loss", "actor": "train/actor_loss", "temperature": "train/ent_coef_loss"}
Arrays = dict[str, np.ndarray]


class _Shapes(gym.Env):
    """Nothing but spaces; it is never stepped."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (FEATURES,), np.float32)
    action_space = gym.spaces.Box(-1.0, 1.0, (ACTIONS,), np.float32)


def _settings() -> dict[str, Any]:
    """What both algorithms are made with; made anew each time, because SB3 writes into `policy_kwargs`."""
    return {
        "gamma": GAMMA,
        "tau": TAU,
        "learning_rate": LEARNING_RATE,
        "policy_kwargs": {"net_arch": list(HIDDEN)},
        "device": "cpu",
    }


def sac_case(seed: int, learn_temperature: bool, guard: float = 0.0) -> Arrays:
    """Weights, batch and noise going into one update, losses and weights coming out, as named float64 arrays.

    `guard`: what SB3 adds inside the logarithm of the squashing's Jacobian; 1e-6 as it ships.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    temperature = f"auto_{TEMPERATURE}" if learn_temperature else TEMPERATURE
    model = SAC("MlpPolicy", _Shapes(), ent_coef=temperature, **_settings())
    _take_features_in_double(model, model.actor, model.critic, model.critic_target)
    # SB3 adds 1e-6 inside log(1 - tanh(u)^2) against log(0); ours is exact in another form. Without that guard both
    # compute the same function; with it the actor's loss differs in the fourth digit.
    model.actor.action_dist.epsilon = guard
    if model.log_ent_coef is not None:
        model.log_ent_coef = _to_double(model.log_ent_coef)
        model.ent_coef_optimizer = torch.optim.Adam([model.log_ent_coef], lr=LEARNING_RATE)
    else:
        model.ent_coef_tensor = torch.tensor(TEMPERATURE, dtype=torch.float64)
    batch, noise = _batch(rng), {name: rng.standard_normal((BATCH, ACTIONS)) for name in ("here", "next")}
    with _policy_noise([noise["here"], noise["next"]]):  # the order in which SB3's train() samples its policy
        return _case(model, batch, noise, updates=1)


def td3_case(seed: int, updates: int) -> Arrays:
    """As `sac_case`, for as many updates on one batch, each with a noise of its own; the losses are the last ones.

    The targets start away from what they follow, so that it shows which of them an update reads.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    model = TD3("MlpPolicy", _Shapes(), **_settings())
    _take_features_in_double(model, model.actor, model.actor_target, model.critic, model.critic_target)
    with torch.no_grad():
        for weights in [*model.actor_target.parameters(), *model.critic_target.parameters()]:
            weights += 0.1 * torch.randn_like(weights)
    batch, noise = _batch(rng), rng.standard_normal((updates, BATCH, ACTIONS))
    with _target_noise(noise):
        return _case(model, batch, {"target": noise}, updates)


def _take_features_in_double(model: SAC | TD3, *networks: Any) -> None:
    """Double precision, so that what differs is the algorithm and not the rounding; SB3 casts its inputs to float."""
    model.policy.double()
    for network in networks:
        network.extract_features = lambda obs, _: obs


def _to_double(parameter: torch.Tensor) -> torch.Tensor:
    """The same parameter as a new leaf in double precision."""
    return parameter.detach().double().requires_grad_(True)


def _batch(rng: np.random.Generator) -> Arrays:
    return {
        "features": rng.standard_normal((BATCH, FEATURES)),
        "action": np.tanh(rng.standard_normal((BATCH, ACTIONS))),
        "reward": -(rng.random(BATCH) < 0.7).astype(float),
        "next_features": rng.standard_normal((BATCH, FEATURES)),
        "terminated": (rng.random(BATCH) < 0.2).astype(float),
    }


def _case(model: SAC | TD3, batch: Arrays, noise: Arrays, updates: int) -> Arrays:
    """All that went in and came out of `model.train`."""
    case = {f"batch/{k}": v for k, v in batch.items()} | {f"noise/{k}": v for k, v in noise.items()}
    case |= {f"before/{k}": v for k, v in _weights(model).items()}
    case |= {f"loss/{k}": np.array(v) for k, v in _train(model, batch, updates).items()}
    case |= {f"after/{k}": v for k, v in _weights(model).items()}
    return {name: np.asarray(array, order="C") for name, array in case.items()}  # safetensors stores memory as it lies


def _weights(model: SAC | TD3) -> Arrays:
    """Actors, critics and their targets; each linear layer as weight [in, out] and bias."""
    networks = {}
    for prefix, critic in (("critic", model.critic), ("target", model.critic_target)):
        networks |= {f"{prefix}{i}": network for i, network in enumerate(critic.q_networks)}
    if isinstance(model, TD3):
        networks |= {"actor": model.actor.mu, "target_actor": model.actor_target.mu}
    else:
        networks["actor"] = model.actor.latent_pi
    named: Arrays = {}
    for name, network in networks.items():
        for i, linear in enumerate(m for m in network if isinstance(m, torch.nn.Linear)):
            named[f"{name}/weight{i}"] = linear.weight.detach().numpy().T.copy()
            named[f"{name}/bias{i}"] = linear.bias.detach().numpy().copy()
    if isinstance(model, SAC):  # our actor has one last layer for mean and log standard deviation
        heads, last = (model.actor.mu, model.actor.log_std), len(HIDDEN)
        named[f"actor/weight{last}"] = np.concatenate([h.weight.detach().numpy().T for h in heads], axis=1)
        named[f"actor/bias{last}"] = np.concatenate([h.bias.detach().numpy() for h in heads])
        if model.log_ent_coef is not None:
            named["log_temperature"] = model.log_ent_coef.detach().numpy().reshape(()).copy()
    return named


def _train(model: SAC | TD3, batch: Arrays, updates: int) -> dict[str, float]:
    """`model.train` on the given batch, one update at a time; returns the losses that the last one logged."""
    tensor = {k: torch.as_tensor(v) for k, v in batch.items()}
    samples: Any = ReplayBufferSamples(
        observations=tensor["features"],
        actions=tensor["action"],
        next_observations=tensor["next_features"],
        dones=tensor["terminated"][:, None],
        rewards=tensor["reward"][:, None],
    )
    model.replay_buffer.sample = lambda *_, **__: samples  # type: ignore[union-attr, method-assign]
    for _ in range(updates):
        model.set_logger(Logger(None, []))
        model.train(gradient_steps=1, batch_size=BATCH)
    logged = model.logger.name_to_value
    return {name: float(logged[key]) for name, key in LOSSES.items() if key in logged}


@contextmanager
def _policy_noise(noise: list[np.ndarray]) -> Iterator[None]:
    """Inside, Gaussian policies draw the given standard normal numbers."""
    draws = iter(noise)
    original = torch.distributions.normal._standard_normal
    torch.distributions.normal._standard_normal = lambda *_, **__: torch.as_tensor(next(draws))
    try:
        yield
    finally:
        torch.distributions.normal._standard_normal = original


@contextmanager
def _target_noise(noise: np.ndarray) -> Iterator[None]:
    """Inside, tensors that are filled with Gaussian noise get the given standard normal numbers, scaled."""
    draws = iter(noise)
    torch.Tensor.normal_ = lambda self, mean, std: self.copy_(mean + std * torch.as_tensor(next(draws)))
    try:
        yield
    finally:
        del torch.Tensor.normal_  # what it hid is the base class's
