"""Dotted paths into the results of a chapter, and their values as numbers and text.

`fields.3.unit` and `rates."0.02".value` are checked against the type of a result and followed in its JSON data.
"""

import re
import types
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, Union, get_args, get_origin, get_type_hints

from course.chapters.metrics import OverSeeds, find_metric
from course.chapters.results import Results, VariantResult
from course.chapters.spec import Chapter
from wellposed import serialise
from wellposed.errors import UserError, instead
from wellposed.stats import carried_places, to_places

UNITS = {"percent": (100.0, " %"), "cm": (100.0, " cm"), "mm": (1000.0, " mm")}  # last part of a path -> factor, unit


class AbsentError(UserError):
    """The subject of a path is not among the results; `name` is the subject."""

    def __init__(self, name: str):
        super().__init__(f"{name} is not among the results.")
        self.name = name


def variant_of(results: Results, experiment: str, variant: str) -> VariantResult:
    """The runs of a variant; raises AbsentError."""
    if experiment not in results.experiments or variant not in results.experiments[experiment]:
        raise AbsentError(f"{experiment}.{variant}")
    return results.experiments[experiment][variant]


def over_seeds(results: Results, experiment: str, variant: str, metric: str) -> OverSeeds:
    """A metric over the runs of a variant.

    Raises:
        AbsentError: if the variant is not among the results.
        UserError: if the runs have no such metric.
    """
    return find_metric(metric).over(variant_of(results, experiment, variant).runs)


def data_of(results: Results, name: str) -> dict[str, Any]:
    """The JSON data of a measurement or a study; raises AbsentError."""
    if name in results.measurements:
        return results.measurements[name].result
    if name in results.studies:
        return serialise.to_dict(results.studies[name])
    raise AbsentError(name)


def plain(data: Any) -> Any:
    """The value of an estimate, other data unchanged."""
    return data["value"] if isinstance(data, dict) and "value" in data else data


def interval_of(chapter: Chapter, results: Results, text: str) -> tuple[float, float]:
    """The interval of `EXPERIMENT.VARIANT.METRIC`, or at a path into a measurement or a study.

    Raises:
        AbsentError: if it is not among the results.
        UserError: if it is not an interval.
    """
    if runs := chapter.runs_of(text):
        numbers = over_seeds(results, *runs).numbers
        ends = [numbers["low"], numbers["high"]]
    else:
        name, _, path = text.partition(".")
        found = follow(data_of(results, name), path)
        names = ("ci95", "success_ci95")
        ends = next((found[n] for n in names if n in found), None) if isinstance(found, dict) else found
    if not isinstance(ends, list) or len(ends) != 2 or not all(isinstance(end, int | float) for end in ends):
        raise UserError(f"{text} is not an interval: {found_text(ends)}.")
    return ends[0], ends[1]


def found_text(data: Any, unit: str | None = None) -> str:
    """JSON data as text: a number, an estimate with its interval, or a list of these.

    Raises:
        UserError: if it is a table of other data.
    """
    if isinstance(data, dict):
        return _table_text(data, unit)
    if isinstance(data, list):
        return ", ".join(found_text(part, unit) for part in data)
    if isinstance(data, bool) or data is None:
        return {True: "yes", False: "no", None: "none"}[data]
    return data if isinstance(data, str) else number_text(data, unit)


def _table_text(data: dict[str, Any], unit: str | None) -> str:
    """The text of an estimate, an evaluation, the level at which success falls to a share, or a median time."""
    if data.keys() == {"value", "ci95"}:
        return estimate_text(data["value"], data["ci95"], unit)
    if {"success_rate", "success_ci95"} <= data.keys():
        return estimate_text(data["success_rate"], data["success_ci95"], "percent")
    if data.keys() == {"share", "level", "low", "high"}:  # a crossing; what is None lies beyond the largest level
        if None not in data.values():
            return estimate_text(data["level"], (data["low"], data["high"]), unit, to=" to ")
        ends = {n: "beyond" if data[n] is None else number_text(data[n], unit, bare=n != "level") for n in data}
        return f"{ends['level']} (95 % CI {ends['low']} to {ends['high']})"
    if data.keys() == {"value", "censored"}:
        value = "never" if data["value"] is None else number_text(data["value"], unit)
        return f"more than {value}" if data["censored"] and data["value"] is not None else value
    raise UserError(f"This is a table, with {', '.join(data)}; name one of them.")


def estimate_text(value: float, ci95: Sequence[float], unit: str | None, to: str = "-") -> str:
    """`0.080 % (95 % CI 0.031-0.205)`: an estimate with no more digits than its interval carries."""
    factor, name = UNITS[unit] if unit else (1.0, "")
    places = carried_places(factor * ci95[0], factor * ci95[1])
    bare = partial(number_text, unit=unit, bare=True)
    shown = [bare(one) if places is None else to_places(factor * one, places) for one in (value, *ci95)]
    return f"{shown[0]}{name} (95 % CI {shown[1]}{' to ' if shown[1].startswith('-') else to}{shown[2]})"


def number_text(value: float, unit: str | None = None, bare: bool = False) -> str:
    """A number with four digits and thousands separators, or with one decimal if it has a unit."""
    if unit is not None:
        factor, name = UNITS[unit]
        return f"{factor * value:.1f}{'' if bare else name}"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def split_path(path: str) -> list[str]:
    """The parts of a dotted path; a part in double quotes may hold dots.

    Raises:
        UserError: if a part is empty or a quote is not closed.
    """
    if not re.fullmatch(r'(?:"[^"]+"|[^".]+)(?:\.(?:"[^"]+"|[^".]+))*', path):
        raise UserError(f'{path!r} is not a dotted path, as in fields.3.unit or rates."0.02".value.')
    return [part.strip('"') for part in re.findall(r'"[^"]+"|[^".]+', path)]


def check_path(kind: Any, path: str) -> None:
    """Check that a path exists in values of a type.

    Raises:
        UserError: naming the part that does not exist, and the alternatives.
    """
    _check_parts([kind], split_path(path), path)


def _check_parts(kinds: list[Any], parts: list[str], path: str) -> None:
    """Follow the first part into each of the possible types."""
    if not parts:
        return
    kinds = [one for kind in kinds for one in _alternatives(kind)]
    inner = [found for kind in kinds if (found := _inside(kind, parts[0])) is not None]
    if not inner:
        known = [field.name for kind in kinds if is_dataclass(kind) for field in fields(kind)]
        raise UserError(f"The path {path!r} leads nowhere: there is no {parts[0]!r}{instead(parts[0], known)}")
    _check_parts(inner, parts[1:], path)


def _alternatives(kind: Any) -> list[Any]:
    """The members of a union without None, or the type itself."""
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
        UserError: naming the part that does not exist, and the alternatives.
    """
    for part in split_path(path):
        if isinstance(data, list):
            data = {str(i): item for i, item in enumerate(data)}
        known = data if isinstance(data, dict) else {}
        if part not in known:
            raise UserError(f"The path {path!r} leads nowhere: there is no {part!r}{instead(part, known)}")
        data = known[part]
    return data
