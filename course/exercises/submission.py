"""A reader's file: write its stub, check the function in it, run the exercise's trial with it.

The file is executed in a process of its own (`child`); whatever happens there becomes data or one sentence.
"""

import ctypes
import hashlib
import inspect
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import dedent, wrap
from typing import Any

from course.exercises.answers import Answers
from course.exercises.exercise import Build, Counterexample, Outcome, Predict, Property, Setting, Write, Written
from course.exercises.guard import SOURCE
from course.exercises.trials import compare_records
from wellposed import plugin
from wellposed.errors import UserError
from wellposed.repository import PACKAGE
from wellposed.runs.files import read_bytes, read_json, write_json, write_new
from wellposed.runs.store import list_runs

LARGEST = 2**20  # bytes of a reader's file
GRACE = 120.0  # seconds for imports, and for a process that fails to end itself
WIDTH = 110  # characters
LABELS = {"given": "given", "expected": "should be", "returned": "returned", "equation": "because", "hint": "hint"}


Judged = list[tuple[Property, Counterexample | None]]  # a counterexample where the function lacks the property


@dataclass(frozen=True)
class Checked:
    """The properties of each step of an exercise, up to the first step that fails."""

    exercise: Write | Build
    found: list[Judged]
    fault: str | None = None  # why the function of the step after those could not be called

    @property
    def passed(self) -> bool:
        """Whether all functions have all properties."""
        return len(self.found) == len(self.exercise.steps) and all(map(_all_hold, self.found))

    def data(self) -> dict[str, Any]:
        """The result as JSON data."""
        head = {"exercise": self.exercise.id, "passed": self.passed}
        if isinstance(self.exercise, Write):
            return head | {"properties": _as_data(self.found[0])}
        steps = [
            {"function": step.function, "passed": _all_hold(judged), "properties": _as_data(judged)}
            for step, judged in zip(self.exercise.steps, self.found, strict=False)
        ]
        return head | {"steps": steps, "fault": self.fault}

    def lines(self, path: Path) -> list[str]:
        """The result as text: a line per property, or per step that passed; the first failure is explained."""
        steps, lines, where = self.exercise.steps, [], ""
        for i, (step, judged) in enumerate(zip(steps, self.found, strict=False), 1):
            if isinstance(self.exercise, Build):
                where = f"step {i} of {len(steps)}"
                lines.append(f"{where}{' passed' if _all_hold(judged) else ''}: {step.function}")
            if isinstance(self.exercise, Write) or not _all_hold(judged):
                lines += _property_lines(judged)
        if self.passed and isinstance(self.exercise, Build):
            lines.append(f"{path}: all {len(steps)} steps passed; together they compute what the laboratory computes.")
        elif self.passed:
            command = f"`wellposed exercise run {self.exercise.id} {path}`"
            lines.append(f"{path}: all {len(self.found[0])} properties hold. {command}")
        elif self.fault:
            at = len(self.found)
            lines.append(f"step {at + 1} of {len(steps)}: {steps[at].function}\n{self.fault}")
        else:
            missing, of = sum(wrong is not None for _, wrong in self.found[-1]), len(self.found[-1])
            lines.append(f"{path}{where and ', '}{where}: {missing} of {of} properties missing; begin with the first.")
        return lines


@dataclass(frozen=True)
class Compared:
    """The trial with the reader's function and with the laboratory's; for trained runs also whether they agree."""

    reader: Outcome
    laboratory: Outcome
    agreement: list[str]

    def data(self) -> dict[str, Any]:
        """The result as JSON data."""
        outcomes = {"reader": self.reader, "laboratory": self.laboratory}
        return {
            name: {"results": dict(outcome.rows), "runs": [str(run) for run in outcome.runs]}
            for name, outcome in outcomes.items()
        } | {"agreement": self.agreement}

    def lines(self) -> list[str]:
        """The result as text: both outcomes side by side, then each run directory and whether its record agrees."""
        both = [("", "yours", "the laboratory's")]
        both += [
            (name, text, own) for (name, text), (_, own) in zip(self.reader.rows, self.laboratory.rows, strict=True)
        ]
        widths = [max(len(row[i]) for row in both) for i in range(2)]
        lines = [f"{name:<{widths[0]}}   {text:<{widths[1]}}   {own}" for name, text, own in both]
        pairs = zip(self.reader.runs, self.agreement, strict=True)
        return [*lines, *(f"{path}: {agreement}" for path, agreement in pairs)]


