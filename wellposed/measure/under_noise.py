"""Finished runs on held-out episodes, seen through noisy sensors."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from wellposed import seeding
from wellposed.envs import make_env
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.measure.kinds import Context
from wellposed.measure.stress import Stress, StressSettings
from wellposed.rollout import EVALUATION_COPIES, play_episodes
from wellposed.runs.record import EpisodeRow, Estimate
from wellposed.stats import over_seeds
from wellposed.verdict import load_run

Rows = list[EpisodeRow]


def measure_stress(settings: StressSettings, context: Context) -> Stress:
    """Play the same held-out episodes with every run at every level of noise.

    Raises:
        UserError: if a run cannot be loaded, or its environment does not say what its sensors measure.
    """
    found = [played(path, settings, context.threads) for path in context.over(context.runs[settings.of], "runs")]
    levels = [
        {"noise": noise, **success([rows[i] for rows in found])} for i, noise in enumerate(settings.noise)
    ]  # fmt: skip
    return Stress(len(found), settings.episodes, levels)


def played(path: Path, settings: StressSettings, threads: int) -> list[Rows]:
    """The episodes of a run at each level."""
    config, agent, _ = load_run(path)
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    copies, found = min(EVALUATION_COPIES, len(seeds)), []
    for noise in settings.noise:
        shown = replace(config.env, sensors=Sensors(noise))
        with closing(make_env(shown, copies, "evaluation", threads=threads, seed=settings.seed)) as env:
            found.append(play_episodes(agent, env, seeds))
    return found


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
