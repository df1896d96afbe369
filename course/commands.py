"""The commands of the course: its chapters, its exercises and its book."""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from wellposed.commands import Group, arguments
from wellposed.commands.arguments import CORES, JsonFile, Positional, Threads, emit
from wellposed.errors import UserError, require
from wellposed.seeding import parse_seeds

RUNS = Path("runs/chapters")
Number = Annotated[Positional[int], tyro.conf.arg(metavar="N", help="number of the chapter")]
RunsDir = Annotated[Path, tyro.conf.arg(metavar="DIR", help="directory of all chapters' runs and results")]
Chapters = Annotated[
    Path | None,
    tyro.conf.arg(metavar="DIR", help="directory of the chapters; none: `chapters` here, or that of wellposed"),
]


def list_chapters(chapters: Chapters = None, json_file: JsonFile = None) -> int:
    """List the chapters, whether they are published, and their minutes. Exit code 1 if one is invalid."""
    from course.chapters.load import chapter_folders, find_chapters, load_chapter
    from course.chapters.records import edition

    data = []
    for number, folder in chapter_folders(find_chapters(chapters)).items():
        try:
            found = load_chapter(folder)
            about = {"title": found.title, "summary": found.summary, "minutes": found.minutes}
            about |= {"study_minutes": found.study_minutes, "published": edition(found), "problem": None}
        except UserError as error:
            about = {"problem": str(error)}
        data.append({"number": number, **about})
    if not emit(data, json_file):
        for row in data:
            print(_broken(row) if row["problem"] else _listed(row))
    return 1 if any(row["problem"] for row in data) else 0


def _broken(row: dict) -> str:
    return f"{row['number']:>2}  broken: {row['problem']}"


def _listed(row: dict) -> str:
    studies = f" + {row['study_minutes']:g} min of studies" if row["study_minutes"] else ""
    details = f"{row['minutes']:g} min{studies}; {row['published']}"
    return f"{row['number']:>2}  {row['title']} ({details})\n    {row['summary']}"


def run(
    number: Number,
    studies: Annotated[bool, tyro.conf.arg(help="also run the studies, which no criterion needs")] = False,
    runs_dir: RunsDir = RUNS,
    chapters: Chapters = None,
    threads: Annotated[int, tyro.conf.arg(help="runs side by side; with one run, native threads for physics")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
    part: Annotated[
        str, tyro.conf.arg(metavar="K/M", help="only the K-th of M shares of the work, for M machines")
    ] = "1/1",
) -> int:
    """Run a chapter: measurements, training, verdicts. Finished runs are skipped, interrupted ones resumed.

    Exit code 130 if it was interrupted: the same command continues.
    """
    from course.chapters.load import chapter_of, find_chapters
    from course.chapters.run import run_chapter, share_of

    chapter = chapter_of(find_chapters(chapters), number)
    try:
        for line in run_chapter(chapter, runs_dir, threads, studies, quiet, share_of(part)):
            print(line, flush=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Finished results are kept; the same command continues from there.") from None
    return 0


def verify(
    number: Number,
    parts: Annotated[
        tuple[Path, ...],
        tyro.conf.arg(name="from", metavar="DIR...", help="copy what `run --part` made below other runs directories"),
    ] = (),
    runs_dir: RunsDir = RUNS,
    chapters: Chapters = None,
    json_file: JsonFile = None,
) -> int:
    """Verify a chapter: every deliverable and every criterion, with the measured value. Exit code 1 if one fails."""
    from course.chapters import verify as verification
    from course.chapters.gather import Runs
    from course.chapters.load import chapter_of, find_chapters
    from course.chapters.run import bring

    chapter = chapter_of(find_chapters(chapters), number)
    if brought := bring(chapter, parts, runs_dir):
        print(f"Copied from other parts into {runs_dir}: {', '.join(brought)}.", file=sys.stderr)
    found = verification.verify(chapter, Runs(runs_dir))
    if not emit({"number": number, "holds": found.holds, **asdict(found)}, json_file):
        print(*verification.describe(chapter, found), sep="\n")
    return 0 if found.holds else 1


def status(runs_dir: RunsDir = RUNS, chapters: Chapters = None, json_file: JsonFile = None) -> int:
    """Show the progress of every chapter: runs, deliverables, criteria. Nothing is trained or evaluated."""
    from course.chapters.gather import Runs
    from course.chapters.load import chapter_folders, find_chapters, load_chapter
    from course.chapters.verify import status_of

    runs, data = Runs(runs_dir), []
    for number, folder in chapter_folders(find_chapters(chapters)).items():
        try:
            data.append(asdict(status_of(load_chapter(folder), runs)) | {"problem": None})
        except UserError as error:
            data.append({"number": number, "problem": str(error)})
    if not emit(data, json_file):
        for row in data:
            print(_broken(row) if row["problem"] else _progress(row))
    return 1 if any(row["problem"] for row in data) else 0


def _progress(row: dict) -> str:
    parts = [f"{row['runs_ended']} of {row['runs']} runs"] if row["runs"] else []
    parts += [f"{row['study_runs_ended']} of {row['study_runs']} of the studies"] if row["study_runs"] else []
    parts.append(f"{row['there']} of {row['deliverables']} deliverables")
    parts.append(f"criteria: {row['passing']} pass, {row['failing']} fail, {row['missing']} missing")
    return f"{row['number']:>2}  {row['title']}: {'done' if row['done'] else 'not done'}\n    {'; '.join(parts)}"


def publish(
    number: Number,
    anyway: Annotated[
        bool, tyro.conf.arg(help="publish in spite of failures or uncommitted changes; the records then say so")
    ] = False,
    runs_dir: RunsDir = RUNS,
    chapters: Chapters = None,
) -> int:
    """Verify a chapter and write its `records.json`, from which the book takes every number; prints the path."""
    from course.chapters.gather import Runs
    from course.chapters.load import chapter_of, find_chapters
    from course.chapters.publish import publish as publish_chapter

    chapter = chapter_of(find_chapters(chapters), number)
    records, path = publish_chapter(chapter, Runs(runs_dir), anyway=anyway)
    for sentence in records.failing:
        print(f"wellposed: published anyway: {sentence}", file=sys.stderr)
    print(path)
    return 0


def films(number: Number, runs_dir: RunsDir = RUNS, chapters: Chapters = None) -> int:
    """Film the videos of a published chapter again, from runs that do what its records say; prints the paths."""
    from course.chapters.gather import Runs
    from course.chapters.load import chapter_of, find_chapters
    from course.chapters.publish import film_again

    for path in film_again(chapter_of(find_chapters(chapters), number), Runs(runs_dir)):
        print(path)
    return 0


def notebook(
    number: Number,
    file: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="the notebook; none: ch03_sac.ipynb here, for chapter 3")
    ] = None,
    chapters: Chapters = None,
) -> int:
    """Make a notebook of a chapter: text, listings, tables, figures and exercises as cells. Nothing is overwritten.

    The last line printed is its path.
    """
    from course.book.notebook import notebook as notebook_of
    from course.chapters.load import chapter_of, find_chapters
    from wellposed.runs.files import format_json, write_new

    content = notebook_of(number, chapters)
    target = file or Path(f"{chapter_of(find_chapters(chapters), number).slug}.ipynb")
    write_new(target, format_json(content))
    print(target)
    return 0


