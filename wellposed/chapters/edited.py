"""Records that were edited by hand or are damaged: where they differ from what they should hold, by file and line."""

import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from wellposed.chapters.lines import Place, json_line
from wellposed.errors import UserError
from wellposed.runs.files import MAX_JSON_BYTES, read_bytes, read_json

TOLERANCE = 1e-9  # of numbers that were computed twice, perhaps on two machines


def difference(found: Any, expected: Any) -> Place | None:
    """The first place at which JSON data are not what is expected; keys that are not expected are not looked at."""
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
    """Whether two plain values are the same, numbers to within rounding."""
    if isinstance(one, bool) or isinstance(other, bool) or not isinstance(one, int | float):
        return type(one) is type(other) and one == other
    return isinstance(other, int | float) and math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def line_of(file: Path, place: Place) -> str:
    """`verdict.json, line 12`: where a value stands in a JSON file."""
    return f"{file}, line {json_line(read_bytes(file, MAX_JSON_BYTES).decode(), place)}"


def refuse_difference(file: Path, expected: Any, according_to: str) -> None:
    """Refuse a JSON file that does not hold what is expected.

    Raises:
        UserError: naming the line and the key, in a sentence that ends with `according_to`.
    """
    place = difference(read_json(file), expected)
    if place is not None:
        name = ".".join(map(str, place)) or "the file"
        raise UserError(f"{line_of(file, place)}: {name} is not {according_to}. It was edited by hand or is damaged.")


def with_line(error: UserError) -> UserError:
    """The error of a JSON file that was refused, with the line where its message tells a place or a key."""
    message = str(error)
    named = re.match(r"(.+?\.json)(?=: )", message)
    if named is None:
        return error
    file, place = Path(named[1]), re.search(r"at `\$([^`]*)`", message)
    with suppress(UserError, OSError, ValueError, IndexError):  # a file that cannot be read has no lines
        text = read_bytes(file, MAX_JSON_BYTES).decode()
        if place is not None:
            return UserError(message.replace(named[1], f"{file}, line {json_line(text, _place(place[1]))}", 1))
        if key := re.search(r"(?:unknown|missing) key (\w+)", message):
            line = text[: text.index(f'"{key[1]}"')].count("\n") + 1
            return UserError(message.replace(named[1], f"{file}, line {line}", 1))
    return error


def _place(path: str) -> Place:
    """`.per_episode[3].success` as keys and indices."""
    return tuple(int(index) if index else key for key, index in re.findall(r"\.([^.\[]+)|\[(\d+)\]", path))
