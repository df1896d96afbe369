"""What is found about a reader's file, as a person reads it."""

from pathlib import Path
from textwrap import wrap
from typing import Any

from wellposed.exercises.predict import Judged
from wellposed.exercises.work import Checked, Compared

WIDTH = 110
LABELS = {"given": "given", "expected": "should be", "returned": "returned", "equation": "because", "hint": "hint"}


def checked_lines(checked: Checked, path: Path) -> list[str]:
    """A line for each property; beside the first that is missing a counterexample, its equation and a hint."""
    exercise, lines, shown = checked.exercise, [], False
    for one, wrong in checked.found:
        lines.append(f"{'ok  ' if wrong is None else 'FAIL'} {one.name}")
        if wrong is not None and not shown:
            shown = True
            told = {"given": wrong.given, "expected": wrong.expected, "returned": wrong.returned}
            told |= {"equation": one.equation, "hint": one.hint}
            for name, text in told.items():
                lines += _hanging(LABELS[name], text)
    missing = sum(wrong is not None for _, wrong in checked.found)
    if missing:
        lines.append(f"{path}: {missing} of {len(checked.found)} properties missing; begin with the first.")
    else:
        lines.append(f"{path}: all {len(checked.found)} properties hold. `wellposed exercise run {exercise.id} {path}`")
    return lines


def checked_data(checked: Checked) -> dict[str, Any]:
    """The same as JSON data."""
    properties = [
        {"name": one.name, "holds": wrong is None, "equation": one.equation, "hint": one.hint}
        | ({} if wrong is None else {"given": wrong.given, "expected": wrong.expected, "returned": wrong.returned})
        for one, wrong in checked.found
    ]
    return {"exercise": checked.exercise.id, "passed": checked.passed, "properties": properties}


def compared_lines(compared: Compared) -> list[str]:
    """The two outcomes side by side, then where the records of training lie and whether they agree."""
    both = [("", "yours", "the laboratory's")]
    both += [
        (name, text, own) for (name, text), (_, own) in zip(compared.reader.rows, compared.laboratory.rows, strict=True)
    ]
    widths = [max(len(row[i]) for row in both) for i in range(2)]
    lines = [f"{name:<{widths[0]}}   {text:<{widths[1]}}   {own}" for name, text, own in both]
    pairs = zip(compared.reader.runs, compared.agreement, strict=True)
    return [*lines, *(f"{path}: {agreement}" for path, agreement in pairs)]


def compared_data(compared: Compared) -> dict[str, Any]:
    """The same as JSON data."""
    outcomes = {"reader": compared.reader, "laboratory": compared.laboratory}
    return {
        name: {"results": dict(outcome.rows), "runs": [str(run) for run in outcome.runs]}
        for name, outcome in outcomes.items()
    } | {"agreement": compared.agreement}


def judged_lines(judged: list[Judged]) -> list[str]:
    """Each quantity as predicted and as measured."""
    lines = []
    for one in judged:
        low, guess, high = one.predicted
        lines.append(f"{one.quantity.name}: {one.quantity.says}")
        lines.append(f"     predicted  {guess:g}, between {low:g} and {high:g}")
        lines.append(f"     measured   {one.measured.text}")
        lines.append(f"     {one.verdict}")
    return lines


def judged_data(judged: list[Judged]) -> list[dict[str, Any]]:
    """The same as JSON data."""
    return [
        {
            "quantity": one.quantity.name,
            "predicted": one.predicted,
            "measured": one.measured.text,
            "verdict": one.verdict,
        }
        for one in judged
    ]


def _hanging(label: str, text: str) -> list[str]:
    """A text below a property, its label in a column of its own."""
    first, *rest = wrap(text, WIDTH, break_long_words=False) or [""]
    return [f"     {label:<10} {first}", *(" " * 16 + line for line in rest)]
