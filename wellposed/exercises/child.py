"""The process of its own in which a reader's file is executed: `python -m wellposed.exercises.child`.

It writes what it found as JSON. If the reader's code takes too long the process ends itself, and the stacks that it
wrote before say where that was.
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
from wellposed.exercises.guard import Guarded, Listener, ReaderError, TimeLimit, load
from wellposed.runs.files import write_json

MEMORY = 2 * 2**30  # bytes that a check may take beyond what is loaded: an endless list must not take the machine's


class Task(msgspec.Struct):
    """What the process is asked to do."""

    exercise: str
    shown: str  # what the reader calls the file
    limit: float  # seconds for each property, and for each call while training
    run: dict[str, Any] | None  # the setting of a trial; none: check only


def main(folder: Path) -> None:
    """Do the task in `folder`, write found.json there, and end without waiting for threads of the reader's."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it dies with whoever asked for it
    task = msgspec.json.decode((folder / "task.json").read_bytes(), type=Task)
    exercise = WRITE[task.exercise]
    listener = Listener()
    sys.stdout = listener  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    source = (folder / "source.py").read_bytes()
    exec(exercise.imports, {})  # what the exercise itself imports is not the reader's time
    with (folder / "stacks.txt").open("w") as stacks:
        limit = TimeLimit(task.limit, stacks)
        try:
            function = read(exercise, source, listener, limit)
            if task.run is None:
                found = check(Guarded(exercise, function, listener, limit=None), limit)
            else:
                found = train(Guarded(exercise, function, listener, limit), task.run, task.shown)
        except ReaderError as error:
            said = str(error)
            found = {"error": f"{task.shown}, line {error.line}, {said}{'' if said.endswith('?') else '.'}"}
        except (UserError, FloatingPointError) as error:
            found = {"error": f"Training with {task.shown} failed: {error}"}
        write_json(folder / "found.json", found)
    os._exit(0)


def read(exercise: Write, source: bytes, listener: Listener, limit: TimeLimit) -> Callable[..., Any]:
    """The function that the text of the reader's file defines."""
    _seed_global_streams()
    with limit:
        function = load(exercise, source)
    listener.check()
    return function


def check(function: Guarded, limit: TimeLimit) -> dict[str, Any]:
    """Whether the reader's function has each property, and a counterexample where it has not."""
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
    """The outcome of the trial with the reader's function in place of the laboratory's."""
    exercise = function.exercise
    sys.argv = ["wellposed", "exercise", "run", exercise.id, shown]  # so its records say where they come from
    with exercise.put(function):
        outcome = exercise.trial(Setting(Path(run["folder"]), run["seeds"], run["threads"], run["quiet"]))
    return {"rows": outcome.rows, "runs": [str(path) for path in outcome.runs]}


def _seed_global_streams() -> None:
    """The reader's code may draw from the streams that all of a process shares; it repeats all the same."""
    random.seed(0)
    np.random.seed(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
