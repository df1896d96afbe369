"""What wrappers cost: environment steps per second with each, over those of the environment alone, in one process.

python -m benchmarks.wrappers --task Push
"""

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.machine import interleaved_rates, print_header
from benchmarks.stepping import stepping
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.filter import Filter
from wellposed.envs.wrappers.sensors import Sensors

ENVS, STEPS = 16, 12  # turns are short, because the speed of a shared machine changes within a second
ASKED = 0.97  # of the steps per second without a wrapper
KINDS: dict[str, dict[str, Any]] = {
    "alone": {},
    "noise": {"sensors": Sensors(0.01)},
    "bias and drift": {"sensors": Sensors(bias=0.01, drift=0.001)},
    "all faults of sensors": {"sensors": Sensors(0.01, 0.01, 0.001, 0.001, 0.01, 0.01, 2, 2)},
    "filter": {"filter": Filter(0.7)},
    "friction": {"dynamics": Dynamics("0.5..1.5")},
    "friction and mass": {"dynamics": Dynamics("0.5..1.5", "0.5..2")},
    "friction and mass, the same physics": {"dynamics": Dynamics("1..1", "1..1")},
}
OWN_MODELS = "friction, each env on its own model"  # as it would be without `ThreadModels`


def work(task: str, threads: int, kind: dict[str, Any], *, own_models: bool = False) -> Callable[[], int]:
    """Steps of one kind of environment."""
    env: Any = make_env(EnvConfig(f"Fetch{task}-v4", **kind), ENVS, "training", threads=threads)
    if own_models:
        env.env._models = None
    env.reset(seed=0)
    return stepping(env, np.random.default_rng(0).uniform(-1, 1, (STEPS, ENVS, 4)).astype(np.float32))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="Push", help="Reach, Push, Slide or PickAndPlace")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=150, help="rounds that count")
    args = parser.parse_args()
    print_header(f"Wrappers around Fetch{args.task}-v4, {ENVS} envs, {args.threads} threads", "mujoco")
    kinds = {name: work(args.task, args.threads, kind) for name, kind in KINDS.items()}
    kinds[OWN_MODELS] = work(args.task, args.threads, KINDS["friction"], own_models=True)
    rates = interleaved_rates(kinds, args.rounds)
    print(f"alone: {np.median(rates['alone']):,.0f} steps/s")
    for name, values in rates.items():
        if name != "alone":
            ratio = values / rates["alone"]
            low, high = np.quantile(ratio, (0.25, 0.75))
            print(
                f"{name}: {np.median(ratio):.3f}  (half of the rounds {low:.3f} to {high:.3f}; asked at least {ASKED})"
            )


if __name__ == "__main__":
    main()
