"""A policy in one file, and how it acts: NumPy alone, without what trained it.

The file holds named arrays and a JSON header. Its policy is a function of few steps:

    x         all observed numbers in the order of `fields`, relative to their origins and turned, in float32, and a 0
              behind them                                                                [n, d + 1]
    offset    (x[plus] - x[minus] - mean) / std                                          [n, m]
    far       log(root mean square of offset[groups] + nearest)                          [n, k]
    features  the first offsets and `far`, within +-clip: as many as the first layer has inputs
    action    an MLP with ReLU; its first `action_dim` outputs through tanh, or clipped to [-1, 1], and from there
              linearly to the environment's own bounds

The same lines act in NumPy and, where `xp` is `jax.numpy`, are what StableHLO is made of.
"""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save as format_tensors

from wellposed import serialise
from wellposed.arrays import Arrays, parse_npz, parse_tensors, reset_carry, turned
from wellposed.errors import UserError
from wellposed.runs.files import parse_json, read_bytes
from wellposed.types import GOAL_KEYS, Carry, Obs, Policy, Spec

Squash = Literal["tanh", "clip"]
FORMAT = 1
MAX_BYTES = 2**30
HEADER = "wellposed"  # the name of the header among the arrays of an npz, and in the metadata of safetensors


@dataclass(frozen=True)
class Seen:
    """One key of an observation."""

    name: str
    shape: list[int]
    origin: list[float]  # that is subtracted in double precision before anything else; [] for nothing
    pairs: list[tuple[int, int]]  # of numbers that are then shown turned by `angle`, as `types.Turn` has it
    angle: float  # radians

    @property
    def size(self) -> int:
        """How many numbers."""
        return math.prod(self.shape)

    def shown(self, array: np.ndarray) -> np.ndarray:
        """What the environment gives [n, *shape], as the policy is shown it."""
        relative = array - np.array(self.origin) if self.origin else array
        return turned(relative, self.pairs, self.angle) if self.pairs else relative

    @property
    def turn(self) -> np.ndarray:
        """The matrix [size, size] that turns numbers [n, size] from the right."""
        return turned(np.eye(self.size, dtype=np.float32), self.pairs, self.angle)


def seen(spec: Spec) -> list[Seen]:
    """The keys that a policy reads."""
    found = []
    for one in spec.obs:
        pairs, angle = [], 0.0
        if spec.geometry is not None and (turn := spec.geometry.turn) is not None:
            of_kind = {"observation": turn.pairs} | dict.fromkeys(GOAL_KEYS, spec.geometry.goal_pairs)
            pairs, angle = [*of_kind.get(one.name, ())], turn.angle
        found.append(Seen(one.name, list(one.shape), list(one.origin), pairs, angle))
    return found


@dataclass(frozen=True)
class Header:
    """What a file says of its policy beside the arrays."""

    format: int
    fields: list[Seen]
    action_low: list[float]  # of the environment, for each number of an action
    action_high: list[float]
    squash: Squash
    clip: float  # bound on every feature
    nearest: float  # distances are told down to this share of the typical one
    card: dict[str, Any] = field(hash=False)  # where it comes from, and what it achieved


