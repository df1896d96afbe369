"""What a run record holds: one dataclass for each kind of row, one schema version, one meaning for each metric.

Records are validated when they are read: a missing or unknown key and a newer schema are errors.
"""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from wellposed import serialise
from wellposed.errors import UserError
from wellposed.notebook import table
from wellposed.runs.migrations import OLDEST, migrated
from wellposed.stats import describe_rate

SCHEMA = 4  # 3: runs that go on after a death, warnings; 4: an environment is a configuration, replay is kept by key

T = TypeVar("T")
StopReason = Literal["solved", "budget"]

# The fields of EpisodeRow of which an evaluation reports means.
MEANS = (
    "episode_return", "final_distance", "time_to_success", "action_change", "peak_action", "path_length",
    "action_jerk", "action_energy",
)  # fmt: skip
LATER_MEANS = {"action_jerk", "action_energy"}  # which older records lack

# Every logged metric and its meaning, but for those of an algorithm, "train/...": its own file has them.
METRICS: dict[str, str] = {
    "rollout/success_rate": "share of training episodes since the last row that ended in success (exploring policy)",
    "rollout/return": "mean undiscounted return of those episodes",
    "rollout/moved_rate": "share of those episodes in which the achieved goal moved by 1/5 of the success radius",
    "rollout/action_max": "largest component of the actions that reached the simulator since the last row",
    "probe/reward_min": "smallest reward in a minibatch",
    "probe/reward_mean": "mean reward in a minibatch",
    "probe/reward_max": "largest reward in a minibatch",
    "probe/reward_least": "least reward that the environment says it gives",
    "probe/reward_greatest": "greatest reward that the environment says it gives",
    "probe/ends_at_goal": "share of goals that end an episode when they are reached",
    "probe/reward_wrong": "share of transitions whose reward is not what the environment gives for their goal",
    "probe/terminated_wrong": "share of transitions that end an episode where the environment does not, or the reverse",
    "probe/success_before": "share of transitions whose goal was reached before the action: they teach to stay",
    "probe/success_gained": "share of transitions by which the goal was reached: they teach to get there",
    "probe/goal_moved": "share of transitions in which the achieved goal moved by 1/50 of the success radius or more",
    "probe/goals_future": "share of transitions whose goal their own episode achieved later",
    "probe/goals_original": "share of transitions that keep the goal their episode pursued",
    "probe/goals_past": "share of transitions whose goal their own episode achieved earlier only",
    "probe/goals_foreign": "share of transitions whose goal their own episode neither pursued nor achieved",
    "probe/replay_transitions": "transitions that the replay holds",
    "probe/replay_age": "mean age of what is sampled: 0 the newest that is held, 1 the oldest, 1/2 if uniform",
    "probe/episode_length": "mean length of the episodes in the replay, steps",
    "probe/action_max": "largest action component in the replay, as the policy chose it",
    "probe/action_answered": "share of motion that the action that arrived explains and the state does not foretell",
    "probe/motion_observed": "share of the effector's last motion that can be read off the observation after it",
    "probe/observation_constant": "numbers of the observation that never vary",
    "probe/q_min": "lowest value the critics give the batch",
    "probe/q_mean": "mean value the critics give the batch",
    "probe/q_max": "highest value the critics give the batch",
    "probe/q_spread": "standard deviation of the first critic's values over the batch",
    "probe/target_at_bound": "share of Bellman targets within 5 % of the lowest possible return",
    "probe/td_error": "root mean square of critic minus Bellman target",
    "probe/exploration": "mean size of the policy's own noise on an action component",
    "probe/greedy_saturation": "share of the greedy policy's action components beyond 0.99 in size",
    "probe/goal_in_inputs": "share of transitions whose network inputs change with the desired goal",
    "probe/inputs_clipped": "share of network inputs at their bound",
    "probe/actor_dead": "share of the actor's hidden units that answer to nothing in the batch",
    "probe/critic_dead": "share of the first critic's hidden units that answer to nothing in the batch",
    "probe/actor_rank": "effective rank of the actor's last hidden layer",
    "probe/critic_rank": "effective rank of the first critic's last hidden layer",
    "probe/actor_travel": "distance of the actor's weights from their first values, relative to that size",
    "probe/critic_travel": "distance of the critics' weights from their first values, relative to that size",
    "probe/target_travel": "distance of the target critics' weights from their first values, relative to that size",
    "probe/target_lag": "distance of the target critics from the critics, relative to the critics' size",
    "probe/actor_step": "change of the actor's weights in one update, relative to their size",
    "probe/critic_step": "change of the critics' weights in one update, relative to their size",
    "probe/actor_gradient": "typical norm of the actor's gradient",
    "probe/critic_gradient": "typical norm of the critics' gradient",
    "probe/normaliser_count": "observations that the input statistics have taken in",
    "sight/miss": "distance from what is achieved to what a linear fit on the encoder's features of pictures says, RMS",
    "sight/miss_at_first": "the same with the encoder's first weights",
    "curriculum/progress": "how far the goals of training have grown: 0 as at first, 1 the task's own",
    "curriculum/reach": "how far training goals lie from where the object starts, as a share of the task's own way",
    "curriculum/air": "share of training goals in the air, in a task that lifts any",
    "time/steps_per_second": "environment steps per second of training",
    "time/updates_per_second": "gradient updates per second of training",
    "time/updates_per_step": "gradient updates per environment step so far",
}
SHARES = {name for name, meaning in METRICS.items() if meaning.startswith("share of ")}  # these lie in [0, 1]
_SIZES = (
    "mean size", "distance ", "change of", "typical norm", "standard deviation", "root mean square", "transitions that",
    "observations that", "numbers of", "effective rank", "environment steps", "gradient updates",
)  # fmt: skip
LEAST = {name: 0.0 for name, meaning in METRICS.items() if meaning.startswith(_SIZES)} | {"probe/episode_length": 1.0}
SLACK = 1e-6  # of rates that were computed in single precision


