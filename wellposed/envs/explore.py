"""Exploration: the episodes and resets by which an environment's rules are found and judged.

Three behaviours, because an environment shows different things to each: independent uniform actions, uniform actions
held for some steps, and a directed one that heads for the goal. The directed one is a controller written by hand where
there is one, else a linear map from actions to the motion of the achieved goal, fitted to the held actions.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from time import perf_counter
from typing import Any, NamedTuple
from zlib import crc32

import gymnasium as gym
import numpy as np

from wellposed.envs.rules import fields_of
from wellposed.types import GOAL_KEYS, Field, Policy

HOLD = 10  # steps an action is held
AHEAD = 5  # steps after which its effect on the achieved goal is read
CAP = 1_000  # steps after which an episode without an end is left

Act = Callable[[Any, int], np.ndarray]  # (goal observation, step of the episode) -> action


class Moments(NamedTuple):
    """What was observed at n moments, in float64."""

    observation: np.ndarray  # [n, obs_dim]: all vectors but the goals, side by side
    achieved: np.ndarray  # [n, goal_dim]
    desired: np.ndarray  # [n, goal_dim]
    images: np.ndarray  # [n, images]: a checksum of each image

    @property
    def numbers(self) -> np.ndarray:
        """Observation, achieved and desired goals side by side, [n, obs_dim + 2 goal_dim]."""
        return np.hstack(self[:3])


def look(obs: Any, seen: tuple[Field, ...]) -> Moments:
    """One observation, without the axis of moments; copies."""
    of_kind = lambda kind: [obs[field.name] for field in seen if field.kind == kind]  # noqa: E731
    vectors, achieved, desired = np.concatenate([[], *of_kind("vector")]), obs["achieved_goal"], obs["desired_goal"]
    checksums = np.array([crc32(image.tobytes()) for image in of_kind("image")], np.float64)
    return Moments(vectors, np.array(achieved, np.float64), np.array(desired, np.float64), checksums)


def stack(rows: Iterable[Moments]) -> Moments:
    """Single observations as moments."""
    return Moments(*map(np.stack, zip(*rows, strict=True)))


def join_moments(parts: Iterable[Moments]) -> Moments:
    """Moments one after another."""
    return Moments(*map(np.concatenate, zip(*parts, strict=True)))


@dataclass(frozen=True)
class Transitions:
    """Transitions of whole episodes, in order; leading axis n."""

    before: Moments  # with the goal that held when the action was taken
    after: Moments
    action: np.ndarray  # [n, action_dim]
    reward: np.ndarray  # [n]
    terminated: np.ndarray  # [n], bool
    truncated: np.ndarray  # [n], bool
    told: np.ndarray  # [n]: success as `info` tells it, NaN where it does not
    overwritten: np.ndarray  # [n], bool: `step` wrote into the action that it was given
    episode: np.ndarray  # [n], int
    time: np.ndarray  # [n], int: step of the episode
    infos: np.ndarray  # [n], of dicts

    def __len__(self) -> int:
        return len(self.reward)

    @property
    def goals(self) -> tuple[np.ndarray, np.ndarray]:
        """The pairs of goals that steps were rewarded for: achieved by the step, desired before it."""
        return self.after.achieved, self.before.desired

    @property
    def ends(self) -> np.ndarray:
        """Indices of the last transition of each episode."""
        return np.flatnonzero(np.append(np.diff(self.episode) != 0, True))

    @property
    def starts(self) -> np.ndarray:
        """Indices of the first transition of each episode."""
        return np.append(0, self.ends[:-1] + 1)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each episode."""
        return self.ends - self.starts + 1

    @property
    def new_goal(self) -> np.ndarray:
        """The steps after which another goal is desired than before, bool [n]."""
        return (self.before.desired != self.after.desired).any(axis=1)


def join(parts: list[Transitions]) -> Transitions:
    """Several explorations as one; episodes keep apart."""
    columns: dict[str, Any] = {}
    for name in (field.name for field in fields(Transitions)):
        values = [getattr(part, name) for part in parts]
        columns[name] = join_moments(values) if isinstance(values[0], Moments) else np.concatenate(values)
    firsts = np.cumsum([0, *(int(part.episode[-1]) + 1 for part in parts)])
    columns["episode"] += np.repeat(firsts[:-1], [len(part) for part in parts])
    return Transitions(**columns)


