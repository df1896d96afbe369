"""Running a study: its questions, a forecast of its time, and its parts one after another."""

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from wellposed import serialise
from wellposed.analysis.study import (
    DOUBLINGS,
    PARTS,
    Existence,
    Learnability,
    Part,
    Study,
    Trial,
    median_need,
    reached,
    reached_rate,
)
from wellposed.budget import environment_spec
from wellposed.config import AnyRunConfig, describes
from wellposed.errors import UserError, require
from wellposed.launch import local
from wellposed.launch.answers import outcome
from wellposed.launch.rows import folder_of, row_of
from wellposed.launch.states import ENDED, state_of
from wellposed.progress import TrainingProgress, duration
from wellposed.report.study import write_page
from wellposed.runs.files import explained, read_json, write_json
from wellposed.runs.record import decode, encode
from wellposed.runs.store import RunReader
from wellposed.stats import describe_rate
from wellposed.study.existence import existence_of
from wellposed.study.stability import ladders, moved, resampled, rows_of, stability_of
from wellposed.study.trials import trial_of
from wellposed.study.uniqueness import behaviours_of
from wellposed.training import here

STEPS_PER_SECOND = 1_000  # of the default recipe on two cores (docs/fast.md); used until a run has been timed


@dataclass(frozen=True)
class Question:
    """The question of a study."""

    recipe: AnyRunConfig  # its seed, and when it stops, are replaced by those below
    seeds: list[int]  # of learnability
    stability_seeds: list[int]  # of each move
    bar: float  # a run stops when two evaluations in a row are at or above it
    parts: tuple[Part, ...] = PARTS
    doublings: int = DOUBLINGS  # of each setting that holds, up and down

    def __post_init__(self) -> None:
        require(0 < self.bar <= 1, "bar", "is a share above 0 and at most 1", self.bar)
        require(1 <= self.doublings <= DOUBLINGS, "doublings", f"is between 1 and {DOUBLINGS}", self.doublings)

    def of_seeds(self, seeds: list[int]) -> list[AnyRunConfig]:
        """The recipe, one run for each seed."""
        return [replace(self.asked, seed=seed) for seed in seeds]

    @property
    def asked(self) -> AnyRunConfig:
        """The recipe with the bar, and the rule that gives every evaluation the same number of episodes."""
        return replace(self.recipe, until_success=self.bar, stop_rule="twice")

    @property
    def base(self) -> list[AnyRunConfig]:
        """The runs of the recipe itself that the parts need."""
        seeds = self.seeds if "learnability" in self.parts else []
        return self.of_seeds(sorted({*seeds, *(self.stability_seeds if "stability" in self.parts else [])}))

    def is_of(self, study: Study) -> bool:
        """Whether a stored study is of this recipe and bar."""
        return study.bar == self.bar and describes(study.config, self.asked)

    @property
    def record(self) -> dict:
        """The recipe without its seed; two studies with equal recipes and bars are the same."""
        data = serialise.to_dict(self.asked)
        return {name: value for name, value in data.items() if name != "seed"}


def run_study(question: Question, out: Path, runs_dir: Path, threads: int, progress: TrainingProgress) -> Iterator[str]:
    """Answer the questions, train what is missing, and write `study.html` and `study.json` into the folder `out`.

    Parts that were not asked for are kept from `out`. Finished runs are not trained again, interrupted ones go on.

    Yields:
        A line for each run and each part that is done.

    Raises:
        UserError: if `out` contains another study, or a run fails (one that diverges is an outcome).
        KeyboardInterrupt: after Ctrl-C; the same call continues from there.
    """
    began, known = time.perf_counter(), _stored(question, out)
    found, learnt, stable = (known.existence, known.learnability, known.stability) if known else (None, None, None)
    if "existence" in question.parts:
        found = existence_of(question.recipe, threads)
        yield _existence_line(found)
    trials: dict[int, Trial] = {}
    if question.base:
        trials = yield from _base_trials(question, runs_dir, threads, progress)
    if "learnability" in question.parts:
        learnt = learnability([trials[seed] for seed in question.seeds])
        yield f"{reached(learnt.trials)} of {len(learnt.trials)} seeds reached {question.bar:.0%}."
        ended = [folder_of(config, runs_dir) for config in question.of_seeds(question.seeds)]
        ways = behaviours_of([path for path in ended if RunReader(path).summary is not None], threads)
        learnt = replace(learnt, behaviours=ways)
    if "stability" in question.parts:
        base = question.of_seeds(question.stability_seeds)
        of_base = [trials[seed] for seed in question.stability_seeds]
        stable = yield from stability_of(base, of_base, runs_dir, threads, progress, question.doublings)
    seconds = time.perf_counter() - began
    study = Study(question.recipe.env.id, question.bar, question.record, seconds, here(threads), found, learnt, stable)
    with explained(out, "make"):
        out.mkdir(parents=True, exist_ok=True)
    write_json(out / "study.json", encode(study))
    write_page(study, out / "study.html")


