"""Where a run comes from: commit, versions, machine; and what changed between two processes."""

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

from wellposed.runs.record import Provenance, Resumption

PACKAGES = (
    "wellposed", "jax", "jaxlib", "equinox", "optax", "numpy", "mujoco", "gymnasium", "gymnasium-robotics",
)  # fmt: skip
# Names of such instructions on x86, ARM and RISC-V, as Linux tells them.
VECTORS = re.compile(r"s?sse\d?\w*|avx\w*|fma4?|f16c|amx\w*|xop|(asimd|neon|vfp|fp|sve|sme|fcma|bf16|i8mm|rv)\w*")
NOT_RECORDED = "(not recorded)"


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
        features=cpu_features(),
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


def allowed_cores() -> set[int]:
    """The processor cores that this process may use; on macOS, which cannot restrict a process, all of them."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {*range(os.cpu_count() or 1)}


def cores() -> int:
    """How many cores this process may use."""
    return len(allowed_cores())


def cpu_name() -> str:
    """The processor: `AMD EPYC, family 25 model 17`. Processors of one name can differ in speed by two."""
    told = _cpuinfo()
    kind = f", family {told['cpu family']} model {told['model']}" if {"cpu family", "model"} <= told.keys() else ""
    return told.get("model name", platform.processor() or "unknown") + kind


def cpu_features() -> list[str]:
    """The instructions for vectors and floating point that this process may use: compilers choose among them.

    A virtual machine can hide some of them, so that processors of one name round differently.
    """
    told = _cpuinfo()
    if listed := next((told[field] for field in ("flags", "Features", "isa") if field in told), ""):
        return sorted({word for word in listed.split() if VECTORS.fullmatch(word)})
    from numpy._core._multiarray_umath import __cpu_features__  # of every system, but not of all instructions

    return sorted(name.lower() for name, has in __cpu_features__.items() if has)


def processor() -> str:
    """A digest of the processor's name and all its features, for which programs are compiled."""
    told = _cpuinfo()
    features = sorted(told.get("flags", told.get("Features", "")).split())
    return hashlib.sha256(" ".join([platform.machine(), cpu_name(), *features]).encode()).hexdigest()[:12]


def _cpuinfo() -> dict[str, str]:
    """What Linux tells about the first processor; {} elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.partition(":") for line in reversed(lines))  # the first processor counts
    return {field.strip(): value.strip() for field, _, value in pairs}


def changes(then: Provenance, now: Provenance) -> list[str]:
    """Differences between the provenance of two runs that numbers may depend on, and what was not recorded then.

    A resumed run was written by several processes; all of them count.
    """
    found = [change for process in (then, *then.resumed) for change in changes_since(process, now)]
    found += [f"what it began with: {change}" for change in _by_name(then.given, now.given)]
    if any(again.salvaged for again in then.resumed):
        found.append("the recorded run lost a part of its replay and went on without it")
    if then.dirty or now.dirty or any(again.dirty for again in then.resumed):
        found.append("wellposed's own code, which had changes that no commit holds")
    return list(dict.fromkeys(found))


def changes_since(process: Provenance | Resumption, now: Provenance) -> list[str]:
    """Differences between two processes that numbers may depend on, and what the first does not tell.

    Whether code had uncommitted changes is left out.
    """
    found = _by_name(process.packages, now.packages)
    for what, was, is_now in (
        ("Python", process.python, now.python),
        ("processor", process.cpu, now.cpu),
        ("devices", process.devices, now.devices),
        ("wellposed's own code", _short(process.commit), _short(now.commit)),
    ):
        if was != is_now:
            found.append(f"{what} {NOT_RECORDED if was is None else f'{was} -> {is_now}'}")
    if process.features is None or now.features is None:
        found += [] if process.features == now.features else [f"processor features {NOT_RECORDED}"]
    elif differing := sorted({*process.features} ^ {*now.features}):
        signs = [f"{'+' if name in now.features else '-'}{name}" for name in differing]
        found.append(f"processor features {' '.join(signs)}")
    if process.flags is None or now.flags is None:
        found += [] if process.flags == now.flags else [f"flags of JAX and XLA {NOT_RECORDED}"]
    else:
        found += _by_name(process.flags, now.flags)
    if process.environment != now.environment:
        found.append(f"the environment's own code{'' if process.environment else f' {NOT_RECORDED}'}")
    return found


def _by_name(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs between two sets of values by name, or was not recorded."""
    pairs = {name: (then.get(name, NOT_RECORDED), now.get(name, NOT_RECORDED)) for name in sorted({*then, *now})}
    return [f"{name} {was or 'unset'} -> {is_now or 'unset'}" for name, (was, is_now) in pairs.items() if was != is_now]


def _short(commit: str | None) -> str:
    return (commit or "unknown")[:9]
