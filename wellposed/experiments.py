"""Named experiments as data: one question, variants of the default recipe, several seeds each, one table of answers.

    title = "..."              what is asked
    env = "FetchPush-v4"
    seeds = "0-2"
    until_success = 0.95       a run stops when two evaluations in a row reach it
    [base]                     settings all variants share, by dotted name, on top of the default recipe
    total_steps = 60_000
    [variants."no mirror"]     one variant: its settings on top of the base; none at all is the recipe itself
    "agent.mirror" = false
    [variants.TD3]             another algorithm, with its own default recipe underneath
    algo = "td3"

Every run lies in a directory of its own, as from `wellposed train`; finished ones are not trained again, and those that
were cut short go on. The answers are stored beside the question, as JSON, with commit and machine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from wellposed import serialise
from wellposed.config import ALGO, AnyRunConfig, override
from wellposed.errors import UserError
from wellposed.progress import TrainingProgress
from wellposed.recipes import default_config
from wellposed.runs.files import read_json, read_toml, write_json
from wellposed.runs.provenance import as_typed
from wellposed.runs.record import Solved, Summary, decode, encode
from wellposed.runs.store import RunReader, run_name
from wellposed.seeding import parse_seeds
from wellposed.side_by_side import resume, train_side_by_side

FIXED = ("env", "env.id", "seed", "until_success")  # the same for all variants, by the question's own fields


@dataclass(frozen=True)
class Experiment:
    """A question as data. The names of settings are those of `RunConfig`, dotted where nested."""

    title: str
    env: str
    seeds: str
    until_success: float | None
    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]

    def runs(self) -> dict[str, list[AnyRunConfig]]:
        """Every variant's configurations, one for each seed.

        Raises:
            UserError: naming a setting that does not exist, does not take the value, or is the question's own.
        """
        found: dict[str, list[AnyRunConfig]] = {}
        for name, variant in self.variants.items():
            # Dotted, so that `agent.mirror = false` means the same with and without quotes.
            changes = serialise.flatten(self.base) | serialise.flatten(variant)
            if own := sorted(changes.keys() & set(FIXED)):
                raise UserError(f"{', '.join(own)} is set for the whole experiment, not in [base] or a variant.")
            algo = changes.get("algo", ALGO)
            try:
                config = override(default_config(self.env, algo), changes | {"until_success": self.until_success})
            except ValueError as error:
                raise UserError(
                    f"Variant {name!r}: {error}. `wellposed train {self.env} --algo {algo} --help` lists them."
                ) from error
            found[name] = [replace(config, seed=seed) for seed in parse_seeds(self.seeds)]
        return found


@dataclass(frozen=True)
class Answer:
    """One run of one variant, and what a published number must carry."""

    variant: str
    seed: int
    run: str  # its directory's name, which holds the hash of its configuration
    solved: Solved | None  # null: not within the budget
    step: int  # where it ended
    updates: int
    seconds: float
    success: float  # of the last evaluation
    curve: list[tuple[int, float]]  # step and success rate of each evaluation
    commit: str | None
    dirty: bool | None
    cpu: str


@dataclass(frozen=True)
class Answers:
    """What an experiment found."""

    experiment: Experiment
    command: str
    answers: list[Answer]


def load_experiment(path: Path) -> Experiment:
    """Read an experiment's question.

    Raises:
        UserError: if the file cannot be read, or lacks a field or has one too many.
    """
    _, data = read_toml(path)
    try:
        return serialise.from_dict(Experiment, data, str(path))
    except ValueError as error:
        raise UserError(f"{path} is not an experiment: {error}.") from error


def load_answers(path: Path) -> Answers:
    """Read the answers that `run_experiment` stored; raises UserError if they are not that."""
    return decode(Answers, read_json(path), str(path))


def run_experiment(path: Path, runs_dir: Path, threads: int, quiet: bool) -> Iterator[Answer]:
    """Train what is missing, `threads` runs side by side, and go on with what was cut short.

    Yields:
        Every run's answer as soon as there is one; when all are there they are stored, in the order of the question.

    Raises:
        UserError: if the question is not sound, or a run fails.
        KeyboardInterrupt: after Ctrl-C; the same call goes on from there.
    """
    experiment = load_experiment(path)
    runs = [(name, config) for name, of_one in experiment.runs().items() for config in of_one]
    answers = {}
    for answer in answer_all(runs, runs_dir, threads, TrainingProgress(quiet)):
        answers[answer.run] = answer
        yield answer
    command = " ".join(as_typed(["wellposed", "experiment", str(path), "--threads", str(threads)]))
    in_order = [answers[folder_of(config, runs_dir).name] for _, config in runs]
    write_json(path.with_suffix(".json"), encode(Answers(experiment, command, in_order)))


def folder_of(config: AnyRunConfig, runs_dir: Path) -> Path:
    """The directory of a run."""
    return runs_dir / run_name(serialise.to_dict(config))


def answer_all(
    runs: Sequence[tuple[str, AnyRunConfig]], runs_dir: Path, threads: int, progress: TrainingProgress
) -> Iterator[Answer]:
    """Train those of the named configurations that are missing, side by side, and go on with what was cut short.

    Yields:
        Every run's answer as soon as there is one: first those that are there.

    Raises:
        UserError: if a run fails, after the others are done.
        KeyboardInterrupt: after Ctrl-C; the same call goes on from there.
    """
    folders = [folder_of(config, runs_dir) for _, config in runs]
    begun = [folder for folder in folders if (folder / "config.json").exists()]
    cut_short = [folder for folder in begun if RunReader(folder).status != "finished"]
    fresh = [config for (_, config), folder in zip(runs, folders, strict=True) if folder not in begun]
    trained = chain(
        resume(cut_short, threads=threads, progress=progress),
        train_side_by_side(fresh, runs_dir, threads=threads, progress=progress),
    )
    for folder in chain((folder for folder in begun if folder not in cut_short), map(_ended, trained)):
        yield _answer(runs[folders.index(folder)][0], RunReader(folder))


def describe(answer: Answer) -> str:
    """An answer in a line: `wide, seed 1: solved in 21 s, 24,000 steps, success 98%`."""
    at = "not solved" if answer.solved is None else f"solved in {answer.solved.seconds:.0f} s"
    return f"{answer.variant}, seed {answer.seed}: {at}, {answer.step:,} steps, success {answer.success:.0%}"


def _ended(result: tuple[Path, Summary | None]) -> Path:
    """The directory of a run that came to its end."""
    if result[1] is None:
        raise KeyboardInterrupt
    return result[0]


def _answer(variant: str, reader: RunReader) -> Answer:
    """A finished run in a few numbers."""
    summary, origin = reader.summary, reader.provenance
    assert summary is not None
    return Answer(
        variant=variant,
        seed=reader.config["seed"],
        run=reader.path.name,
        solved=summary.solved,
        step=summary.step,
        updates=summary.updates,
        seconds=summary.seconds,
        success=summary.final_evaluation.success_rate,
        curve=[(row.step, row.success_rate) for row in reader.evaluations],
        commit=origin.commit,
        dirty=origin.dirty,
        cpu=origin.cpu,
    )
