"""Runs a chapter: finished runs are skipped, interrupted ones resumed, missing ones trained.

A failure does not stop the rest; all failures are reported at the end.
"""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from course.chapters.audit import MissingError
from course.chapters.edited import with_line
from course.chapters.gather import Runs, experiment_file, gather, measured, merge_sources, sources, study, unanswered
from course.chapters.results import Measured, write_rows
from course.chapters.spec import Chapter
from course.chapters.traces import current_traces
from course.measure import MEASUREMENTS
from course.measure.kinds import Context
from wellposed import serialise
from wellposed.analysis.study import Study
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.answers import outcome
from wellposed.launch.rows import Row, row_of
from wellposed.launch.states import ENDED, state_of
from wellposed.progress import TrainingProgress, duration
from wellposed.runs.files import explained, folder_in, read_json, write_json
from wellposed.runs.record import decode, encode
from wellposed.runs.store import RunReader
from wellposed.study.run import run_study
from wellposed.training import here
from wellposed.verdict import stored_verdict

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """The runs of a chapter, each once."""

    left: list[Row]  # to be trained, or interrupted
    ended: list[Row]  # finished or diverged
    refused: list[str]  # sentences: why other runs cannot be used


@dataclass(frozen=True)
class Share:
    """Which share of a chapter's work is done here: the `part`-th of `parts`, counted from 1.

    Every `parts`-th of all runs, measurements without runs and studies, whatever is done already: all shares together
    are the whole, each piece of it once.
    """

    part: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.part <= self.parts:
            raise UserError(f"--part takes K/M with 1 <= K <= M, for example 2/3, got {self.part}/{self.parts}.")

    def of(self, work: Iterable[T]) -> list[T]:
        """The pieces of work in this share."""
        return list(work)[self.part - 1 :: self.parts]


ALL = Share()


def share_of(text: str) -> Share:
    """The share that "K/M" names; raises UserError if it is none."""
    part, _, parts = text.partition("/")
    try:
        return Share(int(part), int(parts))
    except ValueError:
        raise UserError(f"--part takes K/M, for example 2/3, got {text!r}.") from None


def asked_rows(chapter: Chapter, studies: bool) -> list[Row]:
    """The runs of a chapter, each once."""
    rows: dict[str, Row] = {}
    for experiment, asked in chapter.experiments.items():
        for variant, of_one in asked.runs.items() if studies or not asked.study else ():
            for row in (row_of(f"{experiment} {variant}", config) for config in of_one):
                rows.setdefault(row.name, row)
    return list(rows.values())


def asked_runs(chapter: Chapter, runs: Runs, studies: bool, share: Share = ALL) -> Asked:
    """The runs of a chapter, or of a share of it, by their state."""
    found, rows = Asked([], [], []), asked_rows(chapter, studies)
    chosen = share.of(rows)
    begun_with = {_teacher(row) for row in chosen}
    for row in [row for row in rows if row.name in begun_with and row not in chosen] + chosen:
        _sort_in(found, row, runs.folder)
    return found


def _teacher(row: Row) -> str | None:
    """The name of the run that a run begins with; None where it begins with none."""
    return f"{row.config['init_from']}_s{row.config['seed']}" if "init_from" in row.config else None


