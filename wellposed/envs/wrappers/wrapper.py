"""What all wrappers are."""

from typing import Any

import numpy as np

from wellposed.envs.registry import registered
from wellposed.errors import UserError
from wellposed.types import Moment, Obs, VecEnv


class Wrapper:
    """A `VecEnv` around another, `env`: what it does not define itself is that one's.

    `now` is an attribute of each wrapper's own: what its policy is shown.
    """

    def __init__(self, env: VecEnv):
        self.env: Any = env

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["env"], name)

    @property
    def now(self) -> Moment:
        """Where the envs stand."""
        return self.env.now


def require_capability(env: VecEnv, capability: str, setting: str, meaning: str) -> None:
    """Refuse a setting that the environment does not allow.

    Raises UserError, naming the setting as the command line does, and the environments that do allow it.
    """
    if capability not in env.capabilities:
        able = ", ".join(entry.id for entry in registered() if capability in entry.capabilities)
        raise UserError(f"--{setting} needs an environment {meaning} (capability {capability!r}): {able}.")


def rows_where(mask: np.ndarray, there: Obs, elsewhere: Obs) -> Obs:
    """The rows of one where `mask` [n] is true, and of the other elsewhere, as new arrays."""
    return {
        key: np.where(mask.reshape(-1, *[1] * (value.ndim - 1)), there[key], value) for key, value in elsewhere.items()
    }
