"""Recipes: environment and algorithm to settings, each with its reason.

Where a task needs another value than the defaults of the algorithm's own file, its entry in the registry says so, with
the reason and the measurement (`EnvEntry.settings`).
"""

from typing import Any, overload

from wellposed import agents, envs
from wellposed.config import ALGO, AnyRunConfig, OnPolicyRunConfig, RunConfig, override
from wellposed.envs.make import EnvConfig

EARLIEST = 800  # environment steps between evaluations at least: one evaluation must not cost more than the training
EVALUATIONS = 25  # of a run that uses up its budget


@overload
def default_config(env: str | EnvConfig) -> RunConfig: ...
@overload
def default_config(env: str | EnvConfig, algo: str) -> Any: ...
def default_config(env: str | EnvConfig, algo: str = ALGO) -> AnyRunConfig:
    """The default recipe for an environment.

    Tasks differ in budget, in how often they are evaluated, and for algorithms with a replay in what their entry in the
    registry says. An environment without an entry of its own is evaluated early at first, then at intervals that
    double: nobody knows how long it takes.

    Raises:
        UserError: if there is no such environment or algorithm.
    """
    where = EnvConfig(env) if isinstance(env, str) else env
    entry, algorithm = envs.find(where.id), agents.find(algo)
    every = max(EARLIEST, entry.budget // EVALUATIONS)
    first = None if "gymnasium" not in entry.tags else EARLIEST
    settings: Any = {"total_steps": entry.budget, "eval_every": every, "eval_first": first}
    if algorithm.on_policy:
        return OnPolicyRunConfig(where, algo, agent=algorithm.config(), **settings)
    return override(RunConfig(where, algo, agent=algorithm.config(), **settings), entry.settings)
