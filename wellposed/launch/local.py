"""Rows on this machine: in processes with cores of their own, as many at a time as cores and memory allow.

A process whose run has ended goes on with the next one of its recipe: what it imported and compiled serves that too.
Everything about a run is in its directory. So the queue needs no memory: whoever launches again, after whatever death,
goes on from there, and two launches of the same rows share them, because a run has one writer.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from wellposed import plugin
from wellposed.budget import Demand
from wellposed.config import AnyRunConfig, read_config
from wellposed.errors import UserError, require
from wellposed.interrupts import interruptible
from wellposed.launch import work
from wellposed.launch.options import Options
from wellposed.launch.rows import Folder, Row, make_folder
from wellposed.launch.states import ENDED, state_of
from wellposed.launch.work import NONE, Extras
from wellposed.memory import find_room, refusal, require_fit
from wellposed.progress import RunProgress, TrainingProgress
from wellposed.runs import provenance
from wellposed.runs.store import RunReader, env_id

LOOK = 0.2  # seconds between looks at the processes
LOOK_ELSEWHERE = 2.0  # and at runs that other processes write
DEATHS = 5  # in a row without a new checkpoint, after which a run is given up
LIBRARIES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")  # XLA counts the cores it is pinned to
Cores = tuple[int, ...]


def launch(folder: Path, rows: list[int], options: Options) -> None:
    """Do the rows with these indices.

    Raises:
        UserError: if a row cannot be done, after the others.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; every run is saved.
    """
    for _ in do(Folder(folder), rows, options.threads, TrainingProgress(options.quiet)):
        pass


def train_rows(
    rows: Sequence[Row], runs_dir: Path, threads: int, progress: TrainingProgress, extras: Extras = NONE
) -> Iterator[Row]:
    """Do what is left of the rows: train what is missing, go on with what was cut short. One alone trains in here.

    Yields:
        Each row as soon as its run has ended: it finished, or diverged. Those that had ended come first.

    Raises:
        UserError, KeyboardInterrupt: as `launch`.
    """
    require(threads >= 1, "threads", "must be at least 1", threads)
    with tempfile.TemporaryDirectory() as name:
        folder = make_folder(Path(name), rows, [provenance.program(), *sys.argv[1:]], runs_dir.resolve())
        left = [i for i, row in enumerate(rows) if state_of(runs_dir, row) not in ENDED]
        yield from (row for i, row in enumerate(rows) if i not in {*left})
        if len(left) == 1:
            row = rows[left[0]]
            require_fit([_config(row)], threads, [runs_dir])
            if (state := work.take_up(row, runs_dir, threads, progress, extras)) == "interrupted":
                raise KeyboardInterrupt
            if state in ENDED:
                yield row
                return
        yield from do(folder, left, threads, progress, extras)


def do(
    folder: Folder, indices: Sequence[int], threads: int, progress: TrainingProgress, extras: Extras = NONE
) -> Iterator[Row]:
    """Do rows in processes of their own; arguments, yields and errors are those of `train_rows`."""
    if not indices:
        return
    rows = folder.rows
    waiting = {i: rows[i] for i in indices}
    shares = shares_of(cores_in_order(), at_once(list(waiting.values()), threads, folder.runs), threads)
    crew = Crew(folder, waiting, shares, progress, extras)
    with progress, interruptible() as stop:
        try:
            while crew.busy(stop):
                yield from crew.look(stop)
                time.sleep(LOOK)
        finally:
            crew.end()
    if stop:
        raise KeyboardInterrupt("All runs are saved; the same command goes on.")
    if crew.errors:
        raise UserError("\n".join(crew.errors))


@dataclass
class Worker:
    """A process that does rows of one recipe, one after another."""

    index: int | None  # of the row that it does; None once it was told that there is no other
    row: Row
    cores: Cores
    process: subprocess.Popen
    line: socket.socket  # to ask for the next row, and to hear how one ended
    bar: RunProgress
    shown: ExitStack  # closes the bar
    said: deque[str]  # its last lines
    reader: threading.Thread  # of what it says

    def answer(self) -> int | None:
        """The exit code of its row, if that has ended and the process lives on."""
        with suppress(BlockingIOError, ConnectionResetError):
            if said := self.line.recv(64):
                return int(said)
        return None


class Crew:
    """The processes that work on rows, and the rows that still wait for one."""

    def __init__(
        self,
        folder: Folder,
        waiting: dict[int, Row],
        shares: list[Cores],
        progress: TrainingProgress,
        extras: Extras,
    ):
        self.folder, self.rows, self.progress, self.free, self.extras = folder, waiting, progress, shares, extras
        self.waiting, self.elsewhere, self.workers = deque(waiting), set[int](), list[Worker]()
        self.errors: list[str] = []
        self._deaths: dict[int, tuple[int, str]] = {}  # how often in a row, and the newest checkpoint then
        self._next_look, self._told = 0.0, False

    def busy(self, stop: list[int]) -> bool:
        """Whether anything is left to do or to wait for."""
        return bool(self.workers or (not stop and (self.waiting or self.elsewhere)))

    def look(self, stop: list[int]) -> Iterator[Row]:
        """Start what can start, and yield the rows that have ended since the last look."""
        if stop and not self._told:
            self._told = True
            for worker in self.workers:
                worker.process.terminate()
        while self.free and self.waiting and not stop:
            self._start(self.waiting.popleft(), self.free.pop(0))
        for worker in [*self.workers]:
            code, index = worker.process.poll(), worker.index
            if index is not None:
                show(worker, self.folder.runs / worker.row.name)
                if (ended := worker.answer() if code is None else code) is not None:
                    worker.shown.close()
                    yield from self._ended(worker, index, ended)
                    self._go_on(worker, stop)
            if code is not None:
                self._gone(worker)
        if self.elsewhere and time.monotonic() > self._next_look:
            self._next_look = time.monotonic() + LOOK_ELSEWHERE
            yield from self._look_elsewhere()

    def end(self) -> None:
        """Stop all processes that are left, and wait until their runs are saved."""
        for worker in self.workers:
            worker.process.terminate()
        for worker in [*self.workers]:
            worker.process.wait()
            worker.shown.close()
            self._gone(worker)

    def _start(self, index: int, cores: Cores) -> None:
        """Start a process on cores of its own, with a row."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        words = ["--cores", ",".join(map(str, cores)), "--tied", "--more", str(theirs.fileno())]
        words += ["--quiet"] * self.progress.quiet + self.extras.words
        env = plugin.environment() | dict.fromkeys(LIBRARIES, str(len(cores)))
        with theirs:
            process = subprocess.Popen(
                [*work.command(self.folder.path, index), *words],
                env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                errors="replace", process_group=0,  # Ctrl-C reaches it through this process only
                pass_fds=[theirs.fileno()],
            )  # fmt: skip
        said = deque[str](maxlen=20)
        reader = threading.Thread(target=self._hear, args=(process, said), daemon=True)
        reader.start()
        bar, shown = self._follow(index)
        self.workers.append(Worker(index, self.rows[index], cores, process, ours, bar, shown, said, reader))

    def _follow(self, index: int) -> tuple[RunProgress, ExitStack]:
        """A bar for a row, and what closes it."""
        row, shown = self.rows[index], ExitStack()
        name = f"{env_id(row.config)} seed {row.config['seed']}"
        return shown.enter_context(self.progress.follow(name, row.config["total_steps"])), shown

    def _go_on(self, worker: Worker, stop: list[int]) -> None:
        """Give a process that is free the next row of its recipe; without one it ends."""
        alike = [i for i in self.waiting if recipe(self.rows[i]) == recipe(worker.row)]
        worker.index = alike[0] if alike and not stop and worker.process.poll() is None else None
        if worker.index is None:
            with suppress(OSError):  # it has ended
                worker.line.shutdown(socket.SHUT_WR)
            return
        self.waiting.remove(worker.index)
        worker.row = self.rows[worker.index]
        worker.bar, worker.shown = self._follow(worker.index)
        with suppress(OSError):  # it was killed just now, which the next look sees
            worker.line.sendall(f"{worker.index}\n".encode())

    def _gone(self, worker: Worker) -> None:
        """Take off a process that has ended."""
        self.workers.remove(worker)
        worker.line.close()
        worker.reader.join()
        self.free.append(worker.cores)
        if not self.waiting:
            spread(self.workers, [core for cores in self.free for core in cores])

    def _hear(self, process: subprocess.Popen, said: deque[str]) -> None:
        """Print what a process says, and keep the end of it."""
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                said.append(line.rstrip())
                self.progress.tell(line.rstrip())

    def _ended(self, worker: Worker, index: int, code: int) -> Iterator[Row]:
        """Decide what becomes of a row that a process is done with."""
        row = self.rows[index]
        if code == work.DONE:
            yield row
        elif code == work.HELD:
            self.elsewhere.add(index)
        elif code == work.INTERRUPTED or code < 0:  # a signal, or whatever else kills
            self._died(index, row, code)
        else:
            said = worker.said[-1] if worker.said else code
            self.errors.append(self.folder.errors.get(row.name) or f"{row.name}: {said}")

    def _died(self, index: int, row: Row, code: int) -> None:
        """Take a run up again whose process died, unless it dies at the same point each time."""
        checkpoints = self.folder.runs / row.name / "checkpoints"
        newest = max((path.name for path in checkpoints.iterdir()), default="") if checkpoints.is_dir() else ""
        deaths, before = self._deaths.get(index, (0, newest))
        deaths = deaths + 1 if newest == before else 1
        self._deaths[index] = deaths, newest
        if deaths < DEATHS:
            self.waiting.append(index)
            return
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        self.errors.append(
            f"{self.folder.runs / row.name}: its process died {deaths} times without a new checkpoint ({how})."
        )

    def _look_elsewhere(self) -> Iterator[Row]:
        """Take over what other processes no longer write."""
        for index in sorted(self.elsewhere):
            state = state_of(self.folder.runs, self.rows[index])
            if state != "running":
                self.elsewhere.remove(index)
            if state in ENDED:
                yield self.rows[index]
            elif state != "running":
                self.waiting.append(index)


