"""The calls by which a record touches the disk, in one place so that tests can make each of them fail.

What is written to has one name and no other: no symbolic link is followed and no hard link accepted, so that another
person's run directory cannot make us write elsewhere. Nothing else in `wellposed.runs` opens a file.
"""

import errno
import os
import stat
from pathlib import Path


def create(path: Path) -> int:
    """A handle on a new, empty file; refused if anything of that name is there."""
    return open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def open_to_append(path: Path) -> int:
    """A handle on a file whose writes all go to its end; the file is created if it is missing."""
    return open_regular(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """A handle on a regular file, which is looked at before anything is done with it.

    To read, a link may be followed, since that changes nothing.

    Raises:
        OSError: also if it is not a regular file, or is to be written and is a link, symbolic or hard.
    """
    writing = flags & os.O_ACCMODE != os.O_RDONLY
    # Opening a pipe would wait for its other end.
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC | (os.O_NOFOLLOW if writing else 0), 0o644)
    found, reason = os.fstat(handle), ""
    if not stat.S_ISREG(found.st_mode):
        reason = "it is not a regular file"
    elif writing and found.st_nlink > 1:
        reason = "it is a hard link, and the file would change under its other name too; make a copy with `cp -r`"
    if reason:
        os.close(handle)
        raise OSError(errno.EINVAL, reason)
    return handle


def write(handle: int, content: bytes | memoryview) -> int:
    """Write once; returns how many bytes the system accepted, which may be fewer."""
    return os.write(handle, content)


def truncate(handle: int, size: int) -> None:
    """Cut a file to `size` bytes."""
    os.ftruncate(handle, size)


def sync(handle: int) -> None:
    """Return when the file's content would survive a loss of power."""
    os.fsync(handle)


def touch(handle: int) -> None:
    """Set the time of a file's last change to now, by the clock of its file system."""
    os.utime(handle)


def rename(old: Path, new: Path) -> None:
    """Atomically replace `new` by `old`."""
    os.replace(old, new)


def sync_folder(path: Path) -> None:
    """Return when the names in a folder would survive a loss of power."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Make a folder and those above it where they are missing; their names survive a loss of power."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    path.unlink(missing_ok=True)
