"""Named NumPy arrays, the form in which every state is saved and loaded, and trees of arrays."""

import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable
from tokenize import TokenError
from typing import IO, Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from wellposed.errors import NotFiniteError, UserError

Arrays = dict[str, np.ndarray]
_NOT_AN_NPZ = (  # RuntimeError: a password, or too deep a header; NotImplementedError: an unknown compression
    *(OSError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, TokenError),
)


MOST_ROWS = 2**40  # of anything that a file holds


def parse_tensors(content: bytes) -> Arrays:
    """The arrays of a safetensors file. Raises ValueError if it is none, or holds a type that NumPy does not have."""
    try:
        return safetensors.numpy.load(content)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"it is not a safetensors file: {error}") from error


def parse_npz(content: bytes, limit: int) -> Arrays:
    """The arrays of an npz, which may be compressed.

    What it says of its size is compared with what is there before anything is unpacked. Raises ValueError if it is no
    npz, its arrays have together more than `limit` bytes, or one of them is an object.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            members = file.infolist()
            if (size := sum(one.file_size for one in members)) > limit:
                raise ValueError(f"its arrays have {size:,} bytes together, and {limit:,} are allowed")
            for one in members:
                with file.open(one) as member:
                    _require_whole(member, one.file_size)
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: np.asarray(array) for name, array in file.items()}
    except _NOT_AN_NPZ as error:
        raise ValueError(f"it is not an npz: {error}") from error


def _require_whole(member: IO[bytes], size: int) -> None:
    """Raises ValueError if the header of an array claims another size than its file has."""
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    version = np.lib.format.read_magic(member)
    if version not in read:
        raise ValueError(f"its format is {version}")
    shape, _, dtype = read[version](member)
    if math.prod(shape) * dtype.itemsize != size - member.tell():
        raise ValueError(f"an array of shape {shape} has {size - member.tell():,} bytes")


def lengths_of(array: np.ndarray) -> np.ndarray:
    """Lengths of episodes as they stand in a file, int64 [episodes].

    A file's own type may be too narrow to calculate with: 255 + 1 is 0 in uint8.

    Raises:
        ValueError: if they are something else.
    """
    if array.ndim != 1 or array.dtype.kind not in "iu" or not len(array) or not (array > 0).all():
        raise ValueError("length must be whole numbers above 0, one for each episode")
    if array.max() > MOST_ROWS:
        raise ValueError(f"an episode of {array.max()} steps is longer than any file")
    return array.astype(np.int64)


def require_numbers(name: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raises ValueError if an array out of a file has another shape, or holds anything but finite numbers."""
    if array.shape != shape:
        raise ValueError(f"{name} must be {[*shape]} for these lengths, got {[*array.shape]}")
    if array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"{name} holds a NaN, an infinity, or something else than numbers")


def bits(array: np.ndarray) -> tuple[np.dtype, tuple[int, ...], bytes]:
    """What two arrays must have in common to be bit-identical: equal values may have other bits, and NaN != NaN."""
    return array.dtype, array.shape, array.tobytes()


def same_bits(one: Arrays, other: Arrays) -> bool:
    """Whether two states hold the same names, and under each the same dtype, shape and bits."""
    return one.keys() == other.keys() and all(bits(one[name]) == bits(other[name]) for name in one)


def merged(**parts: Arrays) -> Arrays:
    """The arrays of several parts as one dictionary, under `part/name`."""
    return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def part_of(arrays: Arrays, part: str) -> Arrays:
    """The arrays that `merged` put under `part`, by their own names."""
    return {name[len(part) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{part}/")}


def check_arrays(expected: Arrays, found: Arrays) -> None:
    """Compare names, shapes and dtypes. Raises UserError, naming the first array that does not fit."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            raise UserError(f"What was saved does not fit this configuration: only one of them has {name!r}.")
        here, there = expected[name], found[name]
        if here.shape != there.shape or here.dtype != there.dtype:
            raise UserError(
                f"What was saved does not fit this configuration: {name!r} is {there.dtype}{list(there.shape)}, "
                f"expected {here.dtype}{list(here.shape)}."
            )


def scalars_of(arrays: Arrays, kind: type) -> dict[str, Any]:
    """Numbers that were saved as arrays [], by name. Raises UserError if one is not a number of that kind."""
    for name, array in arrays.items():
        if array.shape != () or array.dtype != np.dtype(kind):
            raise UserError(f"What was saved as {name!r} is not one number.")
    return {name: kind(array) for name, array in arrays.items()}


def require_finite(quantity: str, arrays: Arrays, when: str) -> None:
    """Raise NotFiniteError at a NaN or infinity, naming the array and `when`, as in "after step 40"."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NotFiniteError(quantity, f"{name} {when} is not finite.")


def map_leaves(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """Apply `function` to each leaf of a tree of dicts, tuples and lists, and to the same leaves of `others`."""
    if isinstance(tree, dict):
        return {name: map_leaves(function, part, *(other[name] for other in others)) for name, part in tree.items()}
    if isinstance(tree, tuple | list):
        parts = [map_leaves(function, *same) for same in zip(tree, *others, strict=True)]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return function(tree, *others)


def leaves(tree: Any, path: str = "") -> Arrays:
    """The arrays of such a tree, each under its path, as in "layers/0/hidden"."""
    if not isinstance(tree, dict | tuple | list):
        return {path: np.asarray(tree)}
    below = tree.items() if isinstance(tree, dict) else enumerate(tree)
    return {at: leaf for name, part in below for at, leaf in leaves(part, f"{path}/{name}".lstrip("/")).items()}


def with_leaves(tree: Any, arrays: Arrays) -> Any:
    """The tree with the arrays that `leaves` returned for a tree of the same form."""
    found = iter([arrays[path] for path in leaves(tree)])
    return map_leaves(lambda _: next(found), tree)


def reset_carry(carry: Any, fresh: Any, ended: np.ndarray) -> Any:
    """What a policy remembers, a tree of arrays [n, ...], reset in the envs whose episode `ended` [n]."""

    def reset(now: Any, first: Any) -> np.ndarray:
        return np.where(ended.reshape(-1, *[1] * (np.ndim(now) - 1)), first, now)

    return map_leaves(reset, carry, fresh)


def turned(vectors: np.ndarray, pairs: Iterable[tuple[int, int]], angle: float) -> np.ndarray:
    """Vectors [..., size] with each pair of components shown in a frame turned by `angle`: `types.Turn`."""
    shown, (cos, sin) = np.array(vectors), (np.cos(angle), np.sin(angle))
    for i, j in pairs:
        x, y = vectors[..., i], vectors[..., j]
        shown[..., i], shown[..., j] = x * cos + y * sin, y * cos - x * sin
    return shown
