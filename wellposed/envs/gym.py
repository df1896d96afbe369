"""Any other Gymnasium goal environment, through `gymnasium.vector`, behind the same interface as Fetch.

An environment qualifies if its observation is a dict with `observation`, `achieved_goal` and `desired_goal`, it has a
`compute_reward` of the two goals and a time limit, and something says what success is. Where it does not, it is refused
with the reason (`Evidence.fault`): hindsight relabelling would fail silently on it.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import importlib
from contextlib import closing
from functools import partial
from typing import Any, cast

import gymnasium as gym
import mujoco
import numpy as np

from wellposed.arrays import Arrays, check_arrays
from wellposed.envs.episodes import EpisodeRecorder, recorded
from wellposed.envs.evidence import Evidence
from wellposed.envs.physics import WarningCounters, sum_warnings
from wellposed.envs.rules import GoalRules, Measured, Subject
from wellposed.errors import UserError
from wellposed.types import GOAL_KEYS, GoalObs, clipped_actions, successor

_MEASURED: dict[tuple[Any, ...], Measured] = {}  # of this process, by what makes the environment and its arguments


class GymGoalVecEnv(gym.vector.VectorEnv):
    """`num_envs` copies of a registered Gymnasium goal environment, stepped one after another.

    Copy i, reset with seed s, begins with the episode that `gymnasium.make(id)` plays for seed s + i; those that follow
    have seeds of their own (`episodes.EpisodeRecorder` says why).

    Actions are in [-1, 1] and scaled to the environment's own bounds; they are clipped before, so
    `info["applied_action"]` is what the environment received, in the units of [-1, 1].
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "autoreset_mode": gym.vector.AutoresetMode.SAME_STEP,
        "render_modes": [],
    }
    geometry = None  # Gymnasium does not say where an observation holds points in space

    def __init__(self, env_id: str, num_envs: int = 1, **kwargs: Any):
        first = make_one(env_id, **kwargs)
        try:
            found = _measured(env_id, first, kwargs)
        except UserError:
            first.close()
            raise
        self.max_episode_steps, self.units = found.limit, found.units
        mode = gym.vector.AutoresetMode.SAME_STEP
        makers = [lambda: EpisodeRecorder(first)]
        makers += [lambda: EpisodeRecorder(make_one(env_id, **kwargs))] * (num_envs - 1)
        self._envs = gym.vector.SyncVectorEnv(makers, autoreset_mode=mode)
        self._copies: list[EpisodeRecorder] = list(self._envs.envs)  # type: ignore[arg-type]
        self._warnings = [WarningCounters(data) for copy in self._copies if (data := _mujoco_data(copy)) is not None]
        self.env_id, self.num_envs, self.spec = env_id, num_envs, first.spec
        self.single_observation_space = self._envs.single_observation_space
        self.observation_space = self._envs.observation_space
        self._low, self._high = first.action_space.low, first.action_space.high  # type: ignore[attr-defined]
        self._unit = bool((self._low == -1.0).all() and (self._high == 1.0).all())
        shape = first.action_space.shape
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, shape, np.float32)
        self.action_space = gym.vector.utils.batch_space(self.single_action_space, num_envs)
        # Rewards of other goals are asked for while the copies are stepped by another thread, so of one that is not.
        self._apart = make_one(env_id, **kwargs)
        self._apart.reset(seed=0)
        self._rules = GoalRules(self._apart, found)

    def reset(self, *, seed: int | list[int] | None = None, options: dict | None = None) -> tuple[GoalObs, dict]:
        """Start a new episode in every copy; copy i takes seed + i, or its own of a list."""
        self._obs, info = self._envs.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._obs, info

    def step(self, actions: np.ndarray) -> tuple[GoalObs, np.ndarray, np.ndarray, np.ndarray, dict]:
        """Step every copy with actions [num_envs, action_dim] in [-1, 1].

        Raises:
            ValueError: if the actions have another shape.
            NotFiniteError: if one of them is a NaN or an infinity, or the simulation broke.
        """
        applied = clipped_actions(actions, self.action_space.shape)
        native = applied
        if not self._unit:  # the sum may be off a bound by its last bit
            native = np.clip(self._low + (applied + 1.0) / 2.0 * (self._high - self._low), self._low, self._high)
        obs, reward, terminated, truncated, info = self._envs.step(native.astype(self._low.dtype))
        self._obs, last = obs, successor(obs, info)
        everywhere = np.ones(self.num_envs, bool)
        info |= {"applied_action": applied, "_applied_action": everywhere}
        info |= {"is_success": self.is_success(last["achieved_goal"], last["desired_goal"]), "_is_success": everywhere}
        info["physics_warnings"] = sum_warnings(counters.take() for counters in self._warnings)
        return obs, reward, terminated, truncated, info

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """The environment's own reward [n] for goals [n, goal_dim]."""
        return self._rules.reward(achieved_goal, desired_goal)

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """Whether an episode would end there, bool [n]."""
        return self._rules.terminated(achieved_goal, desired_goal)

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """True [n] where the goal counts as reached."""
        return self._rules.success(achieved_goal, desired_goal)

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """Nothing is known of kinds of goals."""
        return [""] * len(desired_goal)

    @property
    def episode_seeds(self) -> list[int]:
        """The seed of each copy's episode."""
        return [copy.seed for copy in self._copies]

    def get_state(self) -> Arrays:
        """Everything the next step and the next reset depend on, as far as Gymnasium's promise goes: see `episodes`."""
        return recorded(self._copies, self.max_episode_steps) | {key: self._obs[key] for key in GOAL_KEYS}

    def set_state(self, state: Arrays) -> GoalObs:
        """Play every copy's episode up to where `get_state` was called; returns the observations there.

        Raises:
            ValueError: if the state is of another environment or another number of copies.
            UserError: if the environment got somewhere else with the same seed and the same actions.
        """
        self.reset(seed=0)
        try:
            check_arrays(self.get_state(), state)
        except UserError as error:
            raise ValueError("this state belongs to another environment or another number of copies") from error
        moments = zip(state["seeds"], state["lengths"], state["actions"], state["streams"], strict=True)
        found = [
            copy.play_again(int(seed), actions[:n], stream)
            for copy, (seed, n, actions, stream) in zip(self._copies, moments, strict=True)
        ]
        self._obs = {key: np.stack([obs[key] for obs in found]) for key in GOAL_KEYS}
        if any(not np.array_equal(self._obs[key], state[key]) for key in GOAL_KEYS):
            raise UserError(
                f"{self.env_id} cannot be taken up where it was: the same seed and the same actions led elsewhere, so "
                "it carries something over from one episode to the next. Train it anew."
            )
        return {key: value.copy() for key, value in self._obs.items()}

    def close_extras(self, **kwargs: Any) -> None:
        """Close all copies."""
        self._envs.close()
        self._apart.close()


