"""A run's full configuration: the environment, the agent, the data and the training."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from wellposed import agents, seeding, serialise
from wellposed.agents import PPOConfig, SACConfig
from wellposed.data.episodes import ReplayConfig
from wellposed.envs.make import EnvConfig
from wellposed.errors import UserError, require
from wellposed.runs.files import read_json
from wellposed.runs.migrations import migrated
from wellposed.runs.record import check_schema
from wellposed.runs.store import RunReader

A = TypeVar("A")
C = TypeVar("C", bound="AnyRunConfig")
ALGO = "sac"  # where none is named
MOST_ROLLOUT = 2**24
MOST = {"total_steps": 2**53, "num_envs": seeding.MAX_ENVS, "eval_every": 2**53, "eval_episodes": seeding.MAX_EPISODES}


def _is_json(value: Any) -> bool:
    """Whether a record can hold a value."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class AnyRunConfig(Generic[A]):
    """What every training run has, whatever its algorithm: everything that can change a run's result; threads cannot.

    An environment may be given by its id alone: `RunConfig("FetchReach-v4")`.
    """

    env: EnvConfig
    """The environment, and what stands between it and the policy."""
    algo: str = ALGO
    """Algorithm: sac, td3, ppo, and for pictures estimate and distil; --help shows the settings of the one named."""
    seed: int = 0
    """Seed of every random stream of the run."""
    total_steps: int = 20_000
    """Budget in environment steps, summed over all envs."""
    until_success: float | None = None
    """Stop early once this success rate (0 to 1) is reached, by --stop-rule."""
    stop_rule: Literal["twice", "test"] = field(default="twice", metadata=serialise.LATER)
    """How until_success is decided. twice: by two evaluations in a row, played between steps of training. test: by a
    sequential test in one evaluation, played beside training (docs/fast.md)."""
    num_envs: int = 16
    """Environments that step together."""
    eval_every: int = 800
    """Environment steps between evaluations. With --stop-rule test half as many from half of the bar on."""
    eval_episodes: int = 50
    """Episodes of each evaluation. A test plays as many as it takes."""
    eval_first: int | None = field(default=None, metadata=serialise.LATER)
    """Environment steps to the first evaluation after the start; later intervals double up to `eval_every`. None:
    `eval_every` from the start."""
    init_from: str | None = field(default=None, metadata=serialise.LATER)
    """A run whose newest networks and input statistics this one begins with; or the name of a recipe's runs without
    the seed, for that of the same seed beside this one."""
    demonstrations: str | None = field(default=None, metadata=serialise.LATER)
    """oracle:N, N episodes of the controller written for the task, or a FILE of episodes (docs/deploy.md). The actor
    is cloned from them, and a replay begins with them."""
    clone_updates: int = field(default=500, metadata=serialise.LATER)
    """Gradient updates of cloning, before the first step; 0 leaves the actor as it is."""
    agent: A = field(default_factory=cast(Any, SACConfig))
    """The algorithm's settings."""

    def __post_init__(self) -> None:
        if isinstance(self.env, str):
            object.__setattr__(self, "env", EnvConfig(self.env))
        rule = "must hold texts, finite numbers, lists and what else JSON has, for a record keeps them"
        require(_is_json(self.env.kwargs), "env.kwargs", rule, self.env.kwargs)
        first = self.eval_first
        require(first is None or first > 0, "eval_first", "must be greater than 0", first)
        for name, most in MOST.items():
            require_positive(self, name)
            require(getattr(self, name) <= most, name, f"must be at most {most:,}", f"{getattr(self, name):,}")
        require(self.seed >= 0, "seed", "must not be negative", self.seed)
        require(self.clone_updates >= 0, "clone_updates", "must not be negative", self.clone_updates)
        until = self.until_success
        require(until is None or 0 <= until <= 1, "until_success", "is a share between 0 and 1", until)
        kind = agents.find(self.algo).config
        rule = f"of --algo {self.algo} must be a {kind.__name__}"
        require(isinstance(self.agent, kind), "agent", rule, type(self.agent).__name__)

    @property
    def tested_bar(self) -> float | None:
        """The bar that a test decides about; None where every evaluation has `eval_episodes`."""
        return self.until_success if self.stop_rule == "test" else None