def require_moment(at: Any) -> None:
    """Raises ValueError if steps, updates or seconds of a record are negative, infinite or beyond 64 bits."""
    seconds = getattr(at, "seconds", 0.0)
    if not (0 <= at.step < 2**63 and 0 <= at.updates < 2**63 and 0 <= seconds < math.inf):
        raise ValueError(f"step {at.step}, {at.updates} updates, {seconds} s: no run was ever there")


@dataclass(frozen=True)
class MetricsRow:
    """Training metrics at one moment."""

    step: int  # environment steps, summed over all envs
    updates: int  # gradient updates
    seconds: float  # training time so far, evaluation excluded
    metrics: dict[str, float]

    def __post_init__(self) -> None:
        if unknown := {name for name in self.metrics if not name.startswith("train/")} - METRICS.keys():
            raise ValueError(f"unknown metric {', '.join(sorted(unknown))}; its meaning belongs in METRICS")
        require_moment(self)
        for name in self.metrics.keys() & SHARES:
            if not -SLACK <= self.metrics[name] <= 1 + SLACK:
                raise ValueError(f"{name} is {self.metrics[name]:g}, and it is a share from 0 to 1")
        for name in self.metrics.keys() & LEAST.keys():
            if self.metrics[name] < LEAST[name]:
                raise ValueError(f"{name} is {self.metrics[name]:g}, and it is at least {LEAST[name]:g}")


@dataclass(frozen=True)
class Estimate:
    """A mean or a rate with its 95 % interval."""

    value: float
    ci95: tuple[float, float]

    def __post_init__(self) -> None:
        if self.ci95[0] > self.ci95[1]:
            raise ValueError(f"the interval {list(self.ci95)} ends before it begins")


@dataclass(frozen=True)
class EpisodeRow:
    """One evaluation episode. Distances in goal units: metres for Fetch."""

    seed: int
    length: int  # steps
    success: bool  # at the last step: THE success
    any_success: bool  # at some step, or already at reset
    episode_return: float  # undiscounted
    final_distance: float  # between achieved and desired goal after the last step
    time_to_success: int | None  # steps to the first success, 0 if solved at reset, null if never
    action_change: float  # mean squared change of the action that reached the simulator, per step and component
    peak_action: float  # largest size of a component of that action
    path_length: float  # of the end effector, or of the achieved goal where no effector is known
    already_solved: bool  # the goal was reached before the first action
    goal_kind: str  # kind of goal ("table", "air"); empty where there is only one
    # Mean squared second difference of the applied action, per step and component: an action asks for a displacement
    # per step, a velocity, so its second difference is a jerk. Null in older records.
    action_jerk: float | None = field(default=None, metadata=serialise.LATER)
    # Sum over the steps of the mean squared component of the applied action: a step at full action has 1.
    action_energy: float | None = field(default=None, metadata=serialise.LATER)
    # What was drawn for it by name: values of the dynamics, biases of the sensors.
    drawn: dict[str, float] = field(default_factory=dict, metadata=serialise.LATER)
    # Success at the limit of an episode that its goal did not end; null where goals end none, or ended this one.
    success_at_limit: bool | None = field(default=None, metadata=serialise.LATER)

    def __post_init__(self) -> None:
        if self.length < 1 or not (self.time_to_success is None or 0 <= self.time_to_success <= self.length):
            raise ValueError(f"an episode of {self.length} steps that succeeded after {self.time_to_success}")
        if not (self.any_success == (self.time_to_success is not None) and self.any_success >= self.success):
            raise ValueError("success at the last step, at any step and its time contradict each other")


