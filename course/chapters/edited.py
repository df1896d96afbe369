"""Detects records that were edited by hand or are damaged, and names file and line of the difference."""

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course.chapters.tables import Place
from wellposed.errors import UserError
from wellposed.runs.files import MAX_JSON_BYTES, read_bytes, read_json

TOLERANCE = 1e-9  # of numbers that were computed twice, possibly on two machines


def difference(found: Any, expected: Any) -> Place | None:
    """The first place at which JSON data differ from the expected data; additional keys are ignored."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return ()
        for key, value in expected.items():
            inner = difference(found[key], value) if key in found else ()
            if inner is not None:
                return (key, *inner)
        return None
    if isinstance(expected, list | tuple):
        if not isinstance(found, list) or len(found) != len(expected):
            return ()
        for i, (one, other) in enumerate(zip(found, expected, strict=True)):
            if (inner := difference(one, other)) is not None:
                return (i, *inner)
        return None
    return None if _same(found, expected) else ()


def _same(one: Any, other: Any) -> bool:
    """Whether two plain values are equal, numbers within TOLERANCE."""
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, int | float):
        return type(one) is type(other) and one == other
    return isinstance(other, int | float) and math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def line_of(file: Path, place: Place) -> str:
    """File and line of a value in a JSON file: `verdict.json, line 12`."""
    return f"{file}, line {json_line(read_bytes(file, MAX_JSON_BYTES).decode(), place)}"


def require_equal(file: Path, expected: Any, according_to: str) -> None:
    """Check that a JSON file has the expected values.

    Raises:
        UserError: naming the line and the key; `according_to` is part of the message.
    """
    place = difference(read_json(file), expected)
    if place is not None:
        name = ".".join(map(str, place)) or "the file"
        raise UserError(f"{line_of(file, place)}: {name} is not {according_to}. It was edited by hand or is damaged.")


def with_line(error: UserError) -> UserError:
    """The error with the line in the JSON file, if its message names a place or a key."""
    message = str(error)
    named = re.match(r"(.+?\.json)(?=: )", message)
    if named is None:
        return error
    file = Path(named[1])
    try:
        text = read_bytes(file, MAX_JSON_BYTES).decode()
        line = _line_in_message(message, text, read_json(file))
    except (UserError, UnicodeDecodeError):  # the file cannot be read
        return error
    return error if line is None else UserError(message.replace(named[1], f"{file}, line {line}", 1))


def _line_in_message(message: str, text: str, data: Any) -> int | None:
    """The line of a JSON text that a decoder's message refers to; None if it names no place."""
    named = re.search(r"at `\$([^`]*)`", message)  # the message has no place if it is the whole file
    path = re.findall(r"[^.\[\]]+|\.\.\.", named[1] if named else "")
    parts = [int(part) if part.isdecimal() else part for part in path]
    if value := re.search(r": (\w+) is .*, which ", message):  # a value that no record can have
        return json_line(text, (*parts, value[1]))
    if re.search(r"Expected `|missing required", message):
        found = [one for one in _places(data, parts) if _matches(_at(data, one), message)]
        return json_line(text, found[0]) if found else None
    if key := re.search(r"(?:unknown|missing) key (\w+)", message):
        return text[: text.index(f'"{key[1]}"')].count("\n") + 1 if f'"{key[1]}"' in text else None
    return None


def _places(data: Any, parts: list[str | int]) -> Iterator[Place]:
    """The places that match a decoder's path, in which `...` stands for any key of a table."""
    if not parts:
        yield ()
        return
    there = list(data) if isinstance(data, dict) else list(range(len(data))) if isinstance(data, list) else []
    keys: list[Any] = there if parts[0] == "..." else [key for key in there if key == parts[0]]
    for key in keys:
        for inner in _places(data[key], parts[1:]):
            yield (key, *inner)


def _at(data: Any, place: Place) -> Any:
    """The value at a place."""
    for key in place:
        data = data[key]
    return data


def _matches(value: Any, message: str) -> bool:
    """Whether a value can be the one that a decoder rejected: it has the type, or lacks the field, of the message."""
    if got := re.search(r"got `(\w+)`", message):
        return {dict: "object", list: "array", type(None): "null"}.get(type(value), type(value).__name__) == got[1]
    lacks = re.search(r"missing required field `(\w+)`", message)
    return lacks is None or (isinstance(value, dict) and lacks[1] not in value)


def json_line(text: str, place: Place) -> int:
    """The line of a value in a valid JSON text; if it does not exist, that of the innermost value around it."""
    at = _start(text, 0)
    for key in place:
        inner = _value_of(text, at, key)
        if inner is None:
            break
        at = inner
    return text.count("\n", 0, at) + 1


def _start(text: str, at: int) -> int:
    """The index of the next character that is not white space, comma or colon."""
    while at < len(text) and text[at] in " \t\r\n,:":
        at += 1
    return at


def _value_of(text: str, at: int, key: str | int) -> int | None:
    """The start of the value of a key or index in the object or list at `at`; None if there is none."""
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
