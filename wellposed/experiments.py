"""Experiments as data: one question, variants of the default recipe, several seeds each, one table of answers.

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

Every run has its own directory, as from `wellposed train`; finished runs are not trained again, interrupted ones go on.
The answers are stored beside the question, as JSON, with commit and machine.
"""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from wellposed import config as configs
from wellposed.errors import UserError
from wellposed.progress import TrainingProgress
from wellposed.recipe import ALGO, AnyRunConfig, default_config, override
from wellposed.runs.files import read_json, write_json
from wellposed.runs.record import Solved, Summary, decode, encode
from wellposed.runs.store import RunReader, run_name
from wellposed.seeding import parse_seeds
from wellposed.training import resume, train_side_by_side

FIXED = ("env", "seed", "until_success")  # set by the experiment, the same for all variants


@dataclass(frozen=True)
class Experiment:
    """A question as data. Settings have the names of `RunConfig`, dotted where nested."""

    title: str
    env: str
    seeds: str
    until_success: float | None
    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]

    def runs(self) -> dict[str, list[AnyRunConfig]]:
        """Every variant's configurations, one for each seed.

        Raises:
            UserError: naming a setting that does not exist, does not take the value, or is set by the experiment.
        """
        found: dict[str, list[AnyRunConfig]] = {}
        for name, variant in self.variants.items():
            # Dotted, so that `agent.mirror = false` means the same with and without quotes.
            changes = configs.flatten(self.base) | configs.flatten(variant)
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
    """One run of one variant, with everything that a published number must state."""

    variant: str
    seed: int
    run: str  # name of its directory, which contains the hash of its configuration
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
    """The answers of an experiment."""

    experiment: Experiment
    command: str
    answers: list[Answer]


def load_experiment(path: Path) -> Experiment:
    """Read an experiment's question.

    Raises:
        UserError: if the file cannot be read, or a field is missing or unknown.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"Could not read {path}: {error}.") from error
    try:
        return configs.from_dict(Experiment, tomllib.loads(text), str(path))
    except ValueError as error:  # of TOML, and of ours
        raise UserError(f"{path} is not an experiment: {error}.") from error


def load_answers(path: Path) -> Answers:
    """Read the answers that `run_experiment` stored; raises UserError if the file is something else."""
    return decode(Answers, read_json(path), str(path))


def run_experiment(path: Path, runs_dir: Path, threads: int, quiet: bool) -> Iterator[Answer]:
    """Train the missing runs, `threads` side by side, and continue the interrupted ones.

    Yields:
        Every run's answer as soon as it is known. At the end all are stored, in the order of the question.

    Raises:
        UserError: if the question is not valid, or a run fails.
        KeyboardInterrupt: after Ctrl-C; the same call continues from there.
    """
    experiment = load_experiment(path)
    runs = [(name, config) for name, of_one in experiment.runs().items() for config in of_one]
    answers = {}
    for answer in answer_all(runs, runs_dir, threads, quiet):
        answers[answer.run] = answer
        yield answer
    command = f"wellposed experiment {path} --threads {threads}"
    in_order = [answers[run_name(configs.to_dict(config))] for _, config in runs]
    write_json(path.with_suffix(".json"), encode(Answers(experiment, command, in_order)))


def answer_all(
    runs: Sequence[tuple[str, AnyRunConfig]],
    runs_dir: Path,
    threads: int,
    quiet: bool,
    progress: TrainingProgress | None = None,
) -> Iterator[Answer]:
    """Train the missing ones among named configurations side by side, and continue the interrupted ones.

    `progress` is the display of the longer work that this is part of.

    Yields:
        Every run's answer as soon as it is known, those of finished runs first.

    Raises:
        UserError: if a run fails, after the others are done.
        KeyboardInterrupt: after Ctrl-C; the same call continues from there.
    """
    folders = [runs_dir / run_name(configs.to_dict(config)) for _, config in runs]
    begun = [folder for folder in folders if (folder / "config.json").exists()]
    cut_short = [folder for folder in begun if RunReader(folder).status != "finished"]
    fresh = [config for (_, config), folder in zip(runs, folders, strict=True) if folder not in begun]
    trained = chain(
        resume(cut_short, threads=threads, quiet=quiet, progress=progress),
        train_side_by_side(fresh, runs_dir, threads=threads, quiet=quiet, progress=progress),
    )
    for folder in chain((folder for folder in begun if folder not in cut_short), map(_ended, trained)):
        yield _answer(runs[folders.index(folder)][0], RunReader(folder))


def describe(answer: Answer) -> str:
    """An answer in one line: `wide, seed 1: solved in 21 s, 24,000 steps, success 98%`."""
    at = "not solved" if answer.solved is None else f"solved in {answer.solved.seconds:.0f} s"
    return f"{answer.variant}, seed {answer.seed}: {at}, {answer.step:,} steps, success {answer.success:.0%}"


def _ended(result: tuple[Path, Summary | None]) -> Path:
    """The directory of a run that has ended."""
    if result[1] is None:
        raise KeyboardInterrupt
    return result[0]


def _answer(variant: str, reader: RunReader) -> Answer:
    """The answer of a finished run."""
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
