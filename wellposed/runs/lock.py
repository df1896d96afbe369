"""One process writes a run. The lock names its owner, and the system releases it when that process ends."""

import fcntl
import os
import re
import socket
import time
from pathlib import Path

from wellposed.errors import UserError
from wellposed.runs import disk
from wellposed.runs.files import explained

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


def is_held(path: Path) -> bool:
    """Whether a running process holds the lock. It is taken for a moment, shared with other readers."""
    try:
        handle = os.open(path, os.O_RDONLY)
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
        found = re.fullmatch(r"process (\d+) on (.*)", path.read_text(errors="replace"))
    except OSError:
        return None
    return int(found[1]) if found and found[2] == socket.gethostname() else None


def _try(handle: int, kind: int) -> bool:
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
