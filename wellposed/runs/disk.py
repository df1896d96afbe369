"""The calls by which a record changes the disk, in one place so that tests can make each of them fail.

They follow no link: another person's run directory must not make us write elsewhere. Nothing else in `wellposed.runs`
opens a file for writing.
"""

import os
from pathlib import Path


def create(path: Path) -> int:
    """A handle on a new, empty file."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)


def open_to_append(path: Path) -> int:
    """A handle on a file whose writes all go to its end; the file is created if it is missing."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)


def write(handle: int, content: bytes | memoryview) -> int:
    """Write once; returns how many bytes the system accepted, which may be fewer."""
    return os.write(handle, content)


def truncate(handle: int, size: int) -> None:
    """Cut a file to `size` bytes."""
    os.ftruncate(handle, size)


def sync(handle: int) -> None:
    """Return when the file's content would survive a loss of power."""
    os.fsync(handle)


def rename(old: Path, new: Path) -> None:
    """Atomically replace `new` by `old`."""
    os.replace(old, new)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing."""
    path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    path.unlink(missing_ok=True)
