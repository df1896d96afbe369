"""What launching costs: `status` and `launch` of 5,000 finished rows, and a launched run beyond one trained alone.

    python -m benchmarks.launching

The rows are copies of one real small record, as in `benchmarks.listing`. Wall-clock seconds of whole commands on one
core, start of Python included.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from inspect import isfunction
from pathlib import Path
from unittest.mock import patch

import numpy as np

from benchmarks.listing import EVALUATIONS, make_runs, small_record
from benchmarks.machine import print_header
from wellposed.launch.rows import Folder, Row, keep_copy, make_folder
from wellposed.launch.states import states
from wellposed.runs import disk
from wellposed.runs.store import RunReader

RUN = 30.0  # seconds of the run that launching is compared with
ASKED = {"status": 1.0, "launch": 2.0}  # seconds
SHARE = 0.02
MANIFEST = """title = "?"
env = "FetchReach-v4"
seeds = "0-{last}"
until_success = 1.0
[base]
total_steps = {steps}
[variants.it]
"""


def seconds(*words: str) -> tuple[float, float]:
    """Wall-clock and processor seconds of a command of wellposed, its output thrown away."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-m", "wellposed", *words], check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def finished(root: Path, record: Path, count: int) -> tuple[Path, Path]:
    """A manifest, and the folder of its launch, all of whose rows have finished: they are copies of a record."""
    manifest = root / "manifest.toml"
    make_runs(record, root / "out" / "runs", count)
    manifest.write_text(MANIFEST.format(last=count - 1, steps=1))
    paths = sorted((root / "out" / "runs").iterdir())
    rows = [Row(path.name, "it", json.loads((path / "config.json").read_text())["config"]) for path in paths]
    keep_copy(make_folder(root / "out", rows, ["wellposed"]), manifest)
    return manifest, root / "out"


def show(name: str, rounds: list[tuple[float, float]], asked: float) -> None:
    """The least and the range of some rounds."""
    walls, busy = zip(*rounds, strict=True)
    told = f"{min(walls):.2f} s ({min(walls):.2f} to {max(walls):.2f}; asked at most {asked:g})"
    print(f"{name}: {told}, {min(busy):.2f} s of one core", flush=True)


def pieces(folder: Path, touched: Counter) -> None:
    """What a launch of many rows is made of, for docs/scale.md."""
    launched, count = Folder(folder), 200

    def each(name: str, work: Callable[[], object], calls: int) -> None:
        began = time.perf_counter()
        work()
        print(f"{name}: {1e6 * (time.perf_counter() - began) / calls:,.0f} us", flush=True)

    rows, runs = launched.rows, launched.runs
    each("state of a finished row", lambda: states(runs, rows), len(rows))
    each(f"one of {len(rows):,} rows, read", lambda: [launched.row(0) for _ in range(20)], 20)
    each(
        "a look at a run under way", lambda: [RunReader(runs / row.name).last_evaluation for row in rows[:count]], count
    )
    each("an entry of the listing of all runs", lambda: list(os.scandir(runs)), len(rows))
    calls = ", ".join(
        f"{number / EVALUATIONS:.1f} {name}" for name, number in touched.most_common() if number >= EVALUATIONS
    )
    print(f"calls of the file system for an evaluation with its checkpoint: {calls}")
    print(f"files of a run: {sum(path.is_file() for path in (runs / rows[0].name).rglob('*'))}")


@contextmanager
def counted() -> Iterator[Counter]:
    """Inside, the calls by which records touch the disk are counted."""
    found, names = Counter(), [name for name, value in vars(disk).items() if isfunction(value)]
    with ExitStack() as stack:
        for name in names:
            call = getattr(disk, name)
            count = lambda *args, _name=name, _call=call: (found.update([_name]), _call(*args))[1]  # noqa: E731
            stack.enter_context(patch.object(disk, name, count))
        yield found


def extra(root: Path, runs: int, steps: int) -> tuple[float, float]:
    """Wall-clock and processor seconds of a launched run beyond one that `wellposed train` trains, on one core."""
    manifest = root / "some.toml"
    manifest.write_text(MANIFEST.format(last=runs - 1, steps=steps))
    settings = ["--total-steps", str(steps), "--until-success", "1.0", "--threads", "1", "--quiet"]
    alone = [
        seconds("train", "FetchReach-v4", "--seed", str(seed), *settings, "--runs-dir", str(root / "alone"))
        for seed in range(runs)
    ]
    launched = seconds("launch", str(manifest), "--out", str(root / "launched"), "--threads", "1", "--quiet")
    wall, busy = (np.array(launched) - np.sum(alone, axis=0)) / runs
    return float(wall), float(busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=3, help="launched runs that are compared with `wellposed train`")
    parser.add_argument("--steps", type=int, default=4_000, help="of each of them")
    args = parser.parse_args()
    print_header(f"Launching {args.rows:,} finished rows, and {args.runs} new ones", "msgspec", "jax")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as name:
        with counted() as touched:
            record = small_record(Path(name) / "record")
        manifest, folder = finished(Path(name), record, args.rows)
        commands = {"status": ["status", str(folder)], "launch": ["launch", str(manifest), "--out", str(folder)]}
        seconds(*commands["status"])  # warms the file cache
        for word, asked in ASKED.items():
            rounds = [seconds(*commands[word]) for _ in range(args.rounds)]
            show(f"{word} of {args.rows:,} finished rows", rounds, asked)
        pieces(folder, touched)
        if args.runs:
            compiles = ["train", "FetchReach-v4", "--total-steps", "2000", "--quiet"]
            seconds(*compiles, "--runs-dir", f"{name}/compiled")
            show("a launched run beyond train alone", [extra(Path(name), args.runs, args.steps)], SHARE * RUN)


if __name__ == "__main__":
    main()
