"""Imperfect sensors.

Noise is added only between the environment and the policy. Reward, success and every metric are computed on the true
state, and the policy sees nothing without noise.
"""

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from wellposed import seeding
from wellposed.envs.vector import seeds_of_copies
from wellposed.envs.wrappers.wrapper import Wrapper, require_capability, rows_where
from wellposed.errors import require
from wellposed.types import Moment, Obs, Step, VecEnv


@dataclass(frozen=True)
class Sensors:
    """What measures the observations."""

    noise: float = 0.0
    """Standard deviation of a measured position's error on each axis, in goal units (metres for Fetch)."""

    def __post_init__(self) -> None:
        rule = "is a length in goal units, 0 or more"
        require(0 <= self.noise < np.inf, "env.sensors.noise", rule, self.noise)

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """The environment as these sensors show it. Raises UserError for noise if it lacks the capability "sensors"."""
        if not self.noise:
            return env
        require_capability(env, "sensors", "env.sensors.noise", "that says what its numbers measure")
        return cast(VecEnv, SensedVecEnv(env, self.noise, seed))


class SensedVecEnv(Wrapper):
    """Observations are measured with Gaussian errors; the truth stays.

    The task says how an error of a position spreads to the numbers of an observation (`measurement_errors`). Each env
    has its own stream, begun by the run's seed and its episode's seed: the errors in an episode do not depend on the
    number of envs, nor on earlier episodes.
    """

    def __init__(self, env: VecEnv, noise: float, seed: int):
        super().__init__(env)
        self.spec = env.spec._replace(truth=env.spec.goals)
        self._noise, self._seed = noise, seed
        self._rngs = [seeding.generator(seed, f"sensors of copy {i}") for i in range(env.num_envs)]
        self._measured: Obs = {}

    @property
    def now(self) -> Moment:
        """All envs as measured, and as they are."""
        return Moment(self._measured, self.env.now.truth)

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own."""
        chosen = np.ones(self.num_envs, bool) if mask is None else np.asarray(mask, bool)
        for i, of_copy in enumerate(seeds_of_copies(seed, self.num_envs)):
            if chosen[i] and of_copy is not None:
                self._rngs[i] = seeding.generator(self._seed, f"sensors of episode {of_copy}")
        obs = self.env.reset(seed, mask).obs
        self._measured = rows_where(chosen, self._measure(obs, chosen), self._measured or obs)
        return self.now

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own."""
        before, step = self._measured, self.env.step(action)
        after = self._measure(step.next_obs, np.ones(self.num_envs, bool))
        ended = step.ended
        self._measured = rows_where(ended, self._measure(self.env.now.obs, ended), after) if ended.any() else after
        return step._replace(obs=before, next_obs=after)

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, the current measurement, and the random streams."""
        streams = np.stack([seeding.pack_generator(rng) for rng in self._rngs])
        measured = {f"sensed_{key}": value.copy() for key, value in self._measured.items()}
        return self.env.get_state() | {"sensors": streams} | measured

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        inner = {key: value for key, value in state.items() if key != "sensors" and not key.startswith("sensed_")}
        obs = self.env.set_state(inner).obs
        measured = {key: state[f"sensed_{key}"].copy() for key in obs}
        if any(measured[key].shape != value.shape for key, value in obs.items()):
            raise ValueError("this state belongs to another environment or another number of envs")
        for rng, packed in zip(self._rngs, state["sensors"], strict=True):
            seeding.unpack_generator(rng, packed)
        self._measured = measured
        return self.now

    def _measure(self, obs: Obs, chosen: np.ndarray) -> Obs:
        """One measurement of all envs, as new arrays; without errors where not `chosen` [n]."""
        draws = np.zeros((self.num_envs, self.task.error_sources))
        for i in np.flatnonzero(chosen):
            draws[i] = self._rngs[i].standard_normal(draws.shape[1])
        errors = self.task.measurement_errors(draws)
        return {key: value + self._noise * errors[key] if key in errors else value for key, value in obs.items()}
