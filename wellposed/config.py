"""Frozen dataclasses to and from JSON, strictly, and the hash that names a configuration.

A configuration that is read must hold every field and no other: a missing key never becomes a default,
because a default may have changed since the file was written.
"""

import copy
import dataclasses
import hashlib
import json
from functools import cache
from typing import Any, TypeVar

import msgspec
import msgspec.inspect

T = TypeVar("T")
# Metadata of a field that came later: left out while it is its default, so that what was written before, and the names
# of runs made before, stay what they are. Its default must mean what its absence meant.
LATER = {"later": True}
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def to_dict(value: Any) -> dict[str, Any]:
    """A dataclass as plain JSON data: dicts, lists, strings, numbers, booleans and null.

    Raises:
        ValueError: if it holds a NaN or an infinity, which JSON cannot.
    """
    data, absent = whole(value), {}
    for field in dataclasses.fields(value):
        if field.metadata == LATER:
            made = field.default_factory
            absent[field.name] = field.default if made is dataclasses.MISSING else made()
    return {name: data[name] for name in data if name not in absent or getattr(value, name) != absent[name]}


def whole(value: Any) -> dict[str, Any]:
    """As `to_dict`, with every field."""
    return json.loads(json.dumps(dataclasses.asdict(value), allow_nan=False))


def from_dict(kind: type[T], data: Any, where: str) -> T:
    """Read a dataclass of type `kind` from JSON data, strictly.

    Raises:
        ValueError: naming `where` and the field, if one is missing, unknown or of the wrong type.
    """
    try:
        value = msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {error}") from error
    if not (_gives_all(kind) and _writes(value, data)):
        given = {name: part for name, part in whole(value).items() if name in data}
        _same_keys(to_dict(value) | given, data, where)
    return value


def override(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """JSON data of a dataclass with fields replaced by dotted name, as `{"agent.inputs.relative": False}`.

    Raises:
        ValueError: naming a field that does not exist.
    """
    data = copy.deepcopy(data)
    for name, new in changes.items():
        *groups, last = name.split(".")
        place: Any = data
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            raise ValueError(f"there is no setting {name!r}")
        place[last] = new
    return data


def content_hash(data: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that any change of the data changes."""
    return hashlib.sha256(_CANONICAL.encode(data).encode()).hexdigest()[:12]


@cache
def _gives_all(kind: Any) -> bool:
    """Whether no field of a dataclass, or of one within it, has a default: reading then finds missing keys itself."""
    return "required=False" not in repr(msgspec.inspect.type_info(kind))


def _writes(value: Any, data: Any) -> bool:
    """Whether what was read is written as exactly these data: then no key is unknown, and every number finite.

    With `_gives_all` it spares a record the slow comparison, which alone can say what is wrong.
    """
    try:
        return msgspec.json.decode(msgspec.json.encode(value)) == data  # NaN and infinity are written as null
    except UnicodeEncodeError:  # half a surrogate pair, as of an argument that is not UTF-8
        return False


def _same_keys(expected: Any, found: Any, where: str) -> None:
    if isinstance(expected, dict) and isinstance(found, dict):
        if missing := expected.keys() - found.keys():
            raise ValueError(f"{where}: missing key {', '.join(sorted(missing))}")
        if unknown := found.keys() - expected.keys():
            raise ValueError(f"{where}: unknown key {', '.join(sorted(unknown))}")
        for key, value in expected.items():
            _same_keys(value, found[key], f"{where}: {key}")
    elif isinstance(expected, list) and isinstance(found, list):
        for one, other in zip(expected, found, strict=True):
            _same_keys(one, other, where)
