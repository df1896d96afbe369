"""Commands about exercises: what a reader writes, held against what it should be."""

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
LIMIT = 20.0  # on a busy machine compiling alone takes some


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
    """List the exercises: what is to be written, or predicted, and how long `run` takes on two cores."""
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
    """Write the file to begin an exercise with: signature, units and equation. Nothing is overwritten."""
    from wellposed.exercises import work

    work.start(find(number), file)
    print(f"{file}: write what is missing, then `wellposed exercise check {number} {file}`.")
    return 0


def check(number: Id, file: File, limit: Limit = LIMIT, json_file: JsonFile = None) -> int:
    """Hold your function against every property it must have, or see whether your prediction is complete.

    Exit code 1 if it has not all of them; a counterexample and a hint stand beside the first that it lacks.
    """
    from wellposed.exercises import Write, predict, told, work

    exercise = find(number)
    require(limit > 0, "limit", "must be greater than 0", limit)
    if not isinstance(exercise, Write):
        found = predict.read_prediction(exercise, file)
        if not emit(asdict(found), json_file):
            print(f"{file} holds a complete prediction. `wellposed exercise run {number} {file}` measures.")
        return 0
    checked = work.check(exercise, file, limit)
    if not emit(told.checked_data(checked), json_file):
        print("\n".join(told.checked_lines(checked, file)))
    return 0 if checked.passed else 1


def run(
    number: Id,
    file: File,
    seeds: Annotated[str, tyro.conf.arg(help="seeds of the runs with your function, as 0-2 or 0,3")] = "0-1",
    runs_dir: Annotated[
        Path, tyro.conf.arg(metavar="DIR", help="records lie below its folder exercises or chapters")
    ] = RUNS,
    threads: Threads = CORES,
    limit: Limit = LIMIT,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Train with your function, once it has every property, beside the laboratory's; or measure what you predicted.

    Exit code 1 if a property is missing: nothing is trained then. What was predicted wrongly is no failure.
    """
    from wellposed.exercises import Write, predict, told, work
    from wellposed.exercises.exercise import Setting

    exercise, setting = find(number), Setting(runs_dir / "exercises", parse_seeds(seeds), threads, quiet)
    require(limit > 0, "limit", "must be greater than 0", limit)
    if not isinstance(exercise, Write):
        # What is predicted is measured on ordinary runs: they lie with those of the chapters, none is trained twice.
        judged = predict.run(exercise, file, replace(setting, folder=runs_dir / "chapters"))
        if not emit(told.judged_data(judged), json_file):
            print("\n".join(told.judged_lines(judged)))
        return 0
    checked = work.check(exercise, file, limit)
    if not checked.passed or str(json_file) != "-":
        print("\n".join(told.checked_lines(checked, file)), flush=True)
    if not checked.passed:
        return 1
    try:
        compared = work.run(exercise, file, setting, limit)
    except KeyboardInterrupt:
        said = "The same command goes on; of a training with your function that was under way nothing is kept."
        raise KeyboardInterrupt(said) from None
    if not emit(told.compared_data(compared), json_file):
        print("\n".join(told.compared_lines(compared)))
    return 0


def exercise() -> int:
    """Exercises that check themselves: list, start, check, run; `wellposed exercise` explains them."""
    raise AssertionError("only listed; the command line calls one of COMMANDS")


COMMANDS: dict[str, Any] = {"list": list_exercises, "start": start, "check": check, "run": run}