@dataclass(frozen=True)
class EvaluationRow:
    """One evaluation: episodes summed up. Rates have Wilson intervals, means bootstrap intervals (95 %)."""

    step: int
    updates: int
    seconds: float
    episodes: int
    success_rate: float
    success_ci95: tuple[float, float]
    already_solved_rate: float
    already_solved_ci95: tuple[float, float]
    any_success: Estimate
    success_by_kind: dict[str, Estimate]  # success rate for each kind of goal; empty where there is only one
    means: dict[str, Estimate]  # of EpisodeRow's fields MEANS, each over the episodes that have one
    success_at_limit: Estimate | None = field(default=None, metadata=serialise.LATER)  # as in EpisodeRow

    def __post_init__(self) -> None:
        if missing := set(MEANS) - self.means.keys() - LATER_MEANS - {"time_to_success"}:
            raise ValueError(f"missing means of {', '.join(sorted(missing))}")
        require_moment(self)
        if self.episodes < 1:
            raise ValueError(f"an evaluation of {self.episodes} episodes")
        rates = {"success_rate": self.success_rate, "already_solved_rate": self.already_solved_rate}
        for name, rate in (rates | {"any_success": self.any_success.value}).items():
            if not (0 <= rate <= 1 and abs(rate * self.episodes - round(rate * self.episodes)) < SLACK):
                raise ValueError(f"{name} is {rate:g}, which {self.episodes} episodes cannot give")
        if self.success_rate > self.any_success.value:
            raise ValueError("more episodes succeeded at the last step than at any step")
        intervals = self.success_ci95, self.already_solved_ci95, self.any_success.ci95
        kinds = [(estimate.value, *estimate.ci95) for estimate in self.success_by_kind.values()]
        if not all(0 <= number <= 1 for group in (*intervals, *kinds) for number in group):
            raise ValueError("a rate or an end of its interval lies outside of 0 to 1")


@dataclass(frozen=True)
class Solved:
    """The second of two evaluations in a row that reached the asked rate."""

    success_rate: float
    step: int
    updates: int
    seconds: float

    def __post_init__(self) -> None:
        require_moment(self)
        if not 0 <= self.success_rate <= 1:
            raise ValueError(f"a success rate of {self.success_rate:g}")


@dataclass(frozen=True)
class Summary:
    """How a run ended. It is the last file that a run writes: with it the run is finished."""

    stop_reason: StopReason
    step: int
    updates: int
    seconds: float
    steps_per_second: float
    updates_per_second: float
    evaluation_seconds: float
    solved: Solved | None
    final_evaluation: EvaluationRow

    def __post_init__(self) -> None:
        require_moment(self)


@dataclass(frozen=True)
class Failure:
    """Why a run ended early: the first number that was not finite. The checkpoints before it are kept."""

    step: int
    updates: int
    quantity: str  # what was not finite: physics, an observation, a reward, a loss or a weight
    detail: str  # one sentence, with the evidence

    def __post_init__(self) -> None:
        require_moment(self)


@dataclass(frozen=True)
class WarningRow:
    """The simulator's warnings between two rows of metrics, over all training envs."""

    step: int
    kind: str  # MuJoCo's name for it, as in mjWARN_CONTACTFULL
    count: int  # how often it was raised, over envs and steps


