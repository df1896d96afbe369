"""Dictionaries of named NumPy arrays: the one form in which a state leaves memory and comes back."""

import numpy as np

from wellposed.errors import NotFiniteError, UserError

Arrays = dict[str, np.ndarray]


def bits(array: np.ndarray) -> tuple[np.dtype, tuple[int, ...], bytes]:
    """All that two arrays must have in common to be the same: equal values can be other bits, and equal bits NaNs."""
    return array.dtype, array.shape, array.tobytes()


def same_bits(one: Arrays, other: Arrays) -> bool:
    """Whether two states hold the same names, and under each the same number type, shape and bits."""
    return one.keys() == other.keys() and all(bits(one[name]) == bits(other[name]) for name in one)


def merged(**parts: Arrays) -> Arrays:
    """The arrays of several parts as one dictionary, under `part/name`."""
    return {f"{part}/{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def part_of(arrays: Arrays, part: str) -> Arrays:
    """The arrays that `merged` put under `part`, by their own names."""
    return {name[len(part) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{part}/")}


def check_arrays(expected: Arrays, found: Arrays) -> None:
    """Compare names, shapes and number types.

    Raises:
        UserError: naming the first array that does not fit.
    """
    for name in sorted(expected.keys() | found.keys()):
        if name not in found or name not in expected:
            raise UserError(f"What was saved does not fit this configuration: only one of them has {name!r}.")
        here, there = expected[name], found[name]
        if here.shape != there.shape or here.dtype != there.dtype:
            raise UserError(
                f"What was saved does not fit this configuration: {name!r} is {there.dtype}{list(there.shape)}, "
                f"expected {here.dtype}{list(here.shape)}."
            )


def require_finite(quantity: str, arrays: Arrays, when: str) -> None:
    """Refuse a NaN or an infinity.

    Raises:
        NotFiniteError: naming the first array that holds one, and `when`, as in "after step 40".
    """
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise NotFiniteError(quantity, f"{name} {when} is not finite.")
