"""What policies do when the pictures that they are shown are others: black ones, another env's, another camera's.

A policy acts from pictures if what it does hangs on them. With black frames, or those of another env, it may succeed no
more often than goals are solved at reset; and its actions stay if only the numbers change that it must not read.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.analysis.robustness import apart, estimate, rate
from wellposed.envs.make import make_env
from wellposed.envs.wrappers.pixels import SIZES, Pixels, seen_otherwise
from wellposed.errors import UserError
from wellposed.runs.record import EpisodeRow, Estimate
from wellposed.types import INTERFACE, Obs, Spec
from wellposed.verdict import load_run, play_under, under

FRAMES = "frames"  # the name of the pictures that a run was trained with, as its camera stands
ENVS = 4  # whose policies are handed the numbers of another episode


@dataclass(frozen=True)
class SeenSettings:
    """The runs that are tested, and what is changed in what they see."""

    of: list[str]  # "experiment.variant"s whose policies see pictures
    shown: dict[str, list[str]]  # by name, words as of `wellposed eval --pixels`, ["moved=0.02", "turned=2"]
    episodes: int = 100  # held-out episodes for each run and change
    seed: int = 0  # of the episodes

    def __post_init__(self) -> None:
        if not self.of or not self.shown:
            raise UserError("of must name at least one EXPERIMENT.VARIANT, and shown at least one change of pictures.")
        if FRAMES in self.shown:
            raise UserError(f"{FRAMES} is what the runs see unchanged; give the change another name.")
        for words in self.shown.values():
            seen_otherwise(Pixels(SIZES[0]), words)
        if self.episodes < 1 or self.seed < 0:
            raise UserError(f"episodes must be at least 1 and seed not negative, got {self.episodes} and {self.seed}.")


@dataclass(frozen=True)
class Seen:
    """Success of each variant over its seeds, on the same held-out episodes; `FRAMES` is none of the changes."""

    episodes: int
    runs: dict[str, int]  # of each variant
    floor: dict[str, Estimate]  # share of the episodes that are solved at reset
    success: dict[str, dict[str, Estimate]]  # by change, of each variant
    above: dict[str, dict[str, Estimate]]  # by change, success of each variant less its floor
    leaks: dict[str, bool]  # whether actions change with numbers that the policy must not read


def measure_seen(settings: SeenSettings, context: Context) -> Seen:
    """Play the same held-out episodes with every run under every change.

    Raises:
        UserError: if a run cannot be loaded, or its policy sees no pictures.
    """
    words = {FRAMES: []} | settings.shown
    played = {of: _played(context.runs[of], words, settings, context) for of in context.over(settings.of, "variants")}
    success = {of: {name: _marks(rows, "success") for name, rows in by.items()} for of, by in played.items()}
    solved = {of: _marks(by[FRAMES], "already_solved") for of, by in played.items()}
    return Seen(
        episodes=settings.episodes,
        runs={of: len(context.runs[of]) for of in settings.of},
        floor={of: estimate(rate(one[:1])) for of, one in solved.items()},
        success={name: {of: estimate(rate(by[name])) for of, by in success.items()} for name in words},
        above={name: {of: estimate(apart(by[name], solved[of])) for of, by in success.items()} for name in words},
        leaks={of: any(_leaks_in(path, settings.seed) for path in context.runs[of]) for of in settings.of},
    )


def leaks(act: Callable[[Obs], np.ndarray], before: Obs, after: Obs, allowed: tuple[str, ...]) -> np.ndarray:
    """Whether actions change with what a policy must not read, [n], while all that it may read stays.

    Args:
        act: the policy, from observations [n, ...] to actions [n, action_dim].
        before: observations of one moment.
        after: of another one, in which the block lies elsewhere.
        allowed: the names of what it may read: picture, own numbers, goal.
    """
    mixed = after | {name: before[name] for name in allowed}
    return np.any(np.asarray(act(before)) != np.asarray(act(mixed)), axis=-1)


def _played(
    paths: list[Path], words: dict[str, list[str]], settings: SeenSettings, context: Context
) -> dict[str, list[list[EpisodeRow]]]:
    """The episodes of each run of a variant, by change."""
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    found: dict[str, list[list[EpisodeRow]]] = {name: [] for name in words}
    for path in paths:
        config, agent, _ = load_run(path)
        if not config.env.pixels.size:
            raise UserError(f"{path.name} sees no pictures, so none can be changed.")
        plain = ["moved=0", "turned=0", "light=0", "colour=0", "shown=frames"]  # those of its training do not apply
        for name, change in words.items():
            where = under(config.env, (), (), [*plain, *change])
            found[name].append(play_under(agent, where, seeds, settings.seed, context.threads))
    return found


def _marks(of_runs: list[list[EpisodeRow]], name: str) -> np.ndarray:
    """A mark of each episode of each run, [runs, episodes]."""
    return np.array([[getattr(row, name) for row in rows] for rows in of_runs])


def _leaks_in(path: Path, seed: int) -> bool:
    """Whether a run's policy acts otherwise if it is handed the true state of another episode beside what it sees."""
    config, agent, _ = load_run(path)
    seeds = seeding.evaluation_env_seeds(seed, 2 * ENVS, "held-out")
    with closing(make_env(config.env, ENVS, "evaluation", seed=seed)) as env:
        moments = [env.reset(seed=seeds[:ENVS]), env.reset(seed=seeds[ENVS:])]
    before, after = (moment.truth | moment.obs for moment in moments)
    act = lambda obs: agent.act(obs, agent.initial_carry(ENVS))[0]  # noqa: E731
    return bool(leaks(act, before, after, may_read(agent.spec)).any())


def may_read(spec: Spec) -> tuple[str, ...]:
    """The names of what a policy from pictures may read: those, numbers of the robot's own, and what it is told."""
    return tuple(
        one.name for one in spec.obs if one.kind == "image" or one.shows or one.name in (INTERFACE, "desired_goal")
    )
