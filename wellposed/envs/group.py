"""Envs of any Gymnasium environment: how one is made, and how several of them are stepped, one after another.

What an env is told and what it answers stands on a board, arrays by name with a row for each env:

    seed, next_seed     of its episode, and of the one that it begins when this ends
    actions, length     of the episode so far, [steps, action_dim]; while it steps, the action is that at `length`
    reward, terminated, truncated, told   of its last step; `told`: success as info told it, NaN where it did not
    after/KEY, now/KEY  what it observed after its last step, and where it stands: in the next episode if one ended

The caller keeps the account of episodes (`episodes.Episodes`), so an env holds nothing but its simulation. That is why
a group may live in this process or, over shared memory, in another (`workers`), and nothing differs but the time.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from wellposed import plugin
from wellposed.arrays import Arrays
from wellposed.envs.explore import told_success
from wellposed.envs.physics.bullet import forgetting
from wellposed.envs.physics.cpu import WarningCounters
from wellposed.envs.physics.dynamics import Place
from wellposed.envs.rules import episode_limit, number
from wellposed.errors import EnvFailedError, UserError

Column = tuple[str, list[int], str]  # name, shape and dtype of an array of a board
Warned = list[tuple[int, dict[str, int]]]  # MuJoCo's warnings of a step, by env


def columns_of(env: gym.Env, num_envs: int, max_episode_steps: int) -> list[Column]:
    """The columns of a board for envs like this one."""
    spaces: Any = env.observation_space
    actions: Any = env.action_space
    flags = [("reward", "float64"), ("told", "float64"), ("terminated", "bool"), ("truncated", "bool")]
    numbers = [*((name, "int64") for name in ("seed", "next_seed", "length")), *flags]
    columns: list[Column] = [(name, [num_envs], dtype) for name, dtype in numbers]
    columns.append(("actions", [num_envs, max_episode_steps, *actions.shape], str(actions.dtype)))
    for key, space in spaces.items():
        columns += [(f"{when}/{key}", [num_envs, *space.shape], str(space.dtype)) for when in ("after", "now")]
    return columns


def board_bytes(columns: Sequence[Column]) -> int:
    """The memory of a board; each array begins at a multiple of 64 bytes."""
    return sum(_padded(shape, dtype) for _, shape, dtype in columns)


def board_in(columns: Sequence[Column], memory: Any, first: int = 0, last: int | None = None) -> Arrays:
    """The board in a buffer of `board_bytes`, or its rows from `first` up to but not `last`."""
    board, offset = {}, 0
    for name, shape, dtype in columns:
        board[name] = np.ndarray(shape, dtype, memory, offset)[first:last]
        offset += _padded(shape, dtype)
    return board


def _padded(shape: list[int], dtype: str) -> int:
    return -(-prod(shape) * np.dtype(dtype).itemsize // 64) * 64


class Group:
    """Envs that are stepped one after another, each with its row of `board`, as env `first`, `first` + 1, ..."""

    def __init__(self, make: Callable[[], gym.Env], board: Arrays, first: int = 0):
        self.board, self._first = board, first
        self.envs = [make() for _ in board["seed"]]
        self._spaces: dict[str, Any] = dict(self.envs[0].observation_space.items())  # type: ignore[attr-defined]
        self.places = [place_of(env) for env in self.envs]
        self.before_episode: Callable[[int], None] = lambda _: None  # called with the env before each reset
        self._warnings = [None if place is None else WarningCounters(place.data) for place in self.places]

    def begin(self, envs: list[int]) -> None:
        """Begin the episode of its seed in each of these envs."""
        for i in envs:
            with self._named(i):
                self._reset(i, self.board["seed"][i])

    def play(self, envs: list[int]) -> None:
        """Bring each of these envs to where the episode of its seed is after its actions."""
        for i in envs:
            with self._named(i):
                self._reset(i, self.board["seed"][i])
                for action in self.board["actions"][i, : self.board["length"][i]]:
                    self._show("now", i, self.envs[i].step(action.copy())[0])

    def step(self, autoreset: bool) -> Warned:
        """One step of every env. Those whose episode ends begin the next one if `autoreset`; else they stay there.

        Raises:
            EnvFailedError: if an env raises an error.
        """
        board = self.board
        for i, env in enumerate(self.envs):
            with self._named(i):
                action = board["actions"][i, board["length"][i]].copy()
                obs, reward, terminated, truncated, info = env.step(action)
                board["reward"][i], board["told"][i] = number(reward, "a step's reward"), told_success(info)
                board["terminated"][i], board["truncated"][i] = bool(terminated), bool(truncated)
                self._show("after", i, obs)
                if autoreset and (terminated or truncated):
                    self._reset(i, board["next_seed"][i])
                else:
                    self._show("now", i, obs)
        found = ((self._first + i, counters.take()) for i, counters in enumerate(self._warnings) if counters)
        return [(i, warned) for i, warned in found if warned]

    def close(self) -> None:
        """Close all envs."""
        for env in self.envs:
            env.close()

    def _reset(self, i: int, seed: Any) -> None:
        self.before_episode(i)
        self._show("now", i, self.envs[i].reset(seed=int(seed))[0])

    def _show(self, when: str, i: int, obs: Any) -> None:
        for key, space in self._spaces.items():
            if np.shape(obs[key]) != space.shape:
                raise UserError(f"{key} has shape {np.shape(obs[key])}, and {space.shape} is declared")
            self.board[f"{when}/{key}"][i] = obs[key]

    @contextmanager
    def _named(self, i: int) -> Iterator[None]:
        """An error in a person's own code is told with the env, its episode and the line."""
        try:
            yield
        except Exception as error:
            at, what = traceback.extract_tb(error.__traceback__)[-1], str(error)
            if not isinstance(error, UserError):
                what = f"{type(error).__name__}: {error} ({at.filename}, line {at.lineno})"
            step, seed = self.board["length"][i], self.board["seed"][i]
            raise EnvFailedError(
                f"Env {self._first + i} failed in step {step} of its episode of seed {seed}: {what}."
            ) from error


