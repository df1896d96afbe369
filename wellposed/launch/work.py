"""The work on one row: train its run, or resume it, unless it has ended or another process writes it.

`python -m wellposed.launch.work FOLDER INDEX` is what every executor starts. Doing it twice is safe: a run that has
ended is left alone (exit code 0), and one that another process writes is refused by its lock (exit code 75).
"""

import argparse
import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from wellposed import plugin
from wellposed.config import read_config
from wellposed.errors import UserError
from wellposed.interrupts import interruptible
from wellposed.launch.rows import Folder, Row
from wellposed.launch.states import ENDED, PRUNED, State, state_of
from wellposed.progress import TrainingProgress
from wellposed.runs import provenance
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader
from wellposed.runs.wandb_log import log_to
from wellposed.runs.writer import OnEvaluation, unobserved
from wellposed.settings import own_settings
from wellposed.terminal import Lasting, escaped
from wellposed.training import new_run, resumed_run, train_recorded
from wellposed.types import Metrics

DONE, FAILED, HELD, INTERRUPTED = 0, 1, 75, 130  # exit codes
CODES: dict[State, int] = {
    "finished": DONE, "failed": DONE, "pruned": DONE, "running": HELD, "interrupted": INTERRUPTED,
}  # fmt: skip


@dataclass(frozen=True)
class Extras:
    """What a person may ask of runs that does not change their results."""

    salvage: bool = False  # go on without damaged parts of a replay
    wandb: str | None = None  # project of Weights & Biases to log to as well

    @property
    def words(self) -> list[str]:
        """The options of the command."""
        return ["--salvage"] * self.salvage + ([] if self.wandb is None else ["--wandb", self.wandb])


NONE = Extras()


def command(folder: Path, index: int) -> list[str]:
    """The command that does the row with this index of a launch's folder."""
    return [sys.executable, "-m", "wellposed.launch.work", *plugin.words(), str(folder), str(index)]


def take_up(row: Row, runs: Path, threads: int, progress: TrainingProgress, extras: Extras = NONE) -> State:
    """Train or resume the run of a row in this process.

    Returns:
        Its state afterwards: interrupted if a signal stopped it, running if another process writes it.

    Raises:
        UserError: if the run cannot be trained; not if training diverges, which is an outcome.
    """
    before = state_of(runs, row)
    if before in ENDED or before == "running":
        return before
    path = runs / row.name
    config = read_config(row.config, f"the configuration of {row.name}")
    job = new_run(config, runs) if before == "waiting" else resumed_run(path, extras.salvage)
    told = stop_where_pruned(unobserved if extras.wandb is None else log_to(extras.wandb))
    try:
        with own_settings(), progress, interruptible() as stop:
            train_recorded(replace(job, on_evaluation=told), threads, progress, stop)
    except UserError:
        if (after := state_of(runs, row)) in ("failed", "running"):
            return after
        raise
    return state_of(runs, row)


def stop_where_pruned(told: OnEvaluation) -> OnEvaluation:
    """Who is told of evaluations, and interrupts this process where a search does not go on with its run.

    The run is saved and ends, as after Ctrl-C.
    """

    def tell(run: RunReader, row: EvaluationRow, metrics: Metrics) -> None:
        told(run, row, metrics)
        if (run.path / PRUNED).exists():
            signal.raise_signal(signal.SIGTERM)

    return tell


def pin(cores: Iterable[int]) -> None:
    """Keep this process on these cores. XLA counts them when it makes its threads, so this comes before."""
    if hasattr(os, "sched_setaffinity"):  # Linux
        os.sched_setaffinity(0, cores)


def main(argv: list[str]) -> int:
    """Do one row, or several one after another; returns the exit code of the last."""
    parser = argparse.ArgumentParser(prog="python -m wellposed.launch.work", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a launch")
    parser.add_argument("index", type=int, help="index of the row in it")
    parser.add_argument("--cores", help="the cores to run on, as 0,2; all that are allowed by default")
    parser.add_argument(
        "--threads", type=int, default=0, help="native threads for physics; one for each core by default"
    )
    parser.add_argument("--tied", action="store_true", help="stop, and save, when the parent process dies")
    parser.add_argument("--salvage", action="store_true", help="go on without damaged parts of the replay")
    parser.add_argument("--wandb", metavar="PROJECT", help="log to this project of Weights & Biases as well")
    parser.add_argument("--quiet", action="store_true", help="no line per evaluation")
    parser.add_argument("--more", type=int, metavar="FD", help="a socket: go on with what it asks for (`do_more`)")
    try:
        args = parser.parse_args(plugin.load_named(argv))
        if args.cores:
            pin(map(int, args.cores.split(",")))
        if args.tied and sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        folder = Folder(args.folder)
        sys.argv = folder.command  # what the record names
    except UserError as error:
        return _told(error)

    def do(index: int) -> int:
        return do_row(folder, index, args.threads, TrainingProgress(args.quiet), Extras(args.salvage, args.wandb))

    return do(args.index) if args.more is None else do_more(args.index, socket.socket(fileno=args.more), do)


def do_more(index: int, line: socket.socket, do: Callable[[int], int]) -> int:
    """Do one row after another: answer with the exit code of each, and read the index of the next, until there is none.

    So several rows share one process, with all that was imported and compiled. An interrupted row is the last one.
    """
    os.set_inheritable(line.fileno(), False)
    with line, line.makefile("r") as asked:
        while (code := do(index)) in (DONE, FAILED, HELD):
            line.sendall(f"{code}\n".encode())
            if not (next_one := asked.readline()):
                return DONE
            index = int(next_one)
            gc.collect()  # the last run's replay is not held while the next one fills its own
    return code


def do_row(folder: Folder, index: int, threads: int, progress: TrainingProgress, extras: Extras) -> int:
    """Do one row of a launch's folder; returns the exit code."""
    try:
        row = folder.row(index)
        folder.note_error(row, "")
    except UserError as error:
        return _told(error)
    try:
        state = take_up(row, folder.runs, threads or provenance.cores(), progress, extras)
    except (UserError, FloatingPointError) as error:
        folder.note_error(row, str(error))
        return _told(error)
    except KeyboardInterrupt:  # a second signal
        return INTERRUPTED
    return CODES[state]


def _told(error: Exception) -> int:
    """Tell a person what is wrong."""
    print(escaped(f"wellposed: {error}"), file=Lasting(sys.stderr), flush=True)
    return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
