"""Memory: what is free on this machine, what running trainings will still take, and whether new runs fit.

Only Linux reports it, in /proc and in control groups; elsewhere free memory is unknown and nothing is refused.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import getpid
from pathlib import Path
from typing import NamedTuple

from wellposed.budget import PROCESS, Demand
from wellposed.config import AnyRunConfig, RunConfig, stored_config
from wellposed.errors import UserError
from wellposed.runs import lock
from wellposed.runs.store import list_runs

PROC, GROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Free:
    """Memory that processes may still take."""

    bytes: int
    source: str  # what reports it


class Held(NamedTuple):
    """Resident memory of a process in bytes, including pages of library files."""

    now: int
    peak: int


class _Version(NamedTuple):
    """File names of a version of control groups, and of its reclaimable file pages."""

    folder: str
    limit: str
    used: str
    files: tuple[str, str]


_V1 = _Version("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
_V2 = _Version("", "memory.max", "memory.current", ("inactive_file", "active_file"))


def free(proc: Path = PROC, groups: Path = GROUPS) -> Free | None:
    """Free memory now: the least of what the machine and the control groups of this process allow.

    Swap does not count, because training would crawl. None where the system does not report it.
    """
    available = _numbers(proc / "meminfo").get("MemAvailable:")
    told = [] if available is None else [Free(available * 1024, "MemAvailable")]
    return min([*told, *_granted(proc, groups)], key=lambda found: found.bytes, default=None)


def held(pid: int, proc: Path = PROC) -> Held | None:
    """Resident memory of a process; None if it has ended, or where the system does not report it."""
    told = _numbers(proc / str(pid) / "status")
    now, peak = told.get("VmRSS:"), told.get("VmHWM:")
    return None if now is None or peak is None else Held(now * 1024, peak * 1024)


def held_by_children(pid: int, proc: Path = PROC) -> Held:
    """Resident memory of the processes that a process started, together."""
    told = [_numbers(path / "status") for path in proc.glob("[0-9]*")]
    own = [one for one in told if one.get("PPid:") == pid and "VmRSS:" in one]
    return Held(*(1024 * sum(one[name] for one in own) for name in ("VmRSS:", "VmHWM:")))


def readable(size: float) -> str:
    """Bytes as a person reads them: `42.5 MiB`."""
    return f"{size / 2**30:,.2f} GiB" if size >= 2**30 else f"{size / 2**20:,.1f} MiB"


def _granted(proc: Path, groups: Path) -> Iterator[Free]:
    """What the limit of each control group of this process leaves, version 1 or 2.

    A container may not see the host's path of its group; its own group is then the topmost one it sees.
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
            if limit and used and limit[0].isdigit():  # version 2 says "max" for no limit
                stat = _numbers(group / "memory.stat")
                files = sum(stat.get(name, 0) for name in version.files)
                yield Free(max(0, int(limit[0]) - int(used[0]) + files), f"the limit in {group / version.limit}")


def _numbers(path: Path) -> dict[str, int]:
    """The first word of each line and the number after it; empty if there is no such file."""
    words = (line.split() for line in _lines(path))
    return {found[0]: int(found[1]) for found in words if len(found) > 1 and found[1].isdigit()}


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []


@dataclass(frozen=True)
class UnderWay:
    """Another training process, and how much memory it will still take."""

    pid: int
    runs: list[str]
    growth: int | None  # bytes; None if unknown


def under_way(folders: Iterable[Path]) -> list[UnderWay]:
    """The other processes of this machine that hold the locks of runs below the directories."""
    found: defaultdict[int, list[Path]] = defaultdict(list)
    for reader in (reader for folder in folders for reader in list_runs(folder)):
        if reader.status == "running":
            pid = lock.owner(reader.path / "lock")
            if pid is not None and pid != getpid():
                found[pid].append(reader.path)
    return [UnderWay(pid, [str(path) for path in paths], _growth(pid, paths)) for pid, paths in found.items()]


def _growth(pid: int, paths: list[Path]) -> int | None:
    """Bytes from what a process holds now to its peak by arithmetic."""
    there = held(pid)
    try:
        planned = Demand(tuple(stored_config(path) for path in paths), len(paths)).peak
    except UserError:  # damaged, or of another version, but running all the same
        return None
    return None if there is None else max(0, planned - there.now)


@dataclass(frozen=True)
class Room:
    """Free memory, and the other processes that will still take some of it."""

    free: Free
    others: list[UnderWay]
    own: int  # bytes that this process already holds of what a training process holds

    @property
    def bytes(self) -> int:
        """What this process may hold at its peak."""
        return max(0, self.free.bytes - self.taken) + self.own

    @property
    def taken(self) -> int:
        """What the others will still take, as far as known."""
        return sum(other.growth or 0 for other in self.others)

    def describe(self) -> str:
        """`3.20 GiB are free (MemAvailable), of which 1 other run under way will still take 0.50 GiB`."""
        said, n = f"{readable(self.free.bytes)} are free ({self.free.source})", sum(len(o.runs) for o in self.others)
        runs = "1 other run" if n == 1 else f"{n} other runs"
        return f"{said}, of which {runs} under way will still take {readable(self.taken)}" if n else said


def find_room(folders: Iterable[Path]) -> Room | None:
    """The room for a training process; None where the system does not report free memory.

    Of what this process already holds, at most the share of a training process counts: the rest is the user's data.
    """
    available, own = free(), held(getpid())
    if available is None or own is None:
        return None
    return Room(available, under_way(folders), min(own.now, PROCESS))


def refusal(asked: Demand, room: Room) -> str:
    """Why these runs are refused, and what to change."""
    who = "The run does" if asked.together == 1 else f"{asked.together} runs side by side do"
    why = f"{readable(asked.peak)} at the peak; {room.describe()}"
    if asked.peak <= room.bytes and (size := asked.refused) is not None:
        why = f"the system does not grant a replay of {readable(size)}"
    capacity = asked.largest_capacity(room.bytes)
    if capacity is not None:
        return f"{who} not fit into memory: {why}. The largest replay that does is --replay.capacity {capacity}."
    fewer = "" if asked.together == 1 else ", choose fewer --threads"
    advice = f"End other programs{fewer}, or take a machine with more memory."
    smaller = "No smaller replay would. " if any(isinstance(config, RunConfig) for config in asked.runs) else ""
    return f"{who} not fit into memory: {why}. {smaller}{advice}"


def require_fit(runs: Sequence[AnyRunConfig], threads: int, folders: Iterable[Path]) -> None:
    """Refuse runs that do not fit into memory now, before any of them starts.

    Raises:
        UserError: with the largest replay that fits.
    """
    asked = Demand(tuple(runs), threads)
    if runs and (room := find_room(folders)) is not None and not asked.fits(room.bytes):
        raise UserError(refusal(asked, room))