def place_of(env: gym.Env) -> Place | None:
    """MuJoCo's model and data, where the environment has them and shows them."""
    own = env.unwrapped
    model, data = getattr(own, "model", None), getattr(own, "data", None)
    return Place(model, data, own) if isinstance(data, mujoco.MjData) and isinstance(model, mujoco.MjModel) else None


def make_one(name: str, /, max_episode_steps: int | None = None, **kwargs: Any) -> gym.Env:
    """One environment by Gymnasium id, or by MODULE:NAME or FILE.py:NAME, where NAME is an id that the module registers
    or a function or class of it that returns the environment.

    Args:
        name: of the environment.
        max_episode_steps: after which an episode is cut; None for the environment's own number.
        kwargs: its arguments.

    Raises:
        UserError: if there is none, it may not be imported, or it cannot be made.
    """
    factory, own_name = None, name
    if plugin.imports(name):
        module, own_name = plugin.import_named(name)
        factory = getattr(module, own_name, None)
    try:
        if not callable(factory):
            return forgetting(gym.make(own_name, max_episode_steps, disable_env_checker=True, **kwargs))
        env: Any = factory(**kwargs)
    except UserError:
        raise
    except gym.error.Error as error:
        found_none = plugin.imports(name) and not callable(factory)
        there = f"{own_name} is neither a function nor a class there, and " if found_none else ""
        raise UserError(f"{name} could not be made: {there}Gymnasium could not make it: {error}") from error
    except Exception as error:  # a stranger's code: whatever it raises is told as a sentence
        raise UserError(f"{name} could not be made: {type(error).__name__}: {error}") from error
    if not isinstance(env, gym.Env):
        raise UserError(f"{name} returned {env!r:.60}, which is not a gymnasium.Env.")
    return forgetting(env if max_episode_steps is None else _limited(env, max_episode_steps, name))


def _limited(env: gym.Env, steps: int, name: str) -> gym.Env:
    """The environment with its episodes cut after so many steps."""
    own = episode_limit(env)
    if own is not None and own < steps:
        raise UserError(f"--env.max-episode-steps {steps}: {name} cuts its episodes after {own} steps itself.")
    return gym.wrappers.TimeLimit(env, steps)