def traces(
    number: Annotated[
        Positional[int | None], tyro.conf.arg(metavar="N", help="number of the chapter; none: all")
    ] = None,
    write: Annotated[
        bool, tyro.conf.arg(help="store what is missing or differs; facts that rest on it are stale")
    ] = False,
    chapters: Chapters = None,
) -> int:
    """Does the code do what published facts rest on? Records the first 1,600 steps of each configuration of a chapter,
    ten seconds each, and holds them against the stored ones. Exit code 1 if one differs.
    """
    from course.chapters.load import chapter_folders, chapter_of, find_chapters
    from course.chapters.traces import check

    folder, differ = find_chapters(chapters), False
    for one in chapter_folders(folder) if number is None else [number]:
        for name, wrong in check(chapter_of(folder, one), write):
            print(f"{one:>2}  {name}: {wrong or 'as stored'}", flush=True)
            differ |= wrong is not None
    return 1 if differ and not write else 0


def book(
    out: Annotated[
        Path, tyro.conf.arg(metavar="DIR", help="folder of the site; an older book there is replaced")
    ] = Path("site"),
    chapters: Chapters = None,
    draft: Annotated[bool, tyro.conf.arg(help="build in spite of problems and mark missing parts in red")] = False,
    pdf: Annotated[bool, tyro.conf.arg(help="print it by Chromium as well, to wellposed.pdf in that folder")] = False,
) -> int:
    """Build the course as a static site that works offline; the last line printed is its first page, or the PDF.

    Exit code 1, with every problem, if something that the text refers to is missing or stale.
    """
    from course.book.build import build_book
    from course.book.printed import NAME
    from course.chapters.load import find_chapters

    problems = build_book(out, chapters or find_chapters(), draft=draft, pdf=pdf)
    if problems:
        print(f"wellposed: this is a draft; {len(problems)} problems:", *problems, sep="\n", file=sys.stderr)
    print(out / (NAME if pdf else "index.html"))
    return 0


Id = Annotated[Positional[str], tyro.conf.arg(metavar="ID", help="number of the exercise, as 4.1")]
File = Annotated[
    Positional[Path | None], tyro.conf.arg(metavar="FILE", help="your file; none: ex4_1.py here, for exercise 4.1")
]
Limit = Annotated[float, tyro.conf.arg(help="seconds that one property, or one call while training, may take")]
LIMIT = 20.0  # compiling takes seconds on a busy machine


