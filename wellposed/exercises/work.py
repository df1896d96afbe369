"""What is done with a reader's file: begin it, check the function in it, make the trial with it."""

import hashlib
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from wellposed.errors import UserError
from wellposed.exercises.exercise import Counterexample, Outcome, Predict, Property, Setting, Write
from wellposed.exercises.sandbox import execute
from wellposed.exercises.trials import records_agree
from wellposed.runs.files import read_bytes
from wellposed.runs.store import list_runs

LARGEST = 2**20  # bytes of a reader's file


@dataclass(frozen=True)
class Checked:
    """Each property, and a counterexample where the function does not have it."""

    exercise: Write
    found: list[tuple[Property, Counterexample | None]]

    @property
    def passed(self) -> bool:
        """Whether the function has all of them."""
        return all(wrong is None for _, wrong in self.found)


@dataclass(frozen=True)
class Compared:
    """The trial with the reader's function, and with the laboratory's own; of training also whether the runs agree."""

    reader: Outcome
    laboratory: Outcome
    agreement: list[str]


def start(exercise: Write | Predict, path: Path) -> None:
    """Write an exercise's stub.

    Raises:
        UserError: if there is a file already, or none can be written.
    """
    try:
        with path.open("x") as file:
            file.write(exercise.stub)
    except FileExistsError as error:
        raise UserError(f"{path} is there already, and nothing is overwritten. Choose another name.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"Could not write {path}: {getattr(error, 'strerror', None) or error}.") from error


def read_source(exercise: Write | Predict, path: Path) -> bytes:
    """The content of a reader's file.

    Raises:
        UserError: if there is none, or it is no plain file.
    """
    with suppress(OSError, ValueError):
        if not path.exists():
            raise UserError(
                f"There is no {path}. `wellposed exercise start {exercise.id} {path}` writes what to begin with."
            )
    return read_bytes(path, LARGEST)


def check(exercise: Write, path: Path, limit: float) -> Checked:
    """Hold the function in a reader's file against every property of the exercise.

    Raises:
        UserError: naming file and line, if there is no function that could be judged.
    """
    found = execute(exercise, read_source(exercise, path), str(path), limit)["found"]
    wrong = [None if one is None else Counterexample(**one) for one in found]
    return Checked(exercise, list(zip(exercise.properties, wrong, strict=True)))


def run(exercise: Write, path: Path, setting: Setting, limit: float) -> Compared:
    """Make the exercise's trial with the function in a reader's file, and with the laboratory's own.

    Records lie below `setting.folder`: the reader's in a directory named by the exercise and by the content of the
    file, a copy of which lies beside them; the laboratory's in `laboratory`. What is finished is
    not made again.

    Raises:
        UserError: naming file and line, if the function fails while it is used; of that trial nothing is kept, except
            for the record of a training that diverged.
        KeyboardInterrupt: after Ctrl-C; of the reader's trial nothing is kept.
    """
    source = read_source(exercise, path)
    folder = setting.folder / exercise.id / hashlib.sha256(source).hexdigest()[:12]
    if not _is_whole(folder):
        shutil.rmtree(folder)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function.py").write_bytes(source)
    try:
        found = execute(exercise, source, str(path), limit, replace(setting, folder=folder))
    except BaseException:
        if new and all(one.status != "diverged" for one in list_runs(folder)):
            shutil.rmtree(folder)
        raise
    reader = Outcome([(name, text) for name, text in found["rows"]], [Path(run) for run in found["runs"]])
    own = exercise.trial(replace(setting, folder=setting.folder / "laboratory"))
    agreement = [records_agree(theirs, ours) for theirs, ours in zip(reader.runs, own.runs, strict=True)]
    return Compared(reader, own, agreement)


def _is_whole(folder: Path) -> bool:
    """Whether every run below is finished, and none taken up by a process that had another function in its place."""
    return all(one.status == "finished" and not one.provenance.resumed for one in list_runs(folder))
