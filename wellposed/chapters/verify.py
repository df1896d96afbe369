"""Is a chapter done? Every deliverable and every criterion, from run directories that were checked."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from wellposed.chapters.criteria import Judgement, judge
from wellposed.chapters.edited import refuse_difference, with_line
from wellposed.chapters.gather import Gathered, Runs, experiment_file, gather
from wellposed.chapters.results import ExperimentFile
from wellposed.chapters.spec import Chapter, Deliverable
from wellposed.errors import UserError
from wellposed.runs.files import read_json
from wellposed.runs.record import decode, encode


@dataclass(frozen=True)
class Delivery:
    """One deliverable, and whether it is there."""

    deliverable: Deliverable
    there: bool  # and decodes to what it says, and agrees with the run directories
    reason: str  # why not


@dataclass(frozen=True)
class Verification:
    """What holds of a chapter."""

    deliverables: list[Delivery]
    criteria: list[Judgement]

    @property
    def holds(self) -> bool:
        """Whether all of it does."""
        return not self.failing

    @property
    def failing(self) -> list[str]:
        """What does not hold, in sentences."""
        files = [f"{d.deliverable.file}: {d.reason}" for d in self.deliverables if not d.there]
        return files + [
            f"{j.criterion.says} {j.reason or f'{j.measured}, not {j.bound}.'}"
            for j in self.criteria
            if j.outcome != "pass"
        ]


def verify(chapter: Chapter, runs: Runs, found: Gathered | None = None) -> Verification:
    """Hold a chapter against the run directories; nothing is trained, and no summary is believed."""
    found = gather(chapter, runs) if found is None else found
    return Verification(
        [_deliver(chapter, runs, found, one) for one in chapter.deliverables],
        [judge(chapter, found.results, found.problems, one) for one in chapter.criteria],
    )


def _deliver(chapter: Chapter, runs: Runs, found: Gathered, asked: Deliverable) -> Delivery:
    """Whether a file is there, is sound, and says what the runs say."""
    name = Path(asked.file).stem if asked.schema != "study" else Path(asked.file).parent.name.removeprefix("study_")
    wanted = [name]
    if asked.schema == "experiment":
        wanted = [f"{name}.{variant}" for variant in chapter.experiments[name].runs]
    for part in wanted:
        if part in found.problems:
            problem = found.problems[part]
            makes = f" `{chapter.made_by(name)}` makes it." if problem.missing else ""
            return Delivery(asked, False, f"{part}: {problem.sentence}{makes}")
    if asked.schema == "experiment":
        file = runs.folder / chapter.slug / asked.file
        try:
            _check_experiment(file, name, chapter, found)
        except UserError as error:
            return Delivery(asked, False, f"{error} `{chapter.made_by(name)}` writes it anew.")
    return Delivery(asked, True, "")


def _check_experiment(file: Path, name: str, chapter: Chapter, found: Gathered) -> None:
    """Refuse a file of an experiment that is not what its runs give."""
    if not file.exists():
        raise UserError(f"{file} is not there.")
    try:
        decode(ExperimentFile, read_json(file), str(file))
    except UserError as error:
        raise with_line(error) from error
    refuse_difference(
        file, encode(experiment_file(name, chapter, found.results.experiments[name])), "what its runs give"
    )


def lines(chapter: Chapter, found: Verification) -> list[str]:
    """A verification for people: one line for each deliverable and each criterion, and how it stands."""
    told = [f"Chapter {chapter.number}, {chapter.title}"]
    for one in found.deliverables:
        told.append(f"{_mark(one.there)} {one.deliverable.file}: {one.deliverable.says}")
        told += [f"       {one.reason}"] if one.reason else []
    for judged in found.criteria:
        asked = judged.criterion
        told.append(f"{_mark(judged.outcome == 'pass')} {asked.says}")
        of = " ".join(filter(None, (asked.of, asked.metric, asked.statistic)))
        told.append(f"       {of}: {judged.measured or 'missing'}; {judged.bound}")
        told += [f"       {judged.reason}"] if judged.reason else []
    there, passed = sum(d.there for d in found.deliverables), sum(j.outcome == "pass" for j in found.criteria)
    done = "It is done." if found.holds else "It is not done."
    return [
        *told,
        f"{there} of {len(found.deliverables)} deliverables, {passed} of {len(found.criteria)} criteria. {done}",
    ]


def _mark(good: bool) -> str:
    return "pass  " if good else "FAIL  "


@dataclass(frozen=True)
class Status:
    """How far a chapter is."""

    number: int
    title: str
    runs: int  # that its criteria need
    runs_ended: int
    study_runs: int  # that --studies adds; those of a study itself are not counted beforehand
    study_runs_ended: int
    deliverables: int
    there: int
    passing: int
    failing: int
    missing: int
    done: bool


def status_of(chapter: Chapter, runs: Runs) -> Status:
    """How far a chapter is."""
    paths: dict[bool, set] = {False: set(), True: set()}
    for asked in chapter.experiments.values():
        paths[asked.study] |= {runs.path(config) for of_one in asked.runs.values() for config in of_one}
    study = paths[True] - paths[False]
    found = verify(chapter, runs)
    outcomes = Counter(judged.outcome for judged in found.criteria)
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
    """How many runs finished or diverged."""
    return sum((path / "summary.json").exists() or (path / "failure.json").exists() for path in paths)
