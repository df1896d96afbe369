"""What holds for all tests: a program that XLA has compiled once is not compiled again, in whatever process.

Nine tenths of a short training is compiling, and many tests train. The compiled programs are kept where pytest keeps
its own cache, by a digest of program, compiler and flags, so what is computed is bit for bit the same.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

KEPT = Path(__file__).parent.parent / ".pytest_cache" / "xla"
os.environ["XDG_CACHE_HOME"] = str(KEPT.parent / "cache")  # certificates of environments that are not registered
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(KEPT))  # read when JAX is imported, here and in child processes
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

TOY_SUITE = Path(__file__).parent / "toy_suite"


@pytest.fixture
def toy_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite outside the package is installed: a fresh registry finds its entry point."""
    from wellposed.envs import registry

    monkeypatch.syspath_prepend(str(TOY_SUITE))
    monkeypatch.setattr(registry, "_REGISTRY", {})
    monkeypatch.setattr(registry, "_loaded", False)


@pytest.fixture(autouse=True, scope="module")
def programs_are_let_go() -> Iterator[None]:
    """What one module compiled is not held in memory while the next one runs: all of it would be gigabytes."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
