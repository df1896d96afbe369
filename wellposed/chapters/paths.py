"""Dotted paths into results: `fields.3.unit` and `rates."0.02".value`, checked against types and followed in data."""

import re
import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from wellposed.errors import UserError, instead


def split(path: str) -> list[str]:
    """The parts of a dotted path; a part in double quotes may hold dots.

    Raises:
        UserError: if a part is empty or a quote is not closed.
    """
    if not re.fullmatch(r'(?:"[^"]+"|[^".]+)(?:\.(?:"[^"]+"|[^".]+))*', path):
        raise UserError(f'{path!r} is not a dotted path, as in fields.3.unit or rates."0.02".value.')
    return [part.strip('"') for part in re.findall(r'"[^"]+"|[^".]+', path)]


def check(kind: Any, path: str) -> None:
    """Refuse a path that cannot lead anywhere in values of a type.

    Raises:
        UserError: naming the part that does not exist, and what there is instead.
    """
    _check([kind], split(path), path)


def _check(kinds: list[Any], parts: list[str], path: str) -> None:
    """Follow the first part into each of the types that may stand here."""
    if not parts:
        return
    kinds = [one for kind in kinds for one in _alternatives(kind)]
    inner = [found for kind in kinds if (found := _inside(kind, parts[0])) is not None]
    if not inner:
        known = [field.name for kind in kinds if is_dataclass(kind) for field in fields(kind)]
        raise UserError(f"The path {path!r} leads nowhere: there is no {parts[0]!r}{instead(parts[0], known)}")
    _check(inner, parts[1:], path)


def _alternatives(kind: Any) -> list[Any]:
    """The members of a union, else the type itself; None leads nowhere."""
    members = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return [member for member in members if member is not type(None)]


def _inside(kind: Any, part: str) -> Any:
    """The type that a part of a path leads to; None if there is no such part."""
    if kind is Any:
        return Any
    if is_dataclass(kind):
        return get_type_hints(kind).get(part)
    arguments = get_args(kind)
    if get_origin(kind) is dict:
        return arguments[1]
    if get_origin(kind) in (list, tuple) and part.isdecimal():
        fixed = get_origin(kind) is tuple and arguments[-1] is not ...
        return arguments[0] if not fixed else arguments[int(part)] if int(part) < len(arguments) else None
    return None


def follow(data: Any, path: str) -> Any:
    """The value that a path leads to in JSON data.

    Raises:
        UserError: naming the part that is not there, and what there is instead.
    """
    for part in split(path):
        known = list(data) if isinstance(data, dict) else [str(i) for i in range(len(data) if _is_list(data) else 0)]
        if part not in known:
            raise UserError(f"The path {path!r} leads nowhere: there is no {part!r}{instead(part, known)}")
        data = data[part] if isinstance(data, dict) else data[int(part)]
    return data


def _is_list(data: Any) -> bool:
    return isinstance(data, list)
