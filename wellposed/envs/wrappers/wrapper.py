"""The base of all wrappers."""

from typing import Any

from wellposed.envs.registry import registered
from wellposed.errors import UserError
from wellposed.types import Moment, VecEnv


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


def require_capability(env: VecEnv, capability: str, setting: str, meaning: str) -> None:
    """Raises UserError if the environment lacks a capability, naming the setting and the environments that have it."""
    if capability not in env.capabilities:
        able = ", ".join(entry.id for entry in registered() if capability in entry.capabilities)
        raise UserError(f"--{setting} needs an environment {meaning} (capability {capability!r}): {able}.")
