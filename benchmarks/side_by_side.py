"""Seeds side by side: n on n cores against one on one, and processes against threads of one process.

python -m benchmarks.side_by_side

Rounds are interleaved; wall-clock seconds of whole commands, imports and compilation included. The programs are
compiled once before and then read from the disk.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks.machine import check_out, print_header
from wellposed.launch.local import cores_in_order

BEFORE = "165d6aa"  # the last commit that trained several seeds as threads of one process
ENV, STEPS, ASKED = "FetchPush-v4", 12_000, 1.15


def seconds(seeds: int, cores: Iterable[int], steps: int, tree: Path = Path()) -> float:
    """Wall-clock seconds of `wellposed train` with so many seeds on these cores; evaluation is kept to one episode."""
    cores = list(cores)
    words = [ENV, "--total-steps", str(steps), "--eval-every", str(steps), "--eval-episodes", "1", "--quiet"]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "wellposed", "train", *words, "--seeds", f"0-{seeds - 1}"]
        command += ["--threads", str(len(cores)), "--runs-dir", folder]
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # which the command takes over
        try:
            began = time.perf_counter()
            there = os.environ | {"PYTHONPATH": str(tree.resolve())}
            subprocess.run(command, check=True, cwd=tree, env=there, stdout=subprocess.DEVNULL)
        finally:
            os.sched_setaffinity(0, allowed)
        return time.perf_counter() - began


def show(name: str, ratio: np.ndarray, asked: float) -> None:
    """A ratio: its median and range over rounds."""
    low, middle, high = (float(np.percentile(ratio, share)) for share in (0, 50, 100))
    print(f"{name}: {middle:.2f}  ({low:.2f} to {high:.2f}; asked at most {asked:g})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print_header(f"Seeds of {ENV} side by side, {args.steps:,} steps each", "jax", "mujoco")
    cores = cores_in_order()
    counts = [n for n in (2, 4, 8, 16) if n <= len(cores)]
    seconds(1, cores[:1], args.steps)  # compiles
    rows = np.array([[seconds(n, cores[:n], args.steps) for n in (1, *counts)] for _ in range(args.rounds)])
    print(f"1 seed on 1 core: {np.median(rows[:, 0]):.1f} s")
    for i, n in enumerate(counts, 1):
        show(f"{n} seeds on {n} cores, {np.median(rows[:, i]):.1f} s / 1 on 1", rows[:, i] / rows[:, 0], ASKED)
    with tempfile.TemporaryDirectory() as name:
        check_out(BEFORE, Path(name))
        trees = (Path(), Path(name))
        pairs = np.array([[seconds(5, cores[:2], args.steps, tree) for tree in trees] for _ in range(args.rounds)])
    processes, threads = np.median(pairs, axis=0)
    show(f"5 seeds on 2 cores, processes {processes:.1f} s / threads {threads:.1f} s", pairs[:, 0] / pairs[:, 1], 1.0)


if __name__ == "__main__":
    main()
