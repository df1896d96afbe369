"""Verification of criteria: a metric of the results compared with its bound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from course.chapters.gather import Problem
from course.chapters.results import Results
from course.chapters.spec import Chapter, Criterion
from course.chapters.values import AbsentError, data_of, follow, found_text, interval_of, over_seeds, plain
from wellposed.analysis.summary import format_value
from wellposed.errors import UserError

SLACK = 1e-9  # relative, for rounding: the mean of five times 0.98 may be slightly below 0.98


@dataclass(frozen=True)
class CriterionResult:
    """The outcome of one criterion."""

    criterion: Criterion
    outcome: Literal["pass", "fail", "missing"]
    measured: str  # the value with its interval and counts; empty if there is none
    bound: str
    reason: str  # why it is missing or cannot be compared; empty otherwise


@dataclass(frozen=True)
class _Found:
    """A value to compare, and its text."""

    value: Any
    text: str
    kind: Any  # of a metric over seeds, for its unit; None for other data


def verify_criterion(
    chapter: Chapter, results: Results, problems: Mapping[str, Problem], criterion: Criterion
) -> CriterionResult:
    """Compare a criterion with the results; `problems` explain missing results."""
    bound = bound_text(criterion, None)
    try:
        found = _found(chapter, results, criterion)
        bound = bound_text(criterion, found.kind)
        limits = interval_of(chapter, results, criterion.inside) if criterion.inside is not None else None
    except AbsentError as error:
        problem = problems.get(error.name, Problem(True, str(error)))
        command = f" `{chapter.made_by(error.name.partition('.')[0])}` creates it." if problem.missing else ""
        return CriterionResult(
            criterion, "missing" if problem.missing else "fail", "", bound, problem.sentence + command
        )
    except UserError as error:
        return CriterionResult(criterion, "fail", "", bound, str(error))
    if limits is not None:
        ends = " to ".join(_value_text(end, found.kind) for end in limits)
        bound = f"{bound}, {ends}"
    outcome = "pass" if _is_within(criterion, found.value, limits) else "fail"
    return CriterionResult(criterion, outcome, found.text, bound, "")


def _found(chapter: Chapter, results: Results, criterion: Criterion) -> _Found:
    """The value that a criterion compares."""
    if runs := chapter.runs_of(criterion.of):
        found, statistic = over_seeds(results, *runs[:2], criterion.metric), criterion.statistic
        assert statistic is not None
        text = found.text if statistic == "mean" else f"{found.texts[statistic]}; {found.text}"
        return _Found(found.numbers[statistic], text, found.kind)
    data = follow(data_of(results, criterion.of), criterion.metric)
    return _Found(plain(data), found_text(data), None)


def _is_within(criterion: Criterion, value: Any, limits: tuple[float, float] | None) -> bool:
    """Whether a value is within the criterion's bound."""
    if criterion.equals is not None and not _is_number(criterion.equals):
        return type(value) is type(criterion.equals) and value == criterion.equals
    if not _is_number(value):
        return False
    low, high = limits or criterion.within or (float("-inf"), float("inf"))
    if criterion.equals is not None:
        low = high = float(criterion.equals)
    low = low if criterion.at_least is None else criterion.at_least
    high = high if criterion.at_most is None else criterion.at_most
    return low - SLACK * max(1.0, abs(low)) <= value <= high + SLACK * max(1.0, abs(high))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def bound_text(criterion: Criterion, kind: Any) -> str:
    """`at least 98.0 %`."""
    (name,) = criterion.bounds
    bound = getattr(criterion, name)
    parts = bound if isinstance(bound, tuple) else (bound,)
    return f"{name.replace('_', ' ')} {' to '.join(_value_text(part, kind) for part in parts)}"


def _value_text(value: Any, kind: Any) -> str:
    """A bound in the unit of the metric."""
    return format_value(float(value), kind) if kind is not None and _is_number(value) else found_text(value)
