"""What executors are told beside the rows, and where they are."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wellposed.errors import UserError

Executor = Literal["local", "slurm", "ray"]
MODULES: dict[Executor, str] = {"local": "local", "slurm": "slurm", "ray": "ray_cluster"}


@dataclass(frozen=True)
class Options:
    """How an executor does its rows."""

    threads: int  # cores to use: of this machine, or of each task of a scheduler
    quiet: bool = False
    words: tuple[str, ...] = ()  # further words for the scheduler, as `partition=long`


def execute(on: Executor, folder: Path, rows: Sequence[int], options: Options) -> None:
    """Do the rows with these indices, none of which has ended, with an executor.

    Raises:
        UserError: if the executor is not there, or a row could not be done.
    """
    try:
        module = importlib.import_module(f"wellposed.launch.{MODULES[on]}")
    except ImportError as error:
        raise UserError(
            f"--on {on} needs {error.name}, which is not installed: pip install 'wellposed[{on}]'."
        ) from error
    module.launch(folder, list(rows), options)
