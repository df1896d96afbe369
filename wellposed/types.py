"""The types that cross module borders. One arrow of the data flow, one type.

    env -> GoalObs -> replay -> Batch -> agent -> Metrics -> run record

Shapes: `n` environment copies, `b` transitions of a minibatch, `u` minibatches of one compiled call.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from wellposed.errors import NotFiniteError

# A batch of goal observations: keys "observation" [n, obs_dim], "achieved_goal" [n, goal_dim] and
# "desired_goal" [n, goal_dim], float64, in the environment's own units (metres for Fetch).
GoalObs = dict[str, np.ndarray]
GOAL_KEYS = ("observation", "achieved_goal", "desired_goal")

# One number per named metric; `wellposed.runs.record.METRICS` says what each name means.
Metrics = dict[str, float]


class Batch(NamedTuple):
    """Transitions (s, a, r, s', g), float32, leading axes [u, b] from replay and [b] inside a loss.

    `terminated` is 1 where s' has no future. An episode cut by a time limit (`truncated`) has one,
    so truncation never reaches an agent.
    """

    observation: Any  # [..., obs_dim]
    achieved_goal: Any  # [..., goal_dim]
    action: Any  # [..., action_dim], in [-1, 1]
    reward: Any  # [...]
    next_observation: Any  # [..., obs_dim]
    next_achieved_goal: Any  # [..., goal_dim]
    desired_goal: Any  # [..., goal_dim]
    terminated: Any  # [...], 0 or 1


class Rollout(NamedTuple):
    """Steps of one policy as an on-policy agent learns from them, float32, leading axis [b] = steps x copies."""

    observation: Any  # [b, obs_dim]
    achieved_goal: Any  # [b, goal_dim]
    desired_goal: Any  # [b, goal_dim]
    action: Any  # [b, action_dim], as the policy drew it; environments clip it to [-1, 1]
    advantage: Any  # [b], how much better than the value function expected
    value_target: Any  # [b], what the value function should have expected


class Mirror(NamedTuple):
    """A reflection of the scene: an observation, goal or action x has the mirror image `offset + sign * x[order]`."""

    observation_order: tuple[int, ...]
    observation_sign: tuple[int, ...]
    observation_offset: tuple[float, ...]
    goal_sign: tuple[int, ...]
    goal_offset: tuple[float, ...]
    action_sign: tuple[int, ...]


class Geometry(NamedTuple):
    """The symmetries of a task whose goals are points in space: what an agent need not learn from data.

    Moving effector, objects and goal together along one of `shift_axes` changes nothing but their coordinates, so
    an agent may ignore where on these axes a point lies. What it needs of the differences between points, the
    observation itself must hold, as Fetch's does; the way from achieved to desired goal is always shown.
    """

    effector: tuple[int, ...]  # where "observation" holds the end effector's position, in the frame and unit of goals
    points: tuple[tuple[int, ...], ...]  # where it holds any position of that frame, the effector's among them
    shift_axes: tuple[int, ...]  # axes of the goal space
    mirror: Mirror | None


class Dims(NamedTuple):
    """Sizes, and the geometry if there is one, that an agent and a replay buffer need to know of an environment."""

    observation: int
    goal: int
    action: int
    max_episode_steps: int
    geometry: Geometry | None = None


@runtime_checkable
class Policy(Protocol):
    """Anything that acts: a trained agent, a scripted oracle, uniform noise."""

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, action_dim] in [-1, 1] for goal observations of n copies."""
        ...


@runtime_checkable
class Agent(Policy, Protocol):
    """A policy that learns. It owns no environment, no buffer, no file and no loop."""

    @property
    def updates(self) -> int:
        """Gradient updates taken so far."""
        ...

    def observe(self, obs: GoalObs) -> None:
        """Take newly collected observations into the input statistics."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything learnt, as named arrays: what a checkpoint holds."""
        ...

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state`; raises UserError if names or shapes do not fit."""
        ...


class OffPolicyLearner(Agent, Protocol):
    """An agent that learns from transitions, whoever took them."""

    def update(self, batches: Batch) -> Metrics:
        """Take u gradient updates on minibatches with leading axes [u, b]; returns their mean metrics."""
        ...


class OnPolicyLearner(Agent, Protocol):
    """An agent that learns from the steps it has just taken itself, once."""

    def sample(self, obs: GoalObs) -> np.ndarray:
        """Actions [n, action_dim] as the policy draws them; they may lie outside [-1, 1]."""
        ...

    def values(self, obs: GoalObs) -> np.ndarray:
        """The value function at goal observations of n moments, [n]."""
        ...

    def update(self, rollout: Rollout) -> Metrics:
        """Take all gradient updates on one rollout; returns their metrics."""
        ...


class GoalVecEnv(Protocol):
    """A `gymnasium.vector.VectorEnv` of n copies of a goal environment, with its reward function exposed.

    Autoreset is same-step: when copy i ends, `step` returns the first observation of its next episode and
    hands the true last one over in `info["final_obs"][i]`. `info["is_success"]` [n] and
    `info["applied_action"]` [n, action_dim] always speak of the transition just taken, and
    `info["physics_warnings"]` counts by name what the simulator complained of in it.
    """

    num_envs: int
    single_action_space: Any
    max_episode_steps: int
    geometry: Geometry | None  # None where goals are not known to be points in space

    def reset(self, *, seed: int | list[int] | None = None, options: dict | None = None) -> tuple[GoalObs, dict]:
        """Start a new episode in every copy: copy i from seed + i, or from its own seed of a list."""
        ...

    def step(self, actions: np.ndarray) -> tuple[GoalObs, np.ndarray, np.ndarray, np.ndarray, dict]:
        """Observations, rewards [n], terminated [n], truncated [n] and info after actions [n, action_dim]."""
        ...

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the next step and the next reset depend on."""
        ...

    def set_state(self, state: dict[str, np.ndarray]) -> GoalObs:
        """Go on from a `get_state` of another instance, bit for bit; returns the observations of that moment.

        Raises ValueError if the state is of another environment or another number of copies, UserError if the
        environment does not lead there again.
        """
        ...

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """The reward [n] of any pairs of goals [n, goal_dim]."""
        ...

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray, info: Any = None) -> np.ndarray:
        """Whether an episode would end there, [n]."""
        ...

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Whether the goal counts as reached, bool [n]."""
        ...

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """Which kind of goal each [n, goal_dim] is, for success by kind; "" where there is but one kind."""
        ...


def successor(obs: GoalObs, info: dict) -> GoalObs:
    """The observations that followed the actions, where same-step autoreset has already moved on.

    For a copy whose episode just ended, `obs` is the start of the next one; its true successor is in
    `info["final_obs"]`. Returns `obs` itself when no episode ended.
    """
    if "final_obs" not in info:
        return obs
    result = {key: value.copy() for key, value in obs.items()}
    for i in np.flatnonzero(info["_final_obs"]):
        for key in result:
            result[key][i] = info["final_obs"][i][key]
    return result


def clipped_actions(actions: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """Actions of the expected shape clipped to [-1, 1], a new array of the same precision.

    Raises:
        ValueError: if the actions have another shape.
        NotFiniteError: if one of them is a NaN or an infinity.
    """
    actions = np.asarray(actions)
    if actions.shape != shape:
        raise ValueError(f"actions must have shape {shape}, got {actions.shape}")
    if not np.isfinite(actions).all():
        raise NotFiniteError("action", "The actions must be finite numbers; the policy that made these has diverged.")
    return np.clip(actions, -1.0, 1.0)
