"""The base of all wrappers."""

from typing import Any

import numpy as np

from wellposed import seeding
from wellposed.envs.registry import registered
from wellposed.envs.vector import seeds_of_envs
from wellposed.errors import UserError
from wellposed.types import Moment, VecEnv

MOST_DELAY = 10_000  # steps, far beyond use; asked before memory is taken for what is on its way


class Wrapper:
    """A `VecEnv` around another, `env`, which provides what the wrapper does not define.

    `now` is what the policy of this wrapper sees.
    """

    def __init__(self, env: VecEnv):
        self.env: Any = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["env"], name)

    @property
    def now(self) -> Moment:
        """All envs at this moment."""
        return self.env.now


def begin_streams(
    rngs: list[np.random.Generator], run_seed: int, what: str, seed: int | list[int] | None, mask: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Begin the random streams, in place, of the envs that a reset gives a seed.

    Returns:
        Which envs are reset, and which of them got a new stream, bool [n] each.
    """
    chosen = np.ones(len(rngs), bool) if mask is None else np.asarray(mask, bool)
    seeds = seeds_of_envs(seed, len(rngs))
    given = chosen & np.array([one is not None for one in seeds])
    for i in np.flatnonzero(given):
        rngs[i] = seeding.generator(run_seed, f"{what} of episode {seeds[i]}")
    return chosen, given


def require_capability(env: VecEnv, capability: str, setting: str, meaning: str) -> None:
    """Raises UserError if the environment lacks a capability, naming the setting and an environment that has it."""
    if capability not in env.capabilities:
        able = [entry.id for entry in registered() if capability in entry.capabilities]
        told = f"; {able[0]} is one of {len(able)}" if able else ""
        raise UserError(f"--{setting} needs an environment {meaning} (capability {capability!r}){told}.")
