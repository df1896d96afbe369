"""Advantages, losses and updates by Stable-Baselines3's PPO on stated data: the oracle ours is held against.

Needs the peers extra, as `sb3_oracle` does.
"""

from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import RolloutBufferSamples

from tests.agents.sb3_oracle import ACTIONS, BATCH, FEATURES, HIDDEN, Arrays, _Shapes

LEARNING_RATE, ENTROPY_WEIGHT, CLIP = 1e-3, 0.01, 0.2
LOSSES = {
    "policy": "train/policy_gradient_loss",
    "value": "train/value_loss",
    "entropy": "train/entropy_loss",
    "clip_fraction": "train/clip_fraction",
}


def ppo_case(seed: int, updates: int) -> Arrays:
    """Weights and a rollout going into updates on all of it, the last one's losses and weights coming out.

    Float64. The policy that acted is made up, so that its ratios lie on both sides of the clipping from the beginning.
    """
    torch.manual_seed(seed)
    rng, model = np.random.default_rng(seed), _model()
    policy: Any = model.policy
    policy.double()
    policy.extract_features = lambda obs, *_: obs
    with torch.no_grad():
        policy.log_std += 0.3 * torch.randn_like(policy.log_std)
    batch = {
        "features": rng.standard_normal((BATCH, FEATURES)),
        "action": rng.standard_normal((BATCH, ACTIONS)),
        "advantage": 0.3 + 2 * rng.standard_normal(BATCH),
        "value_target": rng.standard_normal(BATCH),
    }
    here = {name: torch.as_tensor(array) for name, array in batch.items()}
    with torch.no_grad():
        log_density = policy.evaluate_actions(here["features"], here["action"])[1].numpy()
    batch["log_density"] = log_density + 0.3 * rng.standard_normal(BATCH)
    case = {f"batch/{name}": array for name, array in batch.items()}
    case |= {f"before/{name}": array for name, array in _weights(model).items()}
    case |= {f"loss/{name}": np.array(value) for name, value in _train(model, batch, updates).items()}
    case |= {f"after/{name}": array for name, array in _weights(model).items()}
    return {name: np.asarray(array, order="C") for name, array in case.items()}


def gae_case(seed: int, gamma: float = 0.9, lam: float = 0.8, steps: int = 40, n: int = 4) -> Arrays:
    """Rewards, values and ends of episodes, and what SB3 makes of them.

    As its `collect_rollouts` does, gamma V of the true last state is added to the reward where a time limit cut the
    episode, which its buffer then takes for an end.
    """
    rng = np.random.default_rng(seed)
    made = {name: rng.standard_normal((steps, n)).astype(np.float32) for name in ("rewards", "values", "finals")}
    ended = rng.random((steps, n)) < 0.15
    terminated, last = ended & (rng.random((steps, n)) < 0.5), rng.standard_normal(n).astype(np.float32)
    buffer = RolloutBuffer(steps, _Shapes.observation_space, _Shapes.action_space, "cpu", lam, gamma, n)
    buffer.rewards = made["rewards"] + gamma * made["finals"] * (ended & ~terminated)
    buffer.values = made["values"]
    buffer.episode_starts = np.vstack([np.ones((1, n)), ended[:-1]]).astype(np.float32)
    buffer.compute_returns_and_advantage(torch.as_tensor(last), ended[-1])
    following = np.where(ended, made["finals"], np.vstack([made["values"][1:], last[None]]))
    return {
        "rewards": made["rewards"],
        "values": made["values"],
        "next_values": following,
        "terminated": terminated,
        "ended": ended,
        "gamma": np.array(gamma),
        "lam": np.array(lam),
        "advantages": buffer.advantages,
    }


def _model() -> PPO:
    """With what ours has: ReLU, no shared layers, no clipping of gradients, Adam's usual epsilon."""
    return PPO(
        "MlpPolicy",
        _Shapes(),
        learning_rate=LEARNING_RATE,
        n_steps=BATCH,
        batch_size=BATCH,
        n_epochs=1,
        clip_range=CLIP,
        ent_coef=ENTROPY_WEIGHT,
        vf_coef=1.0,
        max_grad_norm=1e9,
        device="cpu",
        policy_kwargs={
            "net_arch": {"pi": list(HIDDEN), "vf": list(HIDDEN)},
            "activation_fn": torch.nn.ReLU,
            "optimizer_kwargs": {"eps": 1e-8},
        },
    )


def _train(model: PPO, batch: Arrays, updates: int) -> dict[str, float]:
    """`model.train` on the whole rollout, one update at a time; returns what the last one logged."""
    tensor = {name: torch.as_tensor(array) for name, array in batch.items()}
    samples: Any = RolloutBufferSamples(
        observations=tensor["features"],
        actions=tensor["action"],
        old_values=tensor["value_target"],
        old_log_prob=tensor["log_density"],
        advantages=tensor["advantage"],
        returns=tensor["value_target"],
    )
    model.rollout_buffer.values = model.rollout_buffer.returns = batch["value_target"]
    model.rollout_buffer.get = lambda *_: iter([samples])  # type: ignore[method-assign]
    for _ in range(updates):
        model.set_logger(Logger(None, []))
        model.train()
    return {name: float(model.logger.name_to_value[key]) for name, key in LOSSES.items()}


def _weights(model: PPO) -> Arrays:
    """Each linear layer of actor and critic as weight [in, out] and bias, and the logarithm of the spread."""
    policy: Any = model.policy
    networks = {
        "actor": [*policy.mlp_extractor.policy_net, policy.action_net],
        "critic": [*policy.mlp_extractor.value_net, policy.value_net],
    }
    named: Arrays = {"log_std": policy.log_std.detach().numpy().copy()}
    for name, layers in networks.items():
        for i, linear in enumerate(layer for layer in layers if isinstance(layer, torch.nn.Linear)):
            named[f"{name}/weight{i}"] = linear.weight.detach().numpy().T.copy()
            named[f"{name}/bias{i}"] = linear.bias.detach().numpy().copy()
    return named
