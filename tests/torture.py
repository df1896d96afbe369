"""Kill training processes at random moments, take the runs up again, and compare with runs that were left alone.

    python -m tests.torture --kills 100 --seed 0

One run at a time in each process; `tests.torture_launch` kills launches of many.

Every kill is SIGKILL, sent while the process holds its runs; `wellposed resume` takes them up until they end. Exit code
1 if a single weight, stream, row or replay entry differs. Prints the seed; what a seed picks (which case, how long to
wait) is fixed by it, at which instruction the kill strikes is not.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from tests.records import unequal
from tests.test_resume import CASES
from wellposed import serialise
from wellposed.runs.store import RunReader, run_name

LONG = {name: [replace(case, total_steps=4 * case.total_steps)] for name, case in CASES.items()}


@dataclass
class Score:
    """What happened so far; shared by the workers."""

    kills: int = 0
    ended: int = 0
    differences: int = 0


def begin(case: str, folder: Path) -> None:
    """Train those of a case's runs that are not there yet, after taking up those that are, in this process."""
    from wellposed.side_by_side import resume, train_side_by_side

    there = [path for path in paths_of(case, folder) if (path / "config.json").exists()]
    fresh = [config for config in LONG[case] if folder / run_name(serialise.to_dict(config)) not in there]
    for _ in resume([path for path in there if RunReader(path).status != "finished"], quiet=True):
        pass
    for _ in train_side_by_side(fresh, folder, quiet=True):
        pass


def paths_of(case: str, folder: Path) -> list[Path]:
    """The run directories of a case."""
    return [folder / run_name(serialise.to_dict(config)) for config in LONG[case]]


def command(case: str, folder: Path) -> list[str]:
    """What carries a case on from where it is."""
    paths = paths_of(case, folder)
    if not all((path / "config.json").exists() for path in paths):
        return [sys.executable, "-m", "tests.torture", "--begin", case, "--folder", str(folder)]
    open_ones = [str(path) for path in paths if RunReader(path).status != "finished"]
    return [sys.executable, "-m", "wellposed", "resume", *open_ones, "--quiet"]


def is_done(case: str, folder: Path) -> bool:
    """Whether all of a case's runs came to their end."""
    return all((path / "summary.json").exists() for path in paths_of(case, folder))


def holds(paths: list[Path], pid: int) -> bool:
    """Whether a process has taken one of the runs."""
    locks = [path / "lock" for path in paths]
    return any(lock.exists() and lock.read_text().startswith(f"process {pid} ") for lock in locks)


def carry_on(case: str, folder: Path, patience: float | None, score: Score) -> None:
    """Carry a case on in a process of its own, which is killed after `patience` seconds of holding its runs."""
    with subprocess.Popen(command(case, folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while patience is not None and process.poll() is None and not holds(paths_of(case, folder), process.pid):
            time.sleep(0.01)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            score.kills += 1
        _, errors = process.communicate()
    if process.returncode not in (0, -signal.SIGKILL):
        raise RuntimeError(f"{case}: exit code {process.returncode}: {errors.decode()}")


def torment(case: str, folder: Path, whole: Path, rng: random.Random, score: Score, lives: int) -> None:
    """One case from its beginning to its end, at most `lives` processes of which are meant to be killed; compared."""
    while not is_done(case, folder):
        carry_on(case, folder, rng.uniform(0.0, 4.0) if lives > 0 else None, score)
        lives -= 1
    score.ended += 1
    for ours, theirs in zip(paths_of(case, folder), paths_of(case, whole), strict=True):
        found = unequal(ours, theirs)
        score.differences += len(found)
        times = len(RunReader(ours).provenance.resumed)
        print(f"{case}: taken up {times} times, {len(found)} differences {sorted(found)[:3] or ''}", flush=True)


def main() -> int:
    """Torment the cases in turn, two at a time, until enough kills have struck; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--begin", choices=LONG, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.begin:
        begin(args.begin, args.folder)
        return 0
    print(f"seed {args.seed}", flush=True)
    score, began = Score(), time.monotonic()
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        root = Path(name)
        os.environ["JAX_COMPILATION_CACHE_DIR"] = str(root / "compiled")  # starting is what takes the time here
        list(pool.map(lambda case: carry_on(case, root / "whole", None, score), LONG))
        for turn in count():
            torments = [
                pool.submit(
                    torment, case, root / f"{turn}", root / "whole", random.Random(f"{args.seed} {turn} {case}"), score,
                    -(-args.kills // len(LONG)),
                )
                for case in LONG
            ]  # fmt: skip
            for future in torments:
                future.result()
            if score.kills >= args.kills:
                break
    print(f"{score.kills} kills, {score.ended} runs compared, {score.differences} differences, ", end="")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if score.differences else 0


if __name__ == "__main__":
    sys.exit(main())
