"""Has a reader's file executed in a process of its own, and turns whatever comes of it into data or one sentence."""

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wellposed.errors import UserError
from wellposed.exercises.exercise import Setting, Write
from wellposed.exercises.guard import SOURCE
from wellposed.runs.files import read_json, write_json

GRACE = 120.0  # seconds for imports, and for a process that should have ended itself


def execute(exercise: Write, source: bytes, shown: str, limit: float, setting: Setting | None = None) -> dict[str, Any]:
    """Check the function that a reader's file defines or, with a setting, make the exercise's trial with it.

    Args:
        exercise: which.
        source: the content of the reader's file.
        shown: what the reader calls the file.
        limit: seconds for each property and, in a trial, for each call of the function.
        setting: of the trial; none: check.

    Returns:
        What `wellposed.exercises.child` has found.

    Raises:
        UserError: naming file and line, if the function cannot be judged or fails in the trial.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source.py").write_bytes(source)
        run = None if setting is None else asdict(setting) | {"folder": str(setting.folder)}
        write_json(folder / "task.json", {"exercise": exercise.id, "shown": shown, "limit": limit, "run": run})
        command = [sys.executable, "-P", "-m", "wellposed.exercises.child", name]
        there = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "PYTHONHASHSEED": "0"}
        said = None if setting is not None else subprocess.DEVNULL  # a trial shows its progress
        patience = None if setting is not None else GRACE + limit * (1 + len(exercise.properties))
        # In a session of its own it does not hear Ctrl-C; it is ended from here, and leaves nothing.
        process = subprocess.Popen(
            command, env=there, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
        try:
            status = process.wait(patience)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            process.kill()
            process.wait()
        if (folder / "found.json").exists():
            found = read_json(folder / "found.json")
            if "error" in found:
                raise UserError(found["error"])
            return found
        raise UserError(_untold(exercise, source, shown, limit, status, folder / "stacks.txt"))


def _untold(exercise: Write, source: bytes, shown: str, limit: float, status: int | None, stacks: Path) -> str:
    """What to say of a process that ended without a word: it took too long, or the reader's code ended it."""
    told = stacks.read_text(errors="replace") if stacks.exists() else ""
    defined = re.search(rb"^def " + exercise.function.encode(), source, re.MULTILINE)
    line = source[: defined.start()].count(b"\n") + 1 if defined else 1
    if told or status is None:
        where = re.search(rf'File "{re.escape(SOURCE)}", line (\d+)', told)
        line = int(where[1]) if where else line
        return f"{shown}, line {line}, was still running after {limit:g} s: does every loop in it come to an end?"
    return f"{shown}, line {line}: the process that called the function was ended by it (status {status})."