@dataclass(frozen=True)
class RunConfig(AnyRunConfig[A]):
    """The full configuration of a run of an algorithm that learns from a replay."""

    updates_per_step: float = 0.5
    """Gradient updates per environment step; those skipped during random steps are made up for."""
    updates_per_call: int = 8
    """Gradient updates in one compiled call, which runs while the environments take their next step."""
    random_steps: int = 800
    """Environment steps with uniform random actions at the start."""
    random_share: float = 0.2
    """Share of uniform random actions afterwards. Source: HER, appendix A (0.3 there)."""
    replay: ReplayConfig = field(default_factory=ReplayConfig)
    """Replay and hindsight."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("updates_per_step", "updates_per_call"):
            require_positive(self, name)
        require(self.random_steps >= 0, "random_steps", "must not be negative", self.random_steps)
        require(0 <= self.random_share <= 1, "random_share", "is a share between 0 and 1", self.random_share)
        require(not agents.find(self.algo).on_policy, "algo", "must be one that learns from a replay", self.algo)


@dataclass(frozen=True)
class OnPolicyRunConfig(AnyRunConfig[A]):
    """The full configuration of a run of an algorithm that learns only from the newest steps of its own policy."""

    algo: str = "ppo"
    rollout_steps: int = 50
    """Steps of each env between two rounds of updates."""
    agent: A = field(default_factory=cast(Any, PPOConfig))

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "rollout_steps")
        require(
            self.rollout_steps <= MOST_ROLLOUT, "rollout_steps", f"must be at most {MOST_ROLLOUT:,}", self.rollout_steps
        )
        require(agents.find(self.algo).on_policy, "algo", "must be one that learns without a replay", self.algo)
        size, batch = self.num_envs * self.rollout_steps, cast(Any, self.agent).batch_size
        require(batch <= size, "agent.batch_size", f"must not exceed the {size} steps of a rollout", batch)


def require_positive(config: Any, name: str) -> None:
    """Raises UserError if a setting is not finite and greater than 0."""
    require(0 < getattr(config, name) < math.inf, name, "must be greater than 0", getattr(config, name))


def config_type(algo: str) -> type[AnyRunConfig]:
    """The type of a run's configuration with an algorithm's settings; raises UserError for an unknown one."""
    entry = agents.find(algo)
    settings: Any = entry.config
    return OnPolicyRunConfig[settings] if entry.on_policy else RunConfig[settings]


def read_config(data: Any, where: str) -> AnyRunConfig:
    """Read a run's configuration from JSON data, strictly; its `algo` says which type it has.

    Raises UserError if there is no such algorithm or a setting is out of its range; ValueError, naming `where` and the
    field, if one is missing, unknown or of the wrong type.
    """
    if not isinstance(data, dict) or "algo" not in data:
        raise ValueError(f"{where}: missing key algo")
    return serialise.from_dict(config_type(data["algo"]), data, where)


def describes(data: dict[str, Any], config: AnyRunConfig) -> bool:
    """Whether stored JSON data, with or without a seed, are those of this configuration."""
    try:
        return read_config({"seed": config.seed} | data, "a stored configuration") == config
    except (UserError, ValueError):  # it names a setting that no longer exists
        return False


def stored_config(path: Path) -> AnyRunConfig:
    """The configuration of a recorded run; raises UserError if the record is damaged or another version's."""
    try:
        return read_config(RunReader(path).config, str(path / "config.json"))
    except ValueError as error:
        raise UserError(f"{error}. The run was made by another version of wellposed.") from error


def config_in(path: Path) -> AnyRunConfig:
    """The configuration in a file: that of a run (its config.json), or its settings alone.

    Raises:
        UserError: if it holds something else.
    """
    data = read_json(path)
    if isinstance(data, dict) and data.keys() == {"schema", "hash", "config"}:
        data = migrated(data["config"], check_schema(data, str(path)))
    try:
        return read_config(data, str(path))
    except ValueError as error:
        raise UserError(f"{error}. --config takes what a run's config.json holds.") from error


def override(config: C, changes: dict[str, Any]) -> C:
    """A run's configuration with settings replaced by dotted name, as `{"agent.inputs.relative": False}`.

    Raises UserError if a setting is out of its range; ValueError, naming the setting, if it does not exist or cannot
    take the value.
    """
    return cast(C, read_config(serialise.override(serialise.whole(config), changes), "settings"))


def against_divergence(config: AnyRunConfig) -> str:
    """How to prevent divergence, as a sentence."""
    bound = "; keep --agent.bound-targets on" if hasattr(config.agent, "bound_targets") else ""
    return f"Lower --agent.learning-rate (it is {config.agent.learning_rate:g}){bound}."