def start(exercise: Write | Build | Predict, path: Path, hint: bool = False) -> None:
    """Write an exercise's stub; with `hint` also the equations that its properties follow from.

    Raises:
        UserError: if the file exists or cannot be written.
    """
    write_new(path, exercise.stub + (exercise.hints if hint else ""))


def solution(exercise: Write | Build) -> str:
    """The laboratory's own functions, with their comments and the places where they stand."""
    return "\n\n".join(map(_solution, exercise.steps))


def _solution(step: Written) -> str:
    lines, first = inspect.getsourcelines(step.shown)
    file = Path(inspect.getfile(step.shown)).relative_to(PACKAGE.parent)
    return f"The laboratory's own, {file}, line {first}:\n\n{dedent(''.join(lines))}"


def read_source(exercise: Write | Build | Predict, path: Path) -> bytes:
    """The content of a reader's file.

    Raises:
        UserError: if there is no such file, or it is not a regular file.
    """
    with suppress(OSError, ValueError):
        if not path.exists():
            raise UserError(f"There is no {path}. `wellposed exercise start {exercise.id} {path}` writes its stub.")
    return read_bytes(path, LARGEST)


def check(exercise: Write | Build, path: Path, limit: float) -> Checked:
    """Check the functions in a reader's file against every property of the exercise, up to the first step that fails.

    The file is executed in a process of its own, which answers; what the answers are worth is judged here.

    Raises:
        UserError: naming file and line, if the first function cannot be called.
    """
    found = execute(exercise, read_source(exercise, path), str(path), limit)
    given, fault = found.get("answers"), found.get("error")
    judged: list[Judged] = []
    if fault is not None and not given:
        raise UserError(str(fault))
    if given is None or not _are_answers(exercise, given):
        raise UserError(f"{path}: the process that executed it wrote something else than answers.")
    try:
        for step, answers in zip(exercise.steps, given, strict=False):
            pairs = zip(step.properties, answers, strict=True)
            judged.append([(one, one.counterexample(Answers(step, answer))) for one, answer in pairs])
            if not _all_hold(judged[-1]):
                return Checked(exercise, judged)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if fault is None and len(judged) < len(exercise.steps):
        raise UserError(f"{path}: the process that executed it did not answer every question.")
    return Checked(exercise, judged, None if fault is None else str(fault))


def run(exercise: Write, path: Path, setting: Setting, limit: float) -> Compared:
    """Run the exercise's trial with the function in a reader's file, and with the laboratory's.

    Records are stored below `setting.folder`: the reader's in a directory named by the exercise and the hash of the
    file, next to a copy of the file; the laboratory's in `laboratory`. Finished runs are reused.

    Raises:
        UserError: naming file and line, if the function fails during the trial; its records are deleted, except that
            of a training run that diverged.
        KeyboardInterrupt: after Ctrl-C; the records of the reader's trial are deleted.
    """
    source = read_source(exercise, path)
    folder = setting.folder / exercise.id / hashlib.sha256(source).hexdigest()[:12]
    if not _is_complete(folder):
        shutil.rmtree(folder)
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "function.py").write_bytes(source)
    try:
        found = execute(exercise, source, str(path), limit, replace(setting, folder=folder))
        if "error" in found:
            raise UserError(str(found["error"]))
    except BaseException:
        if new and all(one.status != "diverged" for one in list_runs(folder)):
            shutil.rmtree(folder)
        raise
    reader = Outcome([(name, text) for name, text in found["rows"]], [Path(run) for run in found["runs"]])
    own = exercise.trial(replace(setting, folder=setting.folder / "laboratory"))
    agreement = [compare_records(theirs, ours) for theirs, ours in zip(reader.runs, own.runs, strict=True)]
    return Compared(reader, own, agreement)


