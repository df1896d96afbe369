"""What is examined: how to make fresh instances of an environment, and the rules for goals that it hands out."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import gymnasium as gym
import numpy as np

from wellposed import envs
from wellposed.envs.gymnasium_edge import successor
from wellposed.errors import UserError
from wellposed.types import GOAL_KEYS, Obs, Policy


@dataclass(frozen=True)
class Subject:
    """An environment by name, and how to make a fresh instance of it."""

    name: str
    make: Callable[[], gym.Env]
    oracle: Callable[[], Policy] | None = None
    """A policy written by hand that makes the achieved goal move, where there is one."""


class OneCopy(gym.Env):
    """One copy of a registered vector environment as a plain Gymnasium one: episodes end, nothing resets itself."""

    def __init__(self, env_id: str):
        self._env: Any = envs.make_vec(env_id, 1)
        self.observation_space, self.action_space = self._env.single_observation_space, self._env.single_action_space
        self.max_episode_steps = self._env.max_episode_steps
        self.compute_reward, self.compute_terminated = self._env.compute_reward, self._env.compute_terminated

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Obs, dict]:
        """A new episode."""
        super().reset(seed=seed)
        obs, _ = self._env.reset(seed=seed, options=options)
        return {key: value[0] for key, value in obs.items()}, {}

    def step(self, action: np.ndarray) -> tuple[Obs, float, bool, bool, dict]:
        """One step; the observation is the true successor."""
        obs, reward, terminated, truncated, info = self._env.step(np.asarray(action)[None])
        after = {key: value[0] for key, value in successor(obs, info).items()}
        told = {"is_success": bool(info["is_success"][0])}
        return after, float(reward[0]), bool(terminated[0]), bool(truncated[0]), told

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> bool:
        """Whether a goal [g] counts as reached."""
        return bool(self._env.is_success(achieved_goal[None], desired_goal[None])[0])


def find_subject(name: str) -> Subject:
    """An environment by Gymnasium id, by "module:Id-v0", or by "module:factory".

    Raises:
        UserError: if there is none of that name, or it cannot be made.
    """
    module, _, attribute = name.partition(":")
    if attribute and (factory := _attribute(module, attribute)) is not None:
        return Subject(name, factory)
    if ":" not in name and (entry := envs.find(name)) in envs.registered():
        return Subject(name, lambda: OneCopy(name), entry.oracle)

    def make() -> gym.Env:
        try:
            return gym.make(name, disable_env_checker=True)
        except gym.error.Error as error:
            raise UserError(f"Gymnasium could not make {name!r}: {error}") from error

    return Subject(name, make)


def _attribute(module: str, name: str) -> Callable[[], gym.Env] | None:
    """`module`'s attribute, if it can be called; None where the name is for Gymnasium's registry.

    Raises:
        UserError: if there is no such module.
    """
    try:
        found: Any = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise UserError(f"The module {module!r} could not be imported: {error}.") from error
    return cast(Callable[[], gym.Env], found) if callable(found) else None


def episode_limit(env: gym.Env) -> int | None:
    """The number of steps after which an environment says that it cuts an episode."""
    own = getattr(env.unwrapped, "max_episode_steps", None)
    return own if env.spec is None or env.spec.max_episode_steps is None else env.spec.max_episode_steps


def goals_of(obs: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observation, achieved and desired goal of one goal observation, as float64 copies."""
    o, a, d = (np.array(obs[key], np.float64) for key in GOAL_KEYS)
    return o, a, d