def bring(chapter: Chapter, folders: Iterable[Path], runs_dir: Path) -> list[str]:
    """Copy what shares of a chapter made elsewhere into `runs_dir`: ended runs, measurements and studies not yet there.

    Returns:
        The names of what was copied. Whether it is what the chapter asks for, `verify` says.

    Raises:
        UserError: if a folder does not exist, or a file can't be read or written.
    """
    rows = asked_rows(chapter, studies=True)
    files = [f"{chapter.slug}/{name}.json" for name in chapter.measurements]
    files += [f"{chapter.slug}/study_{name}" for name in chapter.studies]
    brought: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a directory. --from takes the --runs-dir of other parts.")
        names = [row.name for row in rows if state_of(folder, row) in ENDED]
        names += [name for name in files if (folder / name).exists()]
        for name in (name for name in names if not (runs_dir / name).exists()):
            _copy(folder / name, folder_in(runs_dir, *Path(name).parent.parts))
            brought.append(name)
    return brought


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a directory into the folder `target`, whole or not at all."""
    with explained(target, "write"), TemporaryDirectory(dir=target, prefix=".part-") as part:
        whole = Path(part) / source.name
        if source.is_dir():
            shutil.copytree(source, whole, symlinks=True)
        else:
            shutil.copyfile(source, whole, follow_symlinks=False)
        whole.rename(target / source.name)


def _sort_in(found: Asked, row: Row, runs_dir: Path) -> None:
    """Add a run to the list of its state."""
    state = state_of(runs_dir, row)
    if state != "waiting":
        try:
            assert RunReader(runs_dir / row.name).config == row.config  # because the name contains its hash
        except UserError as error:
            found.refused.append(str(error))
            return
    (found.ended if state in ENDED else found.left).append(row)


def run_chapter(
    chapter: Chapter, runs_dir: Path, threads: int, studies: bool, quiet: bool, share: Share = ALL
) -> Iterator[str]:
    """Create the missing results of a chapter: measurements, runs, verdicts and, with `studies`, its studies.

    Of a share, measurements of runs are made only if all these runs are there.

    Yields:
        A line with what is left and how long it takes, then a line for each result.

    Raises:
        UserError: at the end, with all failures; a run that diverges is a result, not a failure.
        KeyboardInterrupt: after Ctrl-C; the same call continues from there.
    """
    runs, failures = Runs(runs_dir), list[str]()
    asked = asked_runs(chapter, runs, studies, share)
    failures += asked.refused
    yield forecast(chapter, asked, runs_dir, studies, share)
    if asked.left and None in (traces := list(current_traces(chapter).values())):
        yield (
            f"{traces.count(None)} of {len(traces)} traces are not stored. Results are published only with traces of "
            f"their commit: record them first by `wellposed chapter traces {chapter.number} --write`, and commit them."
        )
    names = [name for name, one in chapter.measurements.items() if studies or not one.study]
    of_runs = [name for name in names if chapter.measurements[name].of]
    with TrainingProgress(quiet) as progress:
        for name in share.of(name for name in names if name not in of_runs):
            yield from _noting(failures, _measure(name, chapter, runs, threads, progress))
        if asked.left:
            yield from _train(asked, runs, threads, progress, failures)
        if chapter.experiments:
            yield from _evaluate(asked, runs, threads, progress, failures)
        for name in of_runs:
            if share != ALL and not _has_runs(name, chapter, runs):
                yield f"{name}: waits for the runs of other parts."
            else:
                yield from _noting(failures, _measure(name, chapter, runs, threads, progress))
        for name in share.of(chapter.studies if studies else ()):
            yield from _noting(failures, _study(name, chapter, runs, threads, progress))
    yield from _noting(failures, _write(chapter, runs))
    if failures:
        raise UserError("\n".join(failures))
    whole = "All results exist" if share == ALL else f"Part {share.part} of {share.parts} is done"
    yield f"{whole}; verify with `wellposed chapter verify {chapter.number}`."


def _has_runs(name: str, chapter: Chapter, runs: Runs) -> bool:
    """Whether all runs that a measurement reads have ended and were evaluated."""
    try:
        sources(chapter.measurements[name], chapter, runs)
    except MissingError:
        return False
    except UserError:  # to be told by the measurement
        return True
    return True


def _noting(failures: list[str], work: Iterator[str]) -> Iterator[str]:
    """Run a part of the work; its failure is noted and does not stop the rest."""
    try:
        yield from work
    except UserError as error:
        failures.append(str(error))


def forecast(chapter: Chapter, asked: Asked, runs_dir: Path, studies: bool, share: Share = ALL) -> str:
    """What is left to do, and how long it takes, from the minutes that the chapter states."""
    runs = Runs(runs_dir)
    wanted = {name: measured for name, one in chapter.measurements.items() if studies or not one.study}
    wanted |= dict.fromkeys(chapter.studies, study) if studies else {}
    others = [name for name, read in wanted.items() if not _is_there(read, name, chapter, runs)]
    steps, ended = (sum(row.config["total_steps"] for row in rows) for rows in (asked.left, asked.ended))
    of_all = steps + ended
    minutes = chapter.minutes + (chapter.study_minutes if studies else 0.0)
    rest = steps / of_all if of_all else len(others) / max(1, len(wanted))
    count = len(asked.left) + len(asked.ended) + len(asked.refused)
    left = [f"{len(asked.left)} of {count} runs"] if count else []
    if wanted:
        left.append(f"{len(others)} of {len(wanted)} {'measurements and studies' if studies else 'measurements'}")
    time_left = f"about {duration(60 * minutes * rest / share.parts)} of" if asked.left or others else "nothing of"
    which = f", part {share.part} of {share.parts}" if share != ALL else ""
    return (
        f"Chapter {chapter.number}, {chapter.title}{which}: {' and '.join(left)} left, {time_left} the {minutes:g} min "
        "that the whole chapter takes on two cores."
    )


def _is_there(read: Callable[[str, Chapter, Runs], object], name: str, chapter: Chapter, runs: Runs) -> bool:
    """Whether a measurement or a study exists."""
    try:
        read(name, chapter, runs)
    except MissingError:
        return False
    except UserError:  # it exists, but will be rejected
        return True
    return True


def _train(asked: Asked, runs: Runs, threads: int, progress: TrainingProgress, failures: list[str]) -> Iterator[str]:
    """Train what is left."""
    with progress.expect(len(asked.left), sum(row.config["total_steps"] for row in asked.left)) as whole:
        try:
            pupils = [row for row in asked.left if _teacher(row)]
            for rows in ([row for row in asked.left if row not in pupils], pupils):
                for row in local.train_rows(rows, runs.folder, threads, progress):
                    yield f"{outcome(row, runs.folder)} ({whole})"
        except UserError as error:
            failures.append(str(error))


def _evaluate(asked: Asked, runs: Runs, threads: int, progress: TrainingProgress, failures: list[str]) -> Iterator[str]:
    """Evaluate every finished run on held-out episodes, unless its newest checkpoint has a verdict."""
    paths = [runs.folder / row.name for row in (*asked.ended, *asked.left)]
    finished = [path for path in paths if (path / "summary.json").exists()]
    for path in progress.over(finished, "runs evaluated on held-out episodes"):
        try:
            stored_verdict(path, threads)
        except UserError as error:
            failures.append(str(with_line(error)))
    yield f"{len(finished)} runs are evaluated on held-out episodes."


def _measure(name: str, chapter: Chapter, runs: Runs, threads: int, progress: TrainingProgress) -> Iterator[str]:
    """Make and store a measurement, unless it exists."""
    with suppress(MissingError):
        measured(name, chapter, runs)
        return
    asked, began = chapter.measurements[name], time.perf_counter()
    of = sources(asked, chapter, runs)
    paths = {text: [runs.folder / run for run in of_one] for text, of_one in of.items()}
    context = Context(threads, paths, progress.over, chapter.folder, _folder(chapter, runs))
    found = MEASUREMENTS[asked.kind].measure(asked.settings, context)
    result = serialise.to_dict(found)
    seconds = time.perf_counter() - began
    stored = Measured(
        kind=asked.kind,
        settings=serialise.to_dict(asked.settings),
        sources=merge_sources(of),
        hash=serialise.content_hash(result),
        provenance=here(threads),
        seconds=seconds,
        result=result,
    )
    write_json(_folder(chapter, runs) / f"{name}.json", encode(stored))
    yield f"{name}: measured in {seconds:.0f} s."


def _study(name: str, chapter: Chapter, runs: Runs, threads: int, progress: TrainingProgress) -> Iterator[str]:
    """Run the missing parts of a study."""
    with suppress(MissingError):
        study(name, chapter, runs)
        return
    question, out = chapter.studies[name], folder_in(_folder(chapter, runs), f"study_{name}")
    file = out / "study.json"
    left = unanswered(question, decode(Study, read_json(file), str(file)) if file.exists() else None)
    if not left:
        raise UserError(f"{file} is a study of another question. Move {out} away to run this one.")
    for line in run_study(replace(question, parts=left), out, runs.folder, threads, progress):
        yield f"study {name}: {line}"


def _write(chapter: Chapter, runs: Runs) -> Iterator[str]:
    """Write the results of each experiment whose runs are complete."""
    for name, variants in gather(chapter, runs).results.experiments.items():
        if variants.keys() == chapter.experiments[name].runs.keys():
            file = _folder(chapter, runs) / f"{name}.json"
            write_rows(file, encode(experiment_file(name, chapter, variants)))
            yield str(file)


def _folder(chapter: Chapter, runs: Runs) -> Path:
    """The folder of the chapter's results, created if necessary."""
    return folder_in(runs.folder, chapter.slug)
