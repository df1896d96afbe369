"""Endurance: a long training watched from outside. Memory must stop growing; file handles and threads must not.

`wellposed train FetchPush-v4`, the default recipe, evaluations and checkpoints at their default interval, with a budget
that never ends and a small replay. A replay takes its memory as it fills, a default one for a quarter of an hour; a
small one is full within the warm-up, so that what grows afterwards is a leak. Every few seconds /proc is asked for the
resident memory, file handles and threads of that process. At the end it gets one Ctrl-C, on which it saves itself.

    python -m benchmarks.endurance --minutes 120

Exit code 1 if memory grew by 1 % or more after the warm-up, if handles or threads did not stay as many as they were, or
if training did not end as it should.
"""

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wellposed.runs.store import list_runs

ENV, CAPACITY, BUDGET = "FetchPush-v4", 20_000, 10**12  # transitions; environment steps
EVERY, WARM_UP, PATIENCE = 5.0, 120.0, 120.0  # seconds between samples, at least before what counts, for the last save
ASKED = 0.01
INTERRUPTED = 130


@dataclass(frozen=True)
class Sample:
    """A process at one moment."""

    seconds: float  # since it began
    memory: int  # resident, bytes
    handles: int
    threads: int


@dataclass(frozen=True)
class Finding:
    """What the samples after the warm-up say."""

    first: float  # median of resident memory in the first tenth, bytes
    last: float  # in the last tenth
    handles: list[int]  # the fewest in each tenth
    threads: list[int]

    @property
    def growth(self) -> float:
        """Growth of memory from the first tenth to the last, as a share."""
        return self.last / self.first - 1

    @property
    def holds(self) -> bool:
        """Whether the figure is met."""
        return self.growth < ASKED and len(set(self.handles)) == len(set(self.threads)) == 1


def sample(pid: int, began: float) -> Sample | None:
    """A process as /proc shows it; None if it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        told = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        handles = len(list((folder / "fd").iterdir()))
        memory = int(told["VmRSS"].split()[0]) * 1024
        return Sample(time.monotonic() - began, memory, handles, int(told["Threads"]))
    except (OSError, KeyError):  # a process that has ended, but was not waited for, has no VmRSS
        return None


def judge(samples: list[Sample], warm_up: float) -> Finding:
    """Compare the tenths of the time after the warm-up.

    Of handles and threads the fewest in each tenth counts: a file that is open while a checkpoint is written comes and
    goes, one that is never closed raises even the fewest.

    Raises:
        ValueError: if there are fewer than two samples for each tenth.
    """
    counted = [s for s in samples if s.seconds >= warm_up]
    if len(counted) < 20:
        raise ValueError(f"{len(counted)} samples after {warm_up:.0f} s of warm-up are too few to compare tenths.")
    tenths = [[counted[i] for i in part] for part in np.array_split(np.arange(len(counted)), 10)]
    first, last = (float(np.median([s.memory for s in tenths[i]])) for i in (0, -1))
    fewest = {name: [min(getattr(s, name) for s in tenth) for tenth in tenths] for name in ("handles", "threads")}
    return Finding(first, last, **fewest)


def watch(process: subprocess.Popen, seconds: float) -> Iterator[Sample]:
    """Samples of a process for a while, or until it ends."""
    began, number = time.monotonic(), 0
    while (now := time.monotonic() - began) < seconds and process.poll() is None:
        if (found := sample(process.pid, began)) is not None:
            yield found
        number = int(now // EVERY) + 1
        time.sleep(max(0.0, min(seconds, number * EVERY) - (time.monotonic() - began)))


def observe(process: subprocess.Popen, seconds: float) -> list[Sample]:
    """Watch a process, print a line a minute, then end it with one Ctrl-C."""
    samples: list[Sample] = []
    try:
        for found in watch(process, seconds):
            if not samples or found.seconds // 60 > samples[-1].seconds // 60:
                state = f"{found.handles} handles  {found.threads} threads"
                print(f"{found.seconds / 60:6.1f} min  {found.memory / 2**20:8.1f} MiB  {state}", flush=True)
            samples.append(found)
    except KeyboardInterrupt:
        print("stopped early", flush=True)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(PATIENCE)
    finally:
        process.kill()
    return samples


def report(found: Finding, samples: list[Sample], warm_up: float) -> None:
    """Print what was found."""
    print(f"after {warm_up / 60:.1f} minutes of warm-up, {len([s for s in samples if s.seconds >= warm_up])} samples:")
    print(
        f"memory {found.growth:+.2%} (asked: less than {ASKED:.0%}), from {found.first / 2**20:.1f} to "
        f"{found.last / 2**20:.1f} MiB, medians of the first and the last tenth"
    )
    for name in ("handles", "threads"):
        fewest, all_ = getattr(found, name), [getattr(s, name) for s in samples if s.seconds >= warm_up]
        said = "constant" if len(set(fewest)) == 1 else "NOT constant"
        print(f"{name} {said}: in each tenth at least {min(fewest)} to {max(fewest)}, all {min(all_)} to {max(all_)}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--threads", type=int, default=2, help="native threads of the training")
    args = parser.parse_args()
    seconds = 60 * args.minutes
    warm_up = max(WARM_UP, 0.1 * seconds)
    with tempfile.TemporaryDirectory() as name:
        folder, log = Path(name) / "runs", Path(name) / "log"
        command = [sys.executable, "-m", "wellposed", "train", ENV, "--total-steps", str(BUDGET)]
        command += ["--replay.capacity", str(CAPACITY), "--threads", str(args.threads), "--runs-dir", str(folder)]
        print(f"# Endurance: {args.minutes:g} minutes of wellposed {' '.join(command[3:-2])}", flush=True)
        with open(log, "wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
            samples = observe(process, seconds)
        rows = [reader.last_evaluation for reader in list_runs(folder)]
        reached = f"{rows[0].step:,} steps" if rows and rows[0] else "no evaluation"
        print(f"training ended with exit code {process.returncode} (asked: {INTERRUPTED}) after {reached}")
        if process.returncode != INTERRUPTED:
            print(log.read_text(errors="replace")[-2000:])
    found = judge(samples, warm_up)
    report(found, samples, warm_up)
    return 0 if found.holds and process.returncode == INTERRUPTED else 1


if __name__ == "__main__":
    sys.exit(main())
