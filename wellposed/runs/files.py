"""Files that are written whole or not at all, and checked when they are read."""

import codecs
import errno
import json
import math
import os
import re
import secrets
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from wellposed.errors import UserError
from wellposed.runs import disk

MAX_JSON_BYTES = 64 * 2**20  # far more than any file of ours
MAX_LINES_BYTES = 2**30
MAX_TOML_BYTES = 2**18  # of a person who writes by hand
TAIL_BYTES = 4096  # a little more than the longest row of an evaluation
PART = re.compile(r"\..+\.[0-9a-f]{8}\.part")  # a file that is being written, see `write_whole`
DIGITS = 300  # of a whole number; a float has up to 308
LONG = re.compile(rb"\d{%d}" % DIGITS)
KEY = re.compile(rb'"\s*:')  # every key of JSON text ends so, and now and then a string has it inside


class UnreadableError(UserError):
    """A file could not be read, which says nothing about what it holds."""


@contextmanager
def explained(path: Path, doing: str) -> Iterator[None]:
    """Turn an operating system's error (disk full, no permission) into a sentence about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(
            f"Could not {doing} {path}: {reason}. What was recorded before is intact. Make room or choose another "
            "directory, and run again; `wellposed resume RUN` resumes a run."
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`; at any moment the file is the old or the new one, never a part of one.

    When it returns, the new one survives a loss of power. Raises UserError if the operating system refuses; then
    nothing incomplete is left behind.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")  # another writer has a part of its own
    with explained(path, "write"):
        try:
            handle = disk.create(part)
            try:
                _write_all(handle, content)
                disk.sync(handle)
            finally:
                os.close(handle)
            disk.rename(part, path)
            disk.sync_folder(path.parent)
        except OSError:
            with suppress(OSError):  # report the first error, not this one
                disk.remove(part)
            raise


def folder_in(root: Path, *names: str) -> Path:
    """A folder below `root`, made where it is missing, and `root` too, which may be a link.

    Raises:
        UserError: if a folder below it is a link, so that somebody else's folder would make us write elsewhere, or if
            the operating system refuses.
    """
    path = root
    for name in ("", *names):
        path = path / name
        if name and path.is_symlink():
            raise UserError(f"{path} is a link: what is written there would be elsewhere. Put a folder there.")
        with explained(path, "make"):
            disk.make_folder(path)
    return path


def encoded(text: str) -> bytes:
    """Text as UTF-8; half a character, which names and JSON can hold, is spelt out as on the terminal."""
    return text.encode(errors="backslashreplace")


def remove_parts(folder: Path) -> None:
    """Remove what writers that died left behind in a folder."""
    for path in folder.iterdir():
        if PART.fullmatch(path.name):
            disk.remove(path)


def write_new(path: Path, text: str) -> None:
    """Write a file that is not there yet. Raises UserError if it is, or if the operating system refuses."""
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{path} exists already and is not overwritten. Choose another name.") from error
    except (OSError, ValueError) as error:
        raise UserError(f"Could not write {path}: {getattr(error, 'strerror', None) or error}.") from error


def write_json(path: Path, data: Any) -> None:
    """Write JSON data whole; raises ValueError at NaN and infinity."""
    write_whole(path, (format_json(data) + "\n").encode())


def format_json(data: Any) -> str:
    """Indented JSON text; raises ValueError at NaN and infinity."""
    try:
        return msgspec.json.format(json.dumps(data, allow_nan=False), indent=2)  # json.dumps with indent is slow
    except msgspec.DecodeError:  # a name that is not UTF-8
        return json.dumps(data, allow_nan=False, indent=2)


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises UserError if it is missing, unreadable, too large or not JSON."""
    return parse_json(read_bytes(path, MAX_JSON_BYTES), str(path))


def read_bytes(path: Path, limit: int) -> bytes:
    """A file's content, if it is a plain file of at most `limit` bytes."""
    with _plain_file(path, limit) as (handle, size):
        return _read_at(handle, 0, size)


@contextmanager
def _plain_file(path: Path, limit: int) -> Iterator[tuple[int, int]]:
    """A handle on a regular file of at most `limit` bytes, and its size at this moment."""
    handle = -1
    try:
        handle = disk.open_regular(path)
        if (size := os.fstat(handle).st_size) > limit:
            raise UserError(f"{path} is larger than {limit} bytes, which is more than it should hold.")
        yield handle, size
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a name that no file can have
        raise UserError(f"Could not read {path}: there is no such file.") from error
    except OSError as error:
        raise UnreadableError(f"Could not read {path}: {error.strerror or error}.") from error
    finally:
        if handle >= 0:
            os.close(handle)


def _read_at(handle: int, begin: int, size: int) -> bytes:
    """`size` bytes from `begin` on, fewer only at the end of the file."""
    chunks, rest = [], size
    while rest and (chunk := os.pread(handle, rest, begin + size - rest)):  # the system gives at most 2 GiB at a time
        chunks.append(chunk)
        rest -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def ends_with_row(path: Path, size: int) -> bool:
    """Whether the first `size` bytes of an append-only file are there and are whole rows."""
    if not size:
        return True
    with _plain_file(path, MAX_LINES_BYTES) as (handle, found):
        return found >= size and os.pread(handle, 1, size - 1) == b"\n"


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """A TOML file as text and as data. Raises UserError if it is missing, unreadable, too large or not TOML."""
    raw = read_bytes(path, MAX_TOML_BYTES)
    try:
        text = raw.decode()
        data = tomllib.loads(text, parse_float=_finite)
        json.loads(json.dumps(data), parse_int=_whole)
    except (ValueError, RecursionError) as error:  # of UTF-8, and of TOML
        raise UserError(f"{path} is not valid TOML: {error}.") from error
    except TypeError as error:
        raise UserError(f"{path} holds a date or a time, which is no value of a setting.") from error
    return text, data


