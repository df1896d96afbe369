"""Commands about exercises."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from wellposed.commands.arguments import CORES, RUNS, JsonFile, Positional, Threads, emit
from wellposed.errors import UserError, require
from wellposed.seeding import parse_seeds

Id = Annotated[Positional[str], tyro.conf.arg(metavar="ID", help="number of the exercise, as 4.1")]
File = Annotated[Positional[Path], tyro.conf.arg(metavar="FILE", help="your file")]
Limit = Annotated[float, tyro.conf.arg(help="seconds that one property, or one call while training, may take")]
LIMIT = 20.0  # compiling takes seconds on a busy machine


def find(number: str) -> Any:
    """An exercise by its number.

    Raises:
        UserError: if there is none.
    """
    from wellposed.exercises import EXERCISES

    if number not in EXERCISES:
        raise UserError(f"There is no exercise {number!r}; there are {', '.join(EXERCISES)}.")
    return EXERCISES[number]


def list_exercises(json_file: JsonFile = None) -> int:
    """List the exercises: the function to write or the prediction, and the minutes `run` takes on two cores."""
    from wellposed.exercises import EXERCISES, MINUTES, Write

    rows = [
        {
            "id": exercise.id,
            "title": exercise.title,
            "kind": "write" if isinstance(exercise, Write) else "predict, then measure",
            "minutes": MINUTES[exercise.id],
            "function": f"{exercise.function}({', '.join(exercise.parameters)})"
            if isinstance(exercise, Write)
            else None,
        }
        for exercise in EXERCISES.values()
    ]
    if not emit(rows, json_file):
        for row in rows:
            print(f"{row['id']}  {row['title']:<40} {row['minutes']:3g} min  {row['function'] or row['kind']}")
    return 0


def start(number: Id, file: File) -> int:
    """Write the stub of an exercise: signature, units and equation. Nothing is overwritten."""
    from wellposed.exercises import submission

    submission.start(find(number), file)
    print(f"{file}: fill it in, then `wellposed exercise check {number} {file}`.")
    return 0


def check(number: Id, file: File, limit: Limit = LIMIT, json_file: JsonFile = None) -> int:
    """Check your function against every property it must have, or whether your prediction is complete.

    Exit code 1 if a property is missing; the first comes with a counterexample and a hint.
    """
    from wellposed.exercises import Write, predict, submission

    exercise = find(number)
    require(limit > 0, "limit", "must be greater than 0", limit)
    if not isinstance(exercise, Write):
        found = predict.read_prediction(exercise, file)
        if not emit(asdict(found), json_file):
            print(f"{file} holds a complete prediction. `wellposed exercise run {number} {file}` measures.")
        return 0
    checked = submission.check(exercise, file, limit)
    if not emit(checked.data(), json_file):
        print("\n".join(checked.lines(file)))
    return 0 if checked.passed else 1


def run(
    number: Id,
    file: File,
    seeds: Annotated[str, tyro.conf.arg(help="seeds of the runs with your function, as 0-2 or 0,3")] = "0-1",
    runs_dir: Annotated[
        Path, tyro.conf.arg(metavar="DIR", help="records are stored in its folder exercises or chapters")
    ] = RUNS,
    threads: Threads = CORES,
    limit: Limit = LIMIT,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Run the trial with your function and with the laboratory's, or measure what you predicted.

    Exit code 1 if your function lacks a property; nothing is trained then. A wrong prediction is not a failure.
    """
    from wellposed.exercises import Write, predict, submission
    from wellposed.exercises.exercise import Setting

    exercise, setting = find(number), Setting(runs_dir / "exercises", parse_seeds(seeds), threads, quiet)
    require(limit > 0, "limit", "must be greater than 0", limit)
    if not isinstance(exercise, Write):
        # Predictions are measured on the runs of the chapters, so that none is trained twice.
        results = predict.run(exercise, file, replace(setting, folder=runs_dir / "chapters"))
        if not emit([one.data() for one in results], json_file):
            print("\n".join(line for one in results for line in one.lines()))
        return 0
    checked = submission.check(exercise, file, limit)
    if not checked.passed or str(json_file) != "-":
        print("\n".join(checked.lines(file)), flush=True)
    if not checked.passed:
        return 1
    try:
        compared = submission.run(exercise, file, setting, limit)
    except KeyboardInterrupt:
        message = "The same command continues; an unfinished run with your function was deleted."
        raise KeyboardInterrupt(message) from None
    if not emit(compared.data(), json_file):
        print("\n".join(compared.lines()))
    return 0


def exercise() -> int:
    """Self-checking exercises: list, start, check, run; `wellposed exercise` explains them."""
    raise AssertionError("only listed; the command line calls one of COMMANDS")


COMMANDS: dict[str, Any] = {"list": list_exercises, "start": start, "check": check, "run": run}
