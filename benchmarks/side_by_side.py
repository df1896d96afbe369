"""Several seeds of one configuration: side by side in one process, against one after another in one process.

python -m benchmarks.side_by_side
"""

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.machine import print_header
from wellposed.recipes import default_config
from wellposed.side_by_side import train_side_by_side

ENV, STEPS, SEEDS, ROUNDS = "FetchPush-v4", 12_000, 4, 3


def seconds(side_by_side: bool) -> float:
    """Wall-clock seconds of all seeds; evaluation is kept to one episode at start and end."""
    base = replace(default_config(ENV), total_steps=STEPS, eval_every=STEPS, eval_episodes=1)
    runs = [replace(base, seed=seed) for seed in range(SEEDS)]
    groups = [runs] if side_by_side else [[run] for run in runs]
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        for group in groups:
            for _ in train_side_by_side(group, Path(folder), threads=2, quiet=True):
                pass
    return time.perf_counter() - began


def main() -> None:
    print_header(f"{SEEDS} seeds of {ENV}, {STEPS:,} steps each", "jax", "mujoco")
    seconds(True)  # compiles
    rows = np.array([[seconds(False), seconds(True)] for _ in range(ROUNDS)])
    print(f"one after another: {np.median(rows[:, 0]):.1f} s; side by side: {np.median(rows[:, 1]):.1f} s")
    ratio = rows[:, 0] / rows[:, 1]
    print(
        f"one after another / side by side: {np.median(ratio):.2f}  ({ratio.min():.2f} to {ratio.max():.2f}; asked 1)"
    )


if __name__ == "__main__":
    main()
