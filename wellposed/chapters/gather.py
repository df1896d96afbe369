"""From run directories to the results of a chapter; what is missing or not sound is told, and hinders nothing else."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from wellposed import config as configs
from wellposed.analysis.study import Part, Study, Trial
from wellposed.chapters.audit import MissingError, run_result
from wellposed.chapters.edited import line_of, refuse_difference, with_line
from wellposed.chapters.results import ExperimentFile, Measured, Results, RunResult, VariantResult
from wellposed.chapters.spec import AskedMeasurement, Chapter
from wellposed.errors import UserError
from wellposed.measure import MEASUREMENTS
from wellposed.recipe import AnyRunConfig, stored_config
from wellposed.runs.files import read_json
from wellposed.runs.record import Estimate, decode
from wellposed.runs.store import run_name
from wellposed.study.run import Question, learnability

T = TypeVar("T")


@dataclass(frozen=True)
class Problem:
    """Why something is not among the results."""

    missing: bool  # it is not there yet; else it is there and was refused
    sentence: str


@dataclass(frozen=True)
class Gathered:
    """The results of a chapter that are there and sound, and why the others are not."""

    results: Results
    problems: dict[str, Problem]  # by "experiment.variant", or the name of a measurement or a study


@dataclass
class Runs:
    """The runs below a directory; each is read and checked once, whoever asks for it."""

    folder: Path
    known: dict[str, RunResult | UserError] = field(default_factory=dict)

    def path(self, config: AnyRunConfig) -> Path:
        """The directory of a run."""
        return self.folder / run_name(configs.to_dict(config))

    def result(self, config: AnyRunConfig) -> RunResult:
        """A run that ended; raises MissingError or UserError as `run_result` does."""
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
    """All that is there of a chapter below a directory of runs."""
    found: dict[str, Any] = {}
    for name, asked in chapter.experiments.items():
        found |= {f"{name}.{variant}": _attempt(variant_result, of_one, runs) for variant, of_one in asked.runs.items()}
    for name in chapter.measurements:
        found[name] = _attempt(measured, name, chapter, runs)
    for name in chapter.studies:
        found[name] = _attempt(study, name, chapter, runs)
    sound = {name: value for name, value in found.items() if not isinstance(value, Problem)}
    results = Results(
        experiments={
            name: {variant: sound[f"{name}.{variant}"] for variant in asked.runs if f"{name}.{variant}" in sound}
            for name, asked in chapter.experiments.items()
        },
        measurements={name: sound[name] for name in chapter.measurements if name in sound},
        studies={name: sound[name] for name in chapter.studies if name in sound},
    )
    return Gathered(results, {name: value for name, value in found.items() if isinstance(value, Problem)})


def _attempt(read: Callable[..., T], *arguments: Any) -> T | Problem:
    """What was read, or why it could not be."""
    try:
        return read(*arguments)
    except UserError as error:
        return Problem(isinstance(error, MissingError), str(error))


def variant_result(configs_: list[AnyRunConfig], runs: Runs) -> VariantResult:
    """The runs of a variant.

    Raises:
        MissingError: if some have not ended or were not judged, and all that is there is sound.
        UserError: if the record of one is not sound.
    """
    found = [_attempt(runs.result, config) for config in configs_]
    unsound = [one.sentence for one in found if isinstance(one, Problem) and not one.missing]
    if unsound:
        raise UserError(" ".join(unsound))
    missing = [config.seed for config, one in zip(configs_, found, strict=True) if isinstance(one, Problem)]
    if missing:
        seeds = ", ".join(map(str, missing))
        raise MissingError(f"{len(missing)} of {len(found)} runs are not trained and judged yet (seeds {seeds}).")
    config = {name: value for name, value in configs.to_dict(configs_[0]).items() if name != "seed"}
    return VariantResult(config, [one for one in found if isinstance(one, RunResult)])


def sources(asked: AskedMeasurement, chapter: Chapter, runs: Runs) -> dict[str, dict[str, str]]:
    """What a measurement measures: for each "experiment.variant" its runs, each with the digest of its state.

    Raises:
        MissingError: if they are not there yet.
        UserError: if one diverged, so that there is nothing to measure, or its record is not sound.
    """
    found: dict[str, dict[str, str]] = {}
    for text in asked.of:
        experiment, variant, _ = chapter.variant(text)
        of_one = variant_result(chapter.experiments[experiment].runs[variant], runs).runs
        found[text] = {run.run: run.held_out.checkpoint for run in of_one if run.held_out is not None}
        if len(found[text]) < len(of_one):
            raise UserError(f"A run of {text} diverged: there is nothing in it to measure.")
    return found


def together(of: dict[str, dict[str, str]]) -> dict[str, str]:
    """All runs of a measurement."""
    return {run: digest for of_one in of.values() for run, digest in of_one.items()}


def measured(name: str, chapter: Chapter, runs: Runs) -> Measured:
    """A measurement, its result decoded as its kind's own type.

    Raises:
        MissingError: if it was not made, or was made with other settings or of other runs.
        UserError: if its file is damaged or was edited by hand.
    """
    asked, file = chapter.measurements[name], runs.folder / chapter.slug / f"{name}.json"
    if not file.exists():
        raise MissingError(f"{file} is not there.")
    try:
        found = decode(Measured, read_json(file), str(file))
        if (found.kind, found.settings) != (asked.kind, configs.to_dict(asked.settings)):
            raise MissingError(f"{file} was measured with other settings.")
        configs.from_dict(MEASUREMENTS[asked.kind].result, found.result, str(file))
    except ValueError as error:
        raise with_line(UserError(f"{error}. The file was edited by hand.".replace("`$", "`$.result"))) from error
    except UserError as error:
        raise with_line(error) from error
    if configs.content_hash(found.result) != found.hash:
        raise UserError(
            f"{line_of(file, ('result',))}: the result is not the one that was measured; it was edited by hand. Delete "
            "the file, and it is measured anew."
        )
    if found.sources != together(sources(asked, chapter, runs)):
        raise MissingError(f"{file} was measured of other runs.")
    return found


def study(name: str, chapter: Chapter, runs: Runs) -> Study:
    """A study, held against the records of its runs.

    Raises:
        MissingError: if it was not made, or is one of another question.
        UserError: if its file is damaged or was edited by hand, or a run of it is not sound.
    """
    question, file = chapter.studies[name], runs.folder / chapter.slug / f"study_{name}" / "study.json"
    if not file.exists():
        raise MissingError(f"{file} is not there.")
    try:
        found = decode(Study, read_json(file), str(file))
    except UserError as error:
        raise with_line(error) from error
    if not question.is_of(found) or unanswered(question, found):
        raise MissingError(f"{file} is of another question, or does not answer all of this one.")
    expected: dict[str, Any] = {}
    if found.learnability is not None:
        trials = [_trial(one, runs) for one in found.learnability.trials]
        expected["learnability"] = configs.to_dict(learnability(trials))
    if found.stability is not None:
        base = [asdict(_trial(one, runs)) for one in found.stability.base]
        moves = [{"trials": [asdict(_trial(one, runs)) for one in move.trials]} for move in found.stability.moves]
        expected["stability"] = {"base": base, "moves": moves}
    refuse_difference(file, expected, "what the records of its runs give")
    return found


def unanswered(question: Question, found: Study | None) -> tuple[Part, ...]:
    """The parts of a question that a study does not answer; none of them where it is one of another question."""
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
    """What lies in the folder of results for an experiment."""
    return ExperimentFile(chapter.experiments[name].question.title, variants)


def _trial(told: Trial, runs: Runs) -> Trial:
    """A trial of a study as the record of its run gives it."""
    run = runs.result(stored_config(runs.folder / Path(told.run).name))
    success = Estimate(0.0, (0.0, 0.0)) if run.held_out is None else run.held_out.success_rate
    return replace(
        told,
        seed=run.seed,
        solved=run.solved,
        diverged=run.ended == "diverged",
        step=run.step,
        updates=run.updates,
        seconds=run.seconds,
        success=success,
    )
