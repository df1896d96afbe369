"""Runs a capstone: trains what is missing, judges every run, measures robustness, and writes the page."""

from collections.abc import Iterator
from pathlib import Path

from course.capstone.grade import ROBUSTNESS, grade, robustness_of
from course.capstone.page import write_page
from course.capstone.register import asked_for, changed, registered
from course.capstone.task import PAGE, RUNS, TOML, load, require_permission
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.answers import outcome
from wellposed.progress import TrainingProgress
from wellposed.report import robustness as robustness_page
from wellposed.robustness import Request, examine, write
from wellposed.runs.files import folder_in
from wellposed.verdict import sentence, stored_verdict


def run(folder: Path, threads: int, quiet: bool) -> Iterator[str]:
    """Do what is missing of a capstone whose prediction is registered.

    Yields:
        A line for each run and each verdict, and last the path of the page.

    Raises:
        UserError: if nothing is registered, or what was registered is not what lies there; or a run fails, after the
            others are done. One that diverges is a result.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    registration, capstone = registered(folder), load(folder)
    if names := changed(folder, registration):
        raise UserError(
            f"{', '.join(names)} in {folder} changed after the prediction was registered, so its runs would answer "
            "another question. Put back what was registered, or begin another capstone."
        )
    require_permission(folder, capstone)
    rows, environment = asked_for(capstone)
    if environment != registration.environment:
        raise UserError(f"The code of {capstone.env} is not what was registered; put that back.")
    if [row.name for row in rows] != registration.runs:
        raise UserError(f"{TOML} means other runs than were registered: this version of wellposed has other defaults.")
    runs = folder_in(folder, RUNS)
    for row in local.train_rows(rows, runs, threads, TrainingProgress(quiet)):
        yield outcome(row, runs)
    finished = [path for row in rows if ((path := runs / row.name) / "summary.json").exists()]
    for path in finished:
        yield f"{path.name}: {sentence(stored_verdict(path, threads))}"
    if finished and robustness_of(folder, finished) is None:
        found, results = examine(finished, Request(capstone.robustness), threads, quiet), folder_in(folder, ROBUSTNESS)
        write(found, results)
        robustness_page.write_page(found.result, results / "robustness.html")
        yield from robustness_page.lines(found.result)
    write_page(folder, grade(folder))
    yield str(folder / PAGE)
