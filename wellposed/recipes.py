"""Recipes: environment and algorithm to settings.

Where a task needs other values than the algorithm's defaults, its entry in the registry has them (`EnvEntry.settings`),
each with its reason and measurement.
"""

from typing import Any, overload

from wellposed import agents, envs
from wellposed.config import ALGO, AnyRunConfig, OnPolicyRunConfig, RunConfig, override
from wellposed.envs.make import EnvConfig

EARLIEST = 800  # least environment steps between evaluations, so that they cost less than training
EVALUATIONS = 25  # of a run that uses its whole budget


@overload
def default_config(env: str | EnvConfig) -> RunConfig: ...
@overload
def default_config(env: str | EnvConfig, algo: str) -> Any: ...
def default_config(env: str | EnvConfig, algo: str = ALGO) -> AnyRunConfig:
    """The default recipe for an environment.

    Budget, evaluation interval and, for algorithms with a replay, some settings come from the registry. An environment
    without an entry of its own is evaluated early at first, then at intervals that double, because nobody knows how
    long it takes to learn. A run stops by a test; what compares runs sets the rule that gives every evaluation the same
    number of episodes (`experiments`, `study`). Raises UserError if there is no such environment or algorithm.
    """
    where = EnvConfig(env) if isinstance(env, str) else env
    entry, algorithm = envs.find(where.id), agents.find(algo)
    every = max(EARLIEST, entry.budget // EVALUATIONS)
    first = None if "gymnasium" not in entry.tags else EARLIEST
    settings: Any = {"total_steps": entry.budget, "eval_every": every, "eval_first": first, "stop_rule": "test"}
    if algorithm.on_policy:
        return OnPolicyRunConfig(where, algo, agent=algorithm.config(), **settings)
    return override(RunConfig(where, algo, agent=algorithm.config(), **settings), entry.settings)