def execute(
    exercise: Write | Build, source: bytes, shown: str, limit: float, setting: Setting | None = None
) -> dict[str, Any]:
    """Execute a reader's file in a process of its own: check its function or, with a setting, run the trial with it.

    Args:
        exercise: the exercise.
        source: the content of the reader's file.
        shown: the path of the file as the reader wrote it, for messages.
        limit: seconds for each property and, in a trial, for each call of the function.
        setting: of the trial; None to check.

    Returns:
        What `course.exercises.child` wrote, with "error" where a function could not be called or failed in the
        trial: the reader's code may have written anything.

    Raises:
        UserError: naming file and line, if it takes too long or the reader's code ends it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source.py").write_bytes(source)
        run = None if setting is None else asdict(setting) | {"folder": str(setting.folder)}
        write_json(folder / "task.json", {"exercise": exercise.id, "shown": shown, "limit": limit, "run": run})
        command = [sys.executable, "-P", "-m", "course.exercises.child", name]
        env = plugin.environment() | {"PYTHONHASHSEED": "0"}
        stderr = None if setting is not None else subprocess.DEVNULL  # a trial shows its progress
        timeout = (
            None if setting is not None else GRACE + limit * sum(1 + len(step.properties) for step in exercise.steps)
        )
        others = children()
        ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER, see `end_all`
        # In its own session the process does not receive Ctrl-C; it is killed from here.
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True
        )
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            end_all(process, others)
        if (folder / "found.json").exists():
            found = read_json(folder / "found.json")
            if not isinstance(found, dict):
                raise UserError(f"{shown}: the process that executed it wrote something else than answers.")
            return found
        raise UserError(_no_result(exercise, source, shown, limit, status, folder / "stacks.txt"))


def children() -> set[int]:
    """The processes whose parent is this one."""
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


def end_all(process: subprocess.Popen, others: set[int]) -> None:
    """Kill a process and all that it started, also what went into a session of its own.

    This process has asked for orphans (`PR_SET_CHILD_SUBREAPER`): what a killed process had started becomes its child.

    Args:
        process: the leader of a session.
        others: children of this process that were there before.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while orphans := children() - others:
        for pid in orphans:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _no_result(
    exercise: Write | Build, source: bytes, shown: str, limit: float, status: int | None, stacks: Path
) -> str:
    """The message for a process that ended without a result: it took too long, or the reader's code ended it."""
    dump = stacks.read_text(errors="replace") if stacks.exists() else ""
    defined = re.search(rb"^def " + exercise.steps[0].function.encode(), source, re.MULTILINE)
    line = source[: defined.start()].count(b"\n") + 1 if defined else 1
    if dump or status is None:
        where = re.search(rf'File "{re.escape(SOURCE)}", line (\d+)', dump)
        line = int(where[1]) if where else line
        return f"{shown}, line {line}, was still running after {limit:g} s: does every loop in it end?"
    return f"{shown}, line {line}: the function ended the process that called it (status {status})."


def _is_complete(folder: Path) -> bool:
    """Whether every run below is finished, and none was resumed by a process with another function installed."""
    return all(one.status == "finished" and not one.provenance.resumed for one in list_runs(folder))


def _labelled(label: str, text: str) -> list[str]:
    """A wrapped text below a property, with its label in a column of its own."""
    first, *rest = wrap(text, WIDTH, break_long_words=False) or [""]
    return [f"     {label:<10} {first}", *(" " * 16 + line for line in rest)]


def _are_answers(exercise: Write | Build, given: Any) -> bool:
    """Whether this is for each step, or the first ones, a list of answers to each property."""
    return isinstance(given, list) and all(
        isinstance(answers, list) and list(map(type, answers)) == [list] * len(step.properties)
        for step, answers in zip(exercise.steps, given, strict=False)
    )


def _all_hold(judged: Judged) -> bool:
    return all(wrong is None for _, wrong in judged)


def _as_data(judged: Judged) -> list[dict[str, Any]]:
    """The properties of a step as JSON data."""
    return [
        {"name": one.name, "holds": wrong is None, "equation": one.equation, "hint": one.hint}
        | ({} if wrong is None else asdict(wrong))
        for one, wrong in judged
    ]


def _property_lines(judged: Judged) -> list[str]:
    """A line per property; the first that the function lacks with counterexample, equation and hint."""
    lines, shown = [], False
    for one, wrong in judged:
        lines.append(f"{'ok  ' if wrong is None else 'FAIL'} {one.name}")
        if wrong is not None and not shown:
            shown = True
            details = asdict(wrong) | {"equation": one.equation, "hint": one.hint}
            for name, text in details.items():
                lines += _labelled(LABELS[name], text)
    return lines
