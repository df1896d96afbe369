"""Any other Gymnasium goal environment, through `gymnasium.vector`, as a `VecEnv`.

An environment qualifies if its observation is a dict with `observation`, `achieved_goal` and
`desired_goal`, it has `compute_reward`, a time limit, and a success test. Where it does not, it is refused
with the reason: hindsight relabelling would fail silently on it.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from wellposed.arrays import Arrays, check_arrays
from wellposed.envs.endings import ends_at_goals
from wellposed.envs.episodes import EpisodeRecorder, recorded
from wellposed.envs.gymnasium_edge import successor
from wellposed.envs.physics.cpu import WarningCounters, sum_warnings
from wellposed.errors import UserError
from wellposed.types import GOAL_KEYS, Field, Moment, Obs, Spec, Step, clipped_actions

SUCCESS_RULES = ("_is_success", "is_success")  # names under which an environment or its task may test success
GoalFunction = Callable[[np.ndarray, np.ndarray, Any], Any]


class GymGoalVecEnv:
    """`num_envs` copies of a registered Gymnasium goal environment, stepped one after another, a `VecEnv`.

    Copy i, reset with seed s, begins with the episode that `gymnasium.make(id)` plays for seed s + i; those that follow
    have seeds of their own (`episodes.EpisodeRecorder` says why).

    Actions are in [-1, 1] and scaled to the environment's own bounds; they are clipped before, so `applied_action` is
    what the environment received, in the units of [-1, 1].
    """

    capabilities = frozenset({"state"})
    now: Moment

    def __init__(self, env_id: str, num_envs: int = 1, *, threads: int = 1, **kwargs: Any):
        """`threads` is accepted and means nothing."""
        del threads
        first = _make(env_id, **kwargs)
        limit = _require_posed(env_id, first)
        mode = gym.vector.AutoresetMode.SAME_STEP
        makers = [lambda: EpisodeRecorder(first)]
        makers += [lambda: EpisodeRecorder(_make(env_id, **kwargs))] * (num_envs - 1)
        self._envs = gym.vector.SyncVectorEnv(makers, autoreset_mode=mode)
        self._copies: list[EpisodeRecorder] = list(self._envs.envs)  # type: ignore[arg-type]
        self._warnings = [WarningCounters(data) for copy in self._copies if (data := _mujoco_data(copy)) is not None]
        self.env_id, self.num_envs = env_id, num_envs
        self._low, self._high = first.action_space.low, first.action_space.high  # type: ignore[attr-defined]
        self._unit = bool((self._low == -1.0).all() and (self._high == 1.0).all())
        shapes: Any = {key: first.observation_space[key].shape for key in GOAL_KEYS}  # type: ignore[index]
        fields = [Field(key, shapes[key], "vector" if key == "observation" else "goal") for key in GOAL_KEYS]
        self.spec = Spec(tuple(fields), len(self._low), limit)
        self._dtypes: Any = {key: first.observation_space[key].dtype for key in GOAL_KEYS}  # type: ignore[index]
        # Rewards of other goals are asked for while the copies are stepped by another thread, so of one that is not.
        self._rules = _make(env_id, **kwargs)
        self._rules.reset(seed=0)
        samples = [first.observation_space.sample() for _ in range(16)]
        probe = {key: np.stack([sample[key] for sample in samples]) for key in GOAL_KEYS}
        self._reward = _rowwise(goal_rule(self._rules, "compute_reward"), probe)
        terminated = goal_rule(self._rules, "compute_terminated")
        self._success = _success_test(env_id, goal_rule(self._rules, *SUCCESS_RULES), self._reward, probe)
        self._terminated = None if terminated is None else _rowwise(terminated, probe)
        if terminated is None and ends_at_goals(self._rules, self._success):
            self._terminated = lambda achieved, desired, _: self._success(achieved, desired)

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As `VecEnv.reset`."""
        options = None if mask is None else {"reset_mask": np.asarray(mask, bool)}
        obs, _ = self._envs.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._stand(obs)

    def step(self, action: np.ndarray) -> Step:
        """As `VecEnv.step`."""
        before = self.now.obs
        applied = clipped_actions(action, (self.num_envs, self.spec.action_dim))
        native = applied if self._unit else self._low + (applied + 1.0) / 2.0 * (self._high - self._low)
        obs, reward, terminated, truncated, info = self._envs.step(native.astype(self._low.dtype))
        after = _obs(successor(obs, info))
        self._stand(obs)
        return Step(
            obs=before,
            truth=before,
            action=np.array(action),
            applied_action=applied,
            reward=np.asarray(reward, np.float64),
            terminated=terminated,
            truncated=truncated,
            success=self.is_success(after["achieved_goal"], after["desired_goal"]),
            next_obs=after,
            next_truth=after,
            warnings=sum_warnings(counters.take() for counters in self._warnings),
        )

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """The environment's own reward [n] for goals [n, goal_dim]."""
        return np.asarray(self._reward(*self._own(achieved_goal, desired_goal), None))

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """The environment's own termination test [n]; without one, at the goal if episodes end there, else never."""
        if self._terminated is None:
            return np.zeros(achieved_goal.shape[:-1], bool)
        return np.asarray(self._terminated(*self._own(achieved_goal, desired_goal), None), bool)

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """True [n] where the goal counts as reached."""
        return np.asarray(self._success(*self._own(achieved_goal, desired_goal)), bool)

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """Nothing is known of kinds of goals."""
        return [""] * len(desired_goal)

    def _own(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Goals in the environment's own precision, as its rules take them."""
        return achieved_goal.astype(self._dtypes["achieved_goal"]), desired_goal.astype(self._dtypes["desired_goal"])

    def _stand(self, obs: Obs) -> Moment:
        """Take up that the copies stand there."""
        obs = _obs(obs)
        self.now = Moment(obs, obs)
        return self.now

    @property
    def episode_seeds(self) -> list[int]:
        """The seed of each copy's episode."""
        return [copy.seed for copy in self._copies]

    def get_state(self) -> Arrays:
        """Everything the next step and the next reset depend on, as far as Gymnasium's promise goes: see `episodes`."""
        obs = {key: value.copy() for key, value in self.now.obs.items()}
        return recorded(self._copies, self.spec.max_episode_steps) | obs

    def set_state(self, state: Arrays) -> Moment:
        """Play every copy's episode up to where `get_state` was called. As `VecEnv.set_state`."""
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
        there = self._stand({key: np.stack([obs[key] for obs in found]) for key in GOAL_KEYS})
        if any(not np.array_equal(there.obs[key], state[key]) for key in GOAL_KEYS):
            raise UserError(
                f"{self.env_id} cannot be taken up where it was: the same seed and the same actions led elsewhere, so "
                "it carries something over from one episode to the next. Train it anew."
            )
        return there

    def close(self) -> None:
        """Close all copies."""
        self._envs.close()
        self._rules.close()


def _obs(obs: Obs) -> Obs:
    """The goal observations among them, in double precision."""
    return {key: obs[key].astype(np.float64) for key in GOAL_KEYS}


def _make(env_id: str, **kwargs: Any) -> gym.Env:
    try:
        return gym.make(env_id, **kwargs)
    except (gym.error.Error, ImportError, TypeError, ValueError) as error:
        raise UserError(f"Gymnasium could not make {env_id!r}: {error}") from error


def _mujoco_data(env: gym.Env) -> Any:
    """The simulation's `MjData`, where the environment has one and shows it."""
    data = getattr(env.unwrapped, "data", None)
    return data if isinstance(data, mujoco.MjData) else None


def _require_posed(env_id: str, env: gym.Env) -> int:
    """Refuse an environment that hindsight cannot work on; returns its episode length limit in steps."""
    space = env.observation_space
    why = None
    if not isinstance(space, gym.spaces.Dict) or not set(GOAL_KEYS) <= set(space.spaces):
        why = f"its observation is not a dict with {', '.join(GOAL_KEYS)}, so goals cannot be told from states"
    elif any(not isinstance(space[k], gym.spaces.Box) or len(space[k].shape or ()) != 1 for k in GOAL_KEYS):
        why = "its observation and goals are not flat vectors of numbers"
    elif not isinstance(env.action_space, gym.spaces.Box) or len(env.action_space.shape) != 1:
        why = "its actions are not a flat vector of real numbers"
    elif not (np.isfinite(env.action_space.low).all() and np.isfinite(env.action_space.high).all()):
        why = "its actions are unbounded"
    elif goal_rule(env, "compute_reward") is None:
        why = "it has no compute_reward(achieved_goal, desired_goal, info), so no goal but its own can be rewarded"
    elif env.spec is None or env.spec.max_episode_steps is None:
        why = "it has no time limit (max_episode_steps), so an episode may never enter the replay"
    if why is not None:
        env.close()
        raise UserError(f"{env_id} is not a well-posed goal environment: {why}. `wellposed envs` lists those that are.")
    return env.spec.max_episode_steps  # type: ignore[union-attr, return-value]


def goal_rule(env: gym.Env, *names: str) -> Callable[..., Any] | None:
    """The first of the named methods that the environment, one of its wrappers or its task has."""
    for owner in (env, getattr(env.unwrapped, "task", None)):
        for name in names:
            try:
                found = owner.get_wrapper_attr(name) if isinstance(owner, gym.Env) else getattr(owner, name)
            except AttributeError:
                continue
            if callable(found):
                return found
    return None


def _rowwise(function: Any, probe: Obs) -> GoalFunction:
    """`function` on batches of goals: as it is where a batch gets what its rows get, else one row after another.

    Some environments take the norm over the whole batch and return one number, and some compute all rows with what is
    the first one's (Gymnasium-Robotics' HandManipulatePenRotate); those need the rows.
    """
    args = probe["achieved_goal"], probe["desired_goal"]

    def by_rows(achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        return np.array([function(a, d, info or {}) for a, d in zip(achieved, desired, strict=True)])

    try:
        together = np.asarray(function(*args, {}))
    except (ValueError, TypeError, IndexError, KeyError, AssertionError):
        return by_rows
    if together.shape != (len(args[0]),) or not np.allclose(together, by_rows(*args, {}), equal_nan=True):
        return by_rows
    return lambda achieved, desired, info: function(achieved, desired, info or {})


def _success_test(
    env_id: str, test: Callable[..., Any] | None, reward: GoalFunction, probe: Obs
) -> Callable[[np.ndarray, np.ndarray], Any]:
    """The success test: the environment's own where it has one, else 'rewarded like the goal itself'.

    The second holds for sparse rewards only: they take two values, and a goal achieved exactly earns the
    better one.
    """
    if test is not None:
        return lambda achieved, desired: np.array([bool(test(a, d)) for a, d in zip(achieved, desired, strict=True)])
    if len(np.unique(reward(probe["achieved_goal"], probe["desired_goal"], {}))) > 2:
        raise UserError(
            f"{env_id} has a dense reward and no success test, so nobody could say whether it was solved. "
            "Use its sparse variant, or give the environment a method _is_success(achieved_goal, desired_goal)."
        )
    return lambda achieved, desired: reward(achieved, desired, {}) == reward(desired, desired, {})
