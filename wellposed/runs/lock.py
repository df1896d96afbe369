"""One process writes a run. The lock names its owner, and the system releases it when that process ends.

On this machine that is exact. On a network file system another machine may not see the lock, or nobody may; there the
owner's heartbeat decides (`heartbeat`).
"""

import errno
import fcntl
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from wellposed.errors import UserError
from wellposed.runs import disk, heartbeat
from wellposed.runs.files import explained
from wellposed.runs.heartbeat import Heartbeat, heartbeat_in, heartbeat_of

PATIENCE = 0.5  # seconds; `is_held` takes the lock for microseconds
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EBADF)  # what file systems without them answer


@dataclass(frozen=True)
class Lock:
    """A lock file that this process holds, and touches now and then, until `release`."""

    path: Path
    handle: int
    owner: Heartbeat
    released: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    def keep_alive(self) -> None:
        """Begin to give signs of life."""

        def beat() -> None:
            while not self.released.wait(heartbeat.BEAT):
                self.touch()

        self.threads.append(threading.Thread(target=beat, name="heartbeat", daemon=True))
        self.threads[-1].start()

    def touch(self) -> None:
        """Give a sign of life. That it fails harms nobody now: what is saved next finds out."""
        with suppress(OSError):
            disk.touch(self.handle)

    def require_mine(self) -> None:
        """Check that this is still the file of that name, and names this process; and give a sign of life.

        Raises:
            UserError: if it was removed, replaced or taken by another process, which may be writing now.
        """
        mine, path = os.fstat(self.handle), self.path
        there = path.stat(follow_symlinks=False) if os.path.lexists(path) else None
        reason = ""
        if there is None or (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            reason = "was removed or replaced"
        elif (found := heartbeat_of(path.parent)) is None or found.text != self.owner.text:
            reason = f"was taken by {found or 'somebody'}"
        if reason:
            raise UserError(
                f"{path} {reason} while {self.owner} wrote {path.parent}. Another process may be writing there; this "
                "one stops, and what it saved before is whole. `wellposed resume` goes on once nobody writes."
            )
        self.touch()

    def release(self) -> None:
        """Let others have it; an empty lock file tells other machines so."""
        self.released.set()
        for thread in self.threads:
            thread.join()
        try:
            with suppress(OSError):
                if (found := heartbeat_in(self.handle)) and found.text == self.owner.text:
                    disk.truncate(self.handle, 0)
        finally:
            os.close(self.handle)


def acquire(path: Path) -> Lock:
    """Take a lock file.

    Raises UserError, naming process and host, if another process or another run of this one holds it.
    """
    with explained(path, "lock"):
        handle = disk.open_to_append(path)
    try:
        with explained(path, "lock"):
            _take(path, handle)
            owner = heartbeat.own_heartbeat()
            disk.truncate(handle, 0)
            disk.write(handle, owner.text.encode())
    except BaseException:
        os.close(handle)
        raise
    return Lock(path, handle, owner)


def is_held(path: Path) -> bool:
    """Whether a running process holds the lock. It is taken for a moment, shared with other readers."""
    try:
        handle = disk.open_regular(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror or error}.") from error
    try:
        if not _try(handle, fcntl.LOCK_SH):
            return True
        named = _named_without_lock(path, handle)
        return named is not None and heartbeat.can_run(named, time.time())
    finally:
        os.close(handle)


def owner(path: Path) -> int | None:
    """The process on this machine that took the lock last; None if it is elsewhere or not named."""
    found = heartbeat_of(path.parent)
    return found.pid if found and heartbeat.is_here(found) else None


def _take(path: Path, handle: int) -> None:
    """Take the system's lock, unless the owner that the file names may run all the same; raises UserError then."""
    deadline = time.monotonic() + PATIENCE
    while not _try(handle, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            raise UserError(_being_written(path, heartbeat_in(handle)))
        time.sleep(0.01)
    if (named := _named_without_lock(path, handle)) is None:
        return
    if heartbeat.can_run(named, now := heartbeat.time_in(path.parent)):
        raise UserError(_being_written(path, named, now))


def _being_written(path: Path, owner: Heartbeat | None, now: float | None = None) -> str:
    """What is said when a run has an owner; with the time `now` where only its last sign of life is known."""
    told = f"{path.parent} is being written by {owner or 'another process'}"
    if owner is None or now is None or heartbeat.is_here(owner):
        return f"{told}. Wait for it to end, or choose another --runs-dir."
    ago, rest = max(0.0, now - owner.beat), owner.beat + heartbeat.STALE - now
    return (
        f"{told}, which gave a sign of life {ago:.0f} s ago. Its lock cannot be seen from here: look on {owner.host} "
        f"whether it still runs. If it does not, try again in {rest:.0f} s, or remove {path}."
    )


def _named_without_lock(path: Path, handle: int) -> Heartbeat | None:
    """The owner that a lock file names, if it may hold the file without this system seeing it.

    `handle` has the lock, shared or alone. What older versions wrote says too little to doubt the system.
    """
    found = heartbeat_in(handle)
    if found is None or not found.boot or (found.boot == heartbeat.boot_id() and _excludes(path)):
        return None
    return found


def _excludes(path: Path) -> bool:
    """Whether a second lock is refused on a file that this process has locked. Where it is not, locks mean nothing."""
    handle = disk.open_regular(path)
    try:
        return not _try(handle, fcntl.LOCK_EX)
    finally:
        os.close(handle)


def _try(handle: int, kind: int) -> bool:
    """Take the system's lock if nobody else has it; also where there are none, or not for a file opened to read."""
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return True
