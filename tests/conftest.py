"""What holds for all tests: programs are compiled quickly, and only once in whatever process.

Nine tenths of a short training is compiling, and many tests train. So XLA leaves out what makes long runs fast, and
what it compiled is kept where pytest keeps its own cache, by a digest of program, compiler and flags: what is computed
is bit for bit the same from one test to the next. Who runs for long or tests numbers asks for `optimised`.
"""

import ctypes
import gc
import os
import re
import resource
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests import resident

KEPT = Path(__file__).parent.parent / ".pytest_cache" / "xla"
os.environ["XDG_CACHE_HOME"] = str(KEPT.parent / "cache")  # certificates of environments that are not registered
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(KEPT))  # read when JAX is imported, here and in child processes
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
# Without fusion emitters compiling takes a third of the time, and numbers round otherwise. So `make test-slow` sets
# this to nothing where code is held against stored traces.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def pytest_addoption(parser: pytest.Parser) -> None:
    """A share of the tests, so that several runs, one after another or side by side, run all of them."""
    parser.addoption("--share", metavar="K/M", help="the K-th of M shares of the tests: 1/M, 2/M, ..., M/M")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not in the share."""
    if not (asked := config.getoption("--share")):
        return
    named = re.fullmatch(r"(\d+)/(\d+)", asked)
    share, of = map(int, named.groups()) if named else (0, 0)
    if not 1 <= share <= of:
        raise pytest.UsageError(f"--share takes K/M with K from 1 to M, as 2/5, got {asked}")
    mine = lambda item: zlib.crc32(item.nodeid.encode()) % of == share - 1  # noqa: E731
    config.hook.pytest_deselected(items=[item for item in items if not mine(item)])
    items[:] = [item for item in items if mine(item)]


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
def variables_are_put_back() -> Iterator[None]:
    """An environment variable that one test, or a command in it, sets is not handed to the processes of the next."""
    with mock.patch.dict(os.environ):
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


@pytest.fixture
def few_held_out(monkeypatch: pytest.MonkeyPatch) -> int:
    """Verdicts use this many held-out episodes unless a test asks for another number; users get 100."""
    from wellposed import verdict

    few, assess = 10, verdict.assess
    told = lambda path, episodes=few, *others, **named: assess(path, episodes, *others, **named)  # noqa: E731
    monkeypatch.setattr(verdict, "assess", told)
    return few


@pytest.fixture
def optimised() -> Iterator[None]:
    """Programs are compiled as they are for users."""
    import jax

    jax.clear_caches()  # the flag is no part of the key by which a process finds its programs
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)
    jax.clear_caches()


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it for garbage is a tenth of the time of all tests."""
    gc.collect()
    gc.freeze()


ROOM = 2**30  # bytes that a process of the tests may hold before it lets go of what it compiled
LEFT = [0]  # bytes that it held after it last did


def let_go() -> None:
    """Drop compiled programs and garbage, and return freed memory to the system."""
    if "jax" in sys.modules:
        sys.modules["jax"].clear_caches()
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)  # glibc keeps what was freed, and gives it back when asked
    LEFT[0] = resident()


@pytest.fixture(autouse=True, scope="module")
def programs_are_let_go() -> Iterator[None]:
    """What one module compiled is not held in memory while the next one runs: all of it would be gigabytes."""
    yield
    let_go()


@pytest.fixture(autouse=True)
def memory_is_bounded() -> Iterator[None]:
    """A module that compiles much does not hold all of it either."""
    yield
    if resident() > max(ROOM, LEFT[0] + ROOM // 8):
        let_go()


LARGEST: list[int] = []  # resident bytes of each process of the tests at its largest


def largest_size() -> int:
    """Of this process or of one that it started, in bytes."""
    sizes = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(sizes) * (1 if sys.platform == "darwin" else 1024)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist hands its size over."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["largest"] = largest_size()  # type: ignore[attr-defined]
    else:
        LARGEST.append(largest_size())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker has ended; one that crashed handed nothing over."""
    LARGEST.extend([node.workeroutput["largest"]] if hasattr(node, "workeroutput") else [])


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Memory is a figure that `make test` shows."""
    if LARGEST:
        terminalreporter.write_line(f"largest process: {max(LARGEST) / 2**20:,.0f} MiB")
