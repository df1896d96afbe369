"""Manifests: what is asked, as data. An experiment is one question, variants of the default recipe, several seeds each.

title = "..."              what is asked
env = "FetchPush-v4"
seeds = "0-2"
until_success = 0.95       a run stops when two evaluations in a row reach it
[base]                     settings all variants share, by dotted name, on top of the default recipe
total_steps = 60_000
"env.kwargs.size" = 3      an argument of the environment
"env.sensors.each.hand.noise" = 0.01    a fault of one measured quantity
[variants."no mirror"]     one variant: its settings on top of the base; none at all is the recipe itself
"agent.mirror" = false
[variants.TD3]             another algorithm, with its own default recipe underneath
algo = "td3"

A manifest with a table [search] asks for a search instead: `search` says what stands in it.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wellposed import serialise
from wellposed.analysis.space import Range
from wellposed.config import ALGO, AnyRunConfig, override
from wellposed.errors import UserError
from wellposed.launch.rows import Row, row_of
from wellposed.launch.search import Question, Search
from wellposed.recipes import default_config
from wellposed.runs.files import read_toml
from wellposed.seeding import parse_seeds

FIXED = ("env", "env.id", "seed", "until_success")  # the same for all variants, by the question's own fields
TABLES = ("env.kwargs", "env.sensors.each")  # their names are no settings, but arguments and measured quantities


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
            changes = _with_tables(serialise.flatten(self.base) | serialise.flatten(variant))
            if own := sorted(changes.keys() & set(FIXED)):
                raise UserError(f"{', '.join(own)} is set for the whole experiment, not in [base] or a variant.")
            algo = changes.get("algo", ALGO)
            try:
                stop = {"stop_rule": "twice", "until_success": self.until_success}
                config = override(default_config(self.env, algo, measure="agent.gamma" not in changes), stop | changes)
            except ValueError as error:
                raise UserError(
                    f"Variant {name!r}: {error}. `wellposed train {self.env} --algo {algo} --help` lists them."
                ) from error
            found[name] = [replace(config, seed=seed) for seed in parse_seeds(self.seeds)]
        return found

    def rows(self) -> list[Row]:
        """A row for each variant and seed; raises UserError as `runs` does."""
        return [row_of(name, config) for name, of_one in self.runs().items() for config in of_one]


def _with_tables(settings: dict[str, Any]) -> dict[str, Any]:
    """Dotted settings with those in `TABLES`, as `env.kwargs.NAME`, as the tables that they are."""
    found = dict(settings)
    for table in TABLES:
        own = {name: found.pop(name) for name in settings if name.startswith(f"{table}.")}
        found |= {table: {name.removeprefix(f"{table}."): value for name, value in own.items()}} if own else {}
    return found


@dataclass(frozen=True)
class Searching:
    """A search around a recipe as data."""

    title: str
    env: str
    seeds: str  # of every trial
    search: Search
    base: dict[str, Any] = field(default_factory=dict, metadata=serialise.LATER)
    until_success: float | None = field(default=None, metadata=serialise.LATER)

    def question(self) -> Question:
        """What is asked; raises UserError, naming a setting that does not exist or does not take the value."""
        base = serialise.flatten(self.base)
        if own := sorted(base.keys() & set(FIXED)):
            raise UserError(f"{', '.join(own)} is set for the whole search, not in [base].")
        try:
            config = default_config(self.env, base.get("algo", ALGO), measure="agent.gamma" not in base)
            config = override(config, {"stop_rule": "twice", "until_success": self.until_success} | base)
        except ValueError as error:
            raise UserError(f"[base]: {error}.") from error
        return Question(self.search, config, parse_seeds(self.seeds))


@dataclass(frozen=True)
class Manifest:
    """What is asked, and its runs: those of an experiment, or those that a search will ask for."""

    title: str
    rows: list[Row]
    question: Question | None = None


def read_manifest(path: Path) -> Manifest:
    """Read a manifest: an experiment or a search.

    Raises:
        UserError: naming the file, and the key that is wrong.
    """
    _, data = read_toml(path)
    if "search" in data:
        searching = _read_search(data, path)
        return Manifest(searching.title, [], searching.question())
    experiment = load_experiment(path)
    return Manifest(experiment.title, experiment.rows())


def _read_search(data: dict[str, Any], path: Path) -> Searching:
    """A manifest with a search; raises UserError naming the key that is wrong."""
    try:
        match data:
            case {"search": {"space": dict(space)}}:
                for name, one in space.items():
                    serialise.from_dict(Range, one, f"{path}: [search.space] {name!r}")
        return serialise.from_dict(Searching, data, str(path))
    except ValueError as error:
        raise UserError(f"{error}.") from error


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
