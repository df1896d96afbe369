"""Paired rollouts: the same task from two beginnings that a symmetry would map on each other, side by side.

A beginning says where the points are. A point whose state can be written is put there; the effector, where its cannot,
is steered there by actions; any other point is where the reset put it, and seeds are chosen whose resets fit together.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.arrays import turned
from wellposed.check.states import Handles, State
from wellposed.envs.explore import look
from wellposed.envs.rules import fields_of

FAR = 10_000  # steps at which an episode of these rollouts is cut
REDRAWN = 6  # steps after which actions head for another place
STEER = 40  # steps that steering may take
DRIFTS = 20  # episodes in which is looked whether things move by themselves
SETTLE = 3  # steps without an action after it
FALL = 6  # those in which what a reset lets fall comes to rest
CHASED, PACE = 0.7, (0.2, 0.6)  # share of the time it heads for what achieves goals, and how fast it does
NOISE = 0.2  # standard deviation of actions around that
THERE = 0.1  # success radii from its place up to which a steered effector is there
NEAR = 0.04  # those up to which what stands still may seem to have moved


class EndedError(Exception):
    """The environment ended the episode."""


class DisturbedError(Exception):
    """What achieves goals was moved on the way to a beginning."""


@dataclass
class Bench:
    """One instance under unit actions, which shows observation, achieved and desired goal as one vector [m]."""

    env: gym.Env
    turn: tuple[tuple[tuple[int, int], ...], float] = ((), 0.0)  # pairs of [m] that are shown turned, and the angle
    settle: int = 0  # steps without an action after each reset
    now: np.ndarray = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        _never_cut(self.env)
        space: Any = self.env.action_space
        self._fields = fields_of(self.env)
        self._middle, self._half = (space.high + space.low) / 2.0, (space.high - space.low) / 2.0
        self.action_dim, self._dtype = len(self._middle), space.dtype

    def reset(self, seed: int) -> np.ndarray:
        """Begin the episode of a seed, and let what falls come to rest."""
        self._see(self.env.reset(seed=seed)[0])
        with suppress(EndedError):  # the next step will tell
            for _ in range(self.settle):
                self.rest()
        return self.now

    def step(self, action: np.ndarray) -> np.ndarray:
        """Take an action [action_dim] in [-1, 1].

        Raises:
            EndedError: if the episode is over.
        """
        native = (self._middle + self._half * np.clip(action, -1, 1)).astype(self._dtype)
        obs, _, terminated, truncated, _ = self.env.step(native)
        if terminated or truncated:
            raise EndedError
        return self._see(obs)

    def rest(self) -> np.ndarray:
        """Take no action."""
        return self.step(np.zeros(self.action_dim))

    def _see(self, obs: Any) -> np.ndarray:
        self.now = turned(np.concatenate(look(obs, self._fields)[:3]), *self.turn)
        return self.now


def _never_cut(env: gym.Env) -> None:
    """Let no `TimeLimit` around an environment end its episodes."""
    while isinstance(env, gym.Wrapper):
        if isinstance(env, gym.wrappers.TimeLimit):
            env._max_episode_steps = FAR
        env = env.env


def falls(bench: Bench, goal: np.ndarray, seeds: range, radius: float) -> bool:
    """Whether the numbers `goal` of [m] change by themselves after resets, and soon no more: something is let fall."""
    stirs = np.zeros((len(seeds), 2))
    for i, seed in enumerate(seeds):
        before = bench.reset(seed)[goal]
        with suppress(EndedError):
            for phase in range(2):
                for _ in range(FALL):
                    bench.rest()
                stirs[i, phase] = np.abs(bench.now[goal] - before).max()
                before = bench.now[goal]
    first, then = (stirs > NEAR * radius).T
    return bool(first.all() and not then.any())


def response(bench: Bench, seeds: range, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """What a steady action changes in what is seen: after `steps` steps of it, and some steps of rest later.

    Both [action_dim, m], half the difference between the action +1 and -1, the median over seeds.
    """
    during, after = [], []
    for seed in seeds:
        ends = np.zeros((2, 2, bench.action_dim, len(bench.reset(seed))))
        for side, sign in enumerate((1.0, -1.0)):
            for k in range(bench.action_dim):
                bench.reset(seed)
                for _ in range(steps):
                    bench.step(sign * np.eye(bench.action_dim)[k])
                ends[0, side, k] = bench.now
                for _ in range(SETTLE):
                    bench.rest()
                ends[1, side, k] = bench.now
        during.append((ends[0, 0] - ends[0, 1]) / 2)
        after.append((ends[1, 0] - ends[1, 1]) / 2)
    return np.median(during, axis=0), np.median(after, axis=0)


@dataclass(frozen=True)
class Stage:
    """A bench on which it is known where points are and how they are moved.

    Points are rows: the effector, then those that achieve goals.
    """

    bench: Bench
    at: np.ndarray  # [points, g]: where [m] holds their coordinates
    effect: np.ndarray  # [action_dim, g]: how far a unit action moves the effector in one step; 0 where it does not
    region: np.ndarray  # [2, g]: least and greatest coordinates of desired goals
    radius: float  # of success
    state: State | None = None
    handles: Handles | None = None
    resets: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0)))  # [seeds, points, g]: where they begin

    @cached_property
    def gain(self) -> np.ndarray:
        """The unit action that moves the effector by one unit of goals in one step, [action_dim, g]."""
        return np.linalg.pinv(self.effect.T, rcond=0.1)

    @property
    def axes(self) -> np.ndarray:
        """The axes on which goals vary, those that are examined."""
        return np.flatnonzero(np.ptp(self.region, axis=0) > self.radius)

    @property
    def puts(self) -> np.ndarray:
        """Which points can be put anywhere on the axes that are examined, bool [points]."""
        if self.handles is None:
            return np.zeros(len(self.at), bool)
        return np.all(self.handles.number[:, self.axes] >= 0, axis=1)

    @property
    def exact(self) -> bool:
        """Whether all points can be put anywhere, so that twins begin as each other's image to the last digits."""
        return bool(self.puts.all())

    @property
    def matched(self) -> bool:
        """Whether seeds must be chosen whose resets fit together."""
        return not bool(self.puts[1:].all())

    def points(self) -> np.ndarray:
        """Where they are [points, g]."""
        return self.bench.now[self.at]

    def drifts(self) -> bool:
        """Whether what achieves goals moves by itself, in more than a few episodes."""
        moved = 0
        for seed in range(DRIFTS):
            self.bench.reset(seed)
            before = self.points()[1:]
            for _ in range(SETTLE):
                self.bench.rest()
            moved += bool(np.abs(self.points()[1:] - before).max() > NEAR * self.radius)
        return moved > DRIFTS / 10

    def begin(self, seed: int, places: np.ndarray) -> np.ndarray | None:
        """Begin an episode with the points at `places` [points, g].

        Where the effector is steered it ends up beside its place, and what is put beside it is put as far off.

        Returns:
            Where the points are, or were put; None if the effector does not get there.

        Raises:
            DisturbedError: if what achieves goals was moved on the way.
            EndedError: if the episode was over before.
        """
        self.bench.reset(seed)
        before, places = self.points(), places.copy()
        if not self.puts[0]:
            steer(self, places[0])
            if np.abs(self.points() - before)[1:].max(initial=0.0) > NEAR * self.radius:
                raise DisturbedError
            if np.abs(off := self.points()[0] - places[0])[self.axes].max() > THERE * self.radius:
                return None
            places = places + off
        if self.state is not None and self.handles is not None and self.puts.any():
            put = np.ix_(self.puts, self.axes)
            state, way = self.state.read(), (places - self.points())[put]
            state[self.handles.number[put]] += way / self.handles.factor[put]
            self.state.write(state)
            self.bench.rest()
        return np.where(self.puts[:, None], places, self.points())


