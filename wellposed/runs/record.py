"""What a run record holds: one dataclass per kind of row, one schema version, one meaning per metric.

Records are validated when they are read. A missing or an unknown key is an error, a newer schema is
refused, and a value never falls back to a default.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from wellposed import serialise
from wellposed.errors import UserError
from wellposed.runs.migrations import OLDEST, migrated

SCHEMA = 4  # 3: runs that go on after a death, warnings; 4: an environment is a configuration, replay is kept by key

T = TypeVar("T")
StopReason = Literal["solved", "budget"]

# The fields of EpisodeRow of which an evaluation reports means.
MEANS = ("episode_return", "final_distance", "time_to_success", "action_change", "peak_action", "path_length")

# Every logged metric and its meaning; a name that is not here cannot be logged.
METRICS: dict[str, str] = {
    "train/critic_loss": "mean squared Bellman error, summed over both critics; half of that in SAC",
    "train/actor_loss": "minus what the actor maximises: value of its actions (PPO: clipped objective), entropy",
    "train/q_mean": "mean value both critics give the batch",
    "train/target_mean": "mean of the (bounded) Bellman target, a soft one in SAC",
    "train/entropy": "SAC: minus the mean log density of the policy's actions; PPO: entropy of its Gaussian; in nats",
    "train/temperature": "SAC: weight of entropy against reward",
    "train/action_saturation": "share of the policy's action components beyond 0.99 in size",
    "train/value_loss": "PPO: mean squared difference of the critic's values from the lambda-returns",
    "train/clip_fraction": "PPO: share of probability ratios beyond the clipping, mean over the updates on a rollout",
    "train/kl": "PPO: divergence from the policy that collected a rollout to the one that has learnt from it, nats",
    "train/explained_variance": "PPO: share of the variance of lambda-returns that the critic foretold",
    "rollout/success_rate": "share of training episodes since the last row that ended in success (exploring policy)",
    "rollout/return": "mean undiscounted return of those episodes",
    "rollout/moved_rate": "share of those episodes in which the achieved goal moved by 1/5 of the success radius",
    "rollout/action_max": "largest component of the actions that reached the simulator since the last row",
    "probe/reward_min": "smallest reward in a minibatch",
    "probe/reward_mean": "mean reward in a minibatch",
    "probe/reward_max": "largest reward in a minibatch",
    "probe/reward_least": "least reward that the environment says it gives",
    "probe/reward_greatest": "greatest reward that the environment says it gives",
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
    "curriculum/progress": "how far the goals of training have grown: 0 as at first, 1 the task's own",
    "curriculum/reach": "how far training goals lie from where the object starts, as a share of the task's own way",
    "curriculum/air": "share of training goals in the air, in a task that lifts any",
    "time/steps_per_second": "environment steps per second of training",
    "time/updates_per_second": "gradient updates per second of training",
    "time/updates_per_step": "gradient updates per environment step so far",
}
SHARES = frozenset(name for name, meaning in METRICS.items() if meaning.startswith("share of "))  # these lie in [0, 1]


@dataclass(frozen=True)
class MetricsRow:
    """Training metrics at one moment."""

    step: int  # environment steps, summed over all copies
    updates: int  # gradient updates
    seconds: float  # training time so far, evaluation excluded
    metrics: dict[str, float]

    def __post_init__(self) -> None:
        if unknown := self.metrics.keys() - METRICS.keys():
            raise ValueError(f"unknown metric {', '.join(sorted(unknown))}; its meaning belongs in METRICS")


@dataclass(frozen=True)
class Estimate:
    """A mean or a rate with its 95 % interval."""

    value: float
    ci95: tuple[float, float]


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
    path_length: float  # way of the end effector; of the achieved goal where the environment names no effector
    already_solved: bool  # the goal was reached before the first action
    goal_kind: str  # which kind of goal it was ("table", "air"); empty where the environment tells none apart


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
    success_by_kind: dict[str, Estimate]  # success rate for each kind of goal; empty where there is but one
    means: dict[str, Estimate]  # of EpisodeRow's fields MEANS; time_to_success over the episodes that have one

    def __post_init__(self) -> None:
        if missing := set(MEANS) - self.means.keys() - {"time_to_success"}:
            raise ValueError(f"missing means of {', '.join(sorted(missing))}")


@dataclass(frozen=True)
class Solved:
    """When two evaluations in a row had reached the asked rate: the moment of the second."""

    success_rate: float
    step: int
    updates: int
    seconds: float


@dataclass(frozen=True)
class Summary:
    """How a run ended. It is the last file a run writes: its presence means the run is finished."""

    stop_reason: StopReason
    step: int
    updates: int
    seconds: float
    steps_per_second: float
    updates_per_second: float
    evaluation_seconds: float
    solved: Solved | None
    final_evaluation: EvaluationRow


@dataclass(frozen=True)
class Failure:
    """Why a run was given up: the first number that was not finite. The checkpoints before it are kept."""

    step: int
    updates: int
    quantity: str  # what blew up first: physics, an observation, a reward, a loss or a weight
    detail: str  # one sentence, with the evidence


@dataclass(frozen=True)
class WarningRow:
    """What the simulator complained of between two rows of metrics, over all training copies."""

    step: int
    kind: str  # MuJoCo's name for it, as in mjWARN_CONTACTFULL
    count: int  # copies and steps in which it was raised


@dataclass(frozen=True)
class Verdict:
    """A finished run on held-out episodes, beside uniform random actions on the same episodes."""

    env: str
    seed: int  # of the held-out episodes
    checkpoint: str  # SHA-256 of the state that was judged
    trained: EvaluationRow
    random: EvaluationRow
    per_episode: list[EpisodeRow]  # of the trained policy
    noise: float = field(default=0.0, metadata=serialise.LATER)  # metres: error of what the trained policy was shown


@dataclass(frozen=True)
class Resumption:
    """A process that took a run up again after another had ended or died."""

    step: int  # the environment step it went on from
    note: str  # what was lost by that, in sentences
    command: list[str]
    commit: str | None
    dirty: bool | None
    packages: dict[str, str]
    cpu: str
    started: str  # ISO 8601, UTC
    flags: dict[str, str] | None = field(default=None, metadata=serialise.LATER)  # as in `Provenance`
    environment: str | None = field(default=None, metadata=serialise.LATER)


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
    # Settings of JAX and XLA that decide about numbers, and the digest of the environment's source; null where they
    # were not recorded.
    flags: dict[str, str] | None = field(default=None, metadata=serialise.LATER)
    environment: str | None = field(default=None, metadata=serialise.LATER)


def encode(value: Any) -> dict[str, Any]:
    """A record as JSON data with its schema version."""
    return {"schema": SCHEMA} | serialise.to_dict(value)


def check_schema(data: dict[str, Any], where: str) -> int:
    """The schema version of a record that can be read.

    Raises:
        UserError: if it cannot, saying which it is and what to do.
    """
    found = data["schema"]
    if type(found) is int and OLDEST <= found <= SCHEMA:
        return found
    newer = isinstance(found, int) and found > SCHEMA
    advice = (
        "It was written by a newer wellposed; update to read it."
        if newer
        else "It was written by another version; train again, or read it with the version it names in its provenance."
    )
    raise UserError(f"{where} has schema {found!r}, this version reads {OLDEST} to {SCHEMA}. {advice}")


def decode(kind: type[T], data: Any, where: str) -> T:
    """Read a record of type `kind`, checking version and every key.

    Raises:
        UserError: saying what is wrong and where.
    """
    if not isinstance(data, dict) or "schema" not in data:
        raise UserError(f"{where} has no schema version, so it is not a record of wellposed.")
    data = migrated(data, check_schema(data, where))
    try:
        return serialise.from_dict(kind, {k: v for k, v in data.items() if k != "schema"}, where)
    except ValueError as error:
        raise UserError(f"{error}. The file was edited by hand or is damaged.") from error
