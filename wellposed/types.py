"""The types that cross module borders. Each arrow of the data flow is one type.

    env -> Step -> replay -> Batch -> agent -> Metrics -> run record

Shapes: `n` environments ("envs"), `b` transitions of a minibatch, `u` minibatches of one compiled call.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from wellposed.errors import NotFiniteError

# Arrays by key, each with leading axis [n]: what is observed, or what is true. Every environment has the truth of
# "achieved_goal" and "desired_goal" [n, goal_dim]. Vectors and goals are float64 in the environment's own units
# (metres for Fetch), images uint8 [n, height, width, channels].
Obs = dict[str, np.ndarray]
GOAL_KEYS = ("achieved_goal", "desired_goal")  # what every environment has, beside the vectors and images it shows
INTERFACE = "interface"  # the vector of actions that an action interface remembers, where it shows them

# One number per named metric; `wellposed.runs.record.METRICS` says what each name means.
Metrics = dict[str, float]

# What a policy remembers of an episode: a tree of arrays with leading axis [n], or () for a memoryless policy.
Carry = Any


class Field(NamedTuple):
    """One key of an observation: its shape, and how it is stored and learnt from."""

    name: str
    shape: tuple[int, ...]
    kind: Literal["vector", "image", "goal"] = "vector"
    dtype: str = "float32"  # in which replay stores it and networks get it; uint8 for images
    floor: tuple[float, ...] = ()  # smallest standard deviation that counts as varying, for each number or one for all
    origin: tuple[float, ...] = ()  # what these numbers are relative to, where float32 would lose them; () for 0
    shows: tuple[int, ...] = ()  # the numbers of the true observation that these are, where they are a part of it


@dataclass(frozen=True)
class Mirror:
    """A reflection of the scene: an observation, goal or action x has the mirror image `offset + sign * x[order]`."""

    observation_order: tuple[int, ...]
    observation_sign: tuple[int, ...]
    observation_offset: tuple[float, ...]
    goal_sign: tuple[int, ...]
    goal_offset: tuple[float, ...]
    action_sign: tuple[int, ...]


@dataclass(frozen=True)
class Turn:
    """A rotation in a plane of goal space, after which symmetries lie along the axes.

    A vector with components (x, y) in that plane is shown as (x cos + y sin, y cos - x sin) of the angle.
    """

    axes: tuple[int, int]  # of points, which span the plane
    angle: float  # radians
    pairs: tuple[tuple[int, int], ...]  # where "observation" holds such components, of positions, velocities and ways


@dataclass(frozen=True)
class Geometry:
    """The symmetries of a task whose goals are points in space, one or several: what need not be learnt from data.

    Moving effector, objects and goal together along one of `shift_axes` changes nothing but their coordinates, so an
    agent may ignore where on these axes a point lies. The differences between points that the agent needs, the
    observation must hold or `differences` must name; the way from achieved to desired goal is always shown.
    """

    effector: tuple[int, ...]  # where "observation" holds the end effector's position, in the frame and unit of goals
    points: tuple[tuple[int, ...], ...]  # where it holds any position of that frame, the effector's among them
    shift_axes: tuple[int, ...] = ()  # axes of points
    mirror: Mirror | None = None
    differences: tuple[tuple[int, int], ...] = ()  # pairs of `points` between which the way is shown to networks
    turn: Turn | None = None  # all above speaks of what is shown after it
    # Where a goal holds its points, as ((0, 1, 2), (3, 4, 5)) for two blocks; () where a goal is one point.
    goal_points: tuple[tuple[int, ...], ...] = field(default=(), metadata={"later": True})  # `serialise.LATER`

    @property
    def targets(self) -> tuple[tuple[int, ...], ...]:
        """Where a goal holds its points, also where it is one."""
        return self.goal_points or (tuple(range(len(self.effector))),)

    @property
    def goal_pairs(self) -> tuple[tuple[int, int], ...]:
        """Where a goal holds the components that `turn` turns."""
        return (
            tuple((point[self.turn.axes[0]], point[self.turn.axes[1]]) for point in self.targets) if self.turn else ()
        )


class Spec(NamedTuple):
    """All that an agent and a replay buffer need to know of an environment. It is hashable."""

    obs: tuple[Field, ...]  # what the policy sees
    action_dim: int  # actions are vectors in [-1, 1]
    max_episode_steps: int
    truth: tuple[Field, ...] = ()  # what is true where `obs` shows something else; () where `obs` is the truth
    geometry: Geometry | None = None  # None where goals are not known to be points in space
    radius: float | None = None  # distance in goal units at which a goal counts as reached; None if unknown
    reward_range: tuple[float, float] | None = None  # least and greatest reward of a step; None if unknown
    # What -1 and 1 stand for in the environment's own units, for each number of an action; None if -1 and 1.
    action_bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    # The numbers of a goal by the thing that they are of, as ((0, 1, 2), (3, 4, 5)) of two blocks; () for one thing.
    goal_parts: tuple[tuple[int, ...], ...] = ()

    @property
    def goals(self) -> tuple[Field, ...]:
        """The true fields: `truth` where it differs from what is seen."""
        return self.truth or self.obs

    def field(self, name: str) -> Field:
        """The field of that name; KeyError if there is none."""
        return {field.name: field for field in (*self.truth, *self.obs)}[name]

    def size(self, name: str) -> int:
        """How many numbers the field of that name holds."""
        return int(np.prod(self.field(name).shape))


def count(obs: Obs) -> int:
    """How many envs an observation is of."""
    return len(next(iter(obs.values())))


class Moment(NamedTuple):
    """All envs at one moment: what the policy sees, and what is true. One dict where both are the same."""

    obs: Obs
    truth: Obs


class Step(NamedTuple):
    """One step of all envs [n, ...].

    `next_obs` and `next_truth` are the true successors, also where an episode ended and the env is already in the next
    one (`VecEnv.now`).
    """

    obs: Obs
    truth: Obs
    action: np.ndarray  # [n, action_dim], what the policy chose; what replay stores
    applied_action: np.ndarray  # [n, action_dim], what reached the simulator, in [-1, 1]; what metrics report
    reward: np.ndarray  # [n], float64
    terminated: np.ndarray  # [n], bool: the successor has no future
    truncated: np.ndarray  # [n], bool: a time limit cut the episode
    success: np.ndarray  # [n], bool: the goal counts as reached in the successor
    next_obs: Obs
    next_truth: Obs
    warnings: dict[str, int]  # what the simulator complained of, by name

    @property
    def ended(self) -> np.ndarray:
        """Whether the episode ended, for whatever reason, [n]."""
        return self.terminated | self.truncated

    @property
    def after(self) -> Moment:
        """The true successors."""
        return Moment(self.next_obs, self.next_truth)


class Batch(NamedTuple):
    """Transitions (s, a, r, s', g), each key in its field's dtype, leading axes [u, b] from replay, [b] inside a loss.

    Batches of windows of L transitions (`sample(length=L)`) have one more axis in `obs`, `next_obs`, `truth` and
    `next_truth`, [u, b, L, ...]: the last entry is the transition itself, earlier ones led to it; their key "valid"
    [u, b, L] is False before the episode began. `terminated` is 1 where s' has no future. An episode that a time limit
    cut has a future, so truncation never reaches an agent.
    """

    obs: dict[str, Any]
    action: Any  # [..., action_dim], what the policy chose
    reward: Any  # [...]
    next_obs: dict[str, Any]
    terminated: Any  # [...], 0 or 1
    truth: dict[str, Any]  # {} where `obs` is the truth
    next_truth: dict[str, Any]


class Rollout(NamedTuple):
    """Steps of one policy for an on-policy agent, float32, leading axis [b] = steps x envs."""

    obs: dict[str, Any]
    truth: dict[str, Any]  # {} where `obs` is the truth
    action: Any  # [b, action_dim], as the policy drew it; environments clip it to [-1, 1]
    advantage: Any  # [b], how much better than the value function expected
    value_target: Any  # [b], what the value function should have expected


@runtime_checkable
class Policy(Protocol):
    """Anything that acts: a trained agent, a scripted oracle, uniform noise."""

    def initial_carry(self, n: int) -> Carry:
        """What the policy remembers at the start of an episode, [n, ...]; () without memory."""
        ...

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim] for n observations, and what the policy remembers from then on.

        Without `rng` they are greedy; with it the policy explores.
        """
        ...


@runtime_checkable
class Agent(Policy, Protocol):
    """A policy that learns. It owns no environment, no buffer, no file, no loop and no source of exploration noise."""

    spec: Spec
    updates: int  # gradient updates taken so far

    def observe(self, moment: Moment) -> None:
        """Take newly collected observations into the input statistics."""
        ...

    def state(self) -> dict[str, np.ndarray]:
        """Everything learnt, as named arrays: what a checkpoint holds."""
        ...

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over a `state`; raises UserError if names or shapes do not fit."""
        ...


class OffPolicyAgent(Agent, Protocol):
    """An agent that learns from transitions of any policy."""

    window: int  # transitions of one entry of a batch: 1, or how far a policy with memory looks back
    looks: int | None  # transitions of a minibatch of which it reads what is seen; None: all (`ReplayBuffer.sample`)

    def update(self, batches: Batch) -> Metrics:
        """Take u gradient updates on minibatches with leading axes [u, b]; returns their mean metrics."""
        ...


class OnPolicyAgent(Agent, Protocol):
    """An agent that learns once from each of its own steps."""

    def values(self, moment: Moment) -> np.ndarray:
        """The value function at n moments, [n]."""
        ...

    def update(self, rollout: Rollout) -> Metrics:
        """Take all gradient updates on one rollout; returns their metrics."""
        ...


class Goals(Protocol):
    """What an environment says of any pairs of goals [n, goal_dim]."""

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """The reward [n]."""
        ...

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Whether reaching that goal would end the episode, bool [n]. Other endings, by failure, are not asked here."""
        ...

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Whether the goal counts as reached, bool [n]."""
        ...

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """Which kind of goal each is, for success by kind; "" where there is only one kind."""
        ...


class VecEnv(Goals, Protocol):
    """n goal environments ("envs") that step together; one whose episode ends begins the next by itself."""

    num_envs: int
    spec: Spec
    capabilities: frozenset[str]  # what it can do; `envs.registry.EnvEntry` says what there is
    now: Moment  # where the envs stand: after a reset, after a step, after `set_state`

    @property
    def stepping(self) -> str:
        """In what processes or threads the envs are stepped, in words."""
        ...

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """Begin an episode in every env: env i from seed + i, or its own of a list; None continues the streams.

        `mask` [n] restricts it to the envs where it is true.
        """
        ...

    def step(self, action: np.ndarray) -> Step:
        """Step every env with actions [n, action_dim], clipped to [-1, 1].

        Raises ValueError if the actions have another shape; NotFiniteError if one of them is a NaN or an infinity, or
        the simulation broke.
        """
        ...

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the next step and the next reset depend on."""
        ...

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """Go on from a `get_state` of another instance, bit for bit.

        Raises ValueError if the state is of another environment or another number of envs, UserError if the
        environment does not lead there again.
        """
        ...

    def metrics(self) -> Metrics:
        """What a row of metrics holds of the environment, such as the stage of a curriculum; usually {}."""
        ...

    def drawn(self) -> dict[str, np.ndarray]:
        """What the wrappers drew for the episodes under way, by name [n]; {} where they draw nothing."""
        ...

    def close(self) -> None:
        """Let go of threads, files and windows."""
        ...


def clipped_actions(actions: np.ndarray, shape: tuple[int, ...] | None) -> np.ndarray:
    """Actions of the expected shape clipped to [-1, 1], a new array of the same precision.

    Raises ValueError if the actions have another shape; NotFiniteError if one of them is a NaN or an infinity.
    """
    actions = np.asarray(actions)
    if actions.shape != shape:
        raise ValueError(f"actions must have shape {shape}, got {actions.shape}")
    if not np.isfinite(actions).all():
        raise NotFiniteError("action", "The actions must be finite numbers; the policy that made these has diverged.")
    return np.clip(actions, -1.0, 1.0)
