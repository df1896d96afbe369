"""What the action interface costs: its own time in a step, as a share of the time that a step takes.

    python -m benchmarks.control

Both are CPU seconds of one thread, the least of some repetitions, so that other processes disturb them little.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.control import Control

ENVS, STEPS, REPEATS = 16, 50, 5
CONTROLS = {
    "filter": Control(0.5),
    "filter and delay": Control(0.5, 2),
    "everything": Control(0.5, 2, 0.8, 3, 0.5, "relative", 0.05, damping=0.2),
}


def least(step: Callable[[np.ndarray], Any], actions: np.ndarray) -> float:
    """CPU seconds of one step."""
    found = []
    for _ in range(REPEATS):
        begin = time.process_time()
        for action in actions:
            step(action)
        found.append((time.process_time() - begin) / len(actions))
    return min(found)


def main() -> None:
    """Print a line for each environment and control."""
    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, ENVS, 4)).astype(np.float32)
    for env_id in ("FetchReach-v4", "FetchPush-v4"):
        plain = make_env(EnvConfig(env_id), ENVS, "training")
        plain.reset(0)
        of_a_step = least(plain.step, actions)
        print(f"{env_id}: a step of {ENVS} envs takes {1e3 * of_a_step:.2f} ms")
        for name, control in CONTROLS.items():
            env: Any = make_env(EnvConfig(env_id, control=control), ENVS, "training")
            env.reset(0)
            done = env.env.step(actions[0])
            env.env.step = lambda _action, done=done: done  # the interface alone
            own = least(env.step, actions)
            print(f"  {name}: {1e6 * own:.0f} microseconds, {own / of_a_step:.2%} of it")


if __name__ == "__main__":
    main()
