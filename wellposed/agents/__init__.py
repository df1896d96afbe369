"""The algorithms. Each file holds its configuration, its losses and its agent; this one is their registry."""

from typing import Any

from wellposed.agents.sac import SAC, SACConfig
from wellposed.errors import UserError
from wellposed.types import Agent, Dims

ALGORITHMS: dict[str, tuple[type, type]] = {"sac": (SACConfig, SAC)}

__all__ = ["ALGORITHMS", "SAC", "SACConfig", "make_agent"]


def make_agent(algo: str, config: Any, dims: Dims, seed: int) -> Agent:
    """A fresh agent of a registered algorithm.

    Raises:
        UserError: if there is no such algorithm.
    """
    if algo not in ALGORITHMS:
        raise UserError(f"There is no algorithm {algo!r}; there is {', '.join(ALGORITHMS)}.")
    return ALGORITHMS[algo][1](config, dims, seed)
