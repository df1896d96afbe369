"""A capstone's folder: the task, what was predicted of it, and the registration of that prediction.

FOLDER/
    capstone.toml     question, environment, bar, seeds, budget, and the prediction: what a person writes
    task.py           the environment, under any name; `env` in capstone.toml says which
    registered.json   when this was predicted, of which code, for which runs; written once, before the first run
    runs/             the run directories
    robustness/       what the trained policies tolerate
    capstone.html     the page
"""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from course.exercises.exercise import Quantity
from course.exercises.predict import WORDS, read_ends
from wellposed import plugin, serialise
from wellposed.config import AnyRunConfig
from wellposed.errors import UserError
from wellposed.launch.manifest import Experiment
from wellposed.recipes import EARLIEST, EVALUATIONS
from wellposed.repository import ROOT
from wellposed.robustness import Request, asked
from wellposed.runs.files import MAX_TOML_BYTES, explained, read_bytes, read_toml, write_whole
from wellposed.seeding import parse_seeds

TOML, RUNS, PAGE = "capstone.toml", "runs", "capstone.html"
SEEDS = 5  # at least
LEVEL = 0.8  # the probability with which a predicted interval is to hold
STARTER = Path(__file__).parent / "starter"
EXAMPLE = "examples/own_environment.py", "PushPuck-v0"  # the environment to begin with


@dataclass(frozen=True)
class Prediction:
    """Low end, best guess and high end of each quantity, [] while they are open; and why."""

    success: list[float]
    steps: list[float]
    reason: str


@dataclass(frozen=True)
class Capstone:
    """What a person wrote into capstone.toml."""

    question: str
    env: str  # FILE.py:NAME, relative to the folder, or MODULE:NAME
    bar: float  # success rate that two monitoring evaluations in a row must reach
    seeds: str
    steps: int  # budget of a run in environment steps
    robustness: list[str]  # curves, challenges and sets of robustness.toml; all without any
    settings: dict[str, Any]  # what differs from the default recipe, by dotted name
    prediction: Prediction

    @property
    def quantities(self) -> tuple[Quantity, Quantity]:
        """What is predicted: the names of the fields of `Prediction`."""
        steps = "environment steps to the bar, median over the seeds; one that misses it counts as the budget"
        return (
            Quantity("success", "success on held-out episodes, mean over the seeds", 0.0, 1.0),
            Quantity("steps", steps, 1.0, float(self.steps)),
        )

    def predicted(self) -> dict[str, tuple[float, float, float]]:
        """The prediction of each quantity. Raises UserError if one is open, out of order or out of range."""
        found = {
            one.name: read_ends(one, getattr(self.prediction, one.name) or None, f"{TOML}, [prediction]")
            for one in self.quantities
        }
        if len(self.prediction.reason.split()) < WORDS:
            raise UserError(f"{TOML}, [prediction]: reason must be a sentence of at least {WORDS} words.")
        return found

    def configs(self) -> list[AnyRunConfig]:
        """The configuration of each seed's run. Evaluations are as dense as those of a registered environment.

        Raises:
            UserError: naming a setting that does not exist or does not take its value.
        """
        every = {"eval_every": max(EARLIEST, self.steps // EVALUATIONS), "eval_first": None}
        base = {"total_steps": self.steps} | every | self.settings
        (runs,) = Experiment(self.question, self.env, self.seeds, self.bar, base, {"capstone": {}}).runs().values()
        return runs


def load(folder: Path) -> Capstone:
    """Read capstone.toml, strictly; nothing is imported.

    Raises:
        UserError: if a key is missing, unknown or of the wrong type, or a value is out of its range.
    """
    path = folder / TOML
    try:
        found = serialise.from_dict(Capstone, read_toml(path)[1], str(path))
    except ValueError as error:
        raise UserError(f"{error}. docs/capstone.md says what stands in it.") from error
    if not plugin.imports(found.env):
        raise UserError(f"{path}: env is an environment of yours, FILE.py:NAME or MODULE:NAME, got {found.env!r}.")
    if not (0 < found.bar <= 1 and found.steps >= 1):
        raise UserError(f"{path}: bar is a share above 0 and at most 1, and steps are 1 or more.")
    if len(parse_seeds(found.seeds)) < SEEDS:
        raise UserError(f"{path}: a capstone has at least {SEEDS} seeds, got {found.seeds!r}.")
    if "total_steps" in found.settings:
        raise UserError(f"{path}: the budget is `steps`, not a setting.")
    asked(Request(found.robustness))
    return found


def permission(folder: Path, env: str) -> list[str]:
    """The words that permit the import of a capstone's environment, from the current directory."""
    return [plugin.PERMISSION, str(folder / env) if env.rpartition(":")[0].endswith(".py") else env]


def require_permission(folder: Path, capstone: Capstone) -> None:
    """Raises UserError unless a person named the environment in this process: capstone.toml may be a stranger's."""
    if plugin.given_name(capstone.env) is None:
        words = shlex.join(permission(folder, capstone.env))
        raise UserError(f"This imports {capstone.env}. If it is yours, or you trust it, add {words}")


def new(folder: Path, env: str | None) -> None:
    """Make the folder of a new capstone, with a copy of the file that `env` names, or an example to begin with.

    Raises:
        UserError: if the folder is not empty, or `env` is no environment of a person's own, or its file is not there.
    """
    if env is not None and not plugin.imports(env):
        raise UserError(f"--env takes an environment of yours, FILE.py:NAME or MODULE:NAME, got {env!r}.")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty, and nothing is overwritten. Name another folder.")
    place, _, attribute = (env or f"task.py:{EXAMPLE[1]}").rpartition(":")
    name = f"{Path(place).name}:{attribute}"
    source = b""
    if place.endswith(".py"):
        source = read_bytes(ROOT / EXAMPLE[0] if env is None else Path(place), MAX_TOML_BYTES)
    with explained(folder, "make"):
        folder.mkdir(parents=True, exist_ok=True)
    if source:
        before, here = f"{EXAMPLE[1]} --plugin {EXAMPLE[0]}", f"{folder}/{name}"  # how the example is called
        write_whole(folder / Path(place).name, source.replace(before.encode(), here.encode()))
    words = {"folder": shlex.quote(str(folder)), "permission": shlex.join(permission(folder, name))}
    for file in sorted(STARTER.iterdir()):
        text = file.read_text().format(env=json.dumps(name) if file.name == TOML else name, **words)
        write_whole(folder / file.name, text.encode())
