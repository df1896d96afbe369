"""Where a run comes from: commit, versions, machine."""

import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from wellposed.runs.record import Provenance

PACKAGES = (
    "wellposed", "jax", "jaxlib", "equinox", "optax", "numpy", "mujoco", "gymnasium", "gymnasium-robotics",
)  # fmt: skip


def collect(
    *, threads: int, autoreset_mode: str, devices: list[str], flags: dict[str, str] | None = None
) -> Provenance:
    """The provenance of a run that starts now in this process."""
    commit, dirty = git_state()
    return Provenance(
        command=[program(), *sys.argv[1:]],
        commit=commit,
        dirty=dirty,
        packages={name: importlib.metadata.version(name) for name in PACKAGES},
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=cores(),
        devices=devices,
        threads=threads,
        autoreset_mode=autoreset_mode,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        flags=flags,
    )


def as_typed(command: Iterable[str]) -> list[str]:
    """A recorded command without the directories of the machine that it ran on.

    `--runs-dir` is left out; other absolute paths keep their last part.
    """
    words, rest = [], iter(command)
    for word in rest:
        if word == "--runs-dir":
            next(rest, None)
        elif not word.startswith("--runs-dir="):
            words.append(re.sub(r"(?<![^=,])/(?:[^/,]+/)*(?=[^/,])", "", word))
    return ["wellposed", *words[1:]] if words[:1] == ["cli.py"] else words  # how older records call the command line


def program() -> str:
    """The first word of a command: `wellposed`, however its command line was started; else the name of the script."""
    script = Path(sys.argv[0])
    return "wellposed" if script.resolve().parent == Path(__file__).resolve().parent.parent else script.name


def git_state() -> tuple[str | None, bool | None]:
    """Commit of the checkout this code runs from, and whether it has uncommitted changes; (None, None) outside one."""

    def git(*args: str) -> str:
        here = Path(__file__).resolve().parent
        return subprocess.run(["git", *args], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # fails if we are installed inside another checkout
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def cores() -> int:
    """The processor cores that this process may use; on macOS, which cannot restrict a process, all of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """A digest of the processor's name and features, on which compiled programs and their bits depend."""
    try:
        told = _first_processor(Path("/proc/cpuinfo").read_text().splitlines())
    except OSError:
        told = {}
    features = sorted(told.get("flags", told.get("Features", "")).split())
    return hashlib.sha256("\n".join([platform.machine(), cpu_name(), *features]).encode()).hexdigest()[:12]


def _first_processor(lines: list[str]) -> dict[str, str]:
    """The fields of the first processor in /proc/cpuinfo."""
    pairs = (line.partition(":") for line in reversed(lines))
    return {field.strip(): value.strip() for field, _, value in pairs}


def cpu_name() -> str:
    """The processor: `AMD EPYC, family 25 model 17`. Processors of one name can differ in speed by two."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    told = _first_processor(lines)
    kind = f", family {told['cpu family']} model {told['model']}" if {"cpu family", "model"} <= told.keys() else ""
    return told.get("model name", "unknown") + kind
