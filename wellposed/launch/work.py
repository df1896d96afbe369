"""The work on one row: train its run, or resume it, unless it has ended or another process writes it.

`python -m wellposed.launch.work FOLDER INDEX` is what every executor starts. Doing it twice is safe: a run that has
ended is left alone (exit code 0), and one that another process writes is refused by its lock (exit code 75).
"""

import argparse
import ctypes
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from wellposed import plugin
from wellposed.config import read_config
from wellposed.errors import UserError
from wellposed.interrupts import interruptible
from wellposed.launch.rows import Folder, Row
from wellposed.launch.states import ENDED, PRUNED, State, state_of
from wellposed.progress import TrainingProgress
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader
from wellposed.runs.writer import OnEvaluation, unobserved
from wellposed.terminal import Lasting, escaped
from wellposed.training import new_run, prepare, resumed_run, train_recorded
from wellposed.types import Metrics

DONE, FAILED, HELD, INTERRUPTED = 0, 1, 75, 130  # exit codes
CODES: dict[State, int] = {
    "finished": DONE, "failed": DONE, "pruned": DONE, "running": HELD, "interrupted": INTERRUPTED,
}  # fmt: skip


def command(folder: Path, index: int) -> list[str]:
    """The command that does the row with this index of a launch's folder."""
    return [sys.executable, "-m", "wellposed.launch.work", str(folder), str(index), *plugin.words()]


def take_up(
    row: Row, runs: Path, threads: int, progress: TrainingProgress, on_evaluation: OnEvaluation = unobserved
) -> State:
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
    job = new_run(config, runs) if before == "waiting" else resumed_run(path)
    prepare()
    try:
        with progress, interruptible() as stop:
            train_recorded(replace(job, on_evaluation=on_evaluation), threads, progress, stop)
    except UserError:
        if (after := state_of(runs, row)) in ("failed", "running"):
            return after
        raise
    return state_of(runs, row)


def stop_where_pruned(run: RunReader, row: EvaluationRow, metrics: Metrics) -> None:
    """Told of an evaluation, interrupt this process if a search does not go on with its run: it is saved and ends."""
    del row, metrics
    if (run.path / PRUNED).exists():
        signal.raise_signal(signal.SIGTERM)


def main(argv: list[str]) -> int:
    """Do one row; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m wellposed.launch.work", description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of a launch")
    parser.add_argument("index", type=int, help="index of the row in it")
    parser.add_argument("--cores", help="the cores to run on, as 0,2; all that are allowed by default")
    parser.add_argument(
        "--threads", type=int, default=0, help="native threads for physics; one for each core by default"
    )
    parser.add_argument("--tied", action="store_true", help="stop, and save, when the parent process dies")
    parser.add_argument("--quiet", action="store_true", help="no line per evaluation")
    try:
        args = parser.parse_args(plugin.load_named(argv))
        if args.cores:
            os.sched_setaffinity(0, map(int, args.cores.split(",")))  # before JAX makes its threads
        if args.tied:
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
        folder = Folder(args.folder)
        row = folder.rows[args.index]
        sys.argv = folder.command  # what the record names
    except UserError as error:
        return _told(error)
    folder.note_error(row, "")
    try:
        threads = args.threads or len(os.sched_getaffinity(0))
        state = take_up(row, folder.runs, threads, TrainingProgress(args.quiet), stop_where_pruned)
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
