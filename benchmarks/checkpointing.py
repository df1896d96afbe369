"""What it costs that a run can be killed at any moment: time spent on checkpoints, and on taking up a long run.

    python -m benchmarks.checkpointing

The share is of the training time of a Push run with the default recipe at its default interval, snapshot, digests,
writing and flushing to the disk all counted. The long run has 200,000 steps in its replay; it is killed, and the
seconds to take it up run from the start of a fresh process to the first step after.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from benchmarks.machine import print_header

BEGAN = time.perf_counter()  # in the fresh process: before the heavy imports, which count
LONG = 200_000


def share(steps: int) -> dict[str, float]:
    """Train Push for some steps; seconds of training, and how many of them went into checkpoints."""
    from wellposed.loop.off_policy import OffPolicy
    from wellposed.recipes import default_config
    from wellposed.training import train

    spent: list[float] = []
    save = OffPolicy.save

    def timed(self: OffPolicy, record: object) -> None:
        began = time.perf_counter()
        save(self, record)  # type: ignore[arg-type]
        spent.append(time.perf_counter() - began)

    OffPolicy.save = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory(dir=".") as folder:  # on the disk that runs are on, not in a memory file system
        path, summary = train(replace(default_config("FetchPush-v4"), total_steps=steps), folder, quiet=True)
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return {"training": summary.seconds, "saving": sum(spent), "checkpoints": len(spent), "megabytes": size / 2**20}


def long_config():
    """Push with a replay that fills fast: few updates, all else as by default."""
    from wellposed.recipes import default_config

    config = default_config("FetchPush-v4")
    return replace(config, total_steps=4 * LONG, updates_per_step=0.02, eval_every=20_000, eval_episodes=25)


def train_long(folder: Path) -> None:
    """Train the long run until somebody kills this process."""
    from wellposed.training import train

    train(long_config(), folder, quiet=True)


def take_up(folder: Path) -> dict[str, float]:
    """Seconds from the start of this process until the run in `folder` has taken its next step."""
    from wellposed.loop.off_policy import OffPolicy
    from wellposed.side_by_side import resume

    [path] = folder.iterdir()
    advance, told = OffPolicy.advance, dict[str, float]()

    def told_first(self: OffPolicy, *args: object) -> None:
        begun = self.step
        advance(self, *args)  # type: ignore[arg-type]
        if not told:
            told.update(steps=begun, seconds=time.perf_counter() - BEGAN)
            os.kill(os.getpid(), signal.SIGINT)

    OffPolicy.advance = told_first  # type: ignore[method-assign]
    list(resume([path], quiet=True))
    return told


def main() -> None:
    """Print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--part", choices=["train", "take up"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.part == "train":
        train_long(args.folder)
        return
    if args.part == "take up":
        print(json.dumps(take_up(args.folder)))
        return
    print_header("Checkpoints: what they cost, and what taking up a long run costs", "jax", "mujoco", "safetensors")
    cost = share(args.steps)
    print(
        f"Push, {args.steps:,} steps: {cost['training']:.1f} s of training, {cost['checkpoints']:.0f} checkpoints in "
        f"{cost['saving']:.2f} s: {cost['saving'] / cost['training']:.2%} (asked at most 0.5 %); "
        f"{cost['megabytes']:.1f} MB on disk at the end"
    )
    with tempfile.TemporaryDirectory(dir=".") as folder:
        part = [sys.executable, "-m", "benchmarks.checkpointing", "--folder", folder, "--part"]
        with subprocess.Popen([*part, "train"]) as process:
            while not list(Path(folder).glob(f"*/checkpoints/*_step_{LONG:010d}.json")):
                time.sleep(0.05)
            process.kill()
        told = json.loads(subprocess.run([*part, "take up"], capture_output=True, text=True, check=True).stdout)
    print(f"a run killed at step {told['steps']:,.0f}: {told['seconds']:.1f} s to take it up (asked at most 5 s)")


if __name__ == "__main__":
    main()