@dataclass(frozen=True)
class PortablePolicy:
    """A greedy policy as arrays: `plus`, `minus` [m], `mean`, `std` [m], `groups` [k, g], `weights.i`, `biases.i`."""

    header: Header
    arrays: Arrays

    @cached_property
    def layers(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Weights [fan_in, fan_out] and biases [fan_out] of each layer."""
        count = sum(name.startswith("weights.") for name in self.arrays)
        return [(self.arrays[f"weights.{i}"], self.arrays[f"biases.{i}"]) for i in range(count)]

    @property
    def shown(self) -> int:
        """How many offsets are features themselves; those behind them are only measured as distances."""
        return len(self.layers[0][0]) - len(self.arrays["groups"])

    def offsets(self, obs: Mapping[str, Any], xp: Any = np) -> Any:
        """The numbers and differences that it reads [n, m], in standard deviations of training."""
        arrays = self.arrays
        flat = [xp.reshape(xp.asarray(obs[one.name], np.float32), (-1, one.size)) for one in self.header.fields]
        x = xp.concatenate([*flat, xp.zeros_like(flat[0][:, :1])], axis=1)
        return (x[:, arrays["plus"]] - x[:, arrays["minus"]] - arrays["mean"]) / arrays["std"]

    def actions(self, obs: Mapping[str, Any], xp: Any = np) -> Any:
        """Actions [n, action_dim] in [-1, 1] for observations [n, *shape] by key, computed with the module `xp`."""
        header, arrays, offset = self.header, self.arrays, self.offsets(obs, xp)
        far = xp.log(xp.sqrt(xp.mean(offset[:, arrays["groups"]] ** 2, axis=-1)) + np.float32(header.nearest))
        h = xp.clip(xp.concatenate([offset[:, : self.shown], far], axis=1), -header.clip, header.clip)
        for weights, biases in self.layers[:-1]:
            h = xp.maximum(h @ weights + biases, 0)
        weights, biases = self.layers[-1]
        out = (h @ weights + biases)[:, : len(header.action_low)]
        return xp.tanh(out) if header.squash == "tanh" else xp.clip(out, -1, 1)

    def initial_carry(self, n: int) -> Carry:
        """(): it has no memory."""
        return ()

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim] in [-1, 1]. They are greedy with `rng` too: how it explored is not in the file."""
        return self.actions(obs), carry


def in_bounds(action: Any, low: list[float], high: list[float], xp: Any = np) -> Any:
    """Actions [n, action_dim] in [-1, 1] in the units of an environment with these bounds."""
    if {*low} == {-1.0} and {*high} == {1.0}:
        return action
    below, above = np.array(low, np.float32), np.array(high, np.float32)
    return xp.clip(below + (action + 1) / 2 * (above - below), below, above)  # the sum may be off by its last bit


class LoadedPolicy:
    """A trained policy that plays in a plain loop:

        policy = wp.load_policy(RUN)
        policy.reset()                      # where an episode begins; only a policy with memory needs it
        action = policy(obs)                # greedy

    Observations are dicts of one env or, with a leading axis, of n; actions are in the environment's own units. A
    control of the run (`--env.control`) is the environment's part, not the policy's. `fields` says what it reads, `low`
    and `high` bound its actions, and `card` says where it comes from.
    """

    def __init__(self, policy: Policy, fields: list[Seen], low: list[float], high: list[float], card: dict[str, Any]):
        self.policy, self.card = policy, card
        self.fields, self.low, self.high = fields, low, high
        self._carry: Carry | None = None  # None: the episodes begin
        self._num_envs = 0

    def __call__(self, obs: Mapping[str, Any]) -> np.ndarray:
        """The action [action_dim] for one observation, or actions [n, action_dim] for n.

        Raises:
            UserError: if a key is missing, or has another shape.
        """
        if missing := [one.name for one in self.fields if one.name not in obs]:
            raise UserError(f"The observation lacks {', '.join(missing)}; it has {', '.join(obs)}.")
        arrays = {one.name: np.asarray(obs[one.name]) for one in self.fields}
        first = self.fields[0]
        single = arrays[first.name].ndim == len(first.shape)
        rows = {name: array[None] for name, array in arrays.items()} if single else arrays
        num_envs = len(rows[first.name])
        for one in self.fields:
            if rows[one.name].shape != (num_envs, *one.shape):
                raise UserError(
                    f"{one.name} must be [{_listed(one.shape)}] or a batch of that, got {arrays[one.name].shape}."
                )
        if self._carry is None or num_envs != self._num_envs:
            self._carry, self._num_envs = self.policy.initial_carry(num_envs), num_envs
        rows = {one.name: one.shown(rows[one.name]) for one in self.fields}
        action, self._carry = self.policy.act(rows, self._carry)
        action = in_bounds(action, self.low, self.high)
        return action[0] if single else action

    def reset(self, ended: np.ndarray | None = None) -> None:
        """Forget the episode, in all envs or in those where it `ended` [n]."""
        if ended is None or self._carry is None:
            self._carry = None
        else:
            self._carry = reset_carry(self._carry, self.policy.initial_carry(self._num_envs), np.asarray(ended, bool))


def loaded(policy: PortablePolicy) -> LoadedPolicy:
    """A portable policy, ready to play."""
    header = policy.header
    return LoadedPolicy(policy, header.fields, header.action_low, header.action_high, header.card)


def _listed(shape: list[int]) -> str:
    return ", ".join(map(str, shape))


def encode(policy: PortablePolicy, form: Literal["npz", "safetensors"]) -> bytes:
    """The file's content."""
    header = json.dumps(serialise.whole(policy.header))
    if form == "safetensors":
        return format_tensors(policy.arrays, {HEADER: header})
    memory = io.BytesIO()
    np.savez(memory, **{HEADER: np.array(header)}, **policy.arrays)  # type: ignore[arg-type]
    return memory.getvalue()


def read_policy(path: Path) -> PortablePolicy:
    """Read a file that `encode` made; nothing in it is executed.

    Raises:
        UserError: if it is no such file, or does not fit together.
    """
    content = read_bytes(path, MAX_BYTES)
    try:
        header, arrays = _parse(content)
        found = serialise.from_dict(Header, parse_json(header.encode(), str(path)), str(path))
        policy = PortablePolicy(found, arrays)
        if found.format != FORMAT:
            raise ValueError(f"it has format {found.format}, and this version reads {FORMAT}")
        check(policy)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(f"{path} is not a policy that `wellposed export` wrote: {error}.") from error
    return policy


def _parse(content: bytes) -> tuple[str, Arrays]:
    """The header's text and the arrays."""
    if content[:2] == b"PK":
        arrays = parse_npz(content, 2 * len(content))  # it is written uncompressed
        return str(arrays.pop(HEADER)), arrays
    arrays = parse_tensors(content)
    size = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + size].decode())["__metadata__"][HEADER], arrays


def check(policy: PortablePolicy) -> None:
    """Raises ValueError, KeyError or IndexError if header and arrays do not fit together."""
    arrays, header = policy.arrays, policy.header
    size, there = sum(one.size for one in header.fields), sum(array.size for array in arrays.values())
    if any(n < 0 for one in header.fields for n in one.shape):
        raise ValueError("a shape in its header has a negative length")
    if size > there:  # it would have to be made, whatever it takes
        raise ValueError(f"its header states an observation of {size:,} numbers, and its arrays hold only {there:,}")
    for name in ("plus", "minus"):
        if not ((arrays[name] >= 0) & (arrays[name] <= size)).all():
            raise ValueError(f"{name} points beyond the observation")
    if not all(np.isfinite(array).all() for array in arrays.values()) or not (arrays["std"] > 0).all():
        raise ValueError("a number in it is not finite, or a standard deviation is not above 0")
    if len(header.action_low) != len(header.action_high):
        raise ValueError("an action has as many lower as upper bounds")
    zeros = {one.name: one.shown(np.zeros((1, *one.shape), np.float32)) for one in header.fields}
    if any(zeros[one.name].shape != (1, *one.shape) for one in header.fields):
        raise ValueError("an origin has another shape than what it is the origin of")
    if policy.actions(zeros).shape != (1, len(header.action_low)):
        raise ValueError("its network has too few outputs")
