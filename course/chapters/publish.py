"""Publishes a chapter: writes its records, from which the book takes every number, and the traces they rest on."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course.chapters.gather import Runs, gather
from course.chapters.records import Records, as_published, load_records, write_records
from course.chapters.results import Results, RunResult
from course.chapters.spec import Chapter
from course.chapters.traces import StoredTrace, current_traces, traces_at
from course.chapters.verify import verify
from wellposed.analysis.study import trials_of
from wellposed.errors import UserError
from wellposed.showing import film, film_chance
from wellposed.training import here


def publish(chapter: Chapter, runs: Runs, anyway: bool) -> tuple[Records, Path]:
    """Verify a chapter, film its videos and write its `records.json`; returns what was written, and where.

    Raises:
        UserError: unless `anyway`, if a deliverable or a criterion fails, or results were made with uncommitted changes
            or by code that did something else than today's, as far as the stored traces tell, or if a video cannot be
            made here.
    """
    found = gather(chapter, runs)
    traces = current_traces(chapter)
    failing = [*verify(chapter, runs, found).failing, *_unsound(chapter, found.results, traces)]
    if not failing or anyway:
        failing += _filmed(chapter, runs, found.results)
    if failing and not anyway:
        raise UserError(
            "\n".join(failing)
            + f"\nChapter {chapter.number} is not published. --anyway publishes it in spite of that, and "
            "its records then say so."
        )
    digests = {name: trace.digest for name, trace in traces.items() if trace}
    records = as_published(Records(here(threads=1), failing, digests, found.results))
    return records, write_records(chapter.folder, records)


def film_again(chapter: Chapter, runs: Runs) -> list[Path]:
    """Film the videos of a published chapter again; returns the files.

    Raises:
        UserError: if nothing was published, or if a run is missing or did something else than its records say.
    """
    if problems := list(_filmed(chapter, runs, load_records(chapter.folder).results)):
        raise UserError("\n".join(problems))
    return [chapter.video(name) for name in chapter.videos]


def _filmed(chapter: Chapter, runs: Runs, results: Results) -> Iterator[str]:
    """Make the videos of a chapter with these results; yields why one could not be made."""
    for name, text in chapter.videos.items():
        try:
            if "." not in text:
                film_chance(text, chapter.video(name))
                continue
            experiment, variant, _ = chapter.variant(text)
            config, *_ = chapter.experiments[experiment].runs[variant]
            found, published = runs.result(config), results.experiments[experiment].get(variant)
            if published is None or not _is_that_of(published.runs[0], found):
                raise UserError(f"{runs.path(config)} did something else than the run of the records.")
            film(runs.path(config), chapter.video(name))
        except UserError as error:
            yield f"The video {name} of {text} was not made: {error}"


def _is_that_of(published: RunResult, found: RunResult) -> bool:
    """Whether a run did what its records say; on another processor, whether its success may be the same (chapter 0)."""
    if published.cpu == found.cpu or not (published.held_out and found.held_out):
        return _did(published) == _did(found)
    (low, high), (least, most) = (one.held_out.success_rate.ci95 for one in (published, found) if one.held_out)
    return low <= most and least <= high


def _did(run: RunResult) -> tuple[Any, ...]:
    """What a run did, without times and origin."""
    return run.step, run.updates, run.curve.step, run.curve.success, run.held_out and run.held_out.success


def _unsound(chapter: Chapter, results: Results, traces: dict[str, StoredTrace | None]) -> Iterator[str]:
    """Why results may not be those of what the code does today, in sentences."""
    for name in (name for name, trace in traces.items() if trace is None):
        yield f"There is no trace of {name}; `wellposed chapter traces {chapter.number} --write` records it."
    origins = [
        (run.commit, run.dirty)
        for variants in results.experiments.values()
        for variant in variants.values()
        for run in variant.runs
    ]
    origins += [(found.provenance.commit, found.provenance.dirty) for found in results.measurements.values()]
    for study in results.studies.values():
        origins.append((study.provenance.commit, study.provenance.dirty))
        origins += [(trial.commit, trial.dirty) for trial in trials_of(study).values()]
    if unknown := sum(commit is None for commit, _ in origins):
        yield f"{unknown} results were made outside a git checkout, so that nobody knows by what code."
    if dirty := sum(bool(changed) for _, changed in origins):
        yield f"{dirty} results were made with uncommitted changes, so that nobody knows by what code."
    for commit in sorted({commit for commit, _ in origins if commit is not None}):
        then = traces_at(chapter.folder, commit)
        for name in (name for name, trace in traces.items() if trace and trace.digest not in then):
            yield f"The trace of {name} is not one that was stored at {commit[:7]}, with which results were made."
