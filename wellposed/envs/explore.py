"""Exploration: the episodes and resets by which an environment's rules are found and judged.

Three behaviours, because an environment shows different things to each: independent uniform actions, uniform actions
held for some steps, and a directed one that heads for the goal. The directed one is a controller written by hand where
there is one, else a linear map from actions to the motion of the achieved goal, fitted to the held actions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.types import GOAL_KEYS

HOLD = 10  # steps an action is held
AHEAD = 5  # steps after which its effect on the achieved goal is read
CAP = 1_000  # steps after which an episode without an end is left

Act = Callable[[Any, int], np.ndarray]  # (goal observation, step of the episode) -> action


@dataclass(frozen=True)
class Transitions:
    """Transitions of whole episodes, in order; leading axis n."""

    observation: np.ndarray  # [n, obs_dim]
    achieved: np.ndarray  # [n, goal_dim]
    desired: np.ndarray  # [n, goal_dim]: the goal that held when the action was taken
    action: np.ndarray  # [n, action_dim]
    next_observation: np.ndarray
    next_achieved: np.ndarray
    next_desired: np.ndarray
    reward: np.ndarray  # [n]
    terminated: np.ndarray  # [n], bool
    truncated: np.ndarray  # [n], bool
    told: np.ndarray  # [n]: success as `info` tells it, NaN where it does not
    episode: np.ndarray  # [n], int
    time: np.ndarray  # [n], int: step of the episode
    infos: list[dict]

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def ends(self) -> np.ndarray:
        """Indices of the last transition of each episode."""
        return np.flatnonzero(np.append(np.diff(self.episode) != 0, True))

    @property
    def starts(self) -> np.ndarray:
        """Indices of the first transition of each episode."""
        return np.append(0, self.ends[:-1] + 1)


def join(parts: list[Transitions]) -> Transitions:
    """Several explorations as one; episodes keep apart."""
    numbers = np.cumsum([0, *(int(part.episode[-1]) + 1 for part in parts)])
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in Transitions.__dataclass_fields__
        if name not in ("episode", "infos")
    }
    columns["episode"] = np.concatenate([part.episode + n for part, n in zip(parts, numbers[:-1], strict=True)])
    return Transitions(**columns, infos=[info for part in parts for info in part.infos])


@dataclass(frozen=True)
class Resets:
    """The first observations of episodes with seeds of their own; leading axis n."""

    observation: np.ndarray
    achieved: np.ndarray
    desired: np.ndarray


def reset_all(env: gym.Env, seeds: range, *, seconds: float = np.inf) -> Resets:
    """Reset once with each seed, or with two at least while there are seconds left."""
    rows, began = [], perf_counter()
    for seed in seeds:
        if len(rows) > 1 and perf_counter() - began > seconds:
            break
        rows.append(goals_of(env.reset(seed=seed)[0]))
    observation, achieved, desired = (np.stack(column) for column in zip(*rows, strict=True))
    return Resets(observation, achieved, desired)


def play(
    env: gym.Env, act: Act, seeds: range, *, steps: int = CAP, at_goal: bool = False, seconds: float = np.inf
) -> Transitions:
    """One episode for each seed, to its end or to `steps` steps.

    Args:
        env: the environment.
        act: chooses the actions.
        seeds: of the episodes.
        steps: after which an episode without an end is left.
        at_goal: put the goal of every second episode where the episode stands, if the environment lets it be put.
        seconds: after which no further episode is begun.
    """
    rows: list[tuple] = []
    infos: list[dict] = []
    began = perf_counter()
    for number, seed in enumerate(seeds):
        if rows and perf_counter() - began > seconds:
            break
        obs, _ = env.reset(seed=seed)
        if at_goal and number % 2:
            put_goal(env, obs["achieved_goal"])
        here = goals_of(obs)
        for t in range(steps):
            action = act(obs, t)
            obs, reward, terminated, truncated, info = env.step(action.copy())
            there = goals_of(obs)
            ends = bool(terminated), bool(truncated)
            rows.append((*here, np.array(action), *there, float(reward), *ends, told_success(info), number, t))
            infos.append(info)
            here = there
            if terminated or truncated:
                break
    o, a, d, action, o2, a2, d2, reward, terminated, truncated, told, episode, time = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return Transitions(o, a, d, action, o2, a2, d2, reward, terminated, truncated, told, episode, time, infos)


def told_success(info: dict) -> float:
    """What a step's info tells of success: 1, 0, or NaN where it tells nothing."""
    told = np.asarray(info.get("is_success", info.get("success")))
    return float(told.item()) if told.size == 1 and told.dtype != object else np.nan


