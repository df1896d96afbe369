"""What all wrappers are."""

from typing import Any

import numpy as np

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
        """Where the copies stand."""
        return self.env.now


def rows_where(mask: np.ndarray, there: Obs, elsewhere: Obs) -> Obs:
    """The rows of one where `mask` [n] is true, and of the other elsewhere, as new arrays."""
    return {
        key: np.where(mask.reshape(-1, *[1] * (value.ndim - 1)), there[key], value) for key, value in elsewhere.items()
    }
