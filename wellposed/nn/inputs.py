"""What a network is shown of a goal observation: scaled, relative, and the same for all that symmetry makes equal.

How a problem is put decides how fast it is learnt. A network that sees where hand, object and goal are has to find
out from data that only their differences matter; one that sees the differences need not. `docs/fast.md` has the
measurements.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from wellposed.errors import require
from wellposed.nn.normaliser import RunningNormaliser
from wellposed.types import Batch, Dims, GoalObs, Mirror

# Distances are shown down to this share of the typical one: finer than any success test, coarser than noise.
NEAREST = 0.01


@dataclass(frozen=True)
class InputConfig:
    """How observations and goals become the inputs of a network."""

    normalise: bool = True
    """Scale observations and goals to zero mean and unit variance with running statistics. Source: HER, appendix A."""
    clip: float = 5.0
    """Bound on every input, in standard deviations. Source: HER, appendix A."""
    relative: bool = True
    """Leave out coordinates that the task's geometry says do not matter; all else that is observed stays."""
    distances: bool = True
    """Add logarithms of distances: achieved goal to goal and, where the geometry tells it apart, effector to that."""

    def __post_init__(self) -> None:
        require(0 < self.clip < float("inf"), "agent.inputs.clip", "must be greater than 0", self.clip)


class InputStats(NamedTuple):
    """Means and standard deviations of the inputs, constant within one call of `update`."""

    obs_mean: Any  # [obs_dim]
    obs_std: Any
    goal_mean: Any  # [goal_dim], shared by achieved and desired goals
    goal_std: Any


class InputScaler:
    """Running statistics of observations and goals; goals that are points in space share one scale on all axes.

    Source: HER, appendix A. The floor on a standard deviation keeps an input that never varies from being blown up.
    """

    def __init__(self, config: InputConfig, dims: Dims):
        self.config, self.dims = config, dims
        self._obs = RunningNormaliser(dims.observation, min_std=1e-3)
        self._goal = RunningNormaliser(dims.goal, min_std=1e-3)
        self.stats = self._collect()

    def observe(self, obs: GoalObs) -> None:
        """Take in observations and both kinds of goals."""
        if self.config.normalise:
            self._obs.update(obs["observation"])
            self._goal.update(np.concatenate([obs["achieved_goal"], obs["desired_goal"]]))
            self.stats = self._collect()

    @property
    def count(self) -> float:
        """How many observations were taken in."""
        return self._obs.count

    def state(self) -> dict[str, np.ndarray]:
        """The statistics as named arrays."""
        return self._obs.state("obs_stats") | self._goal.state("goal_stats")

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        self._obs.load_state(state, "obs_stats")
        self._goal.load_state(state, "goal_stats")
        self.stats = self._collect()

    def _collect(self) -> InputStats:
        goal_std = self._goal.std
        if self.dims.geometry is not None:
            goal_std = np.full_like(goal_std, np.sqrt(np.mean(goal_std**2)))
        found = self._obs.mean, self._obs.std, self._goal.mean, goal_std
        return InputStats(*(array.astype(np.float32) for array in found))


def log_distance(offset: Array) -> Array:
    """log(|offset| / sqrt(dim) + NEAREST) [..., 1] of an offset [..., dim] in standard deviations.

    A value function changes within centimetres near the goal and within decimetres far from it; the logarithm gives
    both the same room.
    """
    size = jnp.sqrt(jnp.mean(offset**2, axis=-1, keepdims=True))
    return jnp.log(size + NEAREST)


def network_inputs(
    config: InputConfig, dims: Dims, stats: InputStats, observation: Array, achieved_goal: Array, desired_goal: Array
) -> Array:
    """Observation, goal, and the way from here to the goal, each in standard deviations, and log distances [..., f]."""
    to_go = (desired_goal - achieved_goal) / stats.goal_std
    seen = (observation - stats.obs_mean) / stats.obs_std
    wanted = (desired_goal - stats.goal_mean) / stats.goal_std
    geometry = dims.geometry
    if config.relative and geometry is not None:
        ignored = {point[axis] for point in geometry.points for axis in geometry.shift_axes}
        seen = seen[..., np.array([i for i in range(dims.observation) if i not in ignored])]
        wanted = wanted[..., np.array([i for i in range(dims.goal) if i not in geometry.shift_axes], int)]
    parts = [seen, wanted, to_go]
    if config.distances:
        parts.append(log_distance(to_go))
        if geometry is not None and len(geometry.points) > 1:  # else the effector is what is to reach the goal
            parts.append(log_distance((achieved_goal - observation[..., np.array(geometry.effector)]) / stats.goal_std))
    return jnp.clip(jnp.concatenate(parts, axis=-1), -config.clip, config.clip)


def input_width(config: InputConfig, dims: Dims) -> int:
    """The number of inputs f that `network_inputs` makes."""
    obs, goal = jnp.zeros(dims.observation), jnp.zeros(dims.goal)
    ones = InputStats(obs, obs + 1, goal, goal + 1)
    return jax.eval_shape(lambda: network_inputs(config, dims, ones, obs, goal, goal)).shape[0]


def mirror_image(mirror: Mirror, batch: Batch) -> Batch:
    """The transitions of a batch as seen in the mirror; rewards and termination are the same there."""
    order = np.array(mirror.observation_order)
    as32 = lambda numbers: np.array(numbers, np.float32)  # noqa: E731
    seen = lambda obs: as32(mirror.observation_offset) + obs[..., order] * as32(mirror.observation_sign)  # noqa: E731
    goal = lambda point: as32(mirror.goal_offset) + point * as32(mirror.goal_sign)  # noqa: E731
    return batch._replace(
        observation=seen(batch.observation),
        achieved_goal=goal(batch.achieved_goal),
        action=batch.action * as32(mirror.action_sign),
        next_observation=seen(batch.next_observation),
        next_achieved_goal=goal(batch.next_achieved_goal),
        desired_goal=goal(batch.desired_goal),
    )


def mirror_half(mirror: Mirror, batch: Batch, key: Array) -> Batch:
    """A batch [b, ...] in which each transition is replaced by its mirror image with probability 1/2."""
    chosen = jax.random.bernoulli(key, shape=batch.reward.shape)
    pick = lambda image, own: jnp.where(chosen.reshape(-1, *[1] * (own.ndim - 1)), image, own)  # noqa: E731
    return jax.tree.map(pick, mirror_image(mirror, batch), batch)
