"""Trees of JAX arrays to and from flat dictionaries of named NumPy arrays: what a checkpoint stores."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wellposed.errors import UserError


def to_arrays(tree: Any, prefix: str) -> dict[str, np.ndarray]:
    """Every leaf under a name that says where it stands, e.g. `learner.nets.actor.weights[0]`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {prefix + jax.tree_util.keystr(path): np.asarray(_raw(leaf)) for path, leaf in leaves}


def from_arrays(template: Any, arrays: dict[str, np.ndarray], prefix: str) -> Any:
    """A tree like `template` with the leaves that `to_arrays` named; call `check_arrays` first."""

    def restore(path: Any, leaf: Any) -> Any:
        value = jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)])
        return jax.random.wrap_key_data(value) if _is_key(leaf) else value

    return jax.tree_util.tree_map_with_path(restore, template)


def check_arrays(expected: dict[str, np.ndarray], found: dict[str, np.ndarray]) -> None:
    """Compare names, shapes and number types.

    Raises:
        UserError: naming the first array that does not fit.
    """
    for name in expected.keys() | found.keys():
        if name not in found or name not in expected:
            raise UserError(f"The saved agent does not fit this configuration: only one of them has {name!r}.")
        here, there = expected[name], found[name]
        if here.shape != there.shape or here.dtype != there.dtype:
            raise UserError(
                f"The saved agent does not fit this configuration: {name!r} is {there.dtype}{list(there.shape)}, "
                f"expected {here.dtype}{list(here.shape)}."
            )


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf
