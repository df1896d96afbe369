"""A reader's prediction: read without executing the file, checked for completeness, compared with the measurement."""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from course.exercises.exercise import Measured, Predict, Quantity, Setting
from course.exercises.submission import read_source
from wellposed.errors import UserError

WORDS = 4  # that a reason has at least


@dataclass(frozen=True)
class Prediction:
    """Lower end, best guess and upper end for each quantity, and the reason."""

    ends: dict[str, tuple[float, float, float]]
    reason: str


@dataclass(frozen=True)
class PredictionResult:
    """A quantity as predicted and as measured; `verdict` is a sentence."""

    quantity: Quantity
    predicted: tuple[float, float, float]
    measured: Measured
    verdict: str

    def data(self) -> dict[str, Any]:
        """The comparison as JSON data."""
        return {
            "quantity": self.quantity.name,
            "predicted": self.predicted,
            "measured": self.measured.text,
            "verdict": self.verdict,
        }

    def lines(self) -> list[str]:
        """The comparison as text."""
        low, guess, high = self.predicted
        return [
            f"{self.quantity.name}: {self.quantity.says}",
            f"     predicted  {guess:g}, between {low:g} and {high:g}",
            f"     measured   {self.measured.text}",
            f"     {self.verdict}",
        ]


def read_prediction(exercise: Predict, path: Path) -> Prediction:
    """The prediction in a reader's file; only literals are read, nothing is executed.

    Raises:
        UserError: naming file and line, if it is not complete.
    """
    source = read_source(exercise, path)
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        raise UserError(f"{path}, line {line}, is not Python: {getattr(error, 'msg', error)}.") from error
    table, line = _literal(tree, "PREDICTION", path)
    if not isinstance(table, dict) or set(table) != {quantity.name for quantity in exercise.quantities}:
        names = ", ".join(quantity.name for quantity in exercise.quantities)
        raise UserError(f"{path}, line {line}: PREDICTION must be a dictionary with exactly these keys: {names}.")
    ends = {
        quantity.name: read_ends(quantity, table[quantity.name], f"{path}, line {line}")
        for quantity in exercise.quantities
    }
    reason, line = _literal(tree, "REASON", path)
    if not isinstance(reason, str) or len(reason.split()) < WORDS:
        raise UserError(f"{path}, line {line}: REASON must be a sentence of at least {WORDS} words.")
    return Prediction(ends, reason.strip())


def run(exercise: Predict, path: Path, setting: Setting) -> list[PredictionResult]:
    """Train the runs of the exercise's experiment that are missing, and compare the prediction with them.

    Raises:
        UserError: if the prediction is not complete, before anything is trained; or if a run fails.
        KeyboardInterrupt: after Ctrl-C; the same call continues.
    """
    prediction = read_prediction(exercise, path)
    from wellposed.launch import local
    from wellposed.launch.manifest import Experiment
    from wellposed.progress import TrainingProgress

    rows = Experiment(**exercise.experiment).rows()
    for _ in local.train_rows(rows, setting.folder, setting.threads, TrainingProgress(setting.quiet)):
        pass
    paths: dict[str, list[Path]] = {}
    for row in rows:
        paths.setdefault(row.label, []).append(setting.folder / row.name)
    measured = exercise.measure(paths, setting.threads)
    return [
        PredictionResult(quantity, ends, measured[quantity.name], verdict(ends, measured[quantity.name]))
        for quantity in exercise.quantities
        for ends in [prediction.ends[quantity.name]]
    ]


def verdict(predicted: tuple[float, float, float], measured: Measured) -> str:
    """Whether the measured value lies inside the predicted interval, and whether that is certain."""
    low, _, high = predicted
    if not np.isfinite(measured.value):
        return "The measurement gives no single value, so nothing can be said about yours."
    inside = low <= measured.value <= high
    certain = (
        (low <= measured.low and measured.high <= high) if inside else (measured.high < low or high < measured.low)
    )
    found = "inside your interval" if inside else "outside your interval"
    doubt = "" if certain else ", but the measurement's own interval reaches across its end"
    return f"What was measured lies {found}{doubt}."


def _literal(tree: ast.Module, name: str, path: Path) -> tuple[Any, int]:
    """The literal assigned to a module-level name, and its line."""
    for node in reversed(tree.body):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            try:
                return ast.literal_eval(node.value), node.lineno  # type: ignore[union-attr]
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
                raise UserError(
                    f"{path}, line {node.lineno}: {name} must consist of plain numbers and text."
                ) from error
    last = max((node.end_lineno or 1 for node in tree.body), default=1)
    raise UserError(f"{path}, line {last}: the file ends without assigning {name}.")


def read_ends(quantity: Quantity, value: Any, where: str) -> tuple[float, float, float]:
    """A quantity's prediction: three numbers in order, inside its range but not spanning it.

    Raises:
        UserError: naming `where`, if it is not that, or still None.
    """
    asked = f"{where}: {quantity.name} ({quantity.says})"
    if value is None:
        raise UserError(f"{asked} is still to be predicted.")
    numbers = isinstance(value, (tuple, list)) and all(type(end) in (int, float) for end in value)
    if not numbers or len(value) != 3 or not np.isfinite(np.array(value, float)).all():
        raise UserError(f"{asked} takes three numbers, as (low, best guess, high), got {value!r:.60}.")
    low, guess, high = (float(end) for end in value)
    if not quantity.low <= low <= guess <= high <= quantity.high:
        rule = f"{quantity.low:g} <= low <= best guess <= high <= {quantity.high:g}"
        raise UserError(f"{asked} must satisfy {rule}, got {value!r:.60}.")
    if (low, high) == (quantity.low, quantity.high):
        raise UserError(f"{asked} spans its whole range, so it predicts nothing.")
    return low, guess, high
