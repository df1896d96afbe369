"""The algorithms. Each file holds its configuration and its losses, `off_policy` the rest; this is their registry."""

from collections.abc import Callable
from typing import Any

from wellposed.agents.sac import SAC, SACConfig
from wellposed.agents.td3 import TD3, TD3Config
from wellposed.errors import UserError
from wellposed.types import Agent, Dims

# The type of an algorithm's configuration, and what makes its agent from one, an environment's sizes and a seed.
ALGORITHMS: dict[str, tuple[type, Callable[[Any, Dims, int], Agent]]] = {
    "sac": (SACConfig, SAC),
    "td3": (TD3Config, TD3),
}

__all__ = ["ALGORITHMS", "SAC", "TD3", "SACConfig", "TD3Config", "find", "make_agent"]


def find(algo: str) -> tuple[type, Callable[[Any, Dims, int], Agent]]:
    """The type of a registered algorithm's configuration, and what makes its agent.

    Raises:
        UserError: if there is no such algorithm.
    """
    if algo not in list(ALGORITHMS):  # from a file it may be of any type, and a list has no hash
        raise UserError(f"There is no algorithm {algo!r}; there are {', '.join(ALGORITHMS)}.")
    return ALGORITHMS[algo]


def make_agent(algo: str, config: Any, dims: Dims, seed: int) -> Agent:
    """A fresh agent of a registered algorithm.

    Raises:
        UserError: if there is no such algorithm.
    """
    return find(algo)[1](config, dims, seed)
