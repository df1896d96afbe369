"""Environment steps per second of whole training loops at matched settings: ours, Stable-Baselines3, SBX.

Same task, envs, networks, batch and updates per step; SAC with hindsight everywhere. Every measurement is a process
of its own, the candidates take turns, and ratios are taken within a round. Start, compilation, random steps and
evaluation do not count: the clock runs from WARM to WARM + MEASURED environment steps.

    python -m benchmarks.throughput --rounds 3
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CANDIDATES = ("ours", "sb3", "sbx")


@dataclass(frozen=True)
class Setting:
    """What all candidates are given, and the ratios asked of ours."""

    env: str
    hidden: list[int]
    num_envs: int
    updates_per_step: float
    warm: int
    measured: int
    asked: dict[str, float]

    @property
    def updates_at_once(self) -> int:
        """Updates that fall due in one step of all envs; everybody takes them together."""
        return max(1, round(self.updates_per_step * self.num_envs))


WIDE = [256, 256, 256]
SETTINGS = {
    "[256]*3, 8 envs, 1 update per 8 steps": Setting(
        "FetchPush-v4", WIDE, 8, 1 / 8, 2_000, 8_000, {"sbx": 2.5, "sb3": 3.5}
    ),
    "[256]*3, 8 envs, 1 update per step": Setting(
        "FetchPush-v4", WIDE, 8, 1.0, 1_200, 2_400, {"sbx": 1.15, "sb3": 3.0}
    ),
    "[64, 64], 8 envs, 1 update per step": Setting(
        "FetchPush-v4", [64, 64], 8, 1.0, 2_000, 6_000, {"sbx": 2.5, "sb3": 5.0}
    ),
    "Reach, [64, 64], 1 env, 1 update per step": Setting("FetchReach-v4", [64, 64], 1, 1.0, 2_000, 6_000, {}),
}


def ours(setting: Setting) -> float:
    """Steps per second between two evaluations of one run; evaluating does not count."""
    from wellposed.agents.sac import SACConfig
    from wellposed.config import RunConfig
    from wellposed.envs.make import EnvConfig
    from wellposed.runs.store import RunReader
    from wellposed.training import train

    config = RunConfig(
        EnvConfig(setting.env), total_steps=setting.warm + setting.measured, num_envs=setting.num_envs,
        updates_per_step=setting.updates_per_step, updates_per_call=setting.updates_at_once,
        random_steps=400, eval_every=setting.warm, eval_episodes=1,
        agent=SACConfig(hidden=tuple(setting.hidden)),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path, _ = train(config, Path(folder), quiet=True)
        rows = RunReader(path).metrics
    first, last = rows[0], rows[-1]
    return (last.step - first.step) / (last.seconds - first.seconds)


def peer(name: str, setting: Setting) -> float:
    """Steps per second between two moments of one run."""
    import gymnasium as gym
    import gymnasium_robotics
    from stable_baselines3 import HerReplayBuffer
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env

    gym.register_envs(gymnasium_robotics)
    if name == "sb3":
        from stable_baselines3 import SAC
    else:
        from sbx import SAC

    class Clock(BaseCallback):
        began, first, ended, last = 0.0, 0, 0.0, 0

        def _on_step(self) -> bool:
            if not self.first and self.num_timesteps >= setting.warm:
                self.began, self.first = time.perf_counter(), self.num_timesteps
            self.ended, self.last = time.perf_counter(), self.num_timesteps
            return True

    model = SAC(
        "MultiInputPolicy", make_vec_env(setting.env, setting.num_envs, seed=0),
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        policy_kwargs={"net_arch": setting.hidden}, batch_size=256, learning_rate=1e-3, ent_coef=0.05, gamma=0.95,
        tau=0.05, learning_starts=400, gradient_steps=setting.updates_at_once, seed=0,
    )  # fmt: skip
    clock = Clock()
    model.learn(setting.warm + setting.measured, callback=clock)
    return (clock.last - clock.first) / (clock.ended - clock.began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("CANDIDATE", "SETTING"), help="measure once in this process")
    args = parser.parse_args()
    if args.one:
        name, setting = args.one[0], SETTINGS[args.one[1]]
        print(json.dumps(ours(setting) if name == "ours" else peer(name, setting)))
        return
    from benchmarks.machine import print_header, print_ratios

    print_header("Whole training loops, environment steps per second", "jax", "stable-baselines3", "sbx-rl", "torch")
    for title, setting in SETTINGS.items():
        rates: dict[str, list[float]] = {name: [] for name in CANDIDATES}
        for _ in range(args.rounds):
            for name in CANDIDATES:
                command = [sys.executable, "-m", "benchmarks.throughput", "--one", name, title]
                rates[name].append(float(subprocess.check_output(command, text=True).splitlines()[-1]))
        print(f"\n{title}")
        print_ratios({name: np.array(values) for name, values in rates.items()}, "ours", "steps", setting.asked)


if __name__ == "__main__":
    main()
