"""The commands of a capstone."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from wellposed.commands import Group
from wellposed.commands.arguments import CORES, JsonFile, Positional, emit

Folder = Annotated[Positional[Path], tyro.conf.arg(metavar="DIR", help="folder of the capstone")]
Cores = Annotated[int, tyro.conf.arg(help="runs side by side")]


def new(
    folder: Folder,
    env: Annotated[
        str | None,
        tyro.conf.arg(metavar="NAME", help="yours: file.py:make, which is copied into DIR, or my_env:make"),
    ] = None,
) -> int:
    """Make a folder with an environment to begin with, the question and the open prediction; nothing is overwritten."""
    from course.capstone import task

    task.new(folder, env)
    words = task.permission(folder, task.load(folder).env)
    print(f"{folder}: read README.md, fill in capstone.toml, then")
    print(shlex.join(["wellposed", "capstone", "predict", str(folder), *words]))
    return 0


def predict(folder: Folder, threads: Cores = CORES) -> int:
    """Show certificate and plan, and register the prediction: digest and time, once, before the first run.

    Exit code 1 if something is open; nothing is registered then.
    """
    from course.capstone.register import register

    for line in register(folder, threads):
        print(line, flush=True)
    return 0


def run(
    folder: Folder,
    threads: Cores = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
) -> int:
    """Train the seeds, judge them on held-out episodes, measure robustness, and write the page; prints its path last.

    Exit code 130 if it was interrupted: the same command continues.
    """
    from course.capstone.run import run as run_capstone

    for line in run_capstone(folder, threads, quiet):
        print(line, flush=True)
    return 0


def verify(folder: Folder, json_file: JsonFile = None) -> int:
    """Grade a capstone from its records: what is there, what came out, what the prediction was worth.

    Nothing is imported or trained. Exit code 1 if a part is missing; a prediction that did not hold is not.
    """
    from course.capstone.grade import describe, grade

    found = grade(folder)
    if not emit(asdict(found) | {"complete": found.complete}, json_file):
        print("\n".join(describe(found)))
    return 0 if found.complete else 1


CAPSTONE = Group(
    "A task of yours, predicted first: new, predict, run, verify; `wellposed capstone` explains.",
    {"new": new, "predict": predict, "run": run, "verify": verify},
)
