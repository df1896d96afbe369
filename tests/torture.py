"""Kill training processes, resume the runs until they end, and compare with runs that were left alone.

    python -m tests.torture --kills 200 --seed 0

One run at a time in each process; `tests.torture_launch` kills launches of many.

Every kill is SIGKILL. It strikes in a call that touches the disk, during an evaluation, in an update, or at any moment,
in turn, for each algorithm, each wrapper, memory and images; where exactly, the seed decides. Exit code 1 if a single
weight, stream, row or replay entry differs. A child is forked before JAX has started, which spares it the imports.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax

from tests.records import unequal
from tests.test_resume import CASES
from wellposed import serialise
from wellposed.agents import PPO, SAC, TD3
from wellposed.loop import monitor
from wellposed.runs import disk
from wellposed.runs.store import RunReader, run_name
from wellposed.side_by_side import resume, train_side_by_side

TOY_SUITE = Path(__file__).parent / "toy_suite"  # its entry point is found where it is on the path
NAMES = (
    "Reach", "TD3", "PPO", "filtered, late and noisy", "PickAndPlace, temperature learnt, goals that grow",
    "drawn dynamics, drifting sensors, a history", "a geometry that was found", "memory", "images",
    "a maze of Gymnasium",
)  # fmt: skip
COMPILED = {  # quickly, and once for all processes
    "disable_most_optimizations": True,
    "persistent_cache_min_compile_time_secs": 0,
    "persistent_cache_min_entry_size_bytes": -1,
}
SEAMS = ("save", "evaluation", "update", "any moment")
LIVES = 8  # of a run at most, until it is left alone


@dataclass
class Calls:
    """The calls of each seam in this process; at the `at`-th of one, the process is killed."""

    seam: str = ""
    at: int = 0
    delay: float = 0.0  # seconds from then on
    count: Counter[str] = field(default_factory=Counter)

    def install(self) -> None:
        """Put a counter before every call."""
        for name, item in list(vars(disk).items()):
            if callable(item) and item.__module__ == disk.__name__ and name != "open_regular":
                self._count(disk, name, "save")
        for agent in (SAC, TD3, PPO):
            self._count(agent, "update", "update")
        play = monitor.play_episodes

        def played(policy: Any, env: Any, seeds: list[int], on_step: Callable[[], None], **settings: Any) -> Any:
            def stepped() -> None:
                self.call("evaluation")
                on_step()

            return play(policy, env, seeds, stepped, **settings)

        monitor.play_episodes = played
        if self.seam == "any moment":
            self._die()

    def _count(self, owner: Any, name: str, seam: str) -> None:
        original = getattr(owner, name)

        def call(*args: Any, **settings: Any) -> Any:
            self.call(seam)
            return original(*args, **settings)

        setattr(owner, name, call)

    def call(self, seam: str) -> None:
        """Count a call; perhaps the last one."""
        self.count[seam] += 1
        if seam == self.seam and self.count[seam] == self.at:
            self._die()

    def _die(self) -> None:
        kill = threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL))
        kill.daemon = True
        kill.start()
        if not self.delay:
            kill.join()


def live(case: str, folder: Path, calls: Calls, told: Path) -> None:
    """Begin the run of a case, or resume it if it is there, and say how many calls it took."""
    began = time.monotonic()
    calls.install()
    path = path_of(case, folder)
    if not (path / "config.json").exists():
        list(train_side_by_side([CASES[case]], folder, quiet=True))
    elif RunReader(path).status != "finished":
        list(resume([path], quiet=True))
    told.write_text(json.dumps(calls.count | {"any moment": time.monotonic() - began}))


def path_of(case: str, folder: Path) -> Path:
    """The run directory of a case."""
    return folder / run_name(serialise.to_dict(CASES[case]))


@dataclass
class Run:
    """One case, from its beginning to its end."""

    case: str
    folder: Path
    told: Path  # how many calls the undisturbed run took
    lives: int
    rng: random.Random
    calls: Calls = field(default_factory=Calls)

    def start(self, kills: Counter[tuple[str, str]]) -> int:
        """Fork a process that carries it on; returns its number."""
        self.calls = Calls()
        if self.lives > 0:
            usual = json.loads(self.told.read_text())
            seam = min(SEAMS, key=lambda seam: (kills[self.case, seam], SEAMS.index(seam)))
            share = self.rng.uniform(0.0, 0.6)
            if seam == "any moment":
                self.calls = Calls(seam, 0, share * usual[seam])
            else:
                self.calls = Calls(seam, 1 + int(share * usual[seam]), self.rng.choice([0.0, 0.0, 0.001, 0.01]))
        self.lives -= 1
        if pid := os.fork():
            return pid
        code = 1
        try:
            log = os.open(f"{self.folder}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            told = self.told if self.calls.seam == "" and not self.told.exists() else Path(f"{self.folder}.told")
            live(self.case, self.folder, self.calls, told)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return (path_of(self.case, self.folder) / "summary.json").exists()


class Torture:
    """All that happened so far."""

    def __init__(self, root: Path, jobs: int) -> None:
        self.root, self.jobs = root, jobs
        self.kills, self.ended, self.differences = Counter[tuple[str, str]](), 0, 0

    def carry_on(self, runs: list[Run], quota: int) -> list[Run]:
        """Carry runs on until all have come to their end, `jobs` at a time, with so many kills of each case in all.

        Returns them in the order in which they ended.
        """
        waiting, running, ended = deque(runs), dict[int, Run](), list[Run]()
        while waiting or running:
            while waiting and len(running) < self.jobs:
                run = waiting.popleft()
                run.lives = 0 if self.struck(run.case) >= quota else run.lives
                running[run.start(self.kills)] = run
            pid, status = os.wait()
            run = running.pop(pid)
            if os.WIFSIGNALED(status):
                self.kills[run.case, run.calls.seam] += 1
            elif status:
                raise RuntimeError(f"{run.case}: {Path(f'{run.folder}.log').read_text()[-3000:]}")
            (ended if run.done else waiting).append(run)
        return ended

    def struck(self, case: str) -> int:
        """The kills of a case."""
        return sum(self.kills[case, seam] for seam in SEAMS)

    def compare(self, run: Run) -> None:
        """Hold what was killed against what was left alone."""
        ours, theirs = path_of(run.case, run.folder), path_of(run.case, self.root / "whole")
        found, times = unequal(ours, theirs), len(RunReader(ours).provenance.resumed)
        self.ended, self.differences = self.ended + 1, self.differences + len(found)
        print(f"{run.case}: resumed {times} times, {len(found)} differences {sorted(found)[:3] or ''}", flush=True)

    def table(self) -> list[str]:
        """Kills by case and seam."""
        rows = [f"{'':<52}" + "".join(f"{seam:>12}" for seam in SEAMS)]
        return rows + [
            f"{case:<52}" + "".join(f"{self.kills[case, seam]:>12}" for seam in SEAMS)
            for case in sorted({case for case, _ in self.kills})
        ]


def main() -> int:
    """Torture the cases in turn until enough kills have struck; 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES, help="these cases")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    began = time.monotonic()
    sys.path.insert(0, str(TOY_SUITE))
    with tempfile.TemporaryDirectory() as name:
        torture = Torture(Path(name), args.jobs)
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        for setting, value in (COMPILED | {"compilation_cache_dir": f"{name}/compiled"}).items():
            jax.config.update(f"jax_{setting}", value)

        def runs(folder: str, lives: int) -> list[Run]:
            seeded = {case: random.Random(f"{args.seed} {folder} {case}") for case in args.only}
            told = {case: torture.root / f"{case}.told" for case in args.only}
            return [Run(case, torture.root / folder, told[case], lives, seeded[case]) for case in args.only]

        torture.carry_on(runs("whole", 0), quota=0)
        quota, turn = -(-args.kills // len(args.only)), 0
        while left := [run for run in runs(str(turn), LIVES) if torture.struck(run.case) < quota]:
            for run in torture.carry_on(left, quota):
                torture.compare(run)
            turn += 1
    print("\n".join(torture.table()))
    print(f"{torture.kills.total()} kills, {torture.ended} runs compared, {torture.differences} differences, ", end="")
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if torture.differences else 0


if __name__ == "__main__":
    sys.exit(main())
