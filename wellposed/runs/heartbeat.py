"""Signs of life of the process that writes a run, for machines and containers that cannot see each other's locks.

The lock file of a run names its owner, process and host, with what tells whether that process still runs: the boot of
its machine, its namespace of process numbers, and when it started. The owner touches the file every `BEAT` seconds, so
the time of the file's last change, by the clock of the file system, is the last heartbeat.
"""

import os
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path

from wellposed.runs import disk

BEAT = 15.0  # seconds between two heartbeats
STALE = 120.0  # seconds after the last one from which on its owner counts as dead, where nothing better is known
LARGEST = 1024  # bytes of a lock file
FORM = re.compile(r"process (\d+) on (.*?)(?:, boot (\S+), namespace (\S*), start (\d+))?")


@dataclass(frozen=True)
class Heartbeat:
    """Who writes a run, and when it last gave a sign of life."""

    pid: int  # in its own namespace
    host: str
    boot: str  # of its machine's kernel; "" in locks of older versions
    namespace: str  # of process numbers: each container has its own; "" where the system has none
    start: int  # of the process, in clock ticks since the boot; 0 where the system does not say
    beat: float = 0.0  # seconds since 1970, by the clock of the file system

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    @property
    def text(self) -> str:
        """The content of the lock file."""
        return f"{self}, boot {self.boot}, namespace {self.namespace}, start {self.start}"

    def is_fresh(self, now: float) -> bool:
        """Whether the last sign of life is so recent that its owner may run. One far in the future is of no clock."""
        return abs(now - self.beat) < STALE


def heartbeat_of(run: Path) -> Heartbeat | None:
    """Whoever took the lock of a run last and did not release it; None if nobody, or its lock cannot be read."""
    try:
        handle = disk.open_regular(run / "lock")
    except OSError:
        return None
    try:
        return heartbeat_in(handle)
    finally:
        os.close(handle)


def heartbeat_in(handle: int) -> Heartbeat | None:
    """The heartbeat in an open lock file; None if it is empty or says something else."""
    found = FORM.fullmatch(os.pread(handle, LARGEST, 0).decode(errors="replace").strip())
    if found is None:
        return None
    pid, host, boot, namespace, start = found.groups(default="")
    return Heartbeat(int(pid), host, boot, namespace, int(start or 0), os.fstat(handle).st_mtime)


def own_heartbeat() -> Heartbeat:
    """That of this process."""
    pid = os.getpid()
    return Heartbeat(pid, socket.gethostname(), boot_id(), namespace_id(), start_of(pid) or 0)


def boot_id() -> str:
    """What tells this boot of this machine from every other; where the system has no such thing, the host's name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname().replace(" ", "-")


def namespace_id() -> str:
    """The namespace that gives this process its number."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def start_of(pid: int) -> int | None:
    """When a process of this machine started, as in `Heartbeat`; None if no such process runs."""
    if not os.path.exists("/proc/self/stat"):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):  # no system has a process of so large a number
            return None
        except PermissionError:
            return 0  # another person's
        return 0
    try:
        told = Path("/proc/self/stat" if pid == os.getpid() else f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *numbers = told.rpartition(")")[2].split()  # the name before it may hold anything
    return None if state in "ZX" else int(numbers[18])  # a zombie has ended


def time_in(folder: Path) -> float:
    """The time by the clock of the file system that a folder is on, which sets the time of a new file.

    Raises:
        OSError: if no file can be made there.
    """
    probe = folder / f".clock.{secrets.token_hex(4)}.part"
    handle = disk.create(probe)
    try:
        return os.fstat(handle).st_mtime
    finally:
        os.close(handle)
        disk.remove(probe)


def is_here(found: Heartbeat) -> bool:
    """Whether an owner's process number means something to this process."""
    return (found.boot, found.namespace) == (boot_id(), namespace_id())


def can_run(found: Heartbeat, now: float) -> bool:
    """Whether an owner may still run, where the system's lock says nothing.

    Here its process number and start decide, elsewhere its last sign of life.
    """
    return start_of(found.pid) == found.start if is_here(found) else found.is_fresh(now)
