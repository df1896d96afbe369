"""Grades a capstone from its records: what is there, what came out, and what the prediction was worth.

It reads files and imports nothing of the capstone, so a stranger's may be graded. Whether the bar was reached and the
prediction held is told and not graded: a capstone is complete whatever came out.
"""

from collections.abc import Callable, Container
from dataclasses import dataclass
from math import log2
from pathlib import Path

from course.capstone.register import FILE, Registration, changed, digest, moment, registered
from course.capstone.task import LEVEL, PAGE, RUNS, Capstone, load
from course.chapters.audit import run_result
from course.chapters.metrics import find_metric
from course.chapters.results import RunResult
from course.exercises.exercise import Measured
from course.exercises.predict import PredictionResult, verdict
from wellposed.analysis.robustness import Robustness
from wellposed.analysis.summary import summary_over_seeds
from wellposed.check.stored import warnings_of
from wellposed.config import stored_config
from wellposed.diagnose import diagnose, lines, read_evidence
from wellposed.errors import UserError
from wellposed.runs.files import read_json
from wellposed.runs.record import decode
from wellposed.runs.store import RunReader, list_runs
from wellposed.seeding import parse_seeds
from wellposed.stats import interval_score

ROBUSTNESS = "robustness"


@dataclass(frozen=True)
class Part:
    """A part of a capstone: whether it is there, and what it says or what is missing."""

    name: str
    there: bool
    says: str


@dataclass(frozen=True)
class Score:
    """A prediction and what came of it, the width of its interval, and its score; 0 is best."""

    result: PredictionResult
    width: str
    score: float  # as `stats.interval_score`; of steps, of their binary logarithm


@dataclass(frozen=True)
class Grade:
    """All parts, and what came out once every run has ended."""

    parts: list[Part]
    success: str  # held out, beside the bar; "" while runs are missing
    scores: list[Score]
    failed: dict[int, list[str]]  # seed of each run below the bar -> its diagnosis in lines

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return all(part.there for part in self.parts)


def grade(folder: Path) -> Grade:
    """Grade what is there.

    Raises:
        UserError: if capstone.toml cannot be read, or the registration is damaged.
    """
    capstone = load(folder)
    if not (folder / FILE).exists():
        return Grade([Part("prediction", False, "none is registered")], "", [], {})
    registration, results = registered(folder), list[RunResult]()
    lacking, diagnoses = list[str](), dict[int, list[str]]()
    for path in filter(Path.exists, paths_of(folder, registration)):
        try:
            one = _result(path, capstone)
            if _success(one) < capstone.bar:
                diagnoses[one.seed] = lines(diagnose(read_evidence(path)))
            results.append(one)
        except UserError as error:
            lacking.append(str(error))
    seeds = parse_seeds(capstone.seeds)
    if gone := {*seeds} - {one.seed for one in results}:
        which = ", ".join(map(str, sorted(gone)))
        lacking.append(f"No result of seed {which}; `wellposed capstone run {folder}` goes on with what is missing.")
    ended = f"{len(results)} of {len(seeds)} ended and were judged on held-out episodes"
    parts = [
        _asked("prediction", lambda: _in_time(folder, registration)),
        _asked("environment", lambda: _same_code(folder, registration)),
        Part("certificate", registration.certificate.posed, _certified(registration)),
        Part("plan", bool(registration.plan), " ".join(registration.plan[-1:])),
        Part("seeds", not lacking, "\n         ".join([ended, *lacking])),
        Part("diagnosis", not lacking, _failures(results, diagnoses)),
        _asked("robustness", lambda: _tolerated(folder, capstone, results)),
        Part("page", (folder / PAGE).exists(), PAGE),
    ]
    if lacking or not parts[0].there:
        return Grade(parts, "", [], diagnoses)
    success = find_metric("success").over(results)
    said = "is above" if success.numbers["low"] > capstone.bar else "is not certainly above"
    said = "is below" if success.numbers["high"] < capstone.bar else said
    bar = f"which {said} the bar of {capstone.bar:.0%}"
    return Grade(parts, f"{success.text}, {bar}", _scores(capstone, results), diagnoses)


def paths_of(folder: Path, registration: Registration) -> list[Path]:
    """The run directories that were registered."""
    return [folder / RUNS / name for name in registration.runs]


def _asked(name: str, ask: Callable[[], str]) -> Part:
    """A part that is there if `ask` says what it is, and is not if it raises."""
    try:
        return Part(name, True, ask())
    except UserError as error:
        return Part(name, False, str(error))


def _result(path: Path, capstone: Capstone) -> RunResult:
    """The result of a run, its whole record checked; raises UserError if it has not ended, or is not what was asked."""
    config = stored_config(path)
    if (config.env.id, config.total_steps, config.until_success) != (capstone.env, capstone.steps, capstone.bar):
        raise UserError(f"{path} is a run of another environment, budget or bar.")
    return run_result(config, path)


def _success(result: RunResult) -> float:
    """Success on held-out episodes; 0 of a run that diverged."""
    return result.held_out.success_rate.value if result.held_out else 0.0


