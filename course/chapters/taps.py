"""All that recording a trace knows of the inside of the package, in one place.

`course.chapters.trace` records with what is here and with the public API alone. Stored traces have the names of
commit b16341c, at which they were first recorded.
"""

import importlib
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.registry import find

Arrays = dict[str, np.ndarray]
Place = tuple[str, str, str]  # module, class, method
SAMPLE: Place = ("wellposed.data.episodes", "ReplayBuffer", "sample")  # draws minibatches
UPDATE: list[Place] = [  # learn from them
    ("wellposed.agents.sac", "SAC", "update"),
    ("wellposed.agents.td3", "TD3", "update"),
    ("wellposed.agents.ppo", "PPO", "update"),
]


@cache
def episode_steps(env_id: str) -> int:
    """Steps of an episode: as Gymnasium's registry has them, as an extra may be missing, else as the suite says."""
    spec = gym.registry.get(find(env_id).gymnasium or env_id)
    told = spec.max_episode_steps if spec else None
    return told or make_env(EnvConfig(env_id), 1, "training").spec.max_episode_steps


def shortened(config: Any, steps: int, saved: int, episodes: int) -> Any:
    """A configuration cut to `steps` environment steps and seed 0; what does not matter until then is the same for all.

    It is evaluated and saved at step `saved`, in the middle of its episodes; an on-policy run between two rollouts. It
    begins with no other run, and so without a head start.
    """
    every = steps // 2 if hasattr(config, "rollout_steps") else saved
    changes: Any = {"total_steps": steps, "until_success": None, "stop_rule": "twice"}
    if getattr(config, "init_from", None):
        changes["init_from"] = None
    if getattr(config.agent, "head_start", 0):
        changes["agent"] = replace(config.agent, head_start=0)
    return replace(config, seed=0, eval_every=every, eval_episodes=episodes, **changes)


@contextmanager
def tapped(sampled: Callable[[Arrays], None], learnt: Callable[[Any, dict[str, float]], None]) -> Iterator[None]:
    """Call `sampled` with every minibatch drawn within, by key, and `learnt` with what each call of `update` learnt
    from and its losses.
    """
    with ExitStack() as stack:
        stack.enter_context(_around(SAMPLE, lambda batch, _: sampled(by_key(batch))))
        for place in UPDATE:
            stack.enter_context(_around(place, lambda losses, given: learnt(by_key(given), losses)))
        yield


@contextmanager
def _around(place: Place, see: Callable[[Any, Any], None]) -> Iterator[None]:
    """Hand the result and the first argument of every call of a method within to `see`."""
    module, owner, method = place
    kind = getattr(importlib.import_module(module), owner)
    original = getattr(kind, method)

    def seen(self: Any, *given: Any) -> Any:
        result = original(self, *given)
        see(result, given[0])
        return result

    setattr(kind, method, seen)
    try:
        yield
    finally:
        setattr(kind, method, original)


def by_key(batch: Any) -> Arrays:
    """Copies of the arrays of a minibatch or a rollout: observation, achieved_goal, action, next_observation, ..."""
    found: Arrays = {}
    for field, value in batch._asdict().items():
        if isinstance(value, dict):
            found |= {("next_" if field.startswith("next_") else "") + key: part for key, part in value.items()}
        else:
            found[field] = value
    return {name: np.array(value) for name, value in found.items()}


def weights(state: Arrays) -> Arrays:
    """Networks, optimisers and input statistics in a checkpoint, sorted by their names in stored traces."""
    ppo = any(name.endswith("nets.actor.log_std") for name in state)
    named = {_old_name(name.removeprefix("agent/"), ppo): array for name, array in state.items()}
    kept = re.compile(r"learner\.|obs_stats\.|goal_stats\.")
    return {name: named[name] for name in sorted(named) if kept.match(name)}


def _old_name(name: str, ppo: bool) -> str:
    """The name in stored traces of an array of an agent."""
    name = name.replace("inputs.obs.observation.", "obs_stats.").replace("inputs.obs.goal.", "goal_stats.")
    if ppo:
        return name.replace(".head.", ".mean.").replace(".heads[0].", ".")
    return name.replace(".head.", ".").replace(".heads[", "[")


def surroundings(state: Arrays) -> Arrays:
    """The environments among the arrays of a checkpoint, sorted by name."""
    return {name: state[name] for name in sorted(state) if name.startswith("loop/env/")}


def rewards(state: Arrays) -> Arrays:
    """The rewards of the last rollout [t, n] in a checkpoint of an on-policy run."""
    last = {name: state[f"loop/rollout/{name}"] for name in ("reward", "terminated")}
    return last | {"ended": last["terminated"] | state["loop/rollout/truncated"]}


def replay(parts: list[Arrays]) -> Arrays:
    """The whole episodes of a replay, oldest first, by key: [rows, ...]."""
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {name.removeprefix("obs/"): array for name, array in whole.items() if name != "failed"}