def goals_of(obs: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observation, achieved and desired goal of one goal observation, as float64 copies."""
    o, a, d = (np.array(obs[key], np.float64) for key in GOAL_KEYS)
    return o, a, d


def put_goal(env: gym.Env, goal: np.ndarray) -> None:
    """Let the episode pursue `goal`, where the environment or its task keeps it under the name of `goal`.

    The environment must be one that nobody else uses.
    """
    for owner in (env.unwrapped, getattr(env.unwrapped, "task", None)):
        if isinstance(found := getattr(owner, "goal", None), np.ndarray) and found.shape == goal.shape:
            owner.goal = np.array(goal)  # type: ignore[union-attr]


def joined(obs: Any) -> np.ndarray:
    """A goal observation as one vector: observation, achieved and desired goal."""
    return np.concatenate(goals_of(obs))


def follow(
    env: gym.Env, actions: np.ndarray, seed: int | None, meanwhile: Callable[[Any], None] | None = None
) -> np.ndarray:
    """Goal observations [steps + 1, size] of an episode with these actions, or fewer where it ends.

    `meanwhile` is handed every observation but the last, before the environment goes on.
    """
    obs, _ = env.reset(seed=seed)
    rows = [joined(obs)]
    for action in actions:
        if meanwhile is not None:
            meanwhile(obs)
        obs, _, terminated, truncated, _ = env.step(action.copy())
        rows.append(joined(obs))
        if terminated or truncated:
            break
    return np.array(rows)


def uniform(space: gym.spaces.Box, rng: np.random.Generator) -> Act:
    """Independent uniform actions."""
    return lambda _obs, _t: rng.uniform(space.low, space.high).astype(space.dtype)


def held(space: gym.spaces.Box, rng: np.random.Generator) -> Act:
    """Uniform actions, each held for `HOLD` steps."""
    now = [space.low]

    def act(_obs: Any, t: int) -> np.ndarray:
        if t % HOLD == 0:
            now[0] = rng.uniform(space.low, space.high).astype(space.dtype)
        return now[0]

    return act


def directed(space: gym.spaces.Box, seen: Transitions, rng: np.random.Generator) -> Act:
    """Heads for the goal along the linear map from actions to motion of the achieved goal that fits `seen` best."""
    first = np.flatnonzero(seen.time % HOLD == 0)
    first = first[
        (first + AHEAD < len(seen)) & (seen.episode[np.minimum(first + AHEAD, len(seen) - 1)] == seen.episode[first])
    ]
    middle, half = (space.high + space.low) / 2.0, (space.high - space.low) / 2.0
    if len(first) < 2 * len(middle):
        return uniform(space, rng)
    motion = seen.achieved[first + AHEAD] - seen.achieved[first]
    actions = (seen.action[first] - middle) / half
    effect = np.linalg.lstsq(np.column_stack([actions, np.ones(len(first))]), motion, rcond=None)[0][:-1].T
    back = np.linalg.pinv(effect, rcond=0.1)  # of goal motion to the least action for it

    def act(obs: Any, _t: int) -> np.ndarray:
        _, achieved, desired = goals_of(obs)
        wish = np.clip(back @ (desired - achieved), -1.0, 1.0)
        return np.clip((middle + half * wish).astype(space.dtype), space.low, space.high)

    return act
