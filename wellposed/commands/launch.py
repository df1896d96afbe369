"""Commands about many runs: launch a manifest, see where it is, and collect what it found."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from wellposed.commands.arguments import CORES, RUNS, JsonFile, Positional, RunsDir, emit
from wellposed.launch.options import Executor, Options, execute
from wellposed.launch.rows import Folder, Row, is_copy, is_search, keep_copy, make_folder
from wellposed.launch.states import ENDED, states
from wellposed.serialise import finite
from wellposed.terminal import Lasting, escaped

if TYPE_CHECKING:
    from wellposed.launch.drive import Searched
    from wellposed.launch.overview import Overview

LAUNCHED = Path("launched")
EVERY = 2.0  # seconds between two looks of a live status
FolderPath = Annotated[Positional[Path], tyro.conf.arg(metavar="FOLDER", help="folder of a launch")]


def launch(
    manifest: Annotated[Positional[Path], tyro.conf.arg(metavar="MANIFEST", help="what to run (docs/launch.md)")],
    on: Annotated[Executor, tyro.conf.arg(help="where: this machine, a Slurm cluster, or a Ray cluster")] = "local",
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FOLDER", help="folder of the launch; launched/NAME of the manifest's NAME")
    ] = None,
    threads: Annotated[int, tyro.conf.arg(help="cores to use; on a cluster, of each run")] = CORES,
    words: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="WORD...", help="options for the scheduler, as partition=long")
    ] = (),
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
) -> int:
    """Do what is missing of a manifest: finished runs are skipped, interrupted ones resumed. Prints the folder last.

    Of a search it says what the winner is worth with fresh seeds (docs/search.md).

    Exit code 130 if it was interrupted; the same command goes on.
    """
    folder = Folder(out or LAUNCHED / manifest.stem)
    work = lambda rows: execute(on, folder.path, rows, Options(threads, quiet, words))  # noqa: E731
    if not is_copy(folder, manifest) or is_search(folder):
        from wellposed.launch.manifest import read_manifest

        read, command = read_manifest(manifest), ["wellposed", *sys.argv[1:]]
        if read.question is not None:
            from wellposed.launch.drive import finished, run_search

            found = finished(folder) if is_copy(folder, manifest) else None
            make_folder(folder.path, folder.rows if is_search(folder) else [], command)
            keep_copy(folder, manifest)
            found = found or run_search(folder, read.question, read.title, work)
            print(*found.lines, folder.path, sep="\n")
            return 0
        make_folder(folder.path, read.rows, command)
        keep_copy(folder, manifest)
    if left := [i for i, state in enumerate(states(folder.runs, folder.rows)) if state not in ENDED]:
        work(left)
    print(folder.path)
    return 0


def status(
    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="FOLDER", help="folder of a launch, or a manifest")],
    runs_dir: RunsDir = RUNS,
    live: Annotated[bool, tyro.conf.arg(help="look again every two seconds while anything is running")] = False,
    json_file: JsonFile = None,
) -> int:
    """Say how many runs of a launch are finished, running, interrupted, failed and waiting, and how long they take.

    Everything is read from the run directories. Of a manifest that `wellposed experiment` runs, they lie in --runs-dir.
    """
    from wellposed.launch.overview import lines, overview

    runs, rows, of = _asked(folder, runs_dir)
    look = lambda: overview(runs, rows, of.errors if of else {})  # noqa: E731
    if live and json_file is None:
        _watch(look)
    found = look()
    if not emit(asdict(found), json_file):
        print("\n".join(lines(found)))
    return 0


def _asked(folder: Path, runs_dir: Path) -> tuple[Path, list[Row], Folder | None]:
    """The directory of the runs and the rows of a launch's folder or of a manifest, and the folder if it is one."""
    if folder.is_file():
        from wellposed.launch.manifest import read_manifest

        return runs_dir, read_manifest(folder).rows, None
    launched = Folder(folder)
    return launched.runs, launched.rows, launched


def _watch(look: Callable[[], "Overview"]) -> None:
    """Show the overview on the terminal until nothing is running, or Ctrl-C."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from wellposed.launch.overview import lines

    console = Console(file=Lasting(sys.stderr), soft_wrap=True)  # type: ignore[arg-type]
    with Live(console=console, auto_refresh=False, transient=True) as shown, suppress(KeyboardInterrupt):
        while (found := look()).counts["running"]:
            shown.update(Text(escaped("\n".join(lines(found)))), refresh=True)
            time.sleep(EVERY)


def collect(folder: FolderPath, json_file: JsonFile = None) -> int:
    """Say what the runs of a launch found, a line for each variant, and store every answer in FOLDER/answers.json.

    Of a search, what the winner is worth; its trials are in FOLDER/trials.json. The page FOLDER/collected.html shows
    scores, what was tried, which settings matter, and how groups learnt. Exit code 1 if not all runs have ended.
    """
    from wellposed.launch.answers import collect_answers, summaries
    from wellposed.launch.drive import compared, load_searched

    launched = Folder(folder)
    if is_search(launched):
        searched = load_searched(folder)
        if not emit(asdict(searched), json_file):
            print(*searched.lines, folder / "trials.json", _page(folder, searched, searched.search.method), sep="\n")
        return 0 if searched.claim is not None else 1
    rows = launched.rows
    groups = summaries(rows, launched.runs)
    answers = collect_answers(launched, ["wellposed", *sys.argv[1:]])
    page = _page(folder, compared(launched, folder.name), "variants")
    if not emit(finite(groups), json_file):  # a run that diverged never reaches the bar
        print(*(group.text for group in groups), answers, page, sep="\n")
    ended = sum(group.ended for group in groups)
    if ended < len(rows):
        print(f"wellposed: {len(rows) - ended} of {len(rows)} runs have not ended yet.", file=sys.stderr)
    return 0 if ended == len(rows) else 1


def _page(folder: Path, found: "Searched", method: str) -> Path:
    """Write the page of a launch; returns its path."""
    from wellposed.report.search import Asked, write_page

    search = found.search
    space, grid = search.space, search.method == "grid"
    asked = Asked(found.title, found.env, method, search.objective, search.towards, space, grid)
    write_page(asked, found.trials, found.claim, folder / "collected.html")
    return folder / "collected.html"