def _base_trials(
    question: Question, runs_dir: Path, threads: int, progress: TrainingProgress
) -> Generator[str, None, dict[int, Trial]]:
    """Train the recipe itself, with a forecast before the first run and another after it."""
    yield forecast(question, runs_dir, threads)
    told = _timed(question.base, runs_dir) is not None
    rows = [row_of("the recipe", config) for config in question.base]
    for row in local.train_rows(rows, runs_dir, threads, progress):
        yield outcome(row, runs_dir)
        if not told:
            told = True
            yield forecast(question, runs_dir, threads)
    return {config.seed: trial_of(config, runs_dir, threads) for config in question.base}


def learnability(trials: list[Trial]) -> Learnability:
    """How many seeds reached the bar, and the medians of what they needed."""
    steps, updates, seconds = (median_need(trials, quantity) for quantity in ("step", "updates", "seconds"))
    return Learnability(trials, reached_rate(trials), steps, updates, seconds)


def forecast(question: Question, runs_dir: Path, threads: int) -> str:
    """How many runs are missing and how long they take, estimated from a finished run of the recipe or the budget."""
    base, moves = question.base, list[tuple[float, AnyRunConfig]]()
    if "stability" in question.parts:
        rows = rows_of(question.recipe.total_steps, environment_spec(question.recipe.env).max_episode_steps)
        seeds = question.of_seeds(question.stability_seeds)
        moves += [(0.5, config) for _, config in resampled(seeds)]
        for (setting, _), factors in ladders(question.recipe, rows, question.doublings).items():
            moves += [(factor, config) for factor in factors for _, config in moved(seeds, setting, factor, rows)]
    near, far = ([config for factor, config in moves if (factor in (0.5, 2.0)) is is_near] for is_near in (True, False))
    least, more = (sum(state_of(runs_dir, row_of("", one)) not in ENDED for one in of) for of in (base + near, far))
    timed = _timed(base, runs_dir)
    each = timed if timed is not None else question.recipe.total_steps / STEPS_PER_SECOND
    at_once = max(1, min(threads, least))
    how = "as the first run" if timed is not None else f"the whole budget at {STEPS_PER_SECOND:,} steps a second"
    times = [duration(ceil(n / at_once) * each) for n in (least, least + more)]
    wide = "; wider networks take longer" if near else ""
    count, time_ = (f"{least} to {least + more}", " to ".join(times)) if more else (str(least), times[0])
    return f"{count} runs to train, {at_once} side by side, {each:.0f} s each ({how}): about {time_}{wide}."


def _timed(base: list[AnyRunConfig], runs_dir: Path) -> float | None:
    """Seconds of the first finished run of the recipe, with its evaluations."""
    for folder in (folder_of(config, runs_dir) for config in base):
        if (folder / "summary.json").exists() and (summary := RunReader(folder).summary) is not None:
            return summary.seconds + summary.evaluation_seconds
    return None


def _stored(question: Question, out: Path) -> Study | None:
    """The study that is already in the folder.

    Raises:
        UserError: if it is a different one.
    """
    file = out / "study.json"
    if not file.exists():
        return None
    study = decode(Study, read_json(file), str(file))
    if not question.is_of(study):
        raise UserError(
            f"{out} contains a study of {study.env} with another recipe, budget or bar. Name another folder with --out."
        )
    return study


def _existence_line(found: Existence) -> str:
    """The result on existence in one line."""
    expert = f"{found.controller}: {describe_rate(found.expert.success_rate, found.expert.success_ci95)}"
    if not found.known:
        return f"{expert}, no better than random actions; no controller is known that solves it."
    if found.clone is None:
        return f"{expert}; the recipe's network cannot imitate it from single moments."
    clone = describe_rate(found.clone.success_rate, found.clone.success_ci95)
    return f"{expert}; a network {found.hidden} that imitates it: {clone}."