def make_one(name: str, **kwargs: Any) -> gym.Env:
    """One environment by Gymnasium id, by "module:Id-v0", or by "module:factory", where factory() returns it.

    Raises:
        UserError: if there is none, or it cannot be made.
    """
    module, _, attribute = name.partition(":")
    try:
        factory: Any = getattr(importlib.import_module(module), attribute, None) if attribute else None
    except ImportError as error:
        raise UserError(f"The module {module!r} could not be imported: {error}.") from error
    try:
        if callable(factory):
            return cast(gym.Env, factory(**kwargs))
        return gym.make(name, disable_env_checker=True, **kwargs)
    except UserError:
        raise
    except gym.error.Error as error:
        raise UserError(f"Gymnasium could not make {name!r}: {error}") from error
    except Exception as error:  # a stranger's code: whatever it raises is told as a sentence
        raise UserError(f"{name} could not be made: {type(error).__name__}: {error}") from error


def _measured(env_id: str, env: gym.Env, kwargs: dict[str, Any]) -> Measured:
    """What was found of the environment that `env` is an instance of; found once in a process.

    Raises:
        UserError: if training cannot be done on it.
    """
    key = (env_id, type(env.unwrapped), repr(sorted(kwargs.items())))
    if key not in _MEASURED:
        with closing(Evidence(Subject(env_id, partial(make_one, env_id, **kwargs)))) as evidence:
            _MEASURED[key] = evidence.measured()
    return _MEASURED[key]


def _mujoco_data(env: gym.Env) -> Any:
    """The simulation's `MjData`, where the environment has one and shows it."""
    data = getattr(env.unwrapped, "data", None)
    return data if isinstance(data, mujoco.MjData) else None
