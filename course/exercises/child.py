"""The process in which a reader's file is executed: `python -m course.exercises.child FOLDER`.

It writes what the reader's functions answered as JSON, and judges nothing: that is done by the process that started it.
If the reader's code takes too long, the process dumps its stacks, which show where, and ends itself.
"""

import ctypes
import os
import random
import resource
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from course.exercises import BUILD, WRITE
from course.exercises.exercise import Build, Setting, Write, Written
from course.exercises.guard import Guarded, OutputTrap, ReaderError, TimeLimit, load
from wellposed.errors import UserError
from wellposed.runs.files import write_json

MEMORY = 2 * 2**30  # bytes that a check may allocate, so that an endless list does not exhaust the machine
LARGEST_FILE = 2 * 2**30  # bytes; a record of a trial has far smaller ones


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
    exercise = (WRITE | BUILD)[task.exercise]
    trap = OutputTrap()
    sys.stdout = trap  # type: ignore[assignment]
    warnings.simplefilter("ignore")
    source = (folder / "source.py").read_bytes()
    exec(exercise.imports, {})  # so that the imports of the stub do not count as the reader's time
    set_limits(None if task.run is None else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    with (folder / "stacks.txt").open("w") as stacks:
        limit = TimeLimit(task.limit, stacks)
        found: dict[str, Any] = {"answers": []}
        try:
            if task.run is None or isinstance(exercise, Build):
                for step in answers(exercise, source, trap, limit):
                    found["answers"].append(step)
            else:
                function = read(exercise, source, trap, limit)
                found = train(exercise, Guarded(exercise, function, trap, limit), task.run, task.shown)
        except ReaderError as error:
            message = str(error)
            end = "" if message.endswith("?") else "."
            found["error"] = f"{task.shown}, line {error.line}, {message}{end}"
        except (UserError, FloatingPointError) as error:
            found = {"error": f"Training with {task.shown} failed: {error}"}
        write_json(folder / "found.json", found)
    os._exit(0)


def read(asked: Written, source: bytes, trap: OutputTrap, limit: TimeLimit) -> Callable[..., Any]:
    """The function that the reader's file defines."""
    _seed_global_streams()
    with limit:
        function = load(asked, source)
    trap.check()
    return function


def set_limits(trial: int | None) -> None:
    """Bound memory and files before a line of the reader's file is executed; it cannot raise the bounds again.

    Args:
        trial: bytes that a trial may allocate; None to check only.
    """
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    most = size + max(MEMORY, trial or 0)
    for what, limit in ((resource.RLIMIT_AS, most), (resource.RLIMIT_FSIZE, LARGEST_FILE), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (limit, limit))
    drop_privileges()


def drop_privileges() -> None:
    """Give up every capability for good: root may raise its own limits, this process no longer (capabilities(7))."""
    system = ctypes.CDLL(None, use_errno=True)
    system.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS: nor does a program that it starts
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # version 3, this process
    if system.capset(header, none):
        raise OSError(ctypes.get_errno(), "capset")


def answers(exercise: Write | Build, source: bytes, trap: OutputTrap, limit: TimeLimit) -> Iterator[list[list[Any]]]:
    """For each step what the reader's function answered to each property, as JSON data, up to the first that fails."""
    for step in exercise.steps:
        function = Guarded(step, read(step, source, trap, limit), trap, limit=None)
        found, passed = [], True
        for one in step.properties:
            _seed_global_streams()
            function.answers = []
            with limit:
                passed &= one.counterexample(function) is None
            found.append(function.answers)
        yield found
        if not passed:
            return


def train(exercise: Write, function: Guarded, run: dict[str, Any], shown: str) -> dict[str, Any]:
    """Run the trial with the reader's function in place of the laboratory's."""
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
