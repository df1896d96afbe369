"""Files that are written whole or not at all, and read with suspicion."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wellposed.errors import UserError

MAX_JSON_BYTES = 64 * 2**20  # nothing we write comes near; a larger file is not ours


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn an operating system's refusal (disk full, no permission) into a sentence about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"Could not {doing} {path}: {reason}. What was recorded before is intact; make room or choose another "
            "place, and run again."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path` so that at any moment the file is the old one or the new one, never a part.

    Raises:
        UserError: if the operating system refuses; nothing half-written stays behind.
    """
    part = path.with_name(f".{path.name}.part")
    with explained(path, "write"):
        try:
            with open(part, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Write JSON data whole; NaN and infinity are refused, JSON has none."""
    write_whole(path, (json.dumps(data, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: if it is missing, unreadable, larger than anything we write, or not JSON.
    """
    return parse_json(read_bytes(path, MAX_JSON_BYTES), str(path))


def read_bytes(path: Path, limit: int) -> bytes:
    """A file's content, if it is at most `limit` bytes."""
    try:
        if path.stat().st_size > limit:
            raise UserError(f"{path} is larger than {limit} bytes, so it is no file of a run record.")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror or error}.") from error


def parse_json(raw: bytes, where: str) -> Any:
    """Parse JSON text; a broken one gets a sentence that names `where`."""
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not valid JSON ({error}); it is half-written or was edited by hand.") from error


class JsonLines:
    """An append-only file of JSON rows, readable while it grows.

    Each row is written with one call and ends with a newline, so a reader sees whole rows and at most one
    torn one at the very end, which `read_lines` leaves out.
    """

    def __init__(self, path: Path):
        self.path = path
        with explained(path, "open"):
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115  (open as long as the run)

    def append(self, row: dict[str, Any]) -> None:
        """Add one row. Raises UserError if the disk refuses it; the file then ends with the last whole row."""
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        with explained(self.path, "append to"):
            end = self._file.seek(0, os.SEEK_END)
            try:
                if self._file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, "only a part of the row was taken")
            except OSError:
                self._file.truncate(end)
                raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_lines(path: Path) -> list[Any]:
    """All whole rows of an append-only file; a torn last one (the writer died) is left out.

    Raises:
        UserError: if a whole row is not JSON: then somebody else wrote it.
    """
    lines = read_bytes(path, 2**30).split(b"\n")
    return [parse_json(line, f"{path}, line {i}") for i, line in enumerate(lines[:-1], 1)]
