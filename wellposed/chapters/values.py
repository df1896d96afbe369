"""What a path of a chapter's prose or criteria leads to in its results, as numbers and in words."""

import re
import types
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

from wellposed import config as configs
from wellposed.chapters.metrics import OverSeeds, find_metric
from wellposed.chapters.results import Results, VariantResult
from wellposed.chapters.spec import Chapter
from wellposed.chapters.tables import instead
from wellposed.errors import UserError
from wellposed.stats import describe_rate

UNITS = {"percent": (100.0, " %"), "cm": (100.0, " cm"), "mm": (1000.0, " mm")}  # a last part of a path into data


class AbsentError(UserError):
    """What a path begins with is not among the results; `name` is that beginning."""

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
        AbsentError: if they are not all there.
        UserError: if these runs have no such metric.
    """
    return find_metric(metric).over(variant_of(results, experiment, variant).runs)


def data_of(results: Results, name: str) -> dict[str, Any]:
    """The JSON data of a measurement or a study; raises AbsentError."""
    if name in results.measurements:
        return results.measurements[name].result
    if name in results.studies:
        return configs.to_dict(results.studies[name])
    raise AbsentError(name)


def plain(data: Any) -> Any:
    """An estimate's value, else the data itself."""
    return data["value"] if isinstance(data, dict) and "value" in data else data


def interval_of(chapter: Chapter, results: Results, text: str) -> tuple[float, float]:
    """The interval that `EXPERIMENT.VARIANT.METRIC`, or a path to one in a measurement or a study, leads to.

    Raises:
        AbsentError: if it is not there.
        UserError: if it is no interval.
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
        raise UserError(f"{text} is no interval: {found_text(ends)}.")
    return ends[0], ends[1]


def found_text(data: Any, unit: str | None = None) -> str:
    """JSON data in words: a number, an estimate with its interval, a list of such.

    Raises:
        UserError: if it is a table, of which only parts have words.
    """
    if isinstance(data, dict):
        return _table_text(data, unit)
    if isinstance(data, list):
        return ", ".join(found_text(part, unit) for part in data)
    if isinstance(data, bool) or data is None:
        return {True: "yes", False: "no", None: "none"}[data]
    return data if isinstance(data, str) else number_text(data, unit)


def _table_text(data: dict[str, Any], unit: str | None) -> str:
    """An estimate, an evaluation, or the median of times to the bar."""
    if data.keys() == {"value", "ci95"}:
        if unit == "percent":
            return describe_rate(data["value"], data["ci95"])
        low, high = (number_text(end, unit, bare=True) for end in data["ci95"])
        return f"{number_text(data['value'], unit)} (95 % CI {low}{' to ' if '-' in low else '-'}{high})"
    if {"success_rate", "success_ci95"} <= data.keys():
        return describe_rate(data["success_rate"], data["success_ci95"])
    if data.keys() == {"value", "censored"}:
        value = "never" if data["value"] is None else number_text(data["value"], unit)
        return f"more than {value}" if data["censored"] and data["value"] is not None else value
    raise UserError(f"This is a table, with {', '.join(data)}; name one of them.")


def number_text(value: float, unit: str | None = None, bare: bool = False) -> str:
    """A number to four digits, thousands separated; in a unit with one decimal."""
    if unit is not None:
        factor, name = UNITS[unit]
        return f"{factor * value:.1f}{'' if bare else name}"
    return f"{value:,.0f}" if abs(value) >= 1000 or isinstance(value, int) else f"{value:.4g}"


def split_path(path: str) -> list[str]:
    """The parts of a dotted path; a part in double quotes may hold dots.

    Raises:
        UserError: if a part is empty or a quote is not closed.
    """
    if not re.fullmatch(r'(?:"[^"]+"|[^".]+)(?:\.(?:"[^"]+"|[^".]+))*', path):
        raise UserError(f'{path!r} is not a dotted path, as in fields.3.unit or rates."0.02".value.')
    return [part.strip('"') for part in re.findall(r'"[^"]+"|[^".]+', path)]


def check_path(kind: Any, path: str) -> None:
    """Refuse a path that cannot lead anywhere in values of a type.

    Raises:
        UserError: naming the part that does not exist, and what there is instead.
    """
    _check_parts([kind], split_path(path), path)


def _check_parts(kinds: list[Any], parts: list[str], path: str) -> None:
    """Follow the first part into each of the types that may stand here."""
    if not parts:
        return
    kinds = [one for kind in kinds for one in _alternatives(kind)]
    inner = [found for kind in kinds if (found := _inside(kind, parts[0])) is not None]
    if not inner:
        known = [field.name for kind in kinds if is_dataclass(kind) for field in fields(kind)]
        raise UserError(f"The path {path!r} leads nowhere: there is no {parts[0]!r}{instead(parts[0], known)}")
    _check_parts(inner, parts[1:], path)


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
    for part in split_path(path):
        known = (
            list(data)
            if isinstance(data, dict)
            else [str(i) for i in range(len(data) if isinstance(data, list) else 0)]
        )
        if part not in known:
            raise UserError(f"The path {path!r} leads nowhere: there is no {part!r}{instead(part, known)}")
        data = data[part] if isinstance(data, dict) else data[int(part)]
    return data
