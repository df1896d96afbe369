"""Today's code against that of another commit, in turns, on this machine: steps per second, and seconds to the bar.

    python -m benchmarks.against b16341c stepping
    python -m benchmarks.against b16341c FetchReach-v4 FetchPush-v4 FetchPickAndPlace-v4 --seeds 0-4

Every run is a process of its own. Each seed is trained by the one code and then by the other, and who comes first
changes from seed to seed, so that a machine whose speed drifts slows both alike.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import ROOT, check_out, interleaved_rates, print_header, print_ratios
from benchmarks.time_to_success import TASKS, describe
from wellposed.seeding import parse_seeds

# Runs in either tree, so it uses only what both have: waits for a line, steps, answers with the number of steps.
STEPPER = """
import sys, numpy as np
from wellposed.envs import make_vec
env = make_vec("FetchPush-v4", 16, threads=2)
env.reset(seed=0)
actions = np.random.default_rng(0).uniform(-1, 1, (150, 16, 4)).astype(np.float32)
for line in sys.stdin:
    for action in actions:
        env.step(action)
    print(len(actions) * 16, flush=True)
"""

# The benchmark's own run of either tree, to the first bar.
TRAINER = """
import json, sys
from dataclasses import replace
from benchmarks import time_to_success
env, seed = sys.argv[1], int(sys.argv[2])
task = time_to_success.TASKS[env]
time_to_success.TASKS[env] = replace(task, bars=task.bars[:1])
print(json.dumps(time_to_success.ours(env, seed)))
"""


def environ(tree: Path) -> dict[str, str]:
    """The environment variables of a process that runs the code of a tree."""
    return os.environ | {"PYTHONPATH": str(tree)}


def stepping(trees: dict[str, Path], rounds: int) -> None:
    """Steps per second on FetchPush-v4, 16 envs, 2 threads."""
    command = [sys.executable, "-c", STEPPER]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    steppers = {name: subprocess.Popen(command, cwd=tree, env=environ(tree), **pipes) for name, tree in trees.items()}

    def steps(name: str) -> int:
        child: Any = steppers[name]
        print(file=child.stdin, flush=True)
        return int(child.stdout.readline())

    rates = interleaved_rates({name: lambda name=name: steps(name) for name in trees}, rounds)
    print_ratios(rates, "now", "steps", {name: 1.0 for name in trees if name != "now"})
    for child in steppers.values():
        child.communicate()


def to_the_bar(trees: dict[str, Path], env: str, seeds: list[int]) -> None:
    """Seconds, environment steps and updates until a task is solved; medians and their ratio."""
    bars = TASKS[env].bars[:1]
    times: dict[str, list[list[float]]] = {name: [] for name in trees}
    print(f"\n{env}")
    for seed in seeds:
        for name in sorted(trees, reverse=bool(seed % 2)):
            command = [sys.executable, "-c", TRAINER, env, str(seed)]
            out = subprocess.check_output(command, text=True, cwd=trees[name], env=environ(trees[name]))
            row = json.loads(out.splitlines()[-1])
            times[name].append(row["times"][str(bars[0])] or [np.inf, np.inf, np.inf])
            print(f"seed {seed}  {name:<8} {describe(row, bars)}", flush=True)
    medians = {name: np.median(rows, axis=0) for name, rows in times.items()}
    then = next(name for name in trees if name != "now")
    for what, ratio in zip(("seconds", "steps", "updates"), medians["now"] / medians[then], strict=True):
        print(f"now / {then}, median {what} to {bars[0]:.0%}: {ratio:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("what", nargs="+", choices=["stepping", *TASKS])
    parser.add_argument("--seeds", default="0-4", help="as 0-4 or 0,2,5")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of stepping that count")
    args = parser.parse_args()
    print_header(f"Today's code against {args.commit}", "jax", "mujoco")
    with tempfile.TemporaryDirectory() as folder:
        check_out(args.commit, Path(folder))
        trees = {args.commit: Path(folder), "now": ROOT}
        for what in args.what:
            if what == "stepping":
                stepping(trees, args.rounds)
            else:
                to_the_bar(trees, what, parse_seeds(args.seeds))


if __name__ == "__main__":
    main()
