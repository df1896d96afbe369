"""Environment steps per second on FetchPush-v4: ours, Stable-Baselines3's SubprocVecEnv, EnvPool.

python -m benchmarks.stepping --task Push --rounds 7
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.machine import interleaved_rates, print_header, print_ratios

ENVS, STEPS = 16, 150


def stepping(env: Any, actions: np.ndarray) -> Callable[[], int]:
    """Play actions [steps, envs, 4]; returns the environment steps taken."""

    def work() -> int:
        for action in actions:
            env.step(action)
        return actions.shape[0] * actions.shape[1]

    return work


def ours(task: str, threads: int) -> Callable[[], int]:
    from wellposed.envs import make_vec

    env = make_vec(f"Fetch{task}-v4", ENVS, threads=threads)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, ENVS, 4)).astype(np.float32)

    return stepping(env, actions)


def subproc(task: str, processes: int) -> Callable[[], int]:
    import gymnasium as gym
    import gymnasium_robotics
    from stable_baselines3.common.vec_env import SubprocVecEnv

    def make() -> Any:
        gym.register_envs(gymnasium_robotics)
        return gym.make(f"Fetch{task}-v4")

    env = SubprocVecEnv([make] * processes)
    env.reset()
    steps = STEPS * ENVS // processes // 2
    actions = np.random.default_rng(0).uniform(-1, 1, (steps, processes, 4)).astype(np.float32)

    return stepping(env, actions)


def envpool(task: str, threads: int) -> Callable[[], int]:
    import envpool as pool

    env = pool.make_gymnasium(f"Fetch{task}-v4", num_envs=ENVS, num_threads=threads, seed=0)
    env.reset()
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, ENVS, 4))

    return stepping(env, actions)


def physics_alone(task: str, threads: int) -> float:
    """Steps per second if `mj_step` were all there is to a step, and threads cost nothing."""
    from wellposed.envs.suites.fetch import simulation

    bindings: Any = simulation.mujoco
    spent, original, work = [0.0, 0], bindings.mj_step, ours(task, 1)

    def timed(*args: Any) -> None:
        began = time.perf_counter()
        original(*args)
        spent[0] += time.perf_counter() - began
        spent[1] += 1

    bindings.mj_step = timed
    try:
        work()
    finally:
        bindings.mj_step = original
    return threads * spent[1] / spent[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="Push", help="Reach, Push, Slide or PickAndPlace")
    parser.add_argument(
        "--threads", type=int, default=2, help="threads of ours and EnvPool, processes of SubprocVecEnv"
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    args = parser.parse_args()
    print_header(
        f"Stepping Fetch{args.task}-v4, {ENVS} envs", "mujoco", "gymnasium-robotics", "stable-baselines3", "envpool"
    )
    sb3, pool = f"SB3 SubprocVecEnv({args.threads})", f"EnvPool, {args.threads} threads"
    mine = f"wellposed, {args.threads} threads"
    candidates = {
        mine: ours(args.task, args.threads),
        sb3: subproc(args.task, args.threads),
        pool: envpool(args.task, args.threads),
    }
    rates = interleaved_rates(candidates, args.rounds)
    print_ratios(rates, mine, "steps", {sb3: 2.4, pool: 1.35})
    ceiling = physics_alone(args.task, args.threads)
    print(f"mj_step alone, {args.threads} perfect threads: {ceiling:,.0f} steps/s; ours reaches ", end="")
    print(f"{np.median(rates[mine]) / ceiling:.0%} of it, and it is {ceiling / np.median(rates[sb3]):.2f} times SB3")


if __name__ == "__main__":
    main()
