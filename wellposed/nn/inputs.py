"""What a network is shown of an observation: scaled, relative, and the same for all states that are equal by symmetry.

A network that sees the positions of hand, object and goal has to learn from data that only their differences matter;
one that sees the differences need not. `docs/fast.md` has the measurements.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from wellposed.errors import UserError, require
from wellposed.serialise import LATER
from wellposed.types import GOAL_KEYS, Carry, Field, Geometry, Obs, Spec

# The least distance that is resolved, as a share of the typical one: finer than success tests, coarser than noise.
NEAREST = 0.01
CHOICES = {"convolutions": ("small", "nature"), "pooling": ("all", "points")}
MOST = {"width": 2**16, "memory": 2**12}  # far beyond use; asked before anything is made in memory


@dataclass(frozen=True)
class InputConfig:
    """How observations and goals become the inputs of a network."""

    normalise: bool = True
    """Scale observations and goals to zero mean and unit variance with running statistics. Source: HER, appendix A."""
    clip: float = 5.0
    """Bound on every input, in standard deviations. Source: HER, appendix A."""
    relative: bool = True
    """Leave out coordinates that do not matter by the task's geometry, where observation and both goals are seen."""
    distances: bool = True
    """Add logarithms of distances: achieved goal to goal and, if the geometry has several points, effector to it; of
    each point of a goal."""
    encoder: str = field(default="state", metadata=LATER)
    """What makes features of an observation: state, cnn (images), frames (several of each), history or gru (memory)."""
    width: int = field(default=50, metadata=LATER)
    """Numbers that a learnt encoder makes of an image, or remembers. Source: DrQ, arXiv 2004.13649, appendix."""
    convolutions: Literal["small", "nature"] = field(default="small", metadata=LATER)
    """What reads an image: three layers of 3x3 that halve it each, or those of Mnih et al. 2015, Nature 518: 8x8, 4x4
    and 3x3 with strides of 4, 2 and 1."""
    pooling: Literal["all", "points"] = field(default="all", metadata=LATER)
    """What is read of the last convolution of an image: all of its numbers, or one point for each channel, the mean
    place of a softmax over it. Source of the latter: Levine et al. 2016, arXiv 1504.00702, section 5.3."""
    layer_norm: bool = field(default=False, metadata=LATER)
    """Give the features of each image mean 0 and variance 1 before their tanh (LayerNorm, Ba et al. 2016, arXiv
    1607.06450). Source: SAC-AE, arXiv 1910.01741, appendix."""
    memory: int = field(default=1, metadata=LATER)
    """Transitions that a policy with memory looks back in training, the newest among them; 1 without memory."""

    def __post_init__(self) -> None:
        require(0 < self.clip < float("inf"), "agent.inputs.clip", "must be greater than 0", self.clip)
        for name, known in CHOICES.items():
            value = getattr(self, name)
            require(value in known, f"agent.inputs.{name}", f"is {' or '.join(known)}", value)
        for name, most in MOST.items():
            value = getattr(self, name)
            require(0 < value <= most, f"agent.inputs.{name}", f"must be greater than 0 and at most {most:,}", value)


class Scale(NamedTuple):
    """Mean and standard deviation of one field."""

    mean: Any  # [size]
    std: Any  # [size]


Scales = dict[str, Scale]  # by field; those of kind "goal" share one, named "goal"


class InputStats(NamedTuple):
    """Scales of what is seen and what is true, constant within one call of `update`."""

    obs: Scales
    truth: Scales  # {} where no critic sees it


def scale_name(one: Field) -> str:
    """The name under which the scale of a field is stored."""
    return "goal" if one.kind == "goal" else one.name


def stored(fields: tuple[Field, ...], obs: Obs) -> Any:
    """What a network reads of n observations, in the dtypes of replay."""
    return {one.name: obs[one.name].astype(one.dtype) for one in fields}


def log_distance(offset: Array) -> Array:
    """log(|offset| / sqrt(dim) + NEAREST) [..., 1] of an offset [..., dim] in standard deviations.

    A value function changes over centimetres near the goal and over decimetres far from it; the logarithm resolves
    both.
    """
    size = jnp.sqrt(jnp.mean(offset**2, axis=-1, keepdims=True))
    return jnp.log(size + NEAREST)


