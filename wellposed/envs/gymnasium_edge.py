"""Our environments as Gymnasium's VectorEnv."""

from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import batch_space

from wellposed.types import Field, Obs, VecEnv


class GymnasiumVecEnv(gym.vector.VectorEnv):
    """A `VecEnv`, available as `inner`, behind Gymnasium's interface; other attributes are those of `inner`.

    Autoreset is same-step: when env i ends, `step` returns the first observation of its next episode and the true last
    one in `info["final_obs"][i]`. `info["is_success"]` [n] and `info["applied_action"]` [n, action_dim] are always
    those of the transition just taken, and `info["physics_warnings"]` counts its warnings by name. Observations are
    what the policy sees.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "autoreset_mode": gym.vector.AutoresetMode.SAME_STEP,
        "render_modes": [],
    }

    def __init__(self, inner: VecEnv):
        spec = inner.spec
        self.inner, self.num_envs = inner, inner.num_envs
        self.max_episode_steps = spec.max_episode_steps
        self.geometry: Any = spec.geometry
        self.single_observation_space = gym.spaces.Dict({field.name: space_of(field) for field in spec.obs})
        self.single_action_space = gym.spaces.Box(-1.0, 1.0, (spec.action_dim,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._origin = {field.name: np.array(field.origin) for field in spec.obs if field.origin}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["inner"], name)

    def reset(self, *, seed: int | list[int] | None = None, options: dict | None = None) -> tuple[Obs, dict]:
        """Start an episode in every env, or only where `options={"reset_mask": mask}` [num_envs] is true."""
        return self.as_shown(self.inner.reset(seed, (options or {}).get("reset_mask")).obs), {}

    def step(self, actions: np.ndarray) -> tuple[Obs, np.ndarray, np.ndarray, np.ndarray, dict]:
        """Step every env with actions [num_envs, action_dim] in [-1, 1]."""
        step = self.inner.step(actions)
        everywhere, ended = np.ones(self.num_envs, bool), step.ended
        info: dict[str, Any] = {"is_success": step.success, "_is_success": everywhere}
        info |= {"applied_action": step.applied_action, "_applied_action": everywhere}
        info["physics_warnings"] = step.warnings
        if ended.any():
            last = np.full(self.num_envs, None, dtype=object)
            shown = self.as_shown(step.next_obs)
            for i in np.flatnonzero(ended):
                last[i] = {key: value[i].copy() for key, value in shown.items()}
            final_info = {"is_success": step.success & ended, "_is_success": ended}
            info |= {"final_obs": last, "_final_obs": ended, "final_info": final_info, "_final_info": ended}
        return self.as_shown(self.inner.now.obs), step.reward, step.terminated, step.truncated, info

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """The reward [n] of any pairs of goals [n, goal_dim]."""
        return self.inner.compute_reward(*self._relative(achieved_goal, desired_goal))

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """Whether reaching that goal would end the episode, bool [n]."""
        return self.inner.compute_terminated(*self._relative(achieved_goal, desired_goal))

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Whether goals [n, goal_dim] count as reached, bool [n]."""
        return self.inner.is_success(*self._relative(achieved_goal, desired_goal))

    def set_state(self, state: dict[str, np.ndarray]) -> Obs:
        """Go on from a `get_state`, bit for bit; returns the observations of that moment."""
        return self.as_shown(self.inner.set_state(state).obs)

    def as_shown(self, obs: Obs) -> Obs:
        """Observations as the environment itself shows them, as copies."""
        return {key: value + self._origin[key] if key in self._origin else value.copy() for key, value in obs.items()}

    def _relative(self, *goals: np.ndarray) -> list[np.ndarray]:
        """Goals as `inner` has them."""
        return [goal - self._origin.get("desired_goal", 0.0) for goal in goals]

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of threads, files and windows."""
        self.inner.close()


def successor(obs: Obs, info: dict) -> Obs:
    """The observations that followed the actions, which same-step autoreset has replaced where an episode ended.

    There the true successor is in `info["final_obs"]`. Returns `obs` itself if no episode ended.
    """
    if "final_obs" not in info:
        return obs
    result = _copies(obs)
    for i in np.flatnonzero(info["_final_obs"]):
        for key in result:
            result[key][i] = info["final_obs"][i][key]
    return result


def _copies(obs: Obs) -> Obs:
    return {key: value.copy() for key, value in obs.items()}


def space_of(field: Field) -> gym.spaces.Box:
    """The space of one field."""
    if field.kind == "image":
        return gym.spaces.Box(0, 255, field.shape, np.uint8)
    return gym.spaces.Box(-np.inf, np.inf, field.shape, np.float64)
