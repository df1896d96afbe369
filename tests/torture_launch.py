"""Kill workers, nodes, launchers and schedulers at random while runs are launched, and compare with undisturbed ones.

    python -m tests.torture_launch --on local slurm ray --runs 40 --kills 25 --seed 0

On Linux, as root: Slurm and Ray are started here by scripts/cluster_here.sh. Exit code 1 if a run is lost, done twice
or different in a single weight, stream, row or replay entry. What a seed picks (whom to kill, how long to wait) is
fixed by it, at which instruction the kill strikes is not.
"""

import argparse
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path

import jax

from tests.records import unequal
from wellposed.config import read_config
from wellposed.launch.manifest import read_manifest
from wellposed.launch.rows import Folder
from wellposed.launch.states import ENDED, State, state_of
from wellposed.runs import checkpoint
from wellposed.runs.store import RunReader, list_runs
from wellposed.training import train

SCRIPT = Path(__file__).parent.parent / "scripts" / "cluster_here.sh"
MANIFEST = """\
title = "What does a death change?"
env = "FetchReach-v4"
seeds = "0-{last}"
until_success = 1.0
[base]
total_steps = {steps}
num_envs = 4
random_steps = 200
eval_every = 600
eval_episodes = 4
updates_per_call = 4
"agent.hidden" = [16, 16]
"agent.batch_size" = 32
[variants."a small network"]
"""


class Here:
    """This machine as it is, to launch on and to kill workers and launchers."""

    kind = "local"

    def __init__(self, place: Path):
        """`place`: a folder for what belongs to it, not there yet."""
        self.place, self.environment = place, dict(os.environ)
        self.kinds: dict[str, Callable[[random.Random], None]] = {}  # what can die besides workers and launchers

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None: ...

    def hasten(self) -> None:
        """Shorten the time that a scheduler lets rows wait after a death."""


