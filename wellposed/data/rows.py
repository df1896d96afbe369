"""What a row of the replay holds: the columns of a transition, and the bytes that rows take."""

from typing import NamedTuple

import numpy as np

from wellposed.arrays import Arrays
from wellposed.errors import require
from wellposed.types import Field, Spec


class Column(NamedTuple):
    """Where a row holds the numbers of one key: rows are matrices, one for each dtype."""

    dtype: str
    place: slice | int  # of its columns
    shape: tuple[int, ...]

    def of(self, rows: Arrays) -> np.ndarray:
        """The numbers of this key in rows [..., width] by dtype: a view [..., *shape]."""
        values = rows[self.dtype][..., self.place]
        return values if len(self.shape) < 2 else values.reshape(*values.shape[:-1], *self.shape)


def columns(spec: Spec) -> dict[str, Column]:
    """The columns of a transition, "truth/..." among them only where the truth differs from what is seen."""
    parts = {"obs": spec.obs, "truth": spec.truth}
    fields = {f"{part}/{one.name}": one for part, fields in parts.items() for one in fields}
    fields["action"] = Field("action", (spec.action_dim,))
    fields |= {name: Field(name, ()) for name in ("reward", "terminated", "failed")}
    found: dict[str, Column] = {}
    widths: dict[str, int] = {}
    for key, one in fields.items():
        begin, size = widths.get(one.dtype, 0), int(np.prod(one.shape))
        found[key] = Column(one.dtype, slice(begin, begin + size) if one.shape else begin, one.shape)
        widths[one.dtype] = begin + size
    return found


def make_rows(spec: Spec, *leading: int) -> Arrays:
    """Empty rows [*leading, width] by dtype."""
    widths: dict[str, int] = {}
    for column in columns(spec).values():
        widths[column.dtype] = widths.get(column.dtype, 0) + int(np.prod(column.shape))
    return {dtype: np.zeros((*leading, width), dtype) for dtype, width in widths.items()}


def require_capacity(capacity: int, spec: Spec) -> None:
    """Raises UserError if a ring of that many rows is too small for an episode."""
    rows = spec.max_episode_steps + 1
    require(capacity >= rows, "replay.capacity", f"must hold an episode, {rows} rows", capacity)


def row_bytes(spec: Spec) -> int:
    """Bytes of a row of the ring: all columns, and two int32 for its place in the episode."""
    return bytes_of(make_rows(spec)) + 8


def open_bytes(spec: Spec, num_envs: int) -> int:
    """Bytes of the episodes under way: the same columns, and an int64 for the length in each env."""
    return num_envs * ((spec.max_episode_steps + 1) * bytes_of(make_rows(spec)) + 8)


def replay_bytes(capacity: int, spec: Spec, num_envs: int) -> int:
    """Bytes of all of it, as `ReplayBuffer.nbytes`."""
    return capacity * row_bytes(spec) + open_bytes(spec, num_envs)


def bytes_of(rows: Arrays) -> int:
    """Bytes of rows by dtype."""
    return sum(array.nbytes for array in rows.values())
