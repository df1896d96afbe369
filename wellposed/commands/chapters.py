"""Commands about the chapters of the course."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro

from wellposed.commands.arguments import CORES, JsonFile, Positional, emit
from wellposed.errors import UserError

RUNS = Path("runs/chapters")
Number = Annotated[Positional[int], tyro.conf.arg(metavar="N", help="number of the chapter")]
RunsDir = Annotated[Path, tyro.conf.arg(metavar="DIR", help="directory of all chapters' runs and results")]
Chapters = Annotated[
    Path | None,
    tyro.conf.arg(metavar="DIR", help="directory of the chapters; none: `chapters` here, or that of wellposed"),
]


def list_chapters(chapters: Chapters = None, json_file: JsonFile = None) -> int:
    """List the chapters, whether they are published, and their minutes. Exit code 1 if one is invalid."""
    from wellposed.chapters.load import chapter_folders, find_chapters, load_chapter
    from wellposed.chapters.records import edition

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
) -> int:
    """Run a chapter: measurements, training, verdicts. Finished runs are skipped, interrupted ones resumed.

    Exit code 130 if it was interrupted: the same command continues.
    """
    from wellposed.chapters.load import chapter_of, find_chapters
    from wellposed.chapters.run import run_chapter

    chapter = chapter_of(find_chapters(chapters), number)
    try:
        for line in run_chapter(chapter, runs_dir, threads, studies, quiet):
            print(line, flush=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Finished results are kept; the same command continues from there.") from None
    return 0


def verify(number: Number, runs_dir: RunsDir = RUNS, chapters: Chapters = None, json_file: JsonFile = None) -> int:
    """Verify a chapter: every deliverable and every criterion, with the measured value. Exit code 1 if one fails."""
    from wellposed.chapters import verify as verification
    from wellposed.chapters.gather import Runs
    from wellposed.chapters.load import chapter_of, find_chapters

    chapter = chapter_of(find_chapters(chapters), number)
    found = verification.verify(chapter, Runs(runs_dir))
    if not emit({"number": number, "holds": found.holds, **asdict(found)}, json_file):
        print(*verification.describe(chapter, found), sep="\n")
    return 0 if found.holds else 1


def status(runs_dir: RunsDir = RUNS, chapters: Chapters = None, json_file: JsonFile = None) -> int:
    """Show the progress of every chapter: runs, deliverables, criteria. Nothing is trained or evaluated."""
    from wellposed.chapters.gather import Runs
    from wellposed.chapters.load import chapter_folders, find_chapters, load_chapter
    from wellposed.chapters.verify import status_of

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
    from wellposed.chapters.gather import Runs
    from wellposed.chapters.load import chapter_of, find_chapters
    from wellposed.chapters.publish import publish as publish_chapter

    chapter = chapter_of(find_chapters(chapters), number)
    records, path = publish_chapter(chapter, Runs(runs_dir), anyway=anyway)
    for sentence in records.failing:
        print(f"wellposed: published anyway: {sentence}", file=sys.stderr)
    print(path)
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
    from wellposed.chapters.load import chapter_folders, chapter_of, find_chapters
    from wellposed.chapters.traces import check

    folder, differ = find_chapters(chapters), False
    for one in chapter_folders(folder) if number is None else [number]:
        for name, wrong in check(chapter_of(folder, one), write):
            print(f"{one:>2}  {name}: {wrong or 'as stored'}", flush=True)
            differ |= wrong is not None
    return 1 if differ and not write else 0


def chapter() -> int:
    """The course: list, run, verify, status, publish, traces; `wellposed chapter` explains them."""
    raise AssertionError("only listed; the command line calls one of COMMANDS")


COMMANDS = {
    "list": list_chapters, "run": run, "verify": verify, "status": status, "publish": publish, "traces": traces,
}  # fmt: skip
