"""Recipes: environment and algorithm to settings.

Where a task needs other values than the algorithm's defaults, its entry in the registry has them (`EnvEntry.settings`),
each with its reason and measurement. The discount of an environment without an entry follows from how far its goals
are.
"""

import json
import math
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache, partial
from typing import Any, overload

from wellposed import agents, envs
from wellposed.config import ALGO, AnyRunConfig, OnPolicyRunConfig, RunConfig, override
from wellposed.envs.evidence import DISCOUNTED, Evidence
from wellposed.envs.explore import look
from wellposed.envs.group import make_one
from wellposed.envs.make import EnvConfig
from wellposed.envs.rules import Subject, rules_of
from wellposed.errors import UserError

EARLIEST = 800  # least environment steps between evaluations, so that they cost less than training
EVALUATIONS = 25  # of a run that uses its whole budget
RESETS = 10  # among which some begin elsewhere than at their goal


@overload
def default_config(env: str | EnvConfig, *, measure: bool = True) -> RunConfig: ...
@overload
def default_config(env: str | EnvConfig, algo: str, *, measure: bool = True) -> Any: ...
def default_config(env: str | EnvConfig, algo: str = ALGO, *, measure: bool = True) -> AnyRunConfig:
    """The default recipe for an environment.

    Budget, evaluation interval and, for algorithms with a replay, some settings come from the registry. An environment
    without an entry of its own is evaluated early at first, then at intervals that double, because nobody knows how
    long it takes to learn; its discount is `far_enough`, and its temperature in proportion to what
    the goal is worth. A run stops by a test; what compares runs sets the rule that
    gives every evaluation the same number of episodes (`experiments`, `study`).

    Args:
        env: what to learn.
        algo: by what.
        measure: how far goals are, for the discount: an environment without an entry is made and, if its episodes are
            so long that goals may be too far, explored for seconds. False where another discount is chosen already.

    Raises:
        UserError: if there is no such environment or algorithm.
    """
    where = EnvConfig(env) if isinstance(env, str) else env
    entry, algorithm = envs.find(where.id), agents.find(algo)
    every = max(EARLIEST, entry.budget // EVALUATIONS)
    first = None if "gymnasium" not in entry.tags else EARLIEST
    settings: Any = {"total_steps": entry.budget, "eval_every": every, "eval_first": first, "stop_rule": "test"}
    agent = algorithm.config()
    if measure and "gymnasium" in entry.tags:
        gamma, worth = _measured_for(where.id, json.dumps(where.arguments, sort_keys=True), agent.gamma)
        agent = replace(agent, gamma=gamma)
        if hasattr(agent, "temperature"):
            agent = replace(agent, temperature=float(f"{agent.temperature * worth:.3g}"))
    if algorithm.on_policy:
        return OnPolicyRunConfig(where, algo, agent=agent, **settings)
    return override(RunConfig(where, algo, agent=agent, **settings), entry.settings)


def far_enough(gamma: float, steps: float) -> float:
    """The discount `gamma` if a reward still counts from `steps` steps away, else one whose horizon is that far.

    At a distance of n steps a reward counts gamma^n, and so does each step of progress: where a step costs 1 until the
    goal, V(n) - V(n + 1) = gamma^n. If less than `DISCOUNTED` is left of it, actions are all worth the same there. With
    the horizon 1 / (1 - gamma) = n, (1 - 1/n)^n is left, which is nearly 1/e. A farther horizon has its price, for an
    error e of a critic grows up to e / (1 - gamma). It is rounded up to 1, 2 or 5 times a power of ten, so that the
    setting does not hang on the last digits of a measurement.

    Source: gamma = 1 - 1/T with episodes of T steps (OpenAI baselines, `her/experiment/config.py`), with the distance
    in the place of T, which bounds it.
    """
    if gamma**steps >= DISCOUNTED:
        return gamma
    power = 10 ** math.floor(math.log10(steps))
    return 1 - 1 / next(digit * power for digit in (1, 2, 5, 10) if digit * power >= steps)


@cache
def _measured_for(env_id: str, arguments: str, gamma: float) -> tuple[float, float]:
    """The discount for an environment of Gymnasium, and by what the temperature is multiplied; measured once.

    `arguments` are JSON. A temperature is a price in rewards, which was set where a step at the goal is worth 1 more
    than a step elsewhere; a sparse reward of another size gets it in proportion.

    `gamma` and 1 stay where the environment cannot be made or is not well posed. Settings of the command line are read
    later and may change that; if they do not, training refuses the environment with the reason.
    """
    with (
        suppress(UserError),
        closing(Evidence(Subject(env_id, partial(make_one, env_id, **json.loads(arguments))))) as evidence,
    ):
        if evidence.limit is None or far_enough(gamma, evidence.limit) != gamma:  # else all goals are near enough
            limit = evidence.measured().limit  # refuses what is no goal environment, before it is explored
            gamma = far_enough(gamma, min(evidence.steps_to_goal, limit))
        if not _usual_reward(evidence) and evidence.measured() and evidence.sparse:
            worth = evidence.worth(gamma)
            return gamma, worth if worth and worth > 0 else 1.0
    return gamma, 1.0


def _usual_reward(evidence: Evidence) -> bool:
    """Whether goals are rewarded with 0, and places elsewhere, where episodes begin, with -1; quickly asked."""
    try:
        for seed in range(RESETS):
            first = look(evidence.env.reset(seed=seed)[0], evidence.fields)
            asked = rules_of(evidence.env, evidence.goal_type).reward
            if asked is None or asked(first.desired, first.desired, {}) != 0:
                return False
            if (elsewhere := asked(first.achieved, first.desired, {})) != 0:
                return elsewhere == -1
    except Exception:  # a stranger's code may raise anything; measuring it tells what
        return False
    return False
