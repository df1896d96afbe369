"""Sampling 256 hindsight transitions of FetchPush-v4: our buffer and Stable-Baselines3's, on the same episodes.

python -m benchmarks.sampling
"""

from typing import Any

import gymnasium as gym
import gymnasium_robotics
import numpy as np
from stable_baselines3 import HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv

from benchmarks.machine import interleaved_rates, print_header, print_ratios
from wellposed.data import ReplayBuffer, ReplayConfig
from wellposed.envs.make import EnvConfig, make_env

STEPS, BATCH, CAPACITY = 20_000, 256, 100_000


def main() -> None:
    print_header(f"Sampling {BATCH} transitions with hindsight (future, k = 4)", "numpy", "stable-baselines3")
    gym.register_envs(gymnasium_robotics)
    theirs_env = DummyVecEnv([lambda: gym.make("FetchPush-v4")])
    theirs = HerReplayBuffer(CAPACITY, theirs_env.observation_space, theirs_env.action_space, theirs_env)  # type: ignore[arg-type]
    env = make_env(EnvConfig("FetchPush-v4"), 1, "training")
    ours = ReplayBuffer(ReplayConfig(CAPACITY), env.spec, 1, env.compute_reward, env.compute_terminated)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    for _ in range(STEPS):
        action = rng.uniform(-1, 1, (1, 4)).astype(np.float32)
        step = env.step(action)
        ours.add(step)
        infos: list[dict[str, Any]] = [{"TimeLimit.truncated": bool(step.truncated[0])}]
        theirs.add(step.obs, step.next_obs, action, step.reward, step.truncated, infos)

    def sample_ours() -> int:
        for _ in range(400):
            ours.sample(1, BATCH, rng)
        return 400

    def sample_scan() -> int:
        for _ in range(50):
            ours.sample(8, BATCH, rng)
        return 400

    def sample_theirs() -> int:
        for _ in range(400):
            theirs.sample(BATCH)
        return 400

    names = ("ours", "ours, 8 minibatches a call", "Stable-Baselines3")
    rates = interleaved_rates(dict(zip(names, (sample_ours, sample_scan, sample_theirs), strict=True)), rounds=7)
    for name, values in rates.items():
        print(f"{name}: {1e6 / np.median(values):.1f} us for {BATCH} transitions")
    print_ratios(rates, "ours", "minibatches", {"Stable-Baselines3": 4.0})


if __name__ == "__main__":
    main()
