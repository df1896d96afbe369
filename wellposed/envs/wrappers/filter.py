"""A low-pass filter between the sensors and the policy.

It is part of how a policy sees, as `control` is part of how it acts: it stays where a run is evaluated with other
sensors. Reward, success and every metric are computed on the true state.
"""

from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np

from wellposed.envs.wrappers.wrapper import Wrapper
from wellposed.errors import require
from wellposed.serialise import LATER
from wellposed.types import INTERFACE, Moment, Obs, Step, VecEnv


@dataclass(frozen=True)
class Filter:
    """How readings are filtered before the policy sees them."""

    smoothing: float = field(default=0.0, metadata=LATER)
    """Share s of the last filtered reading that is kept, 0 <= s < 1: f_t = (1 - s) o_t + s f_{t-1}. An episode begins
    with its first reading. It leaves (1 - s) / (1 + s) of the variance of white noise, and makes a slow motion appear
    s / (1 - s) steps late."""

    def __post_init__(self) -> None:
        rule = "is a share, 0 <= s < 1"
        require(0 <= self.smoothing < 1, "env.filter.smoothing", rule, self.smoothing)

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """The environment as the filter shows it."""
        return cast(VecEnv, FilteredVecEnv(env, self)) if self.smoothing else env


class FilteredVecEnv(Wrapper):
    """Every number that is read is filtered by itself; images, the desired goal and the action interface are not.

    A difference of two readings and a copy of one stay what they are, because the filter is linear. Angles are numbers
    here: one that jumps from pi to -pi takes some steps to arrive.
    """

    def __init__(self, env: VecEnv, config: Filter):
        super().__init__(env)
        self.spec = env.spec._replace(truth=env.spec.goals)
        self._share = config.smoothing
        read = [field.name for field in env.spec.obs if field.kind != "image"]
        self._keys = [name for name in read if name not in (INTERFACE, "desired_goal")]
        self._shown: Obs = {}

    @property
    def now(self) -> Moment:
        """All envs as filtered, and as they are."""
        return Moment(self._shown, self.env.now.truth)

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own."""
        obs = self.env.reset(seed, mask).obs
        self._begin(obs, np.ones(self.num_envs, bool) if mask is None or not self._shown else np.asarray(mask, bool))
        return self.now

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own."""
        before, step, s = self._shown, self.env.step(action), self._share
        after = dict(step.next_obs)
        for key in self._keys:
            after[key] = before[key] + (1 - s) * (step.next_obs[key] - before[key])
        self._shown = after
        self._begin(self.env.now.obs, step.ended)
        return step._replace(obs=before, next_obs=after)

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, and what is shown."""
        return self.env.get_state() | {f"filtered_{key}": self._shown[key].copy() for key in self._keys}

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        inner = {key: value for key, value in state.items() if not key.startswith("filtered_")}
        obs = self.env.set_state(inner).obs
        own = {key: state[f"filtered_{key}"].copy() for key in self._keys}
        if any(value.shape != obs[key].shape for key, value in own.items()):
            raise ValueError("this state belongs to another environment or another number of envs")
        self._shown = dict(obs) | own
        return self.now

    def _begin(self, obs: Obs, chosen: np.ndarray) -> None:
        """Episodes begin in the chosen envs [n]; what is shown are new arrays."""
        shown = dict(obs)
        for key in self._keys if not chosen.all() else ():
            shown[key] = np.where(chosen.reshape(-1, *[1] * (obs[key].ndim - 1)), obs[key], self._shown[key])
        self._shown = shown
