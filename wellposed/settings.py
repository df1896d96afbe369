"""The settings of JAX and of what it stands on that decide about numbers: fixed where we can, recorded where not."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wellposed.repository import cache_folder
from wellposed.runs import provenance

FIXED = {  # settings of JAX on which numbers depend, at the values that recipes are made for
    "jax_enable_x64": False,
    "jax_threefry_partitionable": True,
    "jax_default_prng_impl": "threefry2x32",
    "jax_random_seed_offset": 0,
    "jax_numpy_dtype_promotion": "standard",
    "jax_high_dynamic_range_gumbel": False,
    "jax_softmax_custom_jvp": False,
}
RECORDED = (  # settings and variables that are a person's to choose, and on which numbers depend, too
    "jax_default_matmul_precision", "jax_platforms", "jax_disable_jit", "jax_disable_most_optimizations",
    "jax_optimization_level", "jax_exec_time_optimization_effort", "jax_allow_f16_reductions",
)  # fmt: skip
VARIABLES = (
    "XLA_FLAGS", "LIBTPU_INIT_ARGS", "NVIDIA_TF32_OVERRIDE", "GLIBC_TUNABLES", "NPY_DISABLE_CPU_FEATURES",
    "OPENBLAS_CORETYPE",
)  # fmt: skip


def fix_environment() -> None:
    """Set the environment variables of what is fixed, from which JAX takes its settings when it is imported."""
    os.environ |= {name.upper(): str(value).lower() for name, value in FIXED.items()}


def keep_compiled() -> None:
    """Keep compiled programs on disk, so that all runs of a configuration compile once.

    A program is compiled for the features of a processor; on another one it would give other bits or not run at all.
    So each kind of processor has a folder of its own. JAX_COMPILATION_CACHE_DIR names another place.
    """
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled" / provenance.processor()))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)


@contextmanager
def own_settings() -> Iterator[None]:
    """Inside, JAX computes with the settings that are `FIXED`, whatever the environment or the program says.

    XLA's own queue is turned off, too: it would run `act` and `update` one after another, on threads that spin while
    they wait; we overlap them in threads of our own. Results do not depend on it.
    """
    import jax  # only here: the command line, which calls `fix_environment`, answers without it

    jax.config.update("jax_cpu_enable_async_dispatch", False)
    keep_compiled()
    before = {name: jax.config.values[name] for name in FIXED if name in jax.config.values}
    for name in before:
        jax.config.update(name, FIXED[name])
    try:
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def flags() -> dict[str, str]:
    """The settings of JAX, as they are in force, and of XLA, NumPy and the C library that decide about numbers."""
    import jax

    of_jax = {name: str(jax.config.values[name]) for name in (*FIXED, *RECORDED) if name in jax.config.values}
    return of_jax | {name: os.environ.get(name, "") for name in VARIABLES}
