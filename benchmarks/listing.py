"""`wellposed runs` on 5,000 finished runs, on one core: seconds in all, start of Python included, and where they go.

The runs are copies of one real small record, each with a seed, a name and rows of its own; what no listing reads
(checkpoints, replay, events) is there as links to one copy of each file.

    python -m benchmarks.listing
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from wellposed.runs import store
from wellposed.runs.files import format_json
from wellposed.serialise import content_hash

EVALUATIONS, ASKED = 25, 1.0  # evaluations of each run; seconds
OWN = {"config.json", "evaluations.jsonl", "summary.json", "lock"}  # a run's own copy; the rest is linked


def small_record(folder: Path) -> Path:
    """One real run, trained here: tiny networks, and 25 evaluations."""
    from wellposed.agents import SACConfig
    from wellposed.config import RunConfig
    from wellposed.envs.make import EnvConfig
    from wellposed.training import train

    agent = SACConfig(hidden=(8, 8), batch_size=16)
    config = RunConfig(
        EnvConfig("FetchReach-v4"), total_steps=16 * (EVALUATIONS - 1), random_steps=320, eval_every=16,
        eval_episodes=2, agent=agent,
    )  # fmt: skip
    return train(config, folder, quiet=True)[0]


def make_runs(record: Path, folder: Path, count: int) -> None:
    """`count` runs in `folder`, which are the record but for their seed."""
    data = json.loads((record / "config.json").read_text())
    for seed in range(count):
        data["config"]["seed"] = seed
        data["hash"] = content_hash(data["config"])
        path = folder / store.run_name(data["config"])
        shutil.copytree(record, path, copy_function=_copy)
        (path / "config.json").write_text(json.dumps(data, indent=2) + "\n")


def _copy(source: str, target: str) -> None:
    if Path(source).name in OWN:
        shutil.copyfile(source, target)
    else:
        os.link(source, target)


def whole(folder: Path, *options: str) -> tuple[float, float]:
    """Seconds and processor seconds of `wellposed runs` as a command, its output thrown away."""
    command = [sys.executable, "-m", "wellposed", "runs", "--runs-dir", str(folder), *options]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def stages(folder: Path, empty: Path) -> dict[str, float]:
    """Processor seconds of each part of the listing; the start is a listing of nothing."""
    found = {"start of Python and imports": min(whole(empty)[1] for _ in range(3))}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        found[name] = time.process_time() - began
        return result

    readers = timed("finding the runs", lambda: store.list_runs(folder))
    timed("configurations, checked", lambda: [reader.config for reader in readers])
    timed("status", lambda: [reader.status for reader in readers])
    rows = timed("last evaluations, checked", lambda: [reader.last_evaluation for reader in readers])
    timed("their JSON", lambda: format_json([msgspec.to_builtins(row) for row in rows]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    from benchmarks.machine import print_header

    print_header(f"`wellposed runs` on {args.runs:,} finished runs of {EVALUATIONS} evaluations", "msgspec")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        record, folder, empty = small_record(root / "record"), root / "runs", root / "empty"
        empty.mkdir()
        make_runs(record, folder, args.runs)
        for form, options in (("text", []), ("JSON", ["--json"])):
            rounds = [whole(folder, *options) for _ in range(args.rounds + 1)][1:]  # the first warms the file cache
            wall, busy = (min(column) for column in zip(*rounds, strict=True))
            slowest = max(seconds for seconds, _ in rounds)
            print(f"as {form}: {wall:.2f} s ({wall:.2f} to {slowest:.2f}; asked {ASKED:g}), {busy:.2f} s of one core")
        found = stages(folder, empty)
    total = sum(found.values())
    for stage, seconds in found.items():
        print(f"{stage:<28} {seconds:5.2f} s  {seconds / total:4.0%}")


if __name__ == "__main__":
    main()