def show(worker: Worker, run: Path) -> None:
    """Show where a run is: its last evaluation, if there is a new one."""
    with suppress(UserError, FileNotFoundError):
        row = RunReader(run).last_evaluation
        if row is not None and row.step > worker.bar.step:
            worker.bar.advance(row.step, row.updates, row.seconds)


def spread(workers: Sequence[Worker], idle: Sequence[int]) -> None:
    """Give idle cores to processes that are under way, when nothing waits for them."""
    for i, worker in enumerate(workers):
        share = {*worker.cores, *idle[i :: len(workers)]}
        with suppress(OSError):  # it has just ended, or this is not Linux
            for thread in os.listdir(f"/proc/{worker.process.pid}/task"):
                os.sched_setaffinity(int(thread), share)


def cores_in_order() -> list[int]:
    """The cores that this process may use, those first that no other launch works on; hyperthreads are neighbours."""
    taken = taken_cores()

    def place(core: int) -> tuple[int, ...]:
        topology = Path(f"/sys/devices/system/cpu/cpu{core}/topology")
        with suppress(OSError, ValueError):
            parts = (int((topology / name).read_text()) for name in ("physical_package_id", "core_id"))
            return taken[core], *parts, core
        return taken[core], 0, 0, core

    return sorted(provenance.allowed_cores(), key=place)


