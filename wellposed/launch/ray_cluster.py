"""Rows as tasks of Ray: a task does a row, by the same command as everywhere, in a process of its own.

Ray holds indices and exit codes and nothing else. A task whose node or worker died is started again on another by Ray;
whether its row was done is read from the run directory by the command itself.
"""

import importlib
import os
import time
from pathlib import Path
from typing import Any

from wellposed import plugin
from wellposed.errors import UserError
from wellposed.launch.options import Options
from wellposed.launch.rows import Folder
from wellposed.launch.work import DONE, FAILED, HELD, command
from wellposed.runs.files import folder_in

ray: Any = importlib.import_module("ray")  # an extra; `execute` says so where it is missing

TRIES = 10  # of a row whose process is killed each time, as by a lack of memory; Ray's own retries are as many
PAUSE = 10.0  # seconds before a row that another process writes is tried again
LOOK = 1.0  # seconds between looks at what waits
LOST = -1  # instead of an exit code: Ray gave the task up


def launch(folder: Path, rows: list[int], options: Options) -> None:
    """Do the rows on the Ray cluster that RAY_ADDRESS names, or the one that runs on this machine; returns at the end.

    `options.threads` are the cores of each. If this process dies, its tasks stop and save; launch again. It dies with
    the head of the cluster, by Ray's own hand.

    Raises:
        UserError: if there is no Ray cluster, or rows could not be done; after the others.
    """
    if options.words:
        raise UserError(f"--on ray takes no --words, and there are {' '.join(options.words)}.")
    try:
        ray.init(os.environ.get("RAY_ADDRESS", "auto"), log_to_driver=False, logging_level="error")
    except (ConnectionError, RuntimeError) as error:
        raise UserError(f"There is no Ray cluster ({error}). Start one, as by `ray start --head`.") from error
    place = Folder(folder.resolve())
    folder_in(place.path, "logs")
    try:
        undone = _do(place.path, rows, options)
    finally:
        ray.shutdown()
    if undone:
        known, told = place.rows, place.errors
        said = ((known[row].name, why) for row, why in undone.items())
        raise UserError("\n".join(told.get(name) or f"{name}: {why}" for name, why in said))


def _do(folder: Path, rows: list[int], options: Options) -> dict[int, str]:
    """Submit rows until none is left; returns those that could not be done, and why."""
    task = ray.remote(num_cpus=options.threads, max_retries=TRIES)(_task())
    due, tries = dict.fromkeys(rows, 0.0), dict.fromkeys(rows, 0)
    under_way: dict[Any, int] = {}
    undone: dict[int, str] = {}
    while due or under_way:
        for row in [row for row, moment in due.items() if moment <= time.monotonic()]:
            del due[row]
            words = [*command(folder, row), "--tied", "--threads", str(options.threads)]
            under_way[task.remote(words, str(folder / "logs" / f"{row}.txt"), os.getcwd(), plugin.environment())] = row
        for ref in ray.wait([*under_way], timeout=LOOK)[0] if under_way else []:
            row = under_way.pop(ref)
            code, why = _outcome(ref)
            tries[row] += code != HELD
            if code == FAILED or (code != DONE and tries[row] >= TRIES):
                undone[row] = f"{why} See {folder / 'logs' / f'{row}.txt'}."
            elif code != DONE:
                due[row] = time.monotonic() + (PAUSE if code == HELD else 0.0)
        ray.nodes()  # where the head died, Ray ends this process here; tasks alone would be waited for for ever
        if not under_way:
            time.sleep(LOOK)
    return undone


def _task() -> Any:
    """What a worker of Ray does. A function that is made here travels whole, so the worker needs no wellposed."""

    def row(words: list[str], log: str, folder: str, variables: dict[str, str]) -> int:
        import subprocess

        with open(log, "ab") as file:
            return subprocess.call(words, stdout=file, stderr=file, cwd=folder, env=variables)

    return row


def _outcome(ref: Any) -> tuple[int, str]:
    """The exit code of a task, or LOST, and a sentence."""
    try:
        code = ray.get(ref)
    except ray.exceptions.RayError as error:
        return LOST, f"Ray gave it up: {error}"
    return code, f"Its process ended {TRIES} times with an error, at last with exit code {code}."
