"""What goals that are pictures take: do two pictures tell whether the goal of one is reached in the other?

Hindsight with such goals has no achieved goal. The goal is the picture of another moment, and the reward has to follow
from two pictures. The most direct rule calls a goal reached where they differ little, pixel by pixel.
"""

from contextlib import closing
from dataclasses import dataclass
from math import ceil

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.analysis.robustness import estimate
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.pixels import CAMERA, OWN, Pixels
from wellposed.errors import UserError
from wellposed.runs.record import Estimate
from wellposed.stats import Interval, student
from wellposed.types import VecEnv

ENVS = 16
BLOCKS = 10  # of moments, each with pairs of its own, from whose spread the intervals follow
ALIKE = 0.1  # share of the pairs in which the robot's own numbers are closest
FALSE = 0.01  # share of the pairs that are not reached and may be called so


@dataclass(frozen=True)
class GoalPicturesSettings:
    """The task, its pictures, and from how many moments pairs are made."""

    env: str
    size: int = 48  # pixels across
    moments: int = 2_400  # each of an episode of its own
    error: float = 0.007  # standard deviation of a place that is read from a picture, on each axis, in goal units
    seed: int = 0

    def __post_init__(self) -> None:
        if not 40 * BLOCKS <= self.moments <= 20_000 or self.seed < 0:
            raise UserError(
                f"moments must be {40 * BLOCKS} to 20,000 and seed not negative, got {self.moments} and {self.seed}."
            )
        if not 0 < self.error < np.inf:
            raise UserError(f"error must be a length above 0, got {self.error}.")


@dataclass(frozen=True)
class GoalPicturesRow:
    """How well one distance tells pairs of moments apart: those in which the goal is reached, and all others."""

    compared: str
    reached: Estimate  # share of the pairs
    ordered: Estimate  # chance that a pair that is reached lies closer than one that is not; 0.5 says nothing
    found: Estimate  # share of those reached that lie closer than all but `FALSE` of the others


@dataclass(frozen=True)
class GoalPictures:
    """Each distance."""

    moments: int
    rows: list[GoalPicturesRow]


@dataclass(frozen=True)
class _Moments:
    """Moments of different episodes, [k, ...] each."""

    frame: np.ndarray
    own: np.ndarray
    place: np.ndarray
    read: np.ndarray  # places, each off by an error

    def part(self, chosen: np.ndarray) -> "_Moments":
        return _Moments(self.frame[chosen], self.own[chosen], self.place[chosen], self.read[chosen])


def measure_goal_pictures(settings: GoalPicturesSettings, context: Context) -> GoalPictures:
    """Play uniform actions, and compare moments of different episodes.

    Raises:
        UserError: if the environment cannot be seen by a camera, or too few pairs are reached.
    """
    where = EnvConfig(settings.env, pixels=Pixels(settings.size))
    with closing(make_env(where, ENVS, "evaluation", threads=context.threads)) as env:
        found = _gathered(env, settings, context)
        parts = np.array_split(np.arange(len(found.place)), 2 * BLOCKS)
        told = [_told(env, found.part(a), found.part(b)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    rows = []
    for name in told[0]:
        reached, ordered, share = np.array([one[name] for one in told]).T
        if not np.isfinite([ordered, share]).all():
            raise UserError(f"Of {settings.moments} moments too few pairs are reached; ask for more.")
        rows.append(GoalPicturesRow(name, *(_share(values) for values in (reached, ordered, share))))
    return GoalPictures(len(found.place), rows)


def _gathered(env: VecEnv, settings: GoalPicturesSettings, context: Context) -> _Moments:
    """A moment of each of many episodes, after a number of uniform actions that is drawn."""
    rng, rounds = seeding.generator(settings.seed, "goal pictures"), ceil(settings.moments / ENVS)
    seeds = np.array(seeding.evaluation_env_seeds(settings.seed, rounds * ENVS, "held-out")).reshape(rounds, ENVS)
    frames, own, places = [], [], []
    for of_round in context.over(seeds.tolist(), "episodes"):
        moment = env.reset(seed=of_round)
        for _ in range(int(rng.integers(env.spec.max_episode_steps))):
            env.step(rng.uniform(-1, 1, (ENVS, env.spec.action_dim)).astype(np.float32))
            moment = env.now
        frames.append(moment.obs[CAMERA].copy())
        own.append(moment.obs[OWN].copy())
        places.append(moment.truth["achieved_goal"].copy())
    place = np.concatenate(places)[: settings.moments]
    read = place + settings.error * rng.standard_normal(place.shape)
    return _Moments(np.concatenate(frames)[: len(place)], np.concatenate(own)[: len(place)], place, read)


def _told(env: VecEnv, one: _Moments, other: _Moments) -> dict[str, tuple[float, float, float]]:
    """For each distance: the share of pairs that are reached, and how well it orders and finds them."""
    n, m = len(one.place), len(other.place)
    reached = env.is_success(np.repeat(one.place, m, axis=0), np.tile(other.place, (n, 1)))
    scale = np.maximum(one.own.std(axis=0), 1e-9)
    apart = _distances(one.own / scale, other.own / scale)
    pictures = _distances(*(part.frame.reshape(len(part.place), -1).astype(np.float32) for part in (one, other)))
    alike = apart <= np.quantile(apart, ALIKE)
    return {
        "pictures": _separated(pictures, reached),
        "pictures, the robot alike": _separated(pictures[alike], reached[alike]),
        "places read from pictures": _separated(_distances(one.read, other.read), reached),
    }


def _distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Euclidean distances of all pairs of [n, d] and [m, d], [n m]."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0)).ravel()


def _separated(distance: np.ndarray, reached: np.ndarray) -> tuple[float, float, float]:
    """Shares of pairs [k]: those reached; how often one of these lies closer than another pair; and how many are found.

    The second is the Mann-Whitney statistic over its largest value. NaN where all pairs are of one kind.
    """
    from scipy.stats import mannwhitneyu

    near, far = distance[reached], distance[~reached]
    if not (len(near) and len(far)):
        return float(reached.mean()), np.nan, np.nan
    ordered = mannwhitneyu(far, near).statistic / (len(near) * len(far))
    return float(reached.mean()), float(ordered), float((near < np.quantile(far, FALSE)).mean())


def _share(values: np.ndarray) -> Estimate:
    """The mean of a share over blocks, its interval cut to what a share can be."""
    mean, low, high = student(values)
    return estimate(Interval(mean, max(low, 0.0), min(high, 1.0)))
