"""Verifies a chapter: every deliverable and every criterion, from checked run directories; and its progress."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from course.chapters.criteria import CriterionResult, verify_criterion
from course.chapters.edited import require_equal, with_line
from course.chapters.gather import Gathered, Runs, experiment_file, gather
from course.chapters.results import ExperimentFile
from course.chapters.spec import Chapter, Deliverable
from wellposed.errors import UserError
from wellposed.runs.files import read_json
from wellposed.runs.record import decode, encode


@dataclass(frozen=True)
class DeliverableResult:
    """The outcome of one deliverable."""

    deliverable: Deliverable
    there: bool  # it exists, is valid, and agrees with the run directories
    reason: str  # why not


@dataclass(frozen=True)
class Verification:
    """The outcome of all deliverables and criteria of a chapter."""

    deliverables: list[DeliverableResult]
    criteria: list[CriterionResult]

    @property
    def holds(self) -> bool:
        """Whether all deliverables and criteria pass."""
        return not self.failing

    @property
    def failing(self) -> list[str]:
        """The deliverables and criteria that fail, as sentences."""
        files = [f"{d.deliverable.file}: {d.reason}" for d in self.deliverables if not d.there]
        return files + [
            f"{j.criterion.says} {j.reason or f'{j.measured}, not {j.bound}.'}"
            for j in self.criteria
            if j.outcome != "pass"
        ]


def verify(chapter: Chapter, runs: Runs, found: Gathered | None = None) -> Verification:
    """Verify a chapter against the run directories, without training; summaries are recomputed from rows."""
    found = gather(chapter, runs) if found is None else found
    return Verification(
        [_verify_deliverable(chapter, runs, found, one) for one in chapter.deliverables],
        [verify_criterion(chapter, found.results, found.problems, one) for one in chapter.criteria],
    )


def _verify_deliverable(chapter: Chapter, runs: Runs, found: Gathered, asked: Deliverable) -> DeliverableResult:
    """Whether a file exists, is valid, and agrees with the runs."""
    name = Path(asked.file).stem if asked.schema != "study" else Path(asked.file).parent.name.removeprefix("study_")
    wanted = [name]
    if asked.schema == "experiment":
        wanted = [f"{name}.{variant}" for variant in chapter.experiments[name].runs]
    for part in wanted:
        if part in found.problems:
            problem = found.problems[part]
            command = f" `{chapter.made_by(name)}` creates it." if problem.missing else ""
            return DeliverableResult(asked, False, f"{part}: {problem.sentence}{command}")
    if asked.schema == "experiment":
        file = runs.folder / chapter.slug / asked.file
        try:
            _check_experiment(file, name, chapter, found)
        except UserError as error:
            return DeliverableResult(asked, False, f"{error} `{chapter.made_by(name)}` writes it again.")
    return DeliverableResult(asked, True, "")


def _check_experiment(file: Path, name: str, chapter: Chapter, found: Gathered) -> None:
    """Check the file of an experiment against its runs; raises UserError."""
    if not file.exists():
        raise UserError(f"{file} does not exist.")
    try:
        decode(ExperimentFile, read_json(file), str(file))
    except UserError as error:
        raise with_line(error) from error
    require_equal(file, encode(experiment_file(name, chapter, found.results.experiments[name])), "what its runs give")


def describe(chapter: Chapter, found: Verification) -> list[str]:
    """A verification as text: the outcome of each deliverable and each criterion, and the totals."""
    lines = [f"Chapter {chapter.number}, {chapter.title}"]
    for one in found.deliverables:
        lines.append(f"{_mark(one.there)} {one.deliverable.file}: {one.deliverable.says}")
        lines += [f"       {one.reason}"] if one.reason else []
    for result in found.criteria:
        asked = result.criterion
        lines.append(f"{_mark(result.outcome == 'pass')} {asked.says}")
        of = " ".join(filter(None, (asked.of, asked.metric, asked.statistic)))
        lines.append(f"       {of}: {result.measured or 'missing'}; {result.bound}")
        lines += [f"       {result.reason}"] if result.reason else []
    there, passed = sum(d.there for d in found.deliverables), sum(j.outcome == "pass" for j in found.criteria)
    done = "The chapter is done." if found.holds else "The chapter is not done."
    return [
        *lines,
        f"{there} of {len(found.deliverables)} deliverables, {passed} of {len(found.criteria)} criteria. {done}",
    ]


def _mark(good: bool) -> str:
    return "pass  " if good else "FAIL  "


@dataclass(frozen=True)
class Status:
    """The progress of a chapter."""

    number: int
    title: str
    runs: int  # without --studies
    runs_ended: int
    study_runs: int  # added by --studies, without the trials of the studies themselves
    study_runs_ended: int
    deliverables: int
    there: int
    passing: int
    failing: int
    missing: int
    done: bool


def status_of(chapter: Chapter, runs: Runs) -> Status:
    """The progress of a chapter, from its run directories; nothing is trained or evaluated."""
    paths: dict[bool, set] = {False: set(), True: set()}
    for asked in chapter.experiments.values():
        paths[asked.study] |= {runs.path(config) for of_one in asked.runs.values() for config in of_one}
    study = paths[True] - paths[False]
    found = verify(chapter, runs)
    outcomes = Counter(result.outcome for result in found.criteria)
    return Status(
        number=chapter.number,
        title=chapter.title,
        runs=len(paths[False]),
        runs_ended=_ended(paths[False]),
        study_runs=len(study),
        study_runs_ended=_ended(study),
        deliverables=len(found.deliverables),
        there=sum(one.there for one in found.deliverables),
        passing=outcomes["pass"],
        failing=outcomes["fail"],
        missing=outcomes["missing"],
        done=found.holds,
    )


def _ended(paths: set) -> int:
    """The number of runs that finished or diverged."""
    return sum((path / "summary.json").exists() or (path / "failure.json").exists() for path in paths)