def parse_json(raw: bytes, where: str) -> Any:
    """Parse JSON text; raises UserError, naming `where`, if it is not valid or an object has a key twice."""
    with suppress(msgspec.DecodeError, ValueError, RecursionError):
        value = msgspec.json.decode(raw)  # three times as fast as json.loads, which explains errors better
        # A key in the text that is not in the value came twice; a number may be too long.
        if _count_keys(value) == len(KEY.findall(raw)) and not LONG.search(raw):
            return value
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode()  # `json.loads` would also take UTF-16 and UTF-32
        return json.loads(
            text, object_pairs_hook=_distinct, parse_constant=_finite, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where} is not valid JSON ({error}); it is incomplete or was edited by hand.") from error


def _count_keys(value: Any) -> int:
    """The number of keys of all objects in a value."""
    if isinstance(value, dict):
        return len(value) + sum(map(_count_keys, value.values()))
    return sum(map(_count_keys, value)) if isinstance(value, list) else 0


def _finite(text: str) -> float:
    """The number of a text. Raises ValueError for NaN and infinity, which no setting and no record is."""
    if not math.isfinite(number := float(text.replace("_", ""))):
        raise ValueError(f"{text} is no finite number")
    return number


def _whole(text: str) -> int:
    """The whole number of a text. Raises ValueError if it is beyond every float, so that nothing computes with it."""
    if len(text) > DIGITS:
        raise ValueError(f"{text[:10]}... has {len(text)} digits, and no number has so many")
    return int(text)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, whose keys must differ."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key comes twice among {', '.join(name for name, _ in pairs)[:80]}")
    return found


class JsonLines:
    """An append-only file of JSON rows, readable while it grows.

    Each row is written with one call and ends with a newline, so a reader sees whole rows and at most one incomplete
    row at the end, which `read_lines` leaves out.
    """

    def __init__(self, path: Path, keep: int = 0):
        """Open the file, of which `shorten` then leaves the first `keep` bytes: what a resumed run had durably written.

        The caller has checked that it has so many. Raises UserError if the operating system refuses.
        """
        self.path, self.size = path, keep
        self.cut = 0  # rows that were cut off, an incomplete one included
        with explained(path, "open"):
            self._handle = disk.open_to_append(path)

    def shorten(self) -> None:
        """Cut off what comes after the bytes to keep. Raises UserError if the operating system refuses."""
        with explained(self.path, "cut"):
            if (found := os.fstat(self._handle).st_size) > self.size:
                self.cut = os.pread(self._handle, found - self.size, self.size).rstrip(b"\n").count(b"\n") + 1
                disk.truncate(self._handle, self.size)

    def append(self, row: dict[str, Any]) -> None:
        """Add one row. Raises UserError if the disk refuses it; the file then ends with the last whole row."""
        line = (json.dumps(row, allow_nan=False) + "\n").encode()
        with explained(self.path, "append to"):
            try:
                _write_all(self._handle, line)
            except OSError:
                with suppress(OSError):  # readers ignore an incomplete row
                    disk.truncate(self._handle, self.size)
                raise
        self.size += len(line)

    def sync(self) -> None:
        """Return when all rows would survive a loss of power. Raises UserError if another process wrote rows, too."""
        with explained(self.path, "write"):
            if (found := os.fstat(self._handle).st_size) != self.size:
                raise UserError(
                    f"{self.path} has {found} bytes where this process wrote {self.size}: another one writes there, "
                    "too. This one stops; what it saved before is whole."
                )
            disk.sync(self._handle)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


def append_rows(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Add rows at the end of an append-only file, made if it is missing; then they survive a loss of power.

    Raises UserError if the operating system refuses.
    """
    whole = read_bytes(path, MAX_LINES_BYTES).rfind(b"\n") + 1 if path.exists() else 0
    lines = JsonLines(path, keep=whole)
    try:
        lines.shorten()  # by a row that a process which died wrote in part
        for row in rows:
            lines.append(row)
        lines.sync()
    finally:
        lines.close()


def read_lines(path: Path, size: int | None = None) -> list[Any]:
    """All whole rows of an append-only file, or of its first `size` bytes. Raises UserError if one is not JSON."""
    lines = read_bytes(path, MAX_LINES_BYTES)[:size].split(b"\n")
    return [parse_json(line, f"{path}, line {i}") for i, line in enumerate(lines[:-1], 1)]


def read_last_line(path: Path) -> Any:
    """The last whole row of an append-only file, None if there is none. Raises UserError if it is not JSON."""
    with _plain_file(path, MAX_LINES_BYTES) as (handle, size):
        length = TAIL_BYTES
        while True:
            tail = _read_at(handle, max(0, size - length), min(size, length))
            *lines, _ = tail.split(b"\n")
            if len(lines) > 1 or length >= size:  # the first may lack its beginning
                break
            length *= 8
    return parse_json(lines[-1], f"{path}, the last line") if lines else None


def _write_all(handle: int, content: bytes) -> None:
    """Write all of it; raises OSError if the system accepts nothing more."""
    rest = memoryview(content)
    while rest:
        if not (taken := disk.write(handle, rest)):
            raise OSError(errno.ENOSPC, "only a part was written")
        rest = rest[taken:]
