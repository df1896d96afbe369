"""The origin of facts: command, runs, seeds, steps, commits and machines behind a published number."""

from collections.abc import Iterable
from dataclasses import dataclass

from course.chapters.results import Results, RunResult
from course.chapters.spec import Chapter
from course.chapters.values import variant_of
from wellposed.analysis.study import Trial, trials_of
from wellposed.runs.record import Provenance


@dataclass(frozen=True)
class Origin:
    """The origin of a fact."""

    command: str
    runs: list[str]  # directories; empty if nothing was trained
    seeds: list[int]
    steps: int  # environment steps of all runs
    updates: int  # gradient updates of all runs
    commits: list[str]
    machines: list[str]


@dataclass(frozen=True)
class _Source:
    """One run, or one measurement or study."""

    run: str  # empty for a measurement or study
    seed: int
    steps: int
    updates: int
    commit: str
    machine: str


def origin_of(chapter: Chapter, results: Results, *subjects: str) -> Origin:
    """The common origin of experiments, variants (`EXPERIMENT.VARIANT`), measurements and studies.

    Raises:
        AbsentError: if one of them is not among the results.
    """
    found = [source for subject in subjects for source in _sources(chapter, results, subject)]
    runs = {source.run: source for source in found if source.run}
    studies = any(chapter.is_study(subject.partition(".")[0]) for subject in subjects)
    return Origin(
        command=chapter.command(studies),
        runs=list(runs),
        seeds=sorted({run.seed for run in runs.values()}),
        steps=sum(run.steps for run in runs.values()),
        updates=sum(run.updates for run in runs.values()),
        commits=sorted({source.commit for source in found}),
        machines=sorted({source.machine for source in found}),
    )


def _sources(chapter: Chapter, results: Results, subject: str) -> Iterable[_Source]:
    """All sources of one subject."""
    if subject in chapter.experiments:
        variants = [(subject, variant) for variant in chapter.experiments[subject].runs]
    elif runs := chapter.runs_of(subject):
        variants = [runs[:2]]
    else:
        variants = []
    for experiment, variant in variants:
        yield from map(_of_run, variant_of(results, experiment, variant).runs)
    if subject in results.measurements:
        found = results.measurements[subject]
        yield _of_provenance(found.provenance)
        for text in chapter.measurements[subject].of:
            yield from _sources(chapter, results, text)
    elif subject in results.studies:
        yield _of_provenance(results.studies[subject].provenance)
        yield from map(_of_trial, trials_of(results.studies[subject]).values())


def _of_run(run: RunResult) -> _Source:
    return _Source(run.run, run.seed, run.step, run.updates, _commit(run), f"{run.cpu}, {run.cores} cores")


def _of_trial(trial: Trial) -> _Source:
    return _Source(trial.run, trial.seed, trial.step, trial.updates, _commit(trial), trial.cpu)


def _of_provenance(origin: Provenance) -> _Source:
    return _Source("", 0, 0, 0, _commit(origin), f"{origin.cpu}, {origin.cores} cores")


def _commit(origin: RunResult | Trial | Provenance) -> str:
    """`8555243 with uncommitted changes`."""
    if origin.commit is None:
        return "not a git checkout"
    return f"{origin.commit}{' with uncommitted changes' if origin.dirty else ''}"
