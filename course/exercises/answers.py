"""What the reader's function answered, carried from the process that executes it to the one that judges.

The reader's process calls the function in the order in which the properties ask, and writes down every answer. The
judge goes through the same properties with `Answers` in place of the function: nothing that the reader's process says
about properties counts, and nothing that it wrote is executed.
"""

import base64
from typing import Any

import numpy as np

from course.exercises.exercise import Written
from wellposed.errors import UserError
from wellposed.types import Batch

LARGEST = 2**24  # bytes of one answer


def to_data(value: Any) -> Any:
    """An answer as JSON data.

    Raises:
        TypeError: if it is something else than numbers, arrays, text, and tuples, lists or dicts of them.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Batch):
        return {"batch": to_data(value._asdict())}
    if isinstance(value, dict):
        return {"dict": [[to_data(name), to_data(part)] for name, part in value.items()]}
    if isinstance(value, (tuple, list)):
        return {type(value).__name__: [to_data(part) for part in value]}
    kind = type(value).__name__ if type(value) in (int, float) else "array"
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{type(value).__name__} is neither numbers nor text")
    return {kind: [array.dtype.str, list(array.shape), base64.b64encode(array.tobytes()).decode()]}


def from_data(data: Any) -> Any:
    """The answer that `to_data` wrote.

    Raises:
        ValueError: if nothing that `to_data` writes looks like this.
    """
    if data is None or isinstance(data, (bool, str)):
        return data
    if not isinstance(data, dict) or len(data) != 1:
        raise ValueError("not an answer")
    ((kind, parts),) = data.items()
    if kind == "batch":
        return Batch(**from_data(parts))
    if kind == "dict":
        return {from_data(name): from_data(part) for name, part in parts}
    if kind in ("tuple", "list"):
        return (tuple if kind == "tuple" else list)(map(from_data, parts))
    dtype, shape, text = parts
    if kind not in ("int", "float", "array") or np.dtype(dtype).kind not in "biuf" or len(text) > LARGEST:
        raise ValueError("not an answer")
    array = np.frombuffer(base64.b64decode(text, validate=True), dtype).reshape(shape)
    return array if kind == "array" else array.item()


class Answers:
    """The reader's function as the judge asks it: each call takes the next answer that was written down."""

    def __init__(self, asked: Written, answers: list[Any]):
        self.asked, self._answers = asked, iter(answers)

    def __call__(self, *args: Any) -> Any:
        """The answer to these arguments; its form is asked for here too.

        Raises:
            UserError: if there is none, or it has the wrong form.
        """
        answer = self._next()
        if complaint := self.asked.form(args, answer):
            raise UserError(f"The function {complaint}.")
        return answer

    def compile(self, *args: Any, slope: bool = False) -> None:
        """Take note that it was compiled: otherwise the reader's process would have said what was raised."""
        self._next()

    def slope(self, *args: Any) -> float:
        """The derivative by the first argument."""
        return float(self._next())

    def _next(self) -> Any:
        try:
            return from_data(next(self._answers))
        except (StopIteration, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError("The process that executed the file did not answer every question.") from error
