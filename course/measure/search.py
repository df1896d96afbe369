"""Searches by hand for the peg: one that remembers its way, and one that steers by torque and remembers nothing."""

from dataclasses import dataclass
from itertools import product

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.peg.model import SHAPES
from wellposed.envs.suites.peg.oracle import SpiralSearch, TorqueSearch
from wellposed.errors import UserError
from wellposed.runs.record import Estimate
from wellposed.stats import wilson
from wellposed.verdict import play_under

PITCH = 0.6  # clearances between the turns of the spiral


@dataclass(frozen=True)
class SearchSettings:
    """The clearances and shapes of the hole, and the episodes."""

    clearance: list[float]  # metres
    shape: list[str]
    episodes: int = 200  # held out
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.clearance or not all(1e-4 <= one <= 4e-3 for one in self.clearance):
            raise UserError(f"clearance must be lengths in metres from 1e-4 to 4e-3, got {self.clearance}.")
        if not self.shape or not set(self.shape) <= set(SHAPES) or self.episodes < 1 or self.seed < 0:
            told = f"shape must be among {', '.join(SHAPES)}, episodes at least 1, and seed not negative."
            raise UserError(told)


@dataclass(frozen=True)
class SearchRow:
    """One hole, and both searches on the same episodes. Steps are the median of those to success, None without any."""

    shape: str
    clearance: float  # metres
    spiral: Estimate  # success
    spiral_steps: float | None
    torque: Estimate
    torque_steps: float | None


@dataclass(frozen=True)
class Search:
    """All holes."""

    episodes: int
    rows: list[SearchRow]


def measure_search(settings: SearchSettings, context: Context) -> Search:
    """Play both searches in every hole."""
    rows = []
    for shape, clearance in context.over(list(product(settings.shape, settings.clearance)), "holes"):
        where = EnvConfig("PegInsert-v0", {"shape": shape, "clearance": clearance})
        played = [_play(settings, context, one, where) for one in (SpiralSearch(PITCH * clearance), TorqueSearch())]
        rows.append(SearchRow(shape, clearance, *played[0], *played[1]))
    return Search(settings.episodes, rows)


def _play(
    settings: SearchSettings, context: Context, policy: SpiralSearch | TorqueSearch, where: EnvConfig
) -> tuple[Estimate, float | None]:
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    rows = play_under(policy, where, seeds, settings.seed, context.threads)
    rate = wilson(sum(row.success for row in rows), len(rows))
    took = [row.time_to_success for row in rows if row.time_to_success is not None]
    return Estimate(rate.estimate, (rate.low, rate.high)), float(np.median(took)) if took else None