def steer(stage: Stage, place: np.ndarray) -> None:
    """Move the effector to a place [g] by actions, as near as it comes."""
    for _ in range(STEER):
        way = place - stage.points()[0]
        if np.abs(way).max() <= THERE * stage.radius / 20:
            break
        stage.bench.step(stage.gain @ way)
    for _ in range(SETTLE):
        stage.bench.rest()


def wander(stage: Stage, rng: np.random.Generator) -> Callable[[int], np.ndarray]:
    """Actions that take the effector hither and thither, mostly through what achieves goals, and slowly there."""
    aim, loose, pace = np.zeros(stage.at.shape[1]), np.zeros(stage.bench.action_dim), 1.0
    idle = np.array(~stage.effect.any(axis=1))  # components that do not move it

    def act(t: int) -> np.ndarray:
        nonlocal aim, loose, pace
        points = stage.points()
        if t % REDRAWN == 0:
            aim, loose, pace = rng.uniform(*stage.region), rng.uniform(-1, 1, len(loose)), 1.0
            if len(points) > 1 and rng.uniform() < CHASED:
                chased = points[1 + int(rng.integers(len(points) - 1))]  # of one alone nothing is drawn
                aim = chased + rng.uniform(-1, 1, len(aim)) * stage.radius
                pace = rng.uniform(*PACE)
        noise = NOISE * rng.standard_normal(len(idle))
        action = pace * (np.clip(stage.gain @ (aim - points[0]), -1, 1) + noise)
        return np.clip(np.where(idle, loose, action), -1, 1)

    return act
