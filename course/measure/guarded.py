"""Guarded moves: success of policies by hand and of trained ones, against the bound of what each can remember."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.envs.make import EnvConfig
from wellposed.envs.suites.peg.guarded import history_draws, probing_success
from wellposed.envs.suites.peg.oracle import AnyProbe, EachProbe, OneProbe
from wellposed.errors import UserError
from wellposed.runs.record import EpisodeRow, Estimate
from wellposed.stats import over_seeds
from wellposed.types import Carry, Obs, Policy
from wellposed.verdict import load_run, play_under


@dataclass(frozen=True)
class GuardedSettings:
    """The runs that are played, each greedily and with actions that are drawn, and the episodes."""

    of: list[str]  # "experiment.variant"
    cells: int = 5  # K, and as many moves
    episodes: int = 200  # held out
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.cells <= 8 or self.episodes < 1 or self.seed < 0:
            raise UserError("cells must be 2 to 8, episodes at least 1, and seed not negative.")


@dataclass(frozen=True)
class GuardedRow:
    """One policy, played one way."""

    policy: str
    plays: str  # "greedy" or "drawn"
    remembers: int | None  # observations, the present one among them; None: all of the episode
    success: Estimate  # mean over runs
    bound: float  # on the mean over all episodes
    above: float  # by how much the interval lies above the bound; negative where it reaches down to it
    moves: float | None  # median of those to success, None where there is none


@dataclass(frozen=True)
class Guarded:
    """Policies by hand first."""

    cells: int
    episodes: int
    rows: list[GuardedRow]
    furthest_above: float


class Drawing:
    """A policy that draws its actions, also where it is asked to be greedy."""

    def __init__(self, policy: Policy, rng: np.random.Generator):
        self.policy, self.rng = policy, rng

    def initial_carry(self, n: int) -> Carry:
        """That of the policy."""
        return self.policy.initial_carry(n)

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions that were drawn."""
        return self.policy.act(obs, carry, self.rng)


def measure_guarded(settings: GuardedSettings, context: Context) -> Guarded:
    """Play the same held-out episodes with every policy.

    Raises:
        UserError: if a run cannot be loaded, or plays another task than that of `cells`.
    """
    where = EnvConfig("PegProbe-v0", {} if settings.cells == 5 else {"cells": settings.cells})
    any_cell = AnyProbe(_rng(settings))
    rows = [
        _row(settings, "one cell for ever", "greedy", 1, [_play(settings, context, OneProbe(), where)]),
        _row(settings, "any cell", "drawn", 1, [_play(settings, context, any_cell, where)]),
        _row(settings, "each cell once", "greedy", None, [_play(settings, context, EachProbe(settings.cells), where)]),
    ]
    for name in context.over(settings.of, "policies"):
        loaded = [_loaded(path, settings) for path in context.runs[name]]
        policies = [policy for policy, _ in loaded]
        remembers = loaded[0][1]
        greedy = [_play(settings, context, one, where) for one in policies]
        drawn = [_play(settings, context, Drawing(one, _rng(settings)), where) for one in policies]
        rows += [_row(settings, name, "greedy", remembers, greedy), _row(settings, name, "drawn", remembers, drawn)]
    return Guarded(settings.cells, settings.episodes, rows, max(row.above for row in rows))


def _rng(settings: GuardedSettings) -> np.random.Generator:
    return seeding.generator(settings.seed, "drawn actions")


def _loaded(path: Path, settings: GuardedSettings) -> tuple[Policy, int | None]:
    """The policy of a run, and how many observations it remembers."""
    config, agent, _ = load_run(path)
    cells = config.env.kwargs.get("cells", 5)
    if config.env.id != "PegProbe-v0" or cells != settings.cells:
        raise UserError(f"{path.name} was trained on {config.env.id} with {cells} cells; asked was {settings.cells}.")
    inputs: Any = config.agent.inputs
    return agent, {"state": 1, "history": inputs.memory}.get(inputs.encoder)


def _play(settings: GuardedSettings, context: Context, policy: Policy, where: EnvConfig) -> list[EpisodeRow]:
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    return play_under(policy, where, seeds, settings.seed, context.threads)


def _row(
    settings: GuardedSettings, policy: str, plays: str, remembers: int | None, of_runs: list[list[EpisodeRow]]
) -> GuardedRow:
    cells = settings.cells
    draws = history_draws(cells, cells, remembers or cells, greedy=plays == "greedy")
    bound = probing_success(draws)
    rates = np.array([np.mean([row.success for row in rows]) for rows in of_runs])
    mean = over_seeds(rates, episodes=settings.episodes)
    took = [row.time_to_success for rows in of_runs for row in rows if row.time_to_success is not None]
    moves = float(np.median(took)) if took else None
    return GuardedRow(
        policy, plays, remembers, Estimate(mean.estimate, (mean.low, mean.high)), bound, mean.low - bound, moves
    )