def _in_time(folder: Path, registration: Registration) -> str:
    """That the prediction is what was registered, before the first run; raises UserError if it is not."""
    if names := changed(folder, registration):
        raise UserError(f"{', '.join(names)} changed after the prediction was registered")
    said = f"registered {registration.time}, digest {digest(folder / FILE)[:12]}"
    try:
        starts = [moment(run.provenance.started) for run in list_runs(folder / RUNS)]
    except ValueError as error:
        raise UserError(f"a run does not say when it began: {error}") from error
    if not starts:
        return f"{said}; no run has begun"
    if (first := min(starts)) < moment(registration.time):
        raise UserError(f"{said}, after the first run began, {first.isoformat()}")
    return f"{said}; the first run began {first.isoformat()}"


def _same_code(folder: Path, registration: Registration) -> str:
    """That all runs trained on the code that was registered; raises UserError if one did not."""
    for path in paths_of(folder, registration):
        if (path / "provenance.json").exists():
            origin = RunReader(path).provenance
            if {one.environment for one in (origin, *origin.resumed)} != {registration.environment}:
                raise UserError(f"{path.name} trained on other code than was registered")
    return f"code {registration.environment[:12]}, as registered, in every run so far"


def _certified(registration: Registration) -> str:
    return " ".join([f"{registration.certificate.verdict}.", *warnings_of(registration.certificate)])


def _failures(results: list[RunResult], diagnosed: Container[int]) -> str:
    """Which seeds are below the bar; each has its diagnosis."""
    failed = [one for one in results if one.seed in diagnosed]
    which = ", ".join(
        f"{one.seed} ({'diverged' if one.ended == 'diverged' else f'{_success(one):.0%}'})" for one in failed
    )
    return f"{len(failed)} of {len(results)} seeds are below the bar{': ' if failed else ''}{which}"


def _tolerated(folder: Path, capstone: Capstone, results: list[RunResult]) -> str:
    """What robustness was measured; raises UserError if it was not, or of other runs than those that finished."""
    finished = [folder / RUNS / one.run for one in results if one.held_out]
    if results and not finished:
        return "none, for every run diverged"
    if (found := robustness_of(folder, finished)) is None:
        raise UserError("not measured on these runs")
    measured = [one.name for one in (*found.curves, *found.challenges, *found.worst_cases)]
    left_out = {sentence.partition(":")[0] for sentence in found.left_out}
    if gone := {*capstone.robustness} - {*measured} - left_out:
        raise UserError(f"not measured: {', '.join(sorted(gone))}")
    return f"{', '.join(measured) or 'none'}; {len(found.left_out)} left out"


def robustness_of(folder: Path, finished: list[Path]) -> Robustness | None:
    """What the newest checkpoints of these runs tolerate; None if it was not measured. Raises UserError if damaged."""
    file = folder / ROBUSTNESS / "robustness.json"
    if not file.exists():
        return None
    found = decode(Robustness, read_json(file), str(file))
    judged = zip([Path(run).name for run in found.runs], found.checkpoints, strict=False)
    newest = {(path.name, RunReader(path).load_checkpoint()[0].state.sha256) for path in finished}
    return found if {*judged} == newest else None


def _scores(capstone: Capstone, results: list[RunResult]) -> list[Score]:
    """The prediction of each quantity beside what was measured."""
    predicted, success = capstone.predicted(), find_metric("success").over(results)
    late = [one.solved is None for one in results]
    took = [float(capstone.steps if one.solved is None else one.solved.step) for one in results]
    steps = summary_over_seeds(took, "count", censored=late, median=True)
    middle = steps.value or float(capstone.steps)
    measured = (
        Measured(success.numbers["mean"], success.numbers["low"], success.numbers["high"], success.text),
        Measured(middle, steps.low or middle, steps.high or float(capstone.steps), steps.text),
    )
    found = []
    for quantity, one, scale in zip(capstone.quantities, measured, (float, log2), strict=True):
        low, guess, high = predicted[quantity.name]
        width = f"{100 * (high - low):.3g} points of 100" if scale is float else f"a factor of {high / low:.3g}"
        result = PredictionResult(quantity, (low, guess, high), one, verdict((low, guess, high), one))
        found.append(Score(result, width, interval_score(scale(low), scale(high), scale(one.value), LEVEL)))
    return found


def describe(grade: Grade) -> list[str]:
    """The grade in lines."""
    told = [f"{'ok' if part.there else 'MISSING':<8} {part.name}: {part.says}" for part in grade.parts]
    told += [f"seed {seed}: {line}" for seed, said in grade.failed.items() for line in said]
    told += [f"Success: {grade.success}."] if grade.success else []
    for one in grade.scores:
        told += [*one.result.lines(), f"     width {one.width}; interval score {one.score:.2f}, 0 is best"]
    missing = [part.name for part in grade.parts if not part.there]
    return [*told, f"Missing: {', '.join(missing)}." if missing else "The capstone is complete."]
