"""The scales of an environment: its success radius, the spread of its goals, the range of its rewards.

No constant of this package is in goal units. What has to be small or large is a ratio of these scales, and the ratios
are those that were found good on Fetch (success within 0.05 m, goals spread by 0.15 m).
"""

from dataclasses import dataclass

import numpy as np

FLOOR = 50  # success radii: a standard deviation below 1/50 of one is no signal (Fetch: 1 mm)
MOVED = 5  # an achieved goal that is 1/5 of a success radius from where it began has moved (Fetch: 1 cm)
STILL = 50  # one that goes less than 1/50 of it in one step stands still (Fetch: 1 mm)
RADII = 3  # success radii in the spread of goals, assumed where no radius can be measured (FetchReach: 3)
RESOLVED = 1_000  # float32 has to tell apart 1/1000 of a success radius, or numbers are kept relative to an origin
FAINT = 1e-3  # of the median spread: an observation that varies less is taken for one that is constant


def goal_floor(radius: float) -> float:
    """The standard deviation of goals that is no signal: the floor of their normaliser."""
    return radius / FLOOR


def moved(radius: float | None) -> float:
    """The distance from where it began at which an achieved goal has moved; NaN where no radius is known."""
    return np.nan if radius is None else radius / MOVED


def still(radius: float) -> float:
    """The distance in one step below which an achieved goal stands still."""
    return radius / STILL


def printed(unit: str) -> tuple[float, str]:
    """Factor and unit in which lengths of the size of a success radius are printed, given the unit of goals."""
    return (1000.0, "mm") if unit == "m" else (1.0, unit)


@dataclass(frozen=True)
class Units:
    """The scales of an environment, as measured by `envs.evidence.Evidence`."""

    reward_range: tuple[float, float]  # the least and the greatest reward of one step
    sparse: bool  # whether the reward takes these two values only
    radius: float  # distance at which success ends, in the unit of goals; where none was found, `radius_like_fetch`
    goal_spread: tuple[float, ...]  # standard deviation of goals, desired and achieved, on each axis
    observation_floor: tuple[float, ...]  # standard deviation of each number of the observation that is no signal
    goal_origin: tuple[float, ...] = ()  # what goals are kept relative to; () where float32 resolves them as they are
    observation_origin: tuple[float, ...] = ()  # the same for the observation


def radius_like_fetch(goal_spread: np.ndarray) -> float:
    """What the success radius would be on Fetch for goals with this standard deviation on each axis [g]."""
    return (float(np.linalg.norm(goal_spread)) or 1.0) / RADII


def observation_floors(radius: float, goal_spread: np.ndarray, spread: np.ndarray) -> tuple[float, ...]:
    """The floor of each number of an observation: in proportion to its spread as that of goals is to theirs.

    A number that hardly varies (a block at rest trembles by 1e-9 m) gets the floor of the faintest that counts.

    Args:
        radius: of success.
        goal_spread: standard deviation of goals [g].
        spread: standard deviation of the numbers of the observation [o].
    """
    typical = float(np.sqrt(np.mean(np.square(goal_spread)))) or 1.0
    if not spread.any():
        return (goal_floor(radius),) * len(spread)
    return tuple(float(s) for s in goal_floor(radius) / typical * signals(spread))


def origin(seen: np.ndarray, matters: np.ndarray | float) -> tuple[float, ...]:
    """What numbers are relative to, where float32 would not tell apart a thousandth of what matters; () if nowhere.

    It is a multiple of a power of two as large as their range, so subtracting and adding it is exact in float64.

    Args:
        seen: the numbers [n, k].
        matters: a difference that counts, of each number [k] or of all.
    """
    low, high, matters = seen.min(axis=0), seen.max(axis=0), np.broadcast_to(matters, seen.shape[1])
    size, width = np.maximum(np.abs(low), np.abs(high)), np.ones(len(matters))
    width[matters > 0] = 2.0 ** np.ceil(np.log2(np.maximum(high - low, matters)[matters > 0]))
    lost = (matters > 0) & (np.finfo(np.float32).eps * size > matters / RESOLVED) & (size > width)
    if not lost.any():
        return ()
    return tuple(map(float, np.where(lost, width * np.round((low + high) / 2 / width), 0.0)))


def signals(spread: np.ndarray) -> np.ndarray:
    """The standard deviation [k] of numbers, those that hardly vary taken for the faintest that counts."""
    varying = spread[spread > 0]
    return np.maximum(spread, FAINT * float(np.median(varying)) if len(varying) else 0.0)


def goal_worth(at_goal: float, elsewhere: float, ends: bool, gamma: float) -> float:
    """How much more a step at the goal is worth than a step elsewhere, for policies that stay where they are for ever.

    An episode that ends at its goal pays `at_goal` once, which is worth (1 - gamma) at_goal at each step for ever.
    Where the difference is negative the best policy avoids the goal. With an entropy bonus it does so too where
    temperature times entropy elsewhere is larger than the difference.

    Args:
        at_goal: the reward of a step at the goal.
        elsewhere: the greatest reward of a step that does not reach it.
        ends: whether an episode ends at its goal.
        gamma: discount per step, in [0, 1).
    """
    return (at_goal * (1 - gamma) if ends else at_goal) - elsewhere


def return_range(reward_range: tuple[float, float], gamma: float) -> tuple[float, float]:
    """The least and the greatest discounted return that rewards of this range can add up to.

    An episode may go on for ever or end after any step, so with rewards in [low, high] returns lie between the smaller
    of low and low / (1 - gamma), and the larger of high and high / (1 - gamma).

    Args:
        reward_range: the least and the greatest reward of a step.
        gamma: discount per step, in [0, 1).
    """
    low, high = reward_range
    return min(low, low / (1 - gamma)), max(high, high / (1 - gamma)) + 0.0  # no minus zero
