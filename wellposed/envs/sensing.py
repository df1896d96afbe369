"""What is measured of an environment, and how errors of it spread to all that is shown.

A number that is shown is measured, or computed of what is measured: a way is the difference of two places, the achieved
goal is often a part of the observation once more. With an error of its own for each, a policy could tell the truth from
them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from wellposed.types import GOAL_KEYS, INTERFACE, Obs, VecEnv

_EPISODES, _STEPS = 12, 4  # whose moments are compared, the same whatever the number of envs
_ALIKE = 1e-6  # of a number's spread: what is closer is the same number in float32
_FAINT = 1e-3  # of a number's spread: what varies less is no part of it
_MOST = 128  # numbers among which differences are looked for


class Sensed(NamedTuple):
    """A quantity that is measured at once: a place by one look, for example."""

    name: str
    unit: str
    scale: tuple[float, ...]  # of each of its numbers, what an error of 1 in goal units is in its own unit


@dataclass(frozen=True)
class Sensing:
    """The quantities that are measured, and what is shown of them."""

    quantities: tuple[Sensed, ...]
    shown: tuple[tuple[str, int], ...]  # names and sizes of the arrays that show them
    spread: np.ndarray  # [m, k]: errors of the k numbers shown, for an error of one scale of each measured number

    @cached_property
    def owner(self) -> np.ndarray:
        """The quantity that each measured number belongs to, [m]."""
        return np.repeat(np.arange(len(self.quantities)), [len(one.scale) for one in self.quantities])

    @cached_property
    def scale(self) -> np.ndarray:
        """The scale of each measured number, [m]."""
        return np.concatenate([one.scale for one in self.quantities])

    @cached_property
    def _spreading(self) -> "Sums":
        return sums(self.spread)

    @cached_property
    def _measuring(self) -> "Sums":
        return sums(inverse(self.spread))

    def measured(self, obs: Obs) -> np.ndarray:
        """What is measured [n, m], each number in its scale, of what is shown."""
        return self._measuring.of(np.concatenate([obs[name] for name, _ in self.shown], axis=1))

    def added(self, obs: Obs, errors: np.ndarray) -> Obs:
        """Observations with errors of the measured numbers [n, m], each in its scale, as new arrays."""
        off, found, first = self._spreading.of(errors), dict(obs), 0
        for name, size in self.shown:
            found[name] = obs[name] + off[:, first : first + size]
            first += size
        return found


class Sums(NamedTuple):
    """Each of k numbers as a sum of a few of m others: which, and their factors, [terms, k].

    A product of matrices would round otherwise for other numbers of envs.
    """

    which: np.ndarray
    factor: np.ndarray

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """The sums [n, k] of numbers [n, m]."""
        total = numbers[:, self.which[0]] * self.factor[0]
        for which, factor in zip(self.which[1:], self.factor[1:], strict=True):
            total += numbers[:, which] * factor
        return total


def sums(matrix: np.ndarray) -> Sums:
    """The columns of a matrix [m, k] as sums."""
    terms = max(1, int(np.count_nonzero(matrix, axis=0).max(initial=0)))
    which = np.argsort(matrix == 0, axis=0, kind="stable")[:terms]  # those that are not zero come first
    return Sums(which, np.take_along_axis(matrix, which, axis=0))


def inverse(spread: np.ndarray) -> np.ndarray:
    """The m measured numbers of the k shown, [k, m], by elimination: as few shown numbers as will do for each.

    Raises:
        ValueError: if what is shown does not tell what is measured.
    """
    m, k = spread.shape
    found, left = np.zeros((k, m)), set(range(m))
    while left:
        before = len(left)
        for column in range(k):
            parts = {int(j) for j in np.flatnonzero(spread[:, column])}
            if len(new := parts & left) == 1:
                j = new.pop()
                known = sorted(parts - left)
                found[:, j] = (np.eye(k)[column] - found[:, known] @ spread[known, column]) / spread[j, column]
                left.remove(j)
        if len(left) == before:
            raise ValueError("what is shown does not tell what is measured")
    return found


def sensing_of(env: VecEnv) -> Sensing:
    """What is measured of an environment: what its task declares, else what is found by playing it.

    A reset must follow.
    """
    if "sensors" in env.capabilities:
        task = env.task  # type: ignore[attr-defined]
        size = sum(len(one.scale) for one in task.sensed)
        parts = task.measurement_errors(np.eye(size))
        shown = tuple((name, part.shape[1]) for name, part in parts.items())
        return Sensing(tuple(task.sensed), shown, np.concatenate(list(parts.values()), axis=1))
    return find_sensing(env)


def find_sensing(env: VecEnv) -> Sensing:
    """Play random actions, and find which numbers are others once more, or the difference of two others.

    What is left is measured: the achieved goal at once, the rest of each vector at once. A measured number that varies
    more than goals do has a larger error, in the same proportion (`Field.floor`).
    """
    vectors = [field.name for field in env.spec.goals if field.kind == "vector" and field.name != INTERFACE]
    names = ["achieved_goal", *vectors]
    seen = _played(env)
    numbers = np.concatenate([seen[name] for name in ("achieved_goal", "desired_goal", *vectors)], axis=1)
    goals = seen["achieved_goal"].shape[1]
    rows = _rows(numbers, goals)
    shown = tuple((name, seen[name].shape[1]) for name in names)
    scales = np.concatenate([_scales(env, name, size) for name, size in shown])
    keep = np.r_[0:goals, 2 * goals : len(rows)]  # without the desired goal, which is told
    measured = [j for j, row in enumerate(rows[keep]) if row[keep[j]] == 1 and np.count_nonzero(row) == 1]
    ends = np.cumsum([0, *(size for _, size in shown)])
    quantities = []
    for name, low, high in zip(names, ends[:-1], ends[1:], strict=True):
        if own := [scales[j] for j in measured if low <= j < high]:
            quantities.append(Sensed(name, "", tuple(map(float, own))))
    spread = rows[keep][:, keep[measured]].T * scales[measured][:, None]
    return Sensing(tuple(quantities), shown, spread)


def _played(env: VecEnv) -> Obs:
    """What is true in the first steps of some episodes of uniform actions, [moments, ...]."""
    moves = np.random.default_rng(0).uniform(-1, 1, (_EPISODES, _STEPS, env.spec.action_dim))
    moments = []
    for first in range(0, _EPISODES, env.num_envs):  # env i plays the episode of seed `first` + i
        episodes = np.arange(first, first + env.num_envs)
        truths = [env.reset(seed=first).truth]
        truths += [env.step(move).next_truth for move in moves[episodes % _EPISODES].swapaxes(0, 1)]
        moments += [{name: seen[episodes < _EPISODES] for name, seen in truth.items()} for truth in truths]
    return {name: np.concatenate([truth[name] for truth in moments]) for name in moments[0]}


def _rows(numbers: np.ndarray, goals: int) -> np.ndarray:
    """For each number of [moments, k] the numbers that it is made of, with signs, [k, k]; a measured one of itself.

    The first `goals` are the achieved goal; the next `goals` are the desired one, which is told and has no error. The
    same but for a constant is the same in another frame.
    """
    k, varies = numbers.shape[1], np.ptp(numbers, axis=0) > 0
    rows = np.zeros((k, k))
    rows[:goals, :goals] = np.eye(goals)
    for j in range(2 * goals, k):
        made = None
        if varies[j]:
            seen = numbers[:, : j + 1]
            made = _made_of(seen) or _made_of(seen - seen[0])
        rows[j] = np.eye(k)[j] if made is None else rows[made[0]] - (rows[made[1]] if len(made) > 1 else 0)
    return rows


def _made_of(numbers: np.ndarray) -> tuple[int, ...] | None:
    """The one of [moments, j] that the last number equals, or the two whose difference it is; None without.

    What is next to nothing is no part: with it, a number would be minus another one that it only seems to mirror.
    """
    before, number = numbers[:, :-1], numbers[:, -1]
    near, faint = _ALIKE * np.ptp(number), np.abs(before).max(axis=0) <= _FAINT * np.ptp(number)
    if len(same := np.flatnonzero((np.abs(before - number[:, None]) <= near).all(axis=0))):
        return (int(same[0]),)
    for a in np.flatnonzero(~faint) if before.shape[1] <= _MOST else ():
        apart = np.where(faint, np.inf, np.abs(before[:, a, None] - before - number[:, None]).max(axis=0))
        if (apart <= near).any():
            return int(a), int(apart.argmin())
    return None


def _scales(env: VecEnv, name: str, size: int) -> np.ndarray:
    """What an error of 1 in goal units is for each number of an array [size]: in proportion to what is no signal."""
    goal = np.array(env.spec.field(GOAL_KEYS[0]).floor or 1.0)
    return np.broadcast_to(np.array(env.spec.field(name).floor or 1.0) / goal.mean(), (size,))