class Encoder(eqx.Module):
    """From an observation to features [..., f]. An encoder without memory defines only the first method.

    It is called inside the loss, so its parameters learn from that loss.
    """

    has_memory: ClassVar[bool] = False  # whether it reads windows of `InputConfig.memory` transitions

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """Features [b, f] of a batch [b, ...]; with memory, of windows [b, L, ...] at their last moment."""
        raise NotImplementedError

    def initial_carry(self, n: int) -> Carry:
        """What is remembered at the start of n episodes."""
        return ()

    def step(self, obs: dict[str, Array], scales: Scales, carry: Carry) -> tuple[Array, Carry]:
        """Features [n, f] of one moment, and what is remembered from then on."""
        return self(obs, scales), carry


class StateEncoder(Encoder):
    """Vectors, goals and the way to the goal, each in standard deviations, and log distances. It has no parameters."""

    config: InputConfig = eqx.field(static=True)
    fields: tuple[Field, ...] = eqx.field(static=True)
    geometry: Geometry | None = eqx.field(static=True)

    def __init__(self, config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array | None = None):
        """Raises UserError if one of the fields is an image. There is nothing to draw, so `key` means nothing."""
        if images := [one.name for one in fields if one.kind == "image"]:
            raise UserError(
                f"The encoder {config.encoder!r} cannot read the image {images[0]!r}; use --agent.inputs.encoder cnn."
            )
        self.config, self.fields, self.geometry = config, fields, spec.geometry

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """[..., *shape] of each field -> [..., f]."""
        geometry, flat = self.geometry, {one.name: _flat(one, obs[one.name]) for one in self.fields}
        to_goal, parts = {"achieved_goal", "desired_goal"} <= flat.keys(), []
        for one in sorted(self.fields, key=lambda one: one.kind == "goal"):  # vectors before goals
            if one.name != "achieved_goal" or not to_goal:  # the way to the goal implies it
                scale = scales[scale_name(one)]
                parts.append(self.without_place(one, (flat[one.name] - scale.mean) / scale.std))
        if to_goal:
            way = (flat["desired_goal"] - flat["achieved_goal"]) / scales["goal"].std
            parts += [way, *map(log_distance, self.points_of(way))] if self.config.distances else [way]
        if geometry is not None and "observation" in flat:
            place = lambda i: flat["observation"][..., np.array(geometry.points[i])]  # noqa: E731
            std = self.points_of(scales["goal"].std)[0]
            parts += [(place(to) - place(start)) / std for start, to in geometry.differences]
        # With only one point, the effector itself has to reach the goal.
        apart = self.config.distances and {"observation", "achieved_goal"} <= flat.keys()
        if apart and geometry is not None and len(geometry.points) > 1:
            effector = flat["observation"][..., np.array(geometry.effector)]
            ends = zip(self.points_of(flat["achieved_goal"]), self.points_of(scales["goal"].std), strict=True)
            parts += [log_distance((end - effector) / std) for end, std in ends]
        return jnp.clip(jnp.concatenate(parts, axis=-1), -self.config.clip, self.config.clip)

    def points_of(self, goal: Array) -> list[Array]:
        """The points of goals [..., g], each [..., d]; the whole where a goal is one."""
        points = self.geometry.goal_points if self.geometry else ()
        return [goal[..., np.array(point)] for point in points] or [goal]

    def without_place(self, one: Field, seen: Array) -> Array:
        """A field without the coordinates that place a point on the geometry's shift axes, if the ways are seen."""
        ways = {"observation", *GOAL_KEYS} <= {field.name for field in self.fields}
        if not (self.config.relative and ways) or self.geometry is None:
            return seen
        axes, ignored = self.geometry.shift_axes, set()
        if one.kind == "goal":
            ignored = {point[axis] for point in self.geometry.targets for axis in axes}
        elif one.name == "observation":
            ignored = {point[axis] for point in self.geometry.points for axis in axes}
        return seen[..., np.array([i for i in range(seen.shape[-1]) if i not in ignored], int)]


def _flat(one: Field, array: Array) -> Array:
    """The array of a field with the field's own axes joined."""
    return jnp.reshape(array, (*array.shape[: array.ndim - len(one.shape)], int(np.prod(one.shape))))


def feature_width(encoder: Encoder, fields: tuple[Field, ...]) -> int:
    """The number of features f that an encoder makes of these fields."""
    obs = {one.name: jnp.zeros((1, *one.shape), one.dtype) for one in fields}
    ones = {scale_name(one): Scale(0.0, jnp.ones(int(np.prod(one.shape)))) for one in fields}
    return jax.eval_shape(lambda: encoder.step(obs, ones, encoder.initial_carry(1))[0]).shape[-1]