def reset_all(env: gym.Env, seeds: range, *, seconds: float = np.inf) -> Moments:
    """Reset once with each seed, or with two at least while there are seconds left."""
    found, began, seen = [], perf_counter(), fields_of(env)
    for seed in seeds:
        if len(found) > 1 and perf_counter() - began > seconds:
            break
        found.append(look(env.reset(seed=seed)[0], seen))
    return stack(found)


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
    before, after, told = [], [], []
    began, seen = perf_counter(), fields_of(env)
    for number, seed in enumerate(seeds):
        if told and perf_counter() - began > seconds:
            break
        obs, _ = env.reset(seed=seed)
        if at_goal and number % 2:
            put_goal(env, obs["achieved_goal"])
        here = look(obs, seen)
        for t in range(steps):
            action = np.array(act(obs, t))
            given = action.copy()
            obs, reward, terminated, truncated, info = env.step(given)
            before.append(here)
            after.append(here := look(obs, seen))
            overwritten = not np.array_equal(given, action)
            ends = bool(terminated), bool(truncated)
            told.append((action, float(reward), *ends, told_success(info), overwritten, number, t, info))
            if terminated or truncated:
                break
    columns: Any = (np.array(column) for column in zip(*told, strict=True))
    return Transitions(stack(before), stack(after), *columns)


def told_success(info: dict) -> float:
    """What a step's info tells of success: 1, 0, or NaN where it tells nothing."""
    told = np.asarray(info.get("is_success", info.get("success")))
    return float(told.item()) if told.size == 1 and told.dtype != object else np.nan


def put_goal(env: gym.Env, goal: np.ndarray) -> None:
    """Let the episode pursue `goal`, where the environment or its task keeps it under the name of `goal`.

    The environment must be one that nobody else uses.
    """
    for owner in (env.unwrapped, getattr(env.unwrapped, "task", None)):
        if isinstance(found := getattr(owner, "goal", None), np.ndarray) and found.shape == goal.shape:
            owner.goal = np.array(goal)  # type: ignore[union-attr]


def observations(env: gym.Env, actions: Iterable[np.ndarray], seed: int | None) -> Iterator[Any]:
    """The observations of one episode with these actions, one by one, as the environment hands them out."""
    obs, _ = env.reset(seed=seed)
    yield obs
    for action in actions:
        obs, _, terminated, truncated, _ = env.step(action.copy())
        yield obs
        if terminated or truncated:
            return


def rows(env: gym.Env, actions: Iterable[np.ndarray], seed: int | None) -> Iterator[np.ndarray]:
    """The same as rows [size]: all numbers of vectors, of the achieved goal, of the desired one, and of images last."""
    seen = sorted(fields_of(env), key=lambda field: ("vector", "goal", "image").index(field.kind))
    for obs in observations(env, actions, seed):
        yield np.concatenate([np.array(obs[field.name], np.float64).ravel() for field in seen])


def follow(env: gym.Env, actions: Iterable[np.ndarray], seed: int | None) -> np.ndarray:
    """All of these rows [steps + 1, size], or fewer where the episode ends."""
    return np.array(list(rows(env, actions, seed)))


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


def following(policy: Policy) -> Act:
    """Follows a policy, which remembers what it saw of an episode."""
    carry = policy.initial_carry(1)

    def act(obs: Any, t: int) -> np.ndarray:
        nonlocal carry
        carry = carry if t else policy.initial_carry(1)
        action, carry = policy.act({key: value[None] for key, value in obs.items()}, carry)
        return action[0]

    return act


def directed(space: gym.spaces.Box, seen: Transitions, rng: np.random.Generator, delay: int = 0) -> Act:
    """Heads for the goal along the linear map from actions to motion of the achieved goal that fits `seen` best.

    `delay`: steps by which actions arrive late.
    """
    first = np.flatnonzero(seen.time % HOLD == 0)
    last = first + delay + AHEAD
    first = first[(last < len(seen)) & (seen.episode[np.minimum(last, len(seen) - 1)] == seen.episode[first])]
    middle, half = (space.high + space.low) / 2.0, (space.high - space.low) / 2.0
    if len(first) < 2 * len(middle):
        return uniform(space, rng)
    motion = seen.before.achieved[first + delay + AHEAD] - seen.before.achieved[first + delay]
    actions = (seen.action[first] - middle) / half
    effect = np.linalg.lstsq(np.column_stack([actions, np.ones(len(first))]), motion, rcond=None)[0][:-1].T
    back = np.linalg.pinv(effect, rcond=0.1)  # of goal motion to the least action for it

    def act(obs: Any, _t: int) -> np.ndarray:
        achieved, desired = (np.asarray(obs[key], np.float64) for key in GOAL_KEYS)
        wish = np.clip(back @ (desired - achieved), -1.0, 1.0)
        return np.clip((middle + half * wish).astype(space.dtype), space.low, space.high)

    return act
