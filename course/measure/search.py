"""Searches for the hole: by hand, along a spiral or by torque, and learnt."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.analysis.robustness import apart, estimate, rate
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.peg.model import SHAPES
from wellposed.envs.suites.peg.oracle import SpiralSearch, TorqueSearch
from wellposed.errors import UserError
from wellposed.runs.record import EpisodeRow, Estimate
from wellposed.types import Policy
from wellposed.verdict import load_run, play_under

PITCH = 0.6  # clearances between the turns of the spiral
Group = list[list[EpisodeRow]]  # rows of each run


@dataclass(frozen=True)
class SearchSettings:
    """The holes in which policies written by hand search, and the runs that are played in the holes of their own."""

    clearance: list[float]  # metres
    shape: list[str]
    of: list[str]  # "experiment.variant"s; the first is the one that the others are compared with
    episodes: int = 200  # held out
    seed: int = 0

    def __post_init__(self) -> None:
        if not all(1e-4 <= one <= 4e-3 for one in self.clearance):
            raise UserError(f"clearance must be lengths in metres from 1e-4 to 4e-3, got {self.clearance}.")
        if not set(self.shape) <= set(SHAPES) or self.episodes < 1 or self.seed < 0:
            told = f"shape must be among {', '.join(SHAPES)}, episodes at least 1, and seed not negative."
            raise UserError(told)


@dataclass(frozen=True)
class SearchRow:
    """One policy in one hole."""

    policy: str
    shape: str
    clearance: float  # metres
    success: Estimate  # mean over runs
    steps: float | None  # median of those to success, None where there is none
    gained: Estimate | None  # over the first variant, on the same episodes


@dataclass(frozen=True)
class Search:
    """Policies by hand first."""

    episodes: int
    rows: list[SearchRow]


def measure_search(settings: SearchSettings, context: Context) -> Search:
    """Play the same held-out episodes with every policy.

    Raises:
        UserError: if a run cannot be loaded, or inserts no peg.
    """
    rows, first = [], None
    for shape, clearance in context.over(list(product(settings.shape, settings.clearance)), "holes"):
        where = EnvConfig("PegInsert-v0", {"shape": shape, "clearance": clearance})
        for name, policy in (("spiral", SpiralSearch(PITCH * clearance)), ("torque", TorqueSearch())):
            rows.append(_row(name, where, [_play(settings, context, policy, where)], None))
    for name in context.over(settings.of, "policies"):
        loaded = [load_run(path) for path in context.runs[name]]
        where = loaded[0][0].env
        if where.id != "PegInsert-v0":
            raise UserError(f"{name} was trained on {where.id}; this measurement is of PegInsert-v0.")
        group = [_play(settings, context, agent, where) for _, agent, _ in loaded]
        rows.append(_row(name, where, group, first))
        first = first or group
    return Search(settings.episodes, rows)


def _play(settings: SearchSettings, context: Context, policy: Policy, where: EnvConfig) -> list[EpisodeRow]:
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    return play_under(policy, where, seeds, settings.seed, context.threads)


def _row(policy: str, where: EnvConfig, group: Group, first: Group | None) -> SearchRow:
    outcomes, reference = _outcomes(group), None if first is None else _outcomes(first)
    took = [row.time_to_success for rows in group for row in rows if row.time_to_success is not None]
    return SearchRow(
        policy,
        where.kwargs.get("shape", "square"),
        where.kwargs.get("clearance", 0.001),
        estimate(rate(outcomes)),
        float(np.median(took)) if took else None,
        None if reference is None else estimate(apart(outcomes, reference)),
    )


def _outcomes(group: Group) -> np.ndarray:
    return np.array([[row.success for row in rows] for rows in group])
