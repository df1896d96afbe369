"""Collects the results of a chapter from run directories; missing and damaged results are reported as problems."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from course.chapters.audit import MissingError, run_result
from course.chapters.edited import line_of, require_equal, with_line
from course.chapters.results import ExperimentFile, Measured, Results, RunResult, VariantResult
from course.chapters.spec import AskedMeasurement, Chapter
from course.measure import MEASUREMENTS
from wellposed import serialise
from wellposed.analysis.study import Part, Study, Trial
from wellposed.config import AnyRunConfig, stored_config
from wellposed.errors import UserError
from wellposed.runs.files import read_json
from wellposed.runs.record import Estimate, decode
from wellposed.runs.store import run_name
from wellposed.study.run import Question, learnability

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """Why a result is not available."""

    missing: bool  # True if it does not exist yet, False if it was rejected
    sentence: str


@dataclass(frozen=True)
class Gathered:
    """The valid results of a chapter, and the problems of the others."""

    results: Results
    problems: dict[str, Problem]  # by "experiment.variant", or the name of a measurement or a study


@dataclass
class Runs:
    """The runs below a directory; each is read and checked once."""

    folder: Path
    known: dict[str, RunResult | UserError] = field(default_factory=dict)

    def path(self, config: AnyRunConfig) -> Path:
        """The directory of a run."""
        return self.folder / run_name(serialise.to_dict(config))

    def result(self, config: AnyRunConfig) -> RunResult:
        """The result of a run; raises MissingError or UserError like `run_result`."""
        path = self.path(config)
        if path.name not in self.known:
            try:
                self.known[path.name] = run_result(config, path)
            except UserError as error:
                self.known[path.name] = error
        found = self.known[path.name]
        if isinstance(found, UserError):
            raise found
        return found


def gather(chapter: Chapter, runs: Runs) -> Gathered:
    """All results of a chapter below a directory of runs."""
    found: dict[str, Any] = {}
    for name, asked in chapter.experiments.items():
        found |= {f"{name}.{variant}": _attempt(variant_result, of_one, runs) for variant, of_one in asked.runs.items()}
    for name in chapter.measurements:
        found[name] = _attempt(measured, name, chapter, runs)
    for name in chapter.studies:
        found[name] = _attempt(study, name, chapter, runs)
    valid = {name: value for name, value in found.items() if not isinstance(value, Problem)}
    results = Results(
        experiments={
            name: {variant: valid[f"{name}.{variant}"] for variant in asked.runs if f"{name}.{variant}" in valid}
            for name, asked in chapter.experiments.items()
        },
        measurements={name: valid[name] for name in chapter.measurements if name in valid},
        studies={name: valid[name] for name in chapter.studies if name in valid},
    )
    return Gathered(results, {name: value for name, value in found.items() if isinstance(value, Problem)})


def _attempt(read: Callable[..., T], *arguments: Any) -> T | Problem:
    """The result of `read`, or the problem if it raises."""
    try:
        return read(*arguments)
    except UserError as error:
        return Problem(isinstance(error, MissingError), str(error))


def variant_result(configs_: list[AnyRunConfig], runs: Runs) -> VariantResult:
    """The runs of a variant.

    Raises:
        MissingError: if some have not ended or were not evaluated.
        UserError: if the record of a run is damaged.
    """
    found = [_attempt(runs.result, config) for config in configs_]
    damaged = [one.sentence for one in found if isinstance(one, Problem) and not one.missing]
    if damaged:
        raise UserError(" ".join(damaged))
    missing = [config.seed for config, one in zip(configs_, found, strict=True) if isinstance(one, Problem)]
    if missing:
        seeds = ", ".join(map(str, missing))
        raise MissingError(f"{len(missing)} of {len(found)} runs are not trained and evaluated yet (seeds {seeds}).")
    config = {name: value for name, value in serialise.to_dict(configs_[0]).items() if name != "seed"}
    return VariantResult(config, [one for one in found if isinstance(one, RunResult)])


def sources(asked: AskedMeasurement, chapter: Chapter, runs: Runs) -> dict[str, dict[str, str]]:
    """The runs that a measurement reads: "experiment.variant" -> run -> SHA-256 of its state.

    Raises:
        MissingError: if they do not exist yet.
        UserError: if a run diverged, so that there is nothing to measure, or its record is damaged.
    """
    found: dict[str, dict[str, str]] = {}
    for text in asked.of:
        experiment, variant, _ = chapter.variant(text)
        of_one = variant_result(chapter.experiments[experiment].runs[variant], runs).runs
        found[text] = {run.run: run.held_out.checkpoint for run in of_one if run.held_out is not None}
        if len(found[text]) < len(of_one):
            raise UserError(f"A run of {text} diverged, so it cannot be measured.")
    return found


def merge_sources(of: dict[str, dict[str, str]]) -> dict[str, str]:
    """All runs of a measurement, run -> SHA-256 of its state."""
    return {run: digest for of_one in of.values() for run, digest in of_one.items()}


def measured(name: str, chapter: Chapter, runs: Runs) -> Measured:
    """A stored measurement, checked.

    Raises:
        MissingError: if it does not exist, or was made with other settings or from other runs.
        UserError: if its file is damaged or was edited by hand.
    """
    asked, file = chapter.measurements[name], runs.folder / chapter.slug / f"{name}.json"
    if not file.exists():
        raise MissingError(f"{file} does not exist.")
    try:
        found = decode(Measured, read_json(file), str(file))
        if (found.kind, found.settings) != (asked.kind, serialise.to_dict(asked.settings)):
            raise MissingError(f"{file} was measured with other settings.")
        serialise.from_dict(MEASUREMENTS[asked.kind].result, found.result, str(file))
    except ValueError as error:
        raise with_line(UserError(f"{error}. The file was edited by hand.".replace("`$", "`$.result"))) from error
    except UserError as error:
        raise with_line(error) from error
    if serialise.content_hash(found.result) != found.hash:
        raise UserError(
            f"{line_of(file, ('result',))}: the result is not the one that was measured; it was edited by hand. Delete "
            "the file to measure it again."
        )
    if found.sources != merge_sources(sources(asked, chapter, runs)):
        raise MissingError(f"{file} was measured from other runs.")
    return found


def study(name: str, chapter: Chapter, runs: Runs) -> Study:
    """A stored study, checked against the records of its runs.

    Raises:
        MissingError: if it does not exist, or answers another question.
        UserError: if its file is damaged or was edited by hand, or the record of one of its runs is damaged.
    """
    question, file = chapter.studies[name], runs.folder / chapter.slug / f"study_{name}" / "study.json"
    if not file.exists():
        raise MissingError(f"{file} does not exist.")
    try:
        found = decode(Study, read_json(file), str(file))
    except UserError as error:
        raise with_line(error) from error
    if not question.is_of(found) or unanswered(question, found):
        raise MissingError(f"{file} answers another question, or only parts of this one.")
    expected: dict[str, Any] = {}
    if found.learnability is not None:
        trials = [_trial(one, runs) for one in found.learnability.trials]
        expected["learnability"] = serialise.to_dict(learnability(trials))
    if found.stability is not None:
        base = [asdict(_trial(one, runs)) for one in found.stability.base]
        moves = [{"trials": [asdict(_trial(one, runs)) for one in move.trials]} for move in found.stability.moves]
        expected["stability"] = {"base": base, "moves": moves}
        if other := found.stability.resampled:
            expected["stability"]["resampled"] = {"trials": [asdict(_trial(one, runs)) for one in other.trials]}
    require_equal(file, expected, "what the records of its runs give")
    return found


def unanswered(question: Question, found: Study | None) -> tuple[Part, ...]:
    """The parts of a question that a study does not answer; empty if it is a study of another question."""
    if found is None:
        return question.parts
    if not question.is_of(found):
        return ()
    learnt, stable = found.learnability, found.stability
    there = {
        "existence": found.existence is not None,
        "learnability": learnt is not None and [trial.seed for trial in learnt.trials] == question.seeds,
        "stability": stable is not None
        and [trial.seed for trial in stable.base] == question.stability_seeds
        and stable.doublings == question.doublings,
    }
    return tuple(part for part in question.parts if not there[part])


def experiment_file(name: str, chapter: Chapter, variants: dict[str, VariantResult]) -> ExperimentFile:
    """The content of an experiment's file in the folder of results."""
    return ExperimentFile(chapter.experiments[name].question.title, variants)


def _trial(stored: Trial, runs: Runs) -> Trial:
    """A trial of a study, recomputed from the record of its run."""
    run = runs.result(stored_config(runs.folder / Path(stored.run).name))
    success = Estimate(0.0, (0.0, 0.0)) if run.held_out is None else run.held_out.success_rate
    return replace(
        stored,
        seed=run.seed,
        solved=run.solved,
        diverged=run.ended == "diverged",
        step=run.step,
        updates=run.updates,
        seconds=run.seconds,
        success=success,
    )
