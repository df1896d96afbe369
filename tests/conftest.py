"""What holds for all tests: a program that XLA has compiled once is not compiled again, in whatever process.

Nine tenths of a short training is compiling, and many tests train. The compiled programs are kept where pytest keeps
its own cache, by a digest of program, compiler and flags, so what is computed is bit for bit the same.
"""

import os
import shutil
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


@pytest.fixture(autouse=True, scope="session")
def tests_may_be_imported() -> Iterator[None]:
    """Environments that stand in the tests are named by the tests, and so by a person."""
    from wellposed import plugin

    given = plugin.given_name
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plugin, "given_name", lambda name: name if name.startswith("tests.") else given(name))
        yield


@pytest.fixture(autouse=True)
def nobody_has_named_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test permits to be imported is not permitted to the next one."""
    from wellposed import plugin

    monkeypatch.setattr(plugin, "ALLOWED", [])


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The current directory is an empty one, in which `own.py` lies; what it registers is forgotten afterwards."""
    import gymnasium as gym

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    gym.registry.pop("Own-v0", None)
    yield Path(shutil.copy(Path(__file__).parent / "envs" / "own.py", tmp_path))
    gym.registry.pop("Own-v0", None)
    for name in [name for name in sys.modules if name.partition("_")[0] == "own"]:
        del sys.modules[name]


@pytest.fixture(autouse=True, scope="module")
def programs_are_let_go() -> Iterator[None]:
    """What one module compiled is not held in memory while the next one runs: all of it would be gigabytes."""
    yield
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
