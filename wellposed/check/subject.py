"""What is examined: an environment by its name, and one env of a registered one as a plain Gymnasium environment."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from wellposed import envs, plugin
from wellposed.envs.group import make_one
from wellposed.envs.gymnasium_edge import GymnasiumVecEnv, space_of
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.rules import Subject
from wellposed.types import GOAL_KEYS, Obs


class OneEnv(gym.Env):
    """One env of a registered vector environment as a plain Gymnasium one: episodes end, nothing resets itself.

    It shows what the policy sees, and the true goals, which a policy need not see.
    """

    def __init__(self, env: EnvConfig):
        self._env: Any = GymnasiumVecEnv(make_env(env, 1, "evaluation"))
        self.inner = self._env.inner
        goals = {name: space_of(self.inner.spec.field(name)) for name in GOAL_KEYS}
        self.observation_space = gym.spaces.Dict({**self._env.single_observation_space, **goals})
        self.action_space = self._env.single_action_space
        self.max_episode_steps = self._env.max_episode_steps
        self.compute_reward, self.compute_terminated, self.is_success = (
            partial(_asked, rule)
            for rule in (self._env.compute_reward, self._env.compute_terminated, self._env.is_success)
        )

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Obs, dict]:
        """A new episode."""
        super().reset(seed=seed)
        return self._shown(*self.inner.reset(seed)), {}

    def step(self, action: np.ndarray) -> tuple[Obs, float, bool, bool, dict]:
        """One step; the observation is the true successor."""
        step = self.inner.step(np.asarray(action)[None])
        ends, told = (bool(step.terminated[0]), bool(step.truncated[0])), {"is_success": bool(step.success[0])}
        return self._shown(step.next_obs, step.next_truth), float(step.reward[0]), *ends, told

    def _shown(self, obs: Obs, truth: Obs) -> Obs:
        shown = self._env.as_shown(obs | {name: truth[name] for name in GOAL_KEYS})
        return {name: array[0] for name, array in shown.items()}

    def goal_seen(self) -> Literal["none", "true", "another"]:
        """Which desired goal the policy sees."""
        obs, truth = self.inner.now
        if "desired_goal" not in obs:
            return "none"
        return "true" if np.array_equal(obs["desired_goal"], truth["desired_goal"]) else "another"


def _asked(rule: Callable[..., np.ndarray], achieved: np.ndarray, desired: np.ndarray, *_: Any) -> Any:
    """The answer of a rule for many pairs of goals [n, g], to many or to one [g]."""
    answers = rule(np.atleast_2d(achieved), np.atleast_2d(desired))
    return answers if achieved.ndim == 2 else answers[0]


def find_subject(name: str, kwargs: dict[str, Any] | None = None) -> Subject:
    """An environment by Gymnasium id, MODULE:NAME or FILE.py:NAME, with its arguments.

    Raises:
        UserError: if there is none of that name.
    """
    kwargs = kwargs or {}
    if not plugin.imports(name) and (entry := envs.find(name)) in envs.registered():
        if entry.gymnasium:
            return Subject(name, partial(make_one, entry.gymnasium, **kwargs))
        defined_by = getattr(entry.make, "func", entry.make)  # a suite's class, with its task
        return Subject(name, partial(OneEnv, EnvConfig(name, kwargs)), entry.oracle, defined_by.__module__)
    return Subject(name, partial(make_one, name, **kwargs))
