"""Where a run comes from: commit, versions, machine."""

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
        command=[_program(), *sys.argv[1:]],
        commit=commit,
        dirty=dirty,
        packages={name: importlib.metadata.version(name) for name in PACKAGES},
        python=platform.python_version(),
        platform=platform.platform(),
        cpu=cpu_name(),
        cores=len(os.sched_getaffinity(0)),
        devices=devices,
        threads=threads,
        autoreset_mode=autoreset_mode,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        flags=flags,
    )


def as_typed(command: Iterable[str]) -> list[str]:
    """A recorded command as a reader would type it: no directory of the machine that it ran on.

    `--runs-dir` is left out: the records are the same wherever they lie. Other absolute paths keep their last part.
    """
    words, rest = [], iter(command)
    for word in rest:
        if word == "--runs-dir":
            next(rest, None)
        elif not word.startswith("--runs-dir="):
            words.append(re.sub(r"(?<![^=,])/(?:[^/,]+/)*(?=[^/,])", "", word))
    return ["wellposed", *words[1:]] if words[:1] == ["cli.py"] else words  # how older records call the command line


def _program() -> str:
    """`wellposed`, however its command line was started; else the name of the script."""
    script = Path(sys.argv[0])
    return "wellposed" if script.resolve().parent == Path(__file__).resolve().parent.parent else script.name


def git_state() -> tuple[str | None, bool | None]:
    """Commit of the checkout this code runs from, and whether it has uncommitted changes; (None, None) outside one."""

    def git(*args: str) -> str:
        here = Path(__file__).resolve().parent
        return subprocess.run(["git", *args], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not somebody else's checkout around an installed copy
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def cpu_name() -> str:
    """The processor as Linux tells it: `AMD EPYC, family 25 model 17`. The name alone may hide a factor of two."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    told: dict[str, str] = {}
    for line in lines:
        field, _, value = line.partition(":")
        told.setdefault(field.strip(), value.strip())
    kind = f", family {told['cpu family']} model {told['model']}" if {"cpu family", "model"} <= told.keys() else ""
    return told.get("model name", "unknown") + kind
