"""The algorithms. Each file holds its configuration and its losses, `off_policy` the rest of SAC and TD3; this is their
registry.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from wellposed.agents.ppo import PPO, PPOConfig
from wellposed.agents.sac import SAC, SACConfig
from wellposed.agents.td3 import TD3, TD3Config
from wellposed.errors import UserError
from wellposed.types import Agent, Dims


class Entry(NamedTuple):
    """A registered algorithm."""

    config: type
    make: Callable[[Any, Dims, int], Agent]  # (configuration, an environment's sizes, seed) -> a fresh agent
    on_policy: bool = False  # whether it learns from the steps of its own policy alone: an `OnPolicyLearner`


ALGORITHMS: dict[str, Entry] = {
    "sac": Entry(SACConfig, SAC),
    "td3": Entry(TD3Config, TD3),
    "ppo": Entry(PPOConfig, PPO, on_policy=True),
}

__all__ = ["ALGORITHMS", "PPO", "SAC", "TD3", "Entry", "PPOConfig", "SACConfig", "TD3Config", "find", "make_agent"]


def find(algo: str) -> Entry:
    """The entry of a registered algorithm.

    Raises:
        UserError: if there is no such algorithm.
    """
    if algo not in list(ALGORITHMS):  # from a file it may be of any type, and a list has no hash
        raise UserError(f"There is no algorithm {algo!r}; there are {', '.join(ALGORITHMS)}.")
    return ALGORITHMS[algo]


def make_agent(algo: str, config: Any, dims: Dims, seed: int) -> Any:
    """A fresh agent of a registered algorithm: an `OnPolicyLearner` or an `OffPolicyLearner`, as its entry says.

    Raises:
        UserError: if there is no such algorithm.
    """
    return find(algo).make(config, dims, seed)
