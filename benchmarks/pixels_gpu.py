"""Sparse Push from pixels on a GPU: ways (c) and (d) of chapter 9 side by side, within ten minutes.

    python -m benchmarks.pixels_gpu                # without a GPU that JAX sees it takes hours
    python -m benchmarks.pixels_gpu --minutes 2 --ways estimate

Each way trains in a process of its own until it is solved, its budget is spent or the time is up, and is then judged on
held-out episodes. A run whose time is up is saved and can be resumed.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # this process and all runs share one GPU

import jax

from benchmarks.machine import print_header
from wellposed.runs.store import RunReader, list_runs

ENV = "FetchPush-v4"
SHARED = [
    "--env.pixels.size", "48", "--eval-every", "10000", "--eval-episodes", "50", "--total-steps", "1000000",
    "--until-success", "0.95", "--stop-rule", "twice", "--quiet",
]  # fmt: skip
FRAMES = [
    "--agent.inputs.encoder", "frames", "--agent.inputs.memory", "2", "--agent.hidden", "256", "256", "256",
]  # fmt: skip
WAYS = {
    "estimate": ["--algo", "estimate"],
    "asymmetric": ["--algo", "sac", *FRAMES, "--agent.critic-sees", "truth"],
    "pixels": ["--algo", "sac", *FRAMES, "--agent.shared-encoder", "--agent.shift", "2"],
}  # (c) through an estimate, (c) end to end, (d) nothing but pixels and own numbers
JUDGING = 60  # s that are left for held-out episodes
HELD_OUT = 200


def wellposed(*words: str) -> subprocess.Popen[bytes]:
    """A command in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "wellposed", *words])


def train(ways: list[str], seeds: list[int], runs_dir: Path, seconds: float) -> None:
    """All runs at once, for at most so long."""
    end, threads = time.monotonic() + seconds, max(1, len(os.sched_getaffinity(0)) // (len(ways) * len(seeds)))
    running = [
        wellposed(
            "train", ENV, *WAYS[way], *SHARED, "--seed", str(seed),
            "--threads", str(threads), "--runs-dir", str(runs_dir / way),
        )
        for way in ways
        for seed in seeds
    ]  # fmt: skip
    for process in running:
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
    for process in running:
        process.wait()


def report(way: str, run: RunReader) -> None:
    """The curve of a run and what it can do at its end."""
    rows = run.evaluations
    print(f"\n## {way}, seed {run.config['seed']}: {run.status}")
    print("| environment steps | updates | seconds | success of 50 |")
    print("|---|---|---|---|")
    for row in rows:
        print(f"| {row.step:,} | {row.updates:,} | {row.seconds:.0f} | {row.success_rate:.0%} |")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", default=[*WAYS], choices=[*WAYS])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--minutes", type=float, default=10, help="from the start to the end, judging included")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/pixels_gpu"))
    args = parser.parse_args()
    if 60 * args.minutes <= JUDGING:
        parser.error(f"--minutes must be more than {JUDGING // 60}: the last one is for held-out episodes")
    print_header("Sparse Push from pixels of 48 x 48", "jax", "mujoco")
    print(f"on {jax.devices()[0].device_kind}; all runs at once", flush=True)
    train(args.ways, args.seeds, args.runs_dir, 60 * args.minutes - JUDGING)
    found = [(way, run) for way in args.ways for run in list_runs(args.runs_dir / way)]
    for way, run in found:
        report(way, run)
    for judging in [wellposed("eval", str(run.path), "--episodes", str(HELD_OUT)) for _, run in found]:
        judging.wait()


if __name__ == "__main__":
    main()
