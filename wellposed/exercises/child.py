"""The process in which a reader's file is executed: `python -m wellposed.exercises.child FOLDER`.

It writes its result as JSON. If the reader's code takes too long, the process dumps its stacks, which show where, and
ends itself.
"""

import ctypes
import os
import random
import resource
import signal
import sys
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from wellposed.errors import UserError
from wellposed.exercises import WRITE
from wellposed.exercises.exercise import Setting, Write
from wellposed.exercises.guard import Guarded, OutputTrap, ReaderError, TimeLimit, load
from wellposed.runs.files import write_json

MEMORY = 2 * 2**30  # bytes that a check may allocate, so that an endless list does not exhaust the machine


class Task(msgspec.Struct):
    """The task of the process, read from task.json."""

    exercise: str
    shown: str  # the path of the file as the reader wrote it
    limit: float  # seconds for each property, and for each call while training
    run: dict[str, Any] | None  # the setting of a trial; None to check only


def main(folder: Path) -> None:
    """Do the task in `folder`, write found.json there, and exit without waiting for threads of the reader's code."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it dies with its parent
    task = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task)
    exercise = WRITE[task.exercise]
    trap = OutputTrap()
    sys.stdout = trap  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    source = (folder / "source.py").read_bytes()
    exec(exercise.imports, {})  # so that the imports of the stub do not count as the reader's time
    with (folder / "stacks.txt").open("w") as stacks:
        limit = TimeLimit(task.limit, stacks)
        try:
            function = read(exercise, source, trap, limit)
            if task.run is None:
                found = check(Guarded(exercise, function, trap, limit=None), limit)
            else:
                found = train(Guarded(exercise, function, trap, limit), task.run, task.shown)
        except ReaderError as error:
            message = str(error)
            end = "" if message.endswith("?") else "."
            found = {"error": f"{task.shown}, line {error.line}, {message}{end}"}
        except (UserError, FloatingPointError) as error:
            found = {"error": f"Training with {task.shown} failed: {error}"}
        write_json(folder / "found.json", found)
    os._exit(0)


def read(exercise: Write, source: bytes, trap: OutputTrap, limit: TimeLimit) -> Callable[..., Any]:
    """The function that the reader's file defines."""
    _seed_global_streams()
    with limit:
        function = load(exercise, source)
    trap.check()
    return function


def check(function: Guarded, limit: TimeLimit) -> dict[str, Any]:
    """For each property a counterexample, or None if the reader's function has it."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    found = []
    for one in function.exercise.properties:
        _seed_global_streams()
        with limit:
            wrong = one.counterexample(function)
        found.append(None if wrong is None else asdict(wrong))
    return {"found": found}


def train(function: Guarded, run: dict[str, Any], shown: str) -> dict[str, Any]:
    """Run the trial with the reader's function in place of the laboratory's."""
    exercise = function.exercise
    sys.argv = ["wellposed", "exercise", "run", exercise.id, shown]  # the command in its records
    with exercise.put(function):
        outcome = exercise.trial(Setting(Path(run["folder"]), run["seeds"], run["threads"], run["quiet"]))
    return {"rows": outcome.rows, "runs": [str(path) for path in outcome.runs]}


def _seed_global_streams() -> None:
    """Seed the global random streams, so that code of the reader that draws from them is repeatable."""
    random.seed(0)
    np.random.seed(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
