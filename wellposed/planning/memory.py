"""Memory of this machine: what is free, and what a process holds. Linux tells both; elsewhere they are unknown."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Free:
    """Memory that processes may still take."""

    bytes: int
    source: str  # what says so


class Held(NamedTuple):
    """Resident memory of a process in bytes, pages of the libraries' files included."""

    now: int
    peak: int


class _Version(NamedTuple):
    """How a version of control groups names its files, and the pages of files that are given back when asked for."""

    folder: str
    limit: str
    used: str
    files: tuple[str, str]


_V1 = _Version("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
_V2 = _Version("", "memory.max", "memory.current", ("inactive_file", "active_file"))


def free(proc: Path = PROC, groups: Path = GROUPS) -> Free | None:
    """What is free now: the least of what the machine and the control groups around this process grant.

    Swap does not count: training out of it would crawl. None where the system does not tell.
    """
    available = _numbers(proc / "meminfo").get("MemAvailable:")
    told = [] if available is None else [Free(available * 1024, "MemAvailable")]
    return min([*told, *_granted(proc, groups)], key=lambda found: found.bytes, default=None)


def held(pid: int, proc: Path = PROC) -> Held | None:
    """Resident memory of a process; None if it is gone, or where the system does not tell."""
    told = _numbers(proc / str(pid) / "status")
    now, peak = told.get("VmRSS:"), told.get("VmHWM:")
    return None if now is None or peak is None else Held(now * 1024, peak * 1024)


def readable(size: float) -> str:
    """Bytes as a person reads them: `42.5 MiB`."""
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"


def _granted(proc: Path, groups: Path) -> Iterator[Free]:
    """What is left below the limit of each control group that this process is in, of version 1 or 2.

    A container may not see the path by which the host knows its group; its own group is then the top one it sees.
    """
    for line in _lines(proc / "self" / "cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number != "0" and "memory" not in controllers.split(","):
            continue
        version = _V2 if number == "0" else _V1
        top = groups / version.folder
        below = [part for part in path.split("/") if part] if ".." not in path else []
        for depth in range(len(below) + 1):
            group = top.joinpath(*below[:depth])
            limit, used = (_lines(group / name) for name in (version.limit, version.used))
            if limit and used and limit[0].isdigit():  # version 2 says "max" where there is none
                stat = _numbers(group / "memory.stat")
                files = sum(stat.get(name, 0) for name in version.files)
                yield Free(max(0, int(limit[0]) - int(used[0]) + files), f"the limit in {group / version.limit}")


def _numbers(path: Path) -> dict[str, int]:
    """The first number after each word that begins a line; empty if there is no such file."""
    words = (line.split() for line in _lines(path))
    return {found[0]: int(found[1]) for found in words if len(found) > 1 and found[1].isdigit()}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