@dataclass(frozen=True)
class Verdict:
    """A finished run on held-out episodes, and uniform random actions on the same episodes."""

    env: str
    seed: int  # of the held-out episodes
    checkpoint: str  # SHA-256 of the state that was judged
    trained: EvaluationRow
    random: EvaluationRow
    per_episode: list[EpisodeRow]  # of the trained policy
    noise: float = field(default=0.0, metadata=serialise.LATER)  # of the positions that the policy observed
    # Sensors, dynamics and pictures, where they were others than in training: the words of the command line.
    sensors: list[str] = field(default_factory=list, metadata=serialise.LATER)
    dynamics: list[str] = field(default_factory=list, metadata=serialise.LATER)
    pixels: list[str] = field(default_factory=list, metadata=serialise.LATER)
    sees: str = field(default="", metadata=serialise.LATER)  # what it sees and its updates saw, where they differ

    def _repr_html_(self) -> str:
        """What a notebook shows: success beside what it must be read beside."""
        rates = {"trained policy": (self.trained.success_rate, self.trained.success_ci95)}
        rates["random actions"] = (self.random.success_rate, self.random.success_ci95)
        rates["already solved at reset"] = (self.trained.already_solved_rate, self.trained.already_solved_ci95)
        title = f"{self.env}: success on {self.trained.episodes} held-out episodes"
        return table(title, [(name, describe_rate(*rate)) for name, rate in rates.items()])

    def __post_init__(self) -> None:
        played, succeeded = len(self.per_episode), sum(row.success for row in self.per_episode)
        told = self.trained.episodes, round(self.trained.success_rate * self.trained.episodes)
        if (played, succeeded) != told:
            raise ValueError(f"{told[1]} of {told[0]} episodes are told, and {succeeded} of {played} are listed")
        if unlisted := self.trained.success_by_kind.keys() - {row.goal_kind for row in self.per_episode}:
            raise ValueError(f"goals of the kind {min(unlisted)!r} are told of, and none is listed")


@dataclass(frozen=True)
class Resumption:
    """A process that continued a run after another had ended."""

    step: int  # the environment step at which it continued
    note: str  # what was lost, in sentences
    command: list[str]
    commit: str | None
    dirty: bool | None
    packages: dict[str, str]
    cpu: str
    started: str  # ISO 8601, UTC
    flags: dict[str, str] | None = field(default=None, metadata=serialise.LATER)  # as in `Provenance`
    environment: str | None = field(default=None, metadata=serialise.LATER)
    salvaged: bool = field(default=False, metadata=serialise.LATER)  # a part of the replay was damaged and left out
    python: str | None = field(default=None, metadata=serialise.LATER)
    devices: list[str] | None = field(default=None, metadata=serialise.LATER)
    features: list[str] | None = field(default=None, metadata=serialise.LATER)


@dataclass(frozen=True)
class Provenance:
    """Where a run comes from; the timing fields are null until it has ended."""

    command: list[str]
    commit: str | None  # null outside a git checkout
    dirty: bool | None  # whether the checkout differed from the commit
    packages: dict[str, str]
    python: str
    platform: str
    cpu: str
    cores: int
    devices: list[str]
    threads: int
    autoreset_mode: str
    started: str  # ISO 8601, UTC
    wall_clock_seconds: float | None = None
    steps_per_second: float | None = None
    updates_per_second: float | None = None
    resumed: list[Resumption] = field(default_factory=list)
    # Digests of what the run began with: a checkpoint (`init_from`), a file (`demonstrations`).
    given: dict[str, str] = field(default_factory=dict, metadata=serialise.LATER)
    # Settings of JAX and XLA that decide about numbers, the digest of the environment's source, and the instructions
    # for vectors and floating point that the processor has; null where they were not recorded.
    flags: dict[str, str] | None = field(default=None, metadata=serialise.LATER)
    environment: str | None = field(default=None, metadata=serialise.LATER)
    features: list[str] | None = field(default=None, metadata=serialise.LATER)


def encode(value: Any) -> dict[str, Any]:
    """A record as JSON data with its schema version."""
    return {"schema": SCHEMA} | serialise.to_dict(value)


def check_schema(data: dict[str, Any], where: str) -> int:
    """The schema version of a record; raises UserError if this version cannot read it."""
    found = data["schema"]
    if type(found) is int and OLDEST <= found <= SCHEMA:
        return found
    newer = isinstance(found, int) and found > SCHEMA
    advice = "Update wellposed to read it." if newer else "Train again, or read it with the version that wrote it."
    raise UserError(f"{where} has schema {found!r}, this version reads {OLDEST} to {SCHEMA}. {advice}")


def decode(kind: type[T], data: Any, where: str) -> T:
    """Read a record of type `kind`, checking version and every key. Raises UserError saying what is wrong and where."""
    if not isinstance(data, dict) or "schema" not in data:
        raise UserError(f"{where} has no schema version, so it is not a record of wellposed.")
    data = migrated(data, check_schema(data, where))
    try:
        return serialise.from_dict(kind, {k: v for k, v in data.items() if k != "schema"}, where)
    except ValueError as error:
        raise UserError(f"{error}. The file was edited by hand or is damaged.") from error
