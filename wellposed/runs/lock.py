"""One process writes a run. The lock names its owner, and the system releases it when that process ends."""

import fcntl
import os
import re
import socket
import time
from pathlib import Path

from wellposed.errors import UserError
from wellposed.runs import disk
from wellposed.runs.files import explained, read_bytes

LARGEST = 4096  # bytes
PATIENCE = 0.5  # seconds; `is_held` takes the lock for microseconds


def acquire(path: Path) -> int:
    """Take a lock file; closing the returned handle releases it.

    Raises UserError, naming process and host, if another process or another run of this one holds it.
    """
    with explained(path, "lock"):
        handle = disk.open_to_append(path)
    deadline = time.monotonic() + PATIENCE
    while not _try(handle, fcntl.LOCK_EX):
        if time.monotonic() > deadline:
            owner = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise UserError(
                f"{path.parent} is being written by {owner}. Wait for it to end, or choose another --runs-dir."
            )
        time.sleep(0.01)
    try:
        with explained(path, "lock"):
            disk.truncate(handle, 0)
            disk.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
    except BaseException:
        os.close(handle)
        raise
    return handle


def require_mine(handle: int, path: Path) -> None:
    """Check that a lock that was acquired is still the file of that name.

    Raises:
        UserError: if it was removed or replaced, for then another process may have taken the new one.
    """
    mine, there = os.fstat(handle), path.stat(follow_symlinks=False) if os.path.lexists(path) else None
    if there is None or (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
        raise UserError(
            f"{path} was removed or replaced while this process wrote {path.parent}. Another process may be writing "
            "there; this one stops, and what it saved before is whole. `wellposed resume` goes on once nobody writes."
        )


def is_held(path: Path) -> bool:
    """Whether a running process holds the lock. It is taken for a moment, shared with other readers."""
    try:
        handle = disk.open_regular(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror or error}.") from error
    try:
        return not _try(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)


def owner(path: Path) -> int | None:
    """The process on this machine that took the lock last; None if it is on another machine or not named."""
    try:
        found = re.fullmatch(r"process (\d+) on (.*)", read_bytes(path, LARGEST).decode(errors="replace"))
    except UserError:
        return None
    return int(found[1]) if found and found[2] == socket.gethostname() else None


def _try(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
