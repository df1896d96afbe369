"""Success of finished runs under sensor noise: the same held-out episodes at each noise level."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.errors import UserError
from wellposed.runs.record import EpisodeRow, Estimate
from wellposed.stats import over_seeds
from wellposed.verdict import load_run, play_under, with_noise

Rows = list[EpisodeRow]


@dataclass(frozen=True)
class StressSettings:
    """The runs that are tested, and the noise levels."""

    of: str  # "experiment.variant"
    noise: list[float]  # metres: standard deviation of the error of a position (`envs.wrappers.sensors`)
    episodes: int = 100  # held-out episodes for each run and level
    seed: int = 0  # of episodes and noise

    def __post_init__(self) -> None:
        if not self.noise or sorted({*self.noise}) != self.noise or not 0 <= self.noise[0] <= self.noise[-1] < 1:
            raise UserError(f"noise must be lengths in metres, from 0 up to 1 and rising, got {self.noise}.")
        if self.episodes < 1 or self.seed < 0:
            raise UserError(f"episodes must be at least 1 and seed not negative, got {self.episodes} and {self.seed}.")


@dataclass(frozen=True)
class Stress:
    """Success at each noise level, computed from the true state."""

    runs: int
    episodes: int
    # For each level: "noise" in metres, "success" over all runs, and success of each kind of goal by its name.
    levels: list[dict[str, float | Estimate]]


def measure_stress(settings: StressSettings, context: Context) -> Stress:
    """Play the same held-out episodes with every run at every noise level.

    Raises:
        UserError: if a run cannot be loaded, or its environment has no named quantities to add noise to.
    """
    found = [play_levels(path, settings, context.threads) for path in context.over(context.runs[settings.of], "runs")]
    levels = [
        {"noise": noise, **success([rows[i] for rows in found])} for i, noise in enumerate(settings.noise)
    ]  # fmt: skip
    return Stress(len(found), settings.episodes, levels)


def play_levels(path: Path, settings: StressSettings, threads: int) -> list[Rows]:
    """The episodes of a run at each noise level."""
    config, agent, _ = load_run(path)
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    levels = [with_noise(config.env, noise) for noise in settings.noise]
    return [play_under(agent, where, seeds, settings.seed, threads) for where in levels]


def success(of_runs: list[Rows]) -> dict[str, Estimate]:
    """The mean success rate over runs that played the same episodes, of all goals and of each kind."""
    kinds = sorted({row.goal_kind for row in of_runs[0]} - {""})
    return {"success": _rate(of_runs)} | {
        kind: _rate([[row for row in rows if row.goal_kind == kind] for rows in of_runs]) for kind in kinds
    }


def _rate(of_runs: list[Rows]) -> Estimate:
    rates = np.array([np.mean([row.success for row in rows]) for rows in of_runs])
    mean = over_seeds(rates, episodes=len(of_runs[0]))
    return Estimate(mean.estimate, (mean.low, mean.high))
