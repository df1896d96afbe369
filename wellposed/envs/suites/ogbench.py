"""Two manipulation tasks of OGBench, online: an arm (UR5e) puts a cube in its place, or a scene of several things.

OGBench (Park et al., 2025, arXiv:2410.20092) shows its goals in `info` and judges success by its own state. Here both
are stated: goals are the numbers of its `compute_oracle_observation`, success is its rule as a function of two goals.
Every episode is one of the five tasks that OGBench evaluates, drawn by the seed. Its data sets are not used.

Needs the extra `ogbench`, which is imported when an environment is made.
"""

# OGBench is an optional dependency, and mujoco's compiled half has no stubs:
# pyright: reportMissingImports=false, reportAttributeAccessIssue=false

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import gymnasium as gym
import mujoco
import numpy as np

from wellposed.envs import goals
from wellposed.envs.gym import GymGoalVecEnv
from wellposed.envs.registry import EnvEntry, register
from wellposed.types import Obs, VecEnv

CENTRE, SCALE = np.array([0.425, 0.0, 0.0]), 10.0  # positions are shown as SCALE (x - CENTRE), x in metres
DRAWER, WINDOW = 18.0, 15.0  # what the ways of drawer and window, in metres, are multiplied by
TOLERANCE = 0.04  # metres within which a thing is in its place


@dataclass(frozen=True)
class Task:
    """A task: its goals, and where OGBench keeps what it wants."""

    parts: tuple[tuple[int, ...], ...]  # the numbers of each thing in a goal
    tolerance: tuple[float, ...]  # distance up to which each is in its place, in the unit of its numbers
    wanted: Callable[[Any], np.ndarray]  # the desired goal [g], of OGBench's environment
    limit: int  # steps of an episode
    summary: str
    budget: int


def _cube(env: Any) -> np.ndarray:
    """Where the cube should be [3]."""
    return ((env.data.mocap_pos - CENTRE) * SCALE).ravel()


def _scene(env: Any) -> np.ndarray:
    """Where the cube should be [3], the states of two buttons, and the ways of drawer and window [7 in all]."""
    ways = env._target_drawer_pos * DRAWER, env._target_window_pos * WINDOW
    return np.concatenate([_cube(env), env._target_button_states, ways])


_PLACE = SCALE * TOLERANCE
TASKS = {
    "cube-single-v0": Task(((0, 1, 2),), (_PLACE,), _cube, 200, "put a cube in its place", 1_000_000),
    "scene-v0": Task(
        ((0, 1, 2), (3,), (4,), (5,), (6,)),
        (_PLACE, 0.5, 0.5, DRAWER * TOLERANCE, WINDOW * TOLERANCE),  # a button is 0 or 1
        _scene,
        750,
        "put a cube, two buttons, a drawer and a window in their places",
        3_000_000,
    ),
}


class GoalEnv(gym.Wrapper):
    """One of OGBench's environments with its goals shown: rewards are -1, and 0 where everything is in its place."""

    def __init__(self, env: gym.Env, task: Task):
        super().__init__(env)
        self.task, self.inner = task, cast(Any, env)
        self._tasks = np.random.default_rng()
        seen, _ = self.reset(seed=0)
        boxes: dict[str, gym.Space] = {
            key: gym.spaces.Box(-np.inf, np.inf, value.shape, np.float64) for key, value in seen.items()
        }
        self.observation_space = gym.spaces.Dict(boxes)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[Obs, dict]:
        """Begin one of the five tasks; `options={"task_id": 3}` chooses it."""
        if seed is not None:
            self._tasks = np.random.default_rng([seed, 1])  # OGBench itself asks NumPy's global state
        drawn = 1 + int(self._tasks.integers(self.inner.num_tasks))
        self.inner.reset(seed=seed, options={"task_id": drawn} | (options or {}))
        self._forget()
        return self._shown(self.inner.compute_observation()), {}

    def _forget(self) -> None:
        """Take back what OGBench's reset leaves of two random steps: the solver's warm start, forces and the time."""
        model, data = self.inner.model, self.inner.data
        kept = {name: getattr(data, name).copy() for name in ("qpos", "mocap_pos", "mocap_quat")}
        mujoco.mj_resetData(model, data)
        for name, values in kept.items():
            getattr(data, name)[:] = values
        mujoco.mj_forward(model, data)

    def step(self, action: np.ndarray) -> tuple[Obs, float, bool, bool, dict]:
        """One step of 0.05 s."""
        seen, _, terminated, truncated, info = self.inner.step(action)
        told = {"is_success": bool(info["success"])}
        return self._shown(seen), float(told["is_success"]) - 1.0, bool(terminated), bool(truncated), told

    def _shown(self, seen: np.ndarray) -> Obs:
        achieved = self.inner.compute_oracle_observation()
        return {"observation": seen, "achieved_goal": achieved, "desired_goal": self.task.wanted(self.inner)}

    def is_success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Whether everything is in its place, bool [...]."""
        return np.asarray(goals.all_in_place(achieved, desired, self.task.parts, self.task.tolerance))

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """-1, and 0 where everything is in its place [...]."""
        return self.is_success(achieved, desired) - 1.0

    def compute_terminated(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """As OGBench has it, episodes end where everything is in its place, unless `terminate_at_goal` is False."""
        return self.is_success(achieved, desired) & self.inner._terminate_at_goal


def cube_single(**kwargs: Any) -> GoalEnv:
    """OGBench's cube-single-v0; `kwargs` are its own."""
    from ogbench.manipspace.envs.cube_env import CubeEnv

    return GoalEnv(CubeEnv("single", **kwargs), TASKS["cube-single-v0"])


def scene(**kwargs: Any) -> GoalEnv:
    """OGBench's scene-v0; `kwargs` are its own."""
    from ogbench.manipspace.envs.scene_env import SceneEnv

    return GoalEnv(SceneEnv("scene", **kwargs), TASKS["scene-v0"])


def register_all() -> None:
    """Add both, whether or not OGBench is installed."""
    for (name, task), maker in zip(TASKS.items(), (cube_single, scene), strict=True):
        where = f"{maker.__module__}:{maker.__name__}"  # in words, so that worker processes find it
        if _known_as(name) not in gym.registry:
            gym.register(_known_as(name), where, max_episode_steps=task.limit)
        register(
            EnvEntry(
                id=name,
                make=partial(_make, name),
                tags=frozenset({"ogbench", "sparse", "object"}),
                summary=f"{task.summary} (sparse reward, needs the extra ogbench)",
                budget=task.budget,
                capabilities=frozenset({"state", "deterministic", "dynamics", "ends at goals"}),
                extra="ogbench",
                gymnasium=_known_as(name),
            )
        )


def _known_as(name: str) -> str:
    """The Gymnasium id of ours: OGBench's own is `name`."""
    return f"wellposed/{name}"


def _make(name: str, num_envs: int, threads: int, **kwargs: Any) -> VecEnv:
    env = GymGoalVecEnv(_known_as(name), num_envs, threads=threads, **kwargs)
    env.capabilities |= {"deterministic"}
    env.spec = env.spec._replace(goal_parts=TASKS[name].parts)
    return env
