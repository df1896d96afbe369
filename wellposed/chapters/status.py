"""How far a chapter is, from what lies in the directories of runs; nothing is trained or evaluated."""

from collections import Counter
from dataclasses import dataclass

from wellposed.chapters.gather import Runs
from wellposed.chapters.spec import Chapter
from wellposed.chapters.verify import verify


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