def taken_cores(proc: Path = Path("/proc")) -> Counter[int]:
    """How many processes of other launches on this machine are pinned to each core."""
    found, allowed = Counter[int](), provenance.allowed_cores()
    for command in proc.glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            if b"wellposed.launch.work" in command.read_bytes():
                cores = os.sched_getaffinity(int(command.parent.name))
                found.update(cores if cores < allowed else ())
    return found


def shares_of(cores: Sequence[int], count: int, threads: int) -> list[Cores]:
    """The cores of each of `count` processes on `threads` cores; where there are more processes, they share cores."""
    used = list(cores)[:threads]
    if count >= len(used):
        return [(used[i % len(used)],) for i in range(count)]
    each = len(used) // count
    return [tuple(used[i * each : (i + 1) * each]) for i in range(count)]


def at_once(rows: Sequence[Row], threads: int, runs: Path) -> int:
    """How many runs are done at a time: one for each core, as many as memory holds.

    Raises:
        UserError: if not even one fits.
    """
    shared = {recipe(row): row for row in rows}  # the seed takes no memory
    asked = sorted((Demand((_config(row),), 1) for row in shared.values()), key=lambda one: -one.peak)
    count, room = min(len(rows), threads), find_room([runs])
    if room is None:
        return count
    limit = room.bytes - room.own  # this process trains nothing
    if not asked[0].fits(limit):
        raise UserError(refusal(asked[0], room))
    return max(1, min(count, limit // asked[0].peak))


def recipe(row: Row) -> str:
    """The name of a row's run without its seed."""
    return row.name.rpartition("_s")[0]


def _config(row: Row) -> AnyRunConfig:
    return read_config(row.config, f"the configuration of {row.name}")
