"""Named experiments as data: one question, variants of the default recipe, several seeds each, one table of answers.

    title = "..."              what is asked
    env = "FetchPush-v4"
    seeds = "0-2"
    until_success = 0.95       a run stops when two evaluations in a row reach it
    [base]                     settings all variants share, by dotted name, on top of the default recipe
    total_steps = 60_000
    [variants."no mirror"]     one variant: its settings on top of the base; none at all is the recipe itself
    "agent.mirror" = false

Every run lies in a directory of its own, as from `wellposed train`; finished ones are not trained again. The answers
are stored beside the question, as JSON, with commit and machine.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wellposed import config as configs
from wellposed.errors import UserError
from wellposed.runs.provenance import cpu_name, git_state
from wellposed.runs.record import Solved, decode, encode
from wellposed.runs.store import RunReader, run_name
from wellposed.seeding import parse_seeds
from wellposed.training import RunConfig, default_config, train_side_by_side


@dataclass(frozen=True)
class Experiment:
    """A question as data. The names of settings are those of `RunConfig`, dotted where nested."""

    title: str
    env: str
    seeds: str
    until_success: float
    base: dict[str, Any]
    variants: dict[str, dict[str, Any]]

    def runs(self) -> dict[str, list[RunConfig]]:
        """Every variant's configurations, one for each seed.

        Raises:
            UserError: naming a setting that does not exist or does not take the value.
        """
        found: dict[str, list[RunConfig]] = {}
        for name, change in self.variants.items():
            config = override(default_config(self.env), self.base | {"until_success": self.until_success} | change)
            found[name] = [replace(config, seed=seed) for seed in parse_seeds(self.seeds)]
        return found


@dataclass(frozen=True)
class Answer:
    """One run of one variant."""

    variant: str
    seed: int
    solved: Solved | None  # null: not within the budget
    step: int  # where it ended
    updates: int
    seconds: float
    success: float  # of the last evaluation
    curve: list[tuple[int, float]]  # step and success rate of each evaluation


@dataclass(frozen=True)
class Answers:
    """What an experiment found, and what a published number must carry."""

    experiment: Experiment
    command: str
    commit: str | None
    dirty: bool | None
    cpu: str
    at_once: int  # runs that shared the machine; their seconds are longer than those of a run alone
    answers: list[Answer]


def load_experiment(path: Path) -> Experiment:
    """Read an experiment's question.

    Raises:
        UserError: if the file cannot be read, or lacks a field or has one too many.
    """
    try:
        return configs.from_dict(Experiment, tomllib.loads(path.read_text()), str(path))
    except (OSError, ValueError) as error:  # tomllib's and our own errors are ValueErrors
        raise UserError(f"{path} is not an experiment: {error}.") from error


def load_answers(path: Path) -> Answers:
    """Read the answers that `run_experiment` stored; raises UserError if they are not that."""
    from wellposed.runs.files import read_json

    return decode(Answers, read_json(path), str(path))


def override(config: RunConfig, changes: dict[str, Any]) -> RunConfig:
    """A configuration with settings replaced by dotted name, as `{"agent.inputs.relative": False}`.

    Raises:
        UserError: naming a setting that does not exist or does not take the value.
    """
    data = configs.to_dict(config)
    for name, value in changes.items():
        *groups, last = name.split(".")
        place = data
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise UserError(f"There is no setting {name!r}; `wellposed train {config.env} --help` lists them.")
        place[last] = value
    try:
        return configs.from_dict(RunConfig, data, "settings")
    except ValueError as error:
        raise UserError(f"{error}.") from error


def run_experiment(path: Path, runs_dir: Path, threads: int, quiet: bool) -> Iterator[Answer]:
    """Train what is missing, `threads` runs side by side; yields every run's answer and stores all when done.

    Raises:
        UserError: if the question is not sound, or a run fails.
    """
    experiment = load_experiment(path)
    runs = [(name, config) for name, of_one in experiment.runs().items() for config in of_one]
    folder = {id(config): runs_dir / run_name(configs.to_dict(config)) for _, config in runs}
    missing = [config for _, config in runs if not (folder[id(config)] / "summary.json").exists()]
    training = train_side_by_side(missing, runs_dir, threads=threads, quiet=quiet) if missing else iter(())
    answers = []
    for name, config in runs:
        if config in missing and next(training)[1].stop_reason == "interrupted":
            raise KeyboardInterrupt
        answers.append(_answer(name, RunReader(folder[id(config)])))
        yield answers[-1]
    commit, dirty = git_state()
    found = Answers(
        experiment, f"wellposed experiment {path}", commit, dirty, cpu_name(), min(threads, len(runs)), answers
    )
    from wellposed.runs.files import write_json

    write_json(path.with_suffix(".json"), encode(found))


def _answer(variant: str, reader: RunReader) -> Answer:
    """A finished run in a few numbers."""
    summary = reader.summary
    assert summary is not None
    return Answer(
        variant=variant,
        seed=reader.config["seed"],
        solved=summary.solved,
        step=summary.step,
        updates=summary.updates,
        seconds=summary.seconds,
        success=summary.final_evaluation.success_rate,
        curve=[(row.step, row.success_rate) for row in reader.evaluations],
    )
