"""Trees of JAX arrays to and from flat dictionaries of named NumPy arrays: what a checkpoint stores."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from wellposed.arrays import Arrays


def to_arrays(tree: Any, prefix: str) -> Arrays:
    """Every leaf under a name that says where it stands, e.g. `learner.nets.actor.weights[0]`."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {prefix + jax.tree_util.keystr(path): np.asarray(_raw(leaf)) for path, leaf in leaves}


def from_arrays(template: Any, arrays: Arrays, prefix: str) -> Any:
    """A tree like `template` with the leaves that `to_arrays` named; call `arrays.check_arrays` first."""

    def restore(path: Any, leaf: Any) -> Any:
        value = jnp.asarray(arrays[prefix + jax.tree_util.keystr(path)])
        return jax.random.wrap_key_data(value) if _is_key(leaf) else value

    return jax.tree_util.tree_map_with_path(restore, template)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _raw(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf
