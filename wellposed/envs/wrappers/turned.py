"""The frame in which the symmetries of an environment lie along the axes."""

from dataclasses import replace
from typing import cast

import numpy as np

from wellposed.arrays import turned
from wellposed.envs.geometry import relative, require_fitting, require_one_vector
from wellposed.envs.wrappers.wrapper import Wrapper
from wellposed.types import GOAL_KEYS, Geometry, Moment, Obs, Spec, Step, Turn, VecEnv

Pairs = tuple[tuple[int, int], ...]


def with_geometry(env: VecEnv, geometry: Geometry) -> VecEnv:
    """The environment with this geometry, shown in its frame; its points are the parts of goals that name none.

    Raises:
        UserError: if the geometry does not fit the environment.
    """
    spec = env.spec
    require_one_vector(spec.obs)
    require_fitting(geometry, spec.size("observation"), spec.size("desired_goal"), spec.action_dim)
    shown = {
        name: np.array(spec.field(name).origin or np.zeros(spec.size(name))) for name in ("observation", *GOAL_KEYS)
    }
    if geometry.turn is not None:
        shown = turned_goals(shown, geometry.turn, geometry.goal_pairs)
    if geometry.mirror is not None and any(origin.any() for origin in shown.values()):
        mirror = relative(geometry.mirror, shown["observation"], shown["desired_goal"])
        geometry = replace(geometry, mirror=mirror)
    env.spec = spec._replace(geometry=geometry, goal_parts=spec.goal_parts or _parts(geometry, spec))
    return env if geometry.turn is None else cast(VecEnv, TurnedVecEnv(env, geometry.turn, geometry.goal_pairs))


def _parts(geometry: Geometry, spec: Spec) -> tuple[tuple[int, ...], ...]:
    """The points of a goal that holds several, and each number that is of none of them by itself."""
    rest = set(range(spec.size("desired_goal"))).difference(*geometry.goal_points)
    return (*geometry.goal_points, *((i,) for i in sorted(rest))) if geometry.goal_points else ()


def turned_goals(obs: Obs, turn: Turn, pairs: Pairs) -> Obs:
    """Observations and goals as the turned frame shows them; `pairs`: `Geometry.goal_pairs`."""
    goals = {key: turned(obs[key], pairs, turn.angle) for key in GOAL_KEYS}
    return {**obs, "observation": turned(obs["observation"], turn.pairs, turn.angle), **goals}


class TurnedVecEnv(Wrapper):
    """Goals and vectors of the observation are shown turned; physics, actions and rewards stay what they are."""

    def __init__(self, env: VecEnv, turn: Turn, pairs: Pairs):
        super().__init__(env)
        self.capabilities = env.capabilities - {
            "oracle",
            "quantities",
            "sensors",
            "drive",
        }  # they speak of the other frame
        self._turn, self._pairs = turn, pairs

    @property
    def now(self) -> Moment:
        """Where the envs stand, turned."""
        return self._moment(self.env.now)

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As `VecEnv.reset`."""
        return self._moment(self.env.reset(seed, mask))

    def step(self, action: np.ndarray) -> Step:
        """As `VecEnv.step`."""
        step = self.env.step(action)
        keys = ("obs", "truth", "next_obs", "next_truth")
        return step._replace(**{key: self._turned(getattr(step, key)) for key in keys})

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As `VecEnv.set_state`."""
        return self._moment(self.env.set_state(state))

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """As `VecEnv.compute_reward`."""
        return self.env.compute_reward(self._back(achieved_goal), self._back(desired_goal))

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """As `VecEnv.compute_terminated`."""
        return self.env.compute_terminated(self._back(achieved_goal), self._back(desired_goal))

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """As `VecEnv.is_success`."""
        return self.env.is_success(self._back(achieved_goal), self._back(desired_goal))

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """As `VecEnv.goal_kinds`."""
        return self.env.goal_kinds(self._back(desired_goal))

    def _moment(self, moment: Moment) -> Moment:
        return Moment(self._turned(moment.obs), self._turned(moment.truth))

    def _turned(self, obs: Obs) -> Obs:
        return turned_goals(obs, self._turn, self._pairs)

    def _back(self, goals: np.ndarray) -> np.ndarray:
        """Goals [n, g] that are shown, in the frame of the environment."""
        return turned(goals, self._pairs, -self._turn.angle)
