"""Frozen dataclasses to and from JSON, strictly, and the hash that names a configuration.

What is read must hold every field and no other: a default may have changed since a file was written, so a missing key
is an error. Fields that came after the first records (`LATER`) may be absent, at any depth: that means their default.
"""

import copy
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar, get_origin

import msgspec
import msgspec.inspect

from wellposed.errors import nearest

T = TypeVar("T")
# Metadata of a field that came later. It is not written while it has its default, so older runs keep their names.
LATER = {"later": True}
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def to_dict(value: Any) -> dict[str, Any]:
    """A dataclass as plain JSON data. Raises ValueError if it holds a NaN or an infinity, which JSON cannot."""
    return json.loads(json.dumps(_plain(value), allow_nan=False))


def whole(value: Any) -> dict[str, Any]:
    """As `to_dict`, with every field."""
    return json.loads(json.dumps(dataclasses.asdict(value), allow_nan=False))


def finite(value: Any) -> Any:
    """Dataclasses, at any depth, as plain JSON data in which numbers that are not finite are null."""
    return json.loads(json.dumps(value, default=dataclasses.asdict), parse_constant=lambda _: None)


def _plain(value: Any) -> Any:
    """Dataclasses as dicts, at every depth, without later fields that have their default."""
    if dataclasses.is_dataclass(value):
        pairs = [(field, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return {f.name: _plain(v) for f, v in pairs if f.metadata != LATER or v != _default(f)}
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, (list, tuple)) else value


def _default(field: dataclasses.Field) -> Any:
    """The default of a field that has one."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def convert(kind: type[T], data: Any) -> T:
    """JSON data as a type. Raises ValueError if they are not of it, or a text that matters holds half a character."""
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    except UnicodeEncodeError as error:  # JSON may hold half of a surrogate pair
        raise ValueError("it holds half a character") from error


def from_dict(kind: type[T], data: Any, where: str) -> T:
    """Read a dataclass of type `kind` from JSON data, strictly.

    Raises ValueError, naming `where` and the field, if one is missing, unknown or of the wrong type.
    """
    try:
        value = convert(kind, data)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    if not (_gives_all(kind) and _writes(value, data)):
        _check_keys(value, data, where)
        to_dict(value)
    return value


def override(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """JSON data of a dataclass with fields replaced by dotted name, as `{"agent.inputs.relative": False}`.

    Raises ValueError, naming a field that does not exist and the nearest that does.
    """
    known = flatten(data)
    data = copy.deepcopy(data)
    for name, new in changes.items():
        *groups, last = name.split(".")
        place: Any = data
        for group in groups:
            place = place.get(group) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            meant = nearest(name, known)
            raise ValueError(f"there is no setting {name!r}" + (f" (did you mean {meant!r}?)" if meant else ""))
        place[last] = new
    return data


def flatten(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name, as `override` takes them; lists stay as they are."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def content_hash(data: dict[str, Any]) -> str:
    """Twelve hexadecimal digits, a hash of the data."""
    return hashlib.sha256(_CANONICAL.encode(data).encode()).hexdigest()[:12]


@cache
def _gives_all(kind: Any) -> bool:
    """Whether a field with a default, of a dataclass or of one within it, is one that older data lack."""
    return all(
        field.required or field.encode_name in _later(get_origin(info.cls) or info.cls)
        for info in _dataclasses(msgspec.inspect.type_info(kind))
        for field in info.fields
    )


def _dataclasses(info: Any) -> Iterator[msgspec.inspect.DataclassType]:
    """The dataclasses of a type, at every depth."""
    if isinstance(info, msgspec.inspect.DataclassType):
        yield info
        parts = [field.type for field in info.fields]
    else:
        parts = [getattr(info, name) for name in ("key_type", "value_type", "item_type") if hasattr(info, name)]
        parts += [*getattr(info, "types", ()), *getattr(info, "item_types", ())]
    for part in parts:
        yield from _dataclasses(part)


@cache
def _later(kind: type) -> frozenset[str]:
    """The fields of a dataclass that older data lack."""
    return frozenset(field.name for field in dataclasses.fields(kind) if field.metadata == LATER)


def _writes(value: Any, data: Any) -> bool:
    """Whether what was read is written as exactly these data: then no key is missing or unknown, all numbers finite.

    With `_gives_all` it is ten times as fast as `_check_keys`, which can say what is wrong.
    """
    try:
        written = msgspec.json.decode(msgspec.json.encode(value))  # NaN and infinity are written as null
    except UnicodeEncodeError:  # half a surrogate pair, as of an argument that is not UTF-8
        return False
    if dataclasses.is_dataclass(value) and (absent := _later(type(value)) - data.keys()):
        written = {name: part for name, part in written.items() if name not in absent}
    return written == data


def _check_keys(value: Any, data: Any, where: str) -> None:
    """Raise ValueError if data, at any depth, lack a field of the dataclass they were read as or have another."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: field for field in dataclasses.fields(value)}
        needed = {name for name, field in fields.items() if field.metadata != LATER}
        if missing := needed - data.keys():
            raise ValueError(f"{where}: missing key {', '.join(sorted(missing))}")
        if unknown := data.keys() - fields.keys():
            raise ValueError(f"{where}: unknown key {', '.join(sorted(unknown))}")
        for name in fields.keys() & data.keys():
            _check_keys(getattr(value, name), data[name], f"{where}: {name}")
    elif isinstance(value, dict):
        for name, part in value.items():
            _check_keys(part, data[name], f"{where}: {name}")
    elif isinstance(value, (list, tuple)):
        for one, other in zip(value, data, strict=True):
            _check_keys(one, other, where)
