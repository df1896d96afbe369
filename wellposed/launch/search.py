"""A search as data: the table `[search]` of a manifest.

    [search]
    method = "tpe"             grid, random, sobol, or tpe (Optuna: pip install 'wellposed[search]')
    trials = 40                a grid has as many as it has points
    objective = "success"      of the last evaluation; or area, steps, episode_return, ... (docs/search.md)
    pruning = "median"         or halving, at evaluations; none if it is left out
    parallel = 4               trials under way at a time, where one may depend on another
    fresh_seeds = "1000-1004"  with which the winner is trained again
    [search.space]             settings by dotted name, as in [base]
    "agent.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
    "agent.batch_size" = { low = 64, high = 512, integer = true }
    "agent.gamma" = { choice = [0.95, 0.98] }

A trial is one choice of settings, trained with every seed of the manifest. Nothing is kept of it but its rows, which
are run directories: what a search is to do next is computed from their records each time, so killing it at any moment
loses nothing. Trial n may know the outcomes of trials 0 to n - `parallel`, and of no other, in which ever order runs
end: the same manifest gives the same trials and the same winner on every machine that gives the same runs.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wellposed.analysis.search import (
    OBJECTIVES,
    Claim,
    Direction,
    Look,
    Rule,
    Trial,
    is_pruned,
    require_objective,
    score_of,
    winner,
)
from wellposed.analysis.space import Range
from wellposed.analysis.survival import first_at
from wellposed.config import AnyRunConfig, override
from wellposed.errors import UserError, require
from wellposed.launch.rows import Row, row_of
from wellposed.runs.record import EvaluationRow
from wellposed.runs.store import RunReader
from wellposed.seeding import parse_seeds
from wellposed.serialise import LATER

Method = Literal["grid", "random", "sobol", "tpe"]
OWN = ("env", "env.id", "seed", "algo", "until_success")  # settings of the whole manifest


@dataclass(frozen=True)
class Search:
    """How settings are searched."""

    method: Method
    space: dict[str, Range]
    trials: int | None = field(default=None, metadata=LATER)
    objective: str = field(default="success", metadata=LATER)
    direction: Direction | None = field(default=None, metadata=LATER)  # None: the objective's natural one
    pruning: Rule | None = field(default=None, metadata=LATER)
    parallel: int = field(default=4, metadata=LATER)
    seed: int = field(default=0, metadata=LATER)  # of the choice of settings
    fresh_seeds: str = field(default="1000-1004", metadata=LATER)

    def __post_init__(self) -> None:
        require_objective(self.objective)
        natural = OBJECTIVES[self.objective][0] if self.objective in OBJECTIVES else self.direction
        if natural is None or self.direction not in (None, natural):
            need = f'direction = "{natural}"' if natural else 'a direction, "maximize" or "minimize"'
            raise UserError(f"[search] objective {self.objective!r} needs {need}.")
        require(bool(self.space), "search.space", "needs at least one setting", "none")
        require(self.parallel > 0, "search.parallel", "must be greater than 0", self.parallel)
        if (self.method == "grid") != (self.trials is None) or (self.trials is not None and self.trials < 1):
            raise UserError("[search] needs trials, at least 1; a grid has none, it tries all of its points.")

    @property
    def towards(self) -> Direction:
        """The direction of the objective."""
        return self.direction or OBJECTIVES[self.objective][0]

    @property
    def size(self) -> int:
        """The number of trials."""
        return self.trials if self.trials is not None else prod(len(one.grid) for one in self.space.values())

    @property
    def window(self) -> int:
        """How many trials are under way at a time: all of them, where none depends on another."""
        return self.parallel if self.pruning or self.method == "tpe" else self.size

    def has(self, settings: Mapping[str, Any]) -> bool:
        """Whether settings are a point of the space."""
        try:
            for name, one in self.space.items():
                one.place(settings[name])
            return settings.keys() == self.space.keys()
        except (KeyError, TypeError, ValueError):
            return False

    def require_sound(self, base: AnyRunConfig, seeds: Sequence[int]) -> None:
        """Raises UserError if a setting does not exist or cannot take its values, or the fresh seeds are not fresh."""
        if own := sorted(self.space.keys() & set(OWN)):
            raise UserError(f"{', '.join(own)} is set for the whole manifest, not in [search.space].")
        if again := sorted({*seeds} & {*parse_seeds(self.fresh_seeds)}):
            raise UserError(f"[search] fresh_seeds has {again[0]}, with which trials are trained; name others.")
        if self.objective == "steps" and base.until_success is None:
            raise UserError('[search] objective "steps" counts steps to until_success, which is not set.')
        for name, one in self.space.items():
            for value in one.choice or [one.value(0.0), one.value(1.0)]:
                try:
                    _ = one.grid if self.method == "grid" else None
                    override(base, {name: value})
                except ValueError as error:
                    hint = " For whole numbers say integer = true." if isinstance(value, float) else ""
                    raise UserError(f"[search.space] {name!r}: {error}.{hint}") from error

    def settings(self, number: int) -> dict[str, Any]:
        """The settings of a trial of a grid, of random or of Sobol's points; the last setting of a grid moves first.

        Source: Sobol' (1967), scrambled as by Owen (1995), in scipy.stats.qmc.
        """
        names = list(self.space)
        if self.method == "grid":
            values = next(islice(product(*(one.grid for one in self.space.values())), number, None))
            return dict(zip(names, values, strict=True))
        if self.method == "random":
            shares = np.random.default_rng([self.seed, number]).random(len(names))
        else:
            from scipy.stats.qmc import Sobol

            points = Sobol(len(names), rng=np.random.default_rng(self.seed))
            shares = (points.fast_forward(number) if number else points).random(1)[0]
        return {name: self.space[name].value(float(share)) for name, share in zip(names, shares, strict=True)}


@dataclass(frozen=True)
class Progress:
    """Where a search is."""

    trials: list[Trial]  # those that have begun, by number
    rows: list[Row]  # all runs that it has asked for, those of the winner's fresh seeds last
    pruned: list[str]  # names of rows that are not to be gone on with
    claim: Claim | None  # once the fresh seeds have ended
    ended: bool  # nothing is left to do


@dataclass(frozen=True)
class Seen:
    """What is known of one run: its evaluations, and how it ended."""

    rows: list[EvaluationRow]
    ended: bool
    diverged: int | None = None  # the step at which


@dataclass
class Memory:
    """What need not be computed again, by number: settings and rows of trials, and trials that have ended."""

    begun: dict[int, tuple[dict[str, Any], list[Row]]] = field(default_factory=dict)
    ended: dict[int, Trial] = field(default_factory=dict)


Read = Callable[[str], Seen]  # by the name of a run
Propose = Callable[[int, Sequence[Trial]], dict[str, Any]]  # by number, from the trials that it may know


def read_run(runs: Path, name: str) -> Seen:
    """What a run directory below `runs` shows; nothing if it is not there. Raises UserError if it is damaged."""
    if not (runs / name / "config.json").exists():
        return Seen([], ended=False)
    reader = RunReader(runs / name)
    failure = reader.failure
    ended = failure is not None or reader.summary is not None
    rows = reader.evaluations if (reader.path / "evaluations.jsonl").exists() else []
    return Seen(rows, ended, None if failure is None else failure.step)


def read_trial(
    search: Search, number: int, settings: dict[str, Any], rows: Sequence[Row], known: Sequence[Trial], read: Read
) -> Trial:
    """A trial as its runs show it.

    Args:
        search: that it belongs to.
        number: of the trial.
        settings: of the trial.
        rows: its runs, one for each seed; none if the configuration refuses the settings.
        known: the trials with which it is compared.
        read: what a run shows.
    """
    names = [row.name for row in rows]
    make = lambda outcome, looks, each: Trial(number, settings, names, outcome, looks, each)  # noqa: E731
    if not rows:
        return make("failed", [], [])
    seen = [read(name) for name in names]
    budget, bar = rows[0].config["total_steps"], rows[0].config["until_success"]
    looks: list[Look] = []
    for step in sorted({row.step for run in seen for row in run.rows}):
        if not all(run.rows and (run.ended or run.rows[-1].step >= step) for run in seen):
            break
        each = scores_of(search.objective, seen, step, budget, bar)
        if each is None:
            return make("failed", looks, [])
        rates = scores_of("success", seen, step, budget, bar) or []
        looks.append(Look(step, float(np.mean(rates)), float(np.mean(each))))
        left = step < budget and any(_goes_on(run, step, bar) for run in seen)
        if search.pruning and left and is_pruned(search.pruning, looks, known, search.towards):
            return make("pruned", looks, each)
    if not all(run.ended for run in seen):
        return make("running", looks, [])
    each = scores_of(search.objective, seen, budget, budget, bar) if all(run.rows for run in seen) else None
    return make("failed", looks, []) if each is None else make("complete", looks, each)


def scores_of(objective: str, seen: Sequence[Seen], step: int, budget: int, bar: float | None) -> list[float] | None:
    """The score of each run at a step; None if one has none."""
    each = [score_of(objective, run.rows, step, budget=budget, bar=bar, diverged=run.diverged) for run in seen]
    found = [score for score in each if score is not None]
    return found if len(found) == len(each) else None


def _goes_on(run: Seen, step: int, bar: float | None) -> bool:
    """Whether a run goes on after a step of its evaluations; whether it has ended since is another question."""
    seen = [row for row in run.rows if row.step <= step]
    return (run.diverged is None or run.diverged > step) and (bar is None or first_at(seen, bar) is None)


@dataclass(frozen=True)
class Question:
    """What a manifest with a search asks: a search around a configuration, each trial with these seeds."""

    search: Search
    base: AnyRunConfig
    seeds: list[int]

    def __post_init__(self) -> None:
        self.search.require_sound(self.base, self.seeds)

    def rows(self, number: int, settings: dict[str, Any], seeds: Iterable[int]) -> list[Row]:
        """The rows of a trial; [] if the configuration refuses its settings together."""
        try:
            config = override(self.base, settings)
        except UserError:
            return []
        return [row_of(f"trial {number}", replace(config, seed=seed)) for seed in seeds]

    def progress(self, read: Read, propose: Propose, memory: Memory) -> Progress:
        """Where the search is, and the rows that it asks for now.

        Args:
            read: what a run shows.
            propose: the settings of a trial.
            memory: of earlier calls; an empty one gives the same.
        """
        search, trials, rows = self.search, [], dict[str, Row]()
        for number in range(search.size):
            known = trials[: max(number - search.window + 1, 0)]
            if any(trial.outcome == "running" for trial in known):
                break
            if number not in memory.begun:
                settings = propose(number, known)
                memory.begun[number] = settings, self.rows(number, settings, self.seeds)
            settings, of_one = memory.begun[number]
            trial = memory.ended.get(number) or read_trial(search, number, settings, of_one, known, read)
            if trial.outcome != "running":
                memory.ended[number] = trial
            trials.append(trial)
            rows |= {row.name: row for row in of_one if row.name not in rows}
        pruned = {name for trial in trials if trial.outcome == "pruned" for name in trial.runs}
        pruned -= {name for trial in trials if trial.outcome in ("running", "complete") for name in trial.runs}
        whole = len(trials) == search.size and not any(trial.outcome == "running" for trial in trials)
        best = winner(trials, search.towards) if whole else None
        claim = None
        if best is not None:
            fresh = self.rows(best.number, best.settings, parse_seeds(search.fresh_seeds))
            rows |= {row.name: replace(row, label="winner") for row in fresh}
            claim = self._claim(best, trials, [row.name for row in fresh], read)
        over = whole and (best is None or claim is not None)
        return Progress(trials, list(rows.values()), sorted(pruned), claim, over)

    def _claim(self, best: Trial, trials: Sequence[Trial], names: Sequence[str], read: Read) -> Claim | None:
        """What the winner is worth, once its fresh runs have ended."""
        seen = [read(name) for name in names]
        if not all(run.ended for run in seen):
            return None
        budget = override(self.base, best.settings).total_steps
        fresh = scores_of(self.search.objective, seen, budget, budget, self.base.until_success)
        if fresh is None:
            raise UserError(
                f"A fresh run of the winner, trial {best.number}, diverged: {self.search.objective} has no value."
            )
        complete = sum(trial.outcome == "complete" for trial in trials)
        return Claim(best, complete, self.search.objective, self.search.towards, fresh, seen[0].rows[-1].episodes)
