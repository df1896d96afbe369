"""Whether runs fit beside all else that this machine does now; those that do not are refused before they start."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import getpid
from pathlib import Path

from wellposed.config import AnyRunConfig, RunConfig, stored_config
from wellposed.errors import UserError
from wellposed.planning import memory
from wellposed.planning.budget import PROCESS, Demand
from wellposed.planning.memory import readable
from wellposed.runs import lock
from wellposed.runs.store import list_runs


@dataclass(frozen=True)
class UnderWay:
    """Another process that trains, and how much memory it will still take."""

    pid: int
    runs: list[str]
    growth: int | None  # bytes; None if that cannot be known


def under_way(folders: Iterable[Path]) -> list[UnderWay]:
    """The other processes of this machine that hold locks of runs below the directories."""
    found: defaultdict[int, list[Path]] = defaultdict(list)
    for reader in (reader for folder in folders for reader in list_runs(folder)):
        if reader.status == "running":
            pid = lock.owner(reader.path / "lock")
            if pid is not None and pid != getpid():
                found[pid].append(reader.path)
    return [UnderWay(pid, [str(path) for path in paths], _growth(pid, paths)) for pid, paths in found.items()]


def _growth(pid: int, paths: list[Path]) -> int | None:
    """Bytes between what a process holds now and its peak by arithmetic."""
    there = memory.held(pid)
    try:
        planned = Demand(tuple(stored_config(path) for path in paths), len(paths)).peak
    except UserError:  # damaged, or of another version: its lock is held all the same
        return None
    return None if there is None else max(0, planned - there.now)


@dataclass(frozen=True)
class Room:
    """What is free, and the others that will take of it."""

    free: memory.Free
    others: list[UnderWay]
    own: int  # bytes that this process holds already of what one that trains holds

    @property
    def bytes(self) -> int:
        """What this process may come to hold."""
        return max(0, self.free.bytes - self.taken) + self.own

    @property
    def taken(self) -> int:
        """What the others will still take, as far as it is known."""
        return sum(other.growth or 0 for other in self.others)

    def describe(self) -> str:
        """`3.20 GiB are free (MemAvailable), of which 1 other run under way will still take 0.50 GiB`."""
        said, n = f"{readable(self.free.bytes)} are free ({self.free.source})", sum(len(o.runs) for o in self.others)
        runs = "1 other run" if n == 1 else f"{n} other runs"
        return f"{said}, of which {runs} under way will still take {readable(self.taken)}" if n else said


def find_room(folders: Iterable[Path]) -> Room | None:
    """The room for a process that trains; None where the system does not tell what is free.

    Of what this process holds, no more counts than one that only trains would hold: the rest is somebody's data.
    """
    free, own = memory.free(), memory.held(getpid())
    if free is None or own is None:
        return None
    return Room(free, under_way(folders), min(own.now, PROCESS))


def refusal(asked: Demand, room: Room) -> str:
    """Why these runs are not begun, and what to change."""
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
    """Refuse runs that this machine's memory does not hold now, before any of them is begun.

    Raises:
        UserError: with the largest replay that fits.
    """
    asked = Demand(tuple(runs), threads)
    if runs and (room := find_room(folders)) is not None and not asked.fits(room.bytes):
        raise UserError(refusal(asked, room))
