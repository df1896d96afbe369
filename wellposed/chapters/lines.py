"""Where in a text a key stands, so that a mistake in TOML or JSON is named with its line."""

import json
import tomllib
from typing import Any

Place = tuple[str | int, ...]  # keys, and indices of lists, from the outermost inwards


def toml_lines(text: str) -> dict[Place, int]:
    """The line of every key of a TOML text that is sound, counted from 1; the last table of an array has its index."""
    found: dict[Place, int] = {}
    arrays: dict[Place, int] = {}  # how many tables each array of tables has so far
    table: Place = ()
    statement, first = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        first = first if statement else number
        statement += line + "\n"
        try:
            data = tomllib.loads(statement)
        except tomllib.TOMLDecodeError:  # it goes on in the next line
            continue
        if statement.lstrip().startswith("["):
            table = _inside(_only_keys(data), arrays, new=statement.lstrip().startswith("[["))
            found.setdefault(table, first)
            data = {}
        _note(data, table, first, found)
        statement = ""
    return found


def _only_keys(data: Any) -> Place:
    """The keys of a header, which has one at each level."""
    if isinstance(data, list):
        (data,) = data
    if not data:
        return ()
    ((key, inner),) = data.items()
    return (key, *_only_keys(inner))


def _inside(keys: Place, arrays: dict[Place, int], new: bool) -> Place:
    """The place of a table; below an array of tables that is in its last one, or, if `new`, in one more."""
    place: Place = ()
    for depth, key in enumerate(keys, 1):
        place = (*place, key)
        if new and depth == len(keys):
            arrays[place] = arrays[place] + 1 if place in arrays else 1
        if place in arrays:
            place = (*place, arrays[place] - 1)
    return place


def _note(data: Any, place: Place, line: int, found: dict[Place, int]) -> None:
    """Every key of one statement, those of inline tables too."""
    if place:
        found.setdefault(place, line)
    pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in pairs:
        _note(value, (*place, key), line, found)


def json_line(text: str, place: Place) -> int:
    """The line of a value in a JSON text that is sound, or of the innermost that is there of those around it."""
    at = _start(text, 0)
    for key in place:
        inner = _value_of(text, at, key)
        if inner is None:
            break
        at = inner
    return text.count("\n", 0, at) + 1


def _start(text: str, at: int) -> int:
    """The next character that is no white space, comma or colon."""
    while at < len(text) and text[at] in " \t\r\n,:":
        at += 1
    return at


def _value_of(text: str, at: int, key: str | int) -> int | None:
    """Where the value of a key, or the element of an index, begins within the object or list at `at`."""
    opening, decoder = text[at], json.JSONDecoder()
    if opening not in "{[" or (opening == "[") != isinstance(key, int):
        return None
    at, index = _start(text, at + 1), 0
    while text[at] not in "}]":
        name: str | int = index
        if opening == "{":
            name, at = decoder.raw_decode(text, at)
            at = _start(text, at)
        if name == key:
            return at
        _, at = decoder.raw_decode(text, at)
        at, index = _start(text, at), index + 1
    return None
