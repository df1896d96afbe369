"""Reads TOML tables strictly into dataclasses; every mistake is a UserError that names file, line and key."""

import tomllib
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from wellposed.errors import UserError, instead
from wellposed.runs.files import read_toml
from wellposed.serialise import convert

T = TypeVar("T")
Place = tuple[str | int, ...]  # keys and indices of lists, from the outermost inwards


@dataclass(frozen=True)
class Source:
    """A parsed TOML file, with the line of each key."""

    path: Path
    data: dict[str, Any]
    lines: dict[Place, int]

    def error(self, place: Place, sentence: object) -> UserError:
        """The error for a mistake at a place: `chapter.toml, line 12 (criteria 2, metric): There is no ...`."""
        at = place
        while at and at not in self.lines:
            at = at[:-1]
        line = f", line {self.lines[at]}" if at else ""
        key = ", ".join(_counted(place))
        return UserError(f"{self.path}{line}{f' ({key})' if key else ''}: {sentence}")


def _counted(place: Place) -> Iterable[str]:
    """The keys of a place as text; elements of lists are counted from one."""
    for key, after in zip_longest(place, place[1:]):
        if isinstance(key, str):
            yield f"{key} {after + 1}" if isinstance(after, int) else key


def read_source(path: Path) -> Source:
    """Read a TOML file.

    Raises:
        UserError: if it cannot be read, or is not TOML, naming line and column.
    """
    text, data = read_toml(path)
    return Source(path, data, toml_lines(text))


def read_table(kind: type[T], data: Any, place: Place, source: Source) -> T:
    """A dataclass from the table at a place; fields with a default are optional, other keys are an error.

    Raises:
        UserError: naming file, line and key.
    """
    if not isinstance(data, dict):
        raise source.error(place, f"This must be a table, not {data!r}.")
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    for key in data:
        if key not in names:
            raise source.error((*place, key), f"There is no key {key!r} here{instead(key, names)}")
    for field in fields(kind):  # type: ignore[arg-type]
        if field.name not in data and field.default is MISSING and field.default_factory is MISSING:
            raise source.error(place, f"The key {field.name} is missing.")
    types, values = get_type_hints(kind), {}
    for key, value in data.items():
        try:
            values[key] = convert(types[key], value)
        except ValueError as error:
            raise source.error((*place, key), f"{value!r} does not fit. {error}.") from error
    try:
        return kind(**values)
    except (ValueError, UserError) as error:
        raise source.error(place, error) from error


def toml_lines(text: str) -> dict[Place, int]:
    """The line of every key of a valid TOML text, from 1; tables of an array have an index."""
    found: dict[Place, int] = {}
    arrays: dict[Place, int] = {}  # how many tables each array of tables has so far
    table: Place = ()
    statement, first = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        first = first if statement else number
        statement += line + "\n"
        try:
            data = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:  # it continues on the next line
            continue
        if statement.lstrip().startswith("["):
            table = _inside(_only_keys(data), arrays, new=statement.lstrip().startswith("[["))
            found.setdefault(table, first)
            data = {}
        _note(data, table, first, found)
        statement = ""
    return found


def _only_keys(data: Any) -> Place:
    """The keys of a table header, one per level."""
    if isinstance(data, list):
        (data,) = data
    if not data:
        return ()
    ((key, inner),) = data.items()
    return (key, *_only_keys(inner))


def _inside(keys: Place, arrays: dict[Place, int], new: bool) -> Place:
    """The place of a table; within an array of tables it is the last one or, if `new`, the next one."""
    place: Place = ()
    for depth, key in enumerate(keys, 1):
        place = (*place, key)
        if new and depth == len(keys):
            arrays[place] = arrays[place] + 1 if place in arrays else 1
        if place in arrays:
            place = (*place, arrays[place] - 1)
    return place


def _note(data: Any, place: Place, line: int, found: dict[Place, int]) -> None:
    """Note the line of every key of a statement, including inline tables."""
    if place:
        found.setdefault(place, line)
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        _note(value, (*place, key), line, found)