class Cluster(Here):
    """Two nodes on this machine, from scripts/cluster_here.sh."""

    mortal = ("n1", "n2")  # nodes that may die while the scheduler lives

    def __enter__(self) -> "Cluster":
        told = self.ask("up", self.kind, str(self.place))
        self.environment |= dict(re.findall(r"(\w+)=(\S+)", told))
        self.kinds = {"node": self.kill_a_node, "scheduler": self.forget}
        return self

    def __exit__(self, *_: object) -> None:
        self.ask("down", str(self.place))

    def ask(self, *words: str) -> str:
        """What the script answers; raises if it fails."""
        environment = self.environment | {"PYTHON": sys.executable}
        done = subprocess.run([SCRIPT, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def kill_a_node(self, rng: random.Random) -> None:
        """A node dies; another machine of its name comes up."""
        node = rng.choice(self.mortal)
        self.ask("kill", str(self.place), node)
        self.ask("revive", str(self.place), node)

    def forget(self, rng: random.Random) -> None:
        """The scheduler dies with its database."""
        self.ask("forget", str(self.place))


class Slurm(Cluster):
    """A Slurm of two nodes."""

    kind = "slurm"

    def hasten(self) -> None:
        """Slurm lets a job wait for two minutes after it was put back into the queue."""
        words = ["squeue", "--noheader", "--array", "--states=PENDING", "--format=%A %r"]
        told = subprocess.run(words, env=self.environment, capture_output=True, text=True).stdout
        for job in re.findall(r"(\d+) BeginTime", told):
            words = ["scontrol", "update", f"JobId={job}", "StartTime=now"]
            subprocess.run(words, env=self.environment, capture_output=True)


class Ray(Cluster):
    """A Ray of two nodes, the first of which is its head."""

    kind, mortal = "ray", ("n2",)


def missing(kind: str) -> str:
    """Why there can be no cluster of a kind here; "" if there can be one."""
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--uts", "true"]
    if os.getuid() != 0 or not shutil.which("unshare") or subprocess.run(apart, capture_output=True).returncode:
        return "nodes are namespaces of processes, which need root and a system that permits them"
    if kind == "slurm" and not shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin"):
        return "Slurm is not installed; `scripts/cluster_here.sh up slurm DIR` does that"
    if kind == "ray" and not find_spec("ray"):
        return "Ray is not installed; `make setup EXTRAS=dev,ray` does that"
    return ""


KINDS = {kind.kind: kind for kind in (Here, Slurm, Ray)}


def processes(module: str, folder: Path) -> list[int]:
    """The processes of this machine whose command line names a module of ours and the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if entry.name.isdigit() and module in words and str(folder) in words and "sh" not in Path(words[0]).name:
                found.append(int(entry.name))
    return sorted(found)


class Launch:
    """A launch of a manifest that goes on whoever dies."""

    def __init__(self, here: Here, manifest: Path, folder: Path, rng: random.Random):
        self.here, self.manifest, self.folder, self.rng = here, manifest, folder, rng
        self.kills: Counter[str] = Counter()
        self._launcher: subprocess.Popen | None = None
        self._next = 0.0

    def go_on(self) -> None:
        """Launch what is left, if nobody is at it; Slurm is asked again every few seconds."""
        if self._launcher is not None and self._launcher.poll() is not None:
            self._launcher = None
        if self._launcher is None and time.monotonic() > self._next:
            words = [sys.executable, "-m", "wellposed", "launch", str(self.manifest), "--on", self.here.kind]
            words += ["--out", str(self.folder), "--threads", "2" if self.here.kind == "local" else "1", "--quiet"]
            log = (self.folder.parent / "launcher.txt").open("ab")
            self._launcher = subprocess.Popen(words, env=self.here.environment, stdout=log, stderr=log)
            self._next = time.monotonic() + 5.0
        self.here.hasten()

    def workers(self) -> list[int]:
        """The processes that do a row."""
        return processes("wellposed.launch.work", self.folder)

    def strike(self, kind: str) -> bool:
        """Kill one of a kind; False if there is none."""
        if kind in self.here.kinds:
            self.here.kinds[kind](self.rng)
        elif kind == "launcher":
            if self._launcher is None or self._launcher.poll() is not None:
                return False
            self._launcher.kill()
        else:
            there = self.workers()
            if not there:
                return False
            with suppress(ProcessLookupError):
                os.kill(self.rng.choice(there), signal.SIGKILL)
        self.kills[kind] += 1
        return True

    def states(self) -> dict[str, State]:
        """The states of the rows by name; {} before the folder is made."""
        if not (self.folder / "manifest.toml").exists():
            return {}
        folder = Folder(self.folder)
        return {row.name: state_of(folder.runs, row) for row in folder.rows}

    def is_training(self) -> bool:
        """Whether a run is under way that has a checkpoint; before that, a death costs nothing."""
        under_way = [name for name, state in self.states().items() if state == "running"]
        return any(checkpoint.manifests(self.folder / "runs" / name) for name in under_way)

    def is_done(self) -> bool:
        """Whether every row has ended."""
        found = self.states()
        return bool(found) and {*found.values()} <= {*ENDED}

    def end(self) -> None:
        """Wait for the launcher, which has nothing left to do."""
        if self._launcher is not None:
            self._launcher.wait(60)


def torment(here: Here, manifest: Path, folder: Path, kills: int, rng: random.Random, patience: float) -> Counter[str]:
    """Launch a manifest until its rows have ended, while deaths strike; returns how many of each kind."""
    launch, deadline, strike_at = Launch(here, manifest, folder, rng), time.monotonic() + patience, 0.0
    while not launch.is_done():
        launch.go_on()
        if launch.kills.total() < kills and time.monotonic() > strike_at and launch.is_training():
            launch.strike(rng.choice(["worker", "worker", "launcher", *here.kinds]))
            strike_at = time.monotonic() + rng.uniform(2.0, 10.0)
        if time.monotonic() > deadline:
            raise RuntimeError(f"after {patience:.0f} s rows are left; see {folder.parent / 'launcher.txt'}")
        time.sleep(0.5)
    launch.end()
    return launch.kills


def faults(folder: Path, whole: Path, names: list[str]) -> list[str]:
    """What was lost, done twice, or is different from the undisturbed runs in `whole`."""
    there = {reader.path.name: reader for reader in list_runs(folder / "runs")}
    found = [f"{name} is lost" for name in names if name not in there or there[name].status != "finished"]
    found += [f"{name} was not asked for" for name in there.keys() - {*names}]
    found += [f"{name} differs: {sorted(unequal(whole / name, there[name].path))[:3]}" for name in names
              if name in there and unequal(whole / name, there[name].path)]  # fmt: skip
    return found


def write_manifest(path: Path, runs: int, steps: int) -> list[str]:
    """Write the manifest; returns the names of its runs."""
    path.write_text(MANIFEST.format(last=runs - 1, steps=steps))
    return [row.name for row in read_manifest(path).rows]


def main() -> int:
    """Torment each executor in turn; 1 if anything is lost, doubled or different."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--on", choices=KINDS, nargs="+", default=list(KINDS))
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--kills", type=int, default=25, help="on each executor")
    parser.add_argument("--steps", type=int, default=3360, help="of each run")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--patience", type=float, default=3600.0, help="seconds for each executor")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-", dir="/tmp")))  # sockets: short
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # starting is what takes the time here
        jax.config.update("jax_disable_most_optimizations", True)
        manifest, wrong = root / "manifest.toml", 0
        names = write_manifest(manifest, args.runs, args.steps)
        undisturbed(manifest, root / "whole")
        for kind in args.on:
            if kind != "local" and (why := missing(kind)):
                print(f"{kind}: left out, for {why}", flush=True)
                continue
            began, folder = time.monotonic(), root / kind / "folder"
            folder.parent.mkdir()
            with KINDS[kind](root / kind / "here") as here:
                kills = torment(here, manifest, folder, args.kills, random.Random(args.seed), args.patience)
            found = faults(folder, root / "whole", names)
            taken_up = sum(len(RunReader(folder / "runs" / name).provenance.resumed) for name in names)
            wrong += len(found)
            print(f"{kind}: {dict(kills)} killed, runs taken up {taken_up} times, ", end="")
            print(f"{len(names)} compared, {len(found)} lost, doubled or different, {time.monotonic() - began:.0f} s")
            print("".join(f"{fault}\n" for fault in found), end="", flush=True)
    return 1 if wrong else 0


def undisturbed(manifest: Path, folder: Path) -> None:
    """Train the runs of a manifest in this process, one after another."""
    for row in read_manifest(manifest).rows:
        train(read_config(row.config, row.name), folder, quiet=True)


if __name__ == "__main__":
    sys.exit(main())