def _exercise(number: str) -> Any:
    """An exercise by its number. Raises UserError if there is none."""
    from course.exercises import EXERCISES

    if number not in EXERCISES:
        raise UserError(f"There is no exercise {number!r}; there are {', '.join(EXERCISES)}.")
    return EXERCISES[number]


def _own_file(number: str) -> Path:
    """Where a reader's answer to an exercise is, unless another file is named: `ex4_1.py` for exercise 4.1."""
    from course.exercises import file_of

    return Path(file_of(number))


def list_exercises(json_file: JsonFile = None) -> int:
    """List the exercises: the functions to write or the prediction, and the minutes `run` takes on two cores."""
    from course.exercises import EXERCISES, MINUTES, Build, Write

    kinds = {Write: "write", Build: "build"}

    rows = [
        {
            "id": exercise.id,
            "title": exercise.title,
            "kind": kinds.get(type(exercise), "predict, then measure"),
            "minutes": MINUTES[exercise.id],
            "function": f"{exercise.function}({', '.join(exercise.parameters)})"
            if isinstance(exercise, Write)
            else None,
            "steps": [step.function for step in exercise.steps] if isinstance(exercise, Build) else None,
        }
        for exercise in EXERCISES.values()
    ]
    if not emit(rows, json_file):
        for row in rows:
            what = row["function"] or (f"build: {', '.join(row['steps'])}" if row["steps"] else row["kind"])
            print(f"{row['id']}  {row['title']:<40} {row['minutes']:3g} min  {what}")
    return 0


def start(
    number: Id,
    file: File = None,
    *,
    hint: Annotated[bool, tyro.conf.arg(help="add the equation behind each property that will be checked")] = False,
) -> int:
    """Write the stub of an exercise: signature and units. Nothing is overwritten."""
    from course.exercises import submission

    file = file or _own_file(number)
    submission.start(_exercise(number), file, hint)
    print(f"{file}: fill it in, then `wellposed exercise check {number} {file}`.")
    return 0


def check_exercise(number: Id, file: File = None, limit: Limit = LIMIT, json_file: JsonFile = None) -> int:
    """Check your function against every property it must have, or whether your prediction is complete.

    Exit code 1 if a property is missing; the first comes with a counterexample and a hint. Of several functions the
    check goes step by step and stops at the first that fails. If all pass, the laboratory's own code is shown, with its
    comments.
    """
    from course.exercises import Predict, predict, submission

    exercise, file = _exercise(number), file or _own_file(number)
    require(limit > 0, "limit", "must be greater than 0", limit)
    if isinstance(exercise, Predict):
        found = predict.read_prediction(exercise, file)
        if not emit(asdict(found), json_file):
            print(f"{file} holds a complete prediction. `wellposed exercise run {number} {file}` measures.")
        return 0
    checked = submission.check(exercise, file, limit)
    if not emit(checked.data(), json_file):
        print("\n".join(checked.lines(file)))
        if checked.passed:
            print(f"\n{submission.solution(exercise)}", end="")
    return 0 if checked.passed else 1


def run_exercise(
    number: Id,
    file: File = None,
    *,
    seeds: Annotated[str, tyro.conf.arg(help="seeds of the runs with your function, as 0-2 or 0,3")] = "0-1",
    runs_dir: Annotated[
        Path, tyro.conf.arg(metavar="DIR", help="records are stored in its folder exercises or chapters")
    ] = arguments.RUNS,
    threads: Threads = CORES,
    limit: Limit = LIMIT,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Run the trial with your function and with the laboratory's, or measure what you predicted.

    Exit code 1 if your function lacks a property; nothing is trained then. A wrong prediction is not a failure. Where
    an algorithm is built in steps, the last step of the check is the trial.
    """
    from course.exercises import Build, Predict, predict, submission
    from course.exercises.exercise import Setting

    exercise, file = _exercise(number), file or _own_file(number)
    setting = Setting(runs_dir / "exercises", parse_seeds(seeds), threads, quiet)
    require(limit > 0, "limit", "must be greater than 0", limit)
    if isinstance(exercise, Predict):
        # Predictions are measured on the runs of the chapters, so that none is trained twice.
        results = predict.run(exercise, file, replace(setting, folder=runs_dir / "chapters"))
        if not emit([one.data() for one in results], json_file):
            print("\n".join(line for one in results for line in one.lines()))
        return 0
    if isinstance(exercise, Build):
        return check_exercise(number, file, limit, json_file)
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


CHAPTER = Group(
    "The course: list, run, verify, status, publish, films, notebook, traces; `wellposed chapter` explains them.",
    {
        "list": list_chapters,
        "run": run,
        "verify": verify,
        "status": status,
        "publish": publish,
        "films": films,
        "notebook": notebook,
        "traces": traces,
    },
)
EXERCISE = Group(
    "Self-checking exercises: list, start, check, run; `wellposed exercise` explains them.",
    {"list": list_exercises, "start": start, "check": check_exercise, "run": run_exercise},
)
