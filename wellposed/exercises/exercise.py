"""What an exercise is: a function to write and the properties that it must have, or a measurement to predict.

Both are data. The properties are closed forms: none of them asks the laboratory's own implementation what is right.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

Function = Callable[..., Any]


@dataclass(frozen=True)
class Counterexample:
    """A case in which a function does not have a property: what it was given, what is due, what came back."""

    given: str
    expected: str
    returned: str


@dataclass(frozen=True)
class Property:
    """Something that is true of the right function and false of a typical wrong one."""

    name: str
    equation: str  # what decides what is right, with its source
    hint: str  # teaches, and leaves the writing to the reader
    counterexample: Callable[[Function], Counterexample | None]


def states(name: str, *, equation: str, hint: str) -> Callable[[Callable[[Function], Counterexample | None]], Property]:
    """A function that looks for a counterexample, as the property that it is about."""
    return lambda search: Property(name, equation, hint, search)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: named results as people read them, and the directories of the runs if it trained any."""

    rows: list[tuple[str, str]]
    runs: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """Where and how a trial is made."""

    folder: Path  # of its records
    seeds: list[int]
    threads: int
    quiet: bool


@dataclass(frozen=True)
class Write:
    """An exercise in which the reader writes one function.

    `form` says what is wrong with the form of a result, given the arguments, before any property is asked.
    `own` gives the laboratory's function in the reader's signature, `put` puts the reader's in its place while it is
    entered, and `trial` shows what the laboratory does with whichever is there.
    """

    id: str
    title: str
    function: str
    parameters: tuple[str, ...]
    task: str  # the stub's docstring: shapes, units, equation
    properties: tuple[Property, ...]
    form: Callable[[tuple[Any, ...], Any], str | None]
    own: Callable[[], Function]
    put: Callable[[Function], AbstractContextManager[Any]]
    trial: Callable[[Setting], Outcome]
    imports: str = "import numpy as np"

    @property
    def stub(self) -> str:
        """What `wellposed exercise start` writes."""
        docstring = "\n".join(f"    {line}".rstrip() for line in f'"""{self.task.strip()}\n"""'.splitlines())
        return (
            f'"""Exercise {self.id}: {self.title}."""\n\n{self.imports}\n\n\n'
            f"def {self.function}({', '.join(self.parameters)}):\n{docstring}\n    raise NotImplementedError\n"
        )


@dataclass(frozen=True)
class Quantity:
    """A number to predict, and the range in which it lies by its nature."""

    name: str
    says: str
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """A quantity as it was measured: value, 95 % interval, and both as people read them."""

    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Predict:
    """An exercise in which the reader commits to numbers before they are measured.

    `experiment` holds the fields of `wellposed.experiments.Experiment`; `measure` turns the directories of each
    variant's runs into the quantities.
    """

    id: str
    title: str
    question: str
    quantities: tuple[Quantity, ...]
    experiment: dict[str, Any]
    measure: Callable[[dict[str, list[Path]], int], dict[str, Measured]]

    @property
    def stub(self) -> str:
        """What `wellposed exercise start` writes."""
        entries = "".join(f'    "{q.name}": None,  # {q.says}: {q.low:g} to {q.high:g}\n' for q in self.quantities)
        return (
            f'"""Exercise {self.id}: {self.title}.\n\n{self.question.strip()}\n\n'
            "Instead of each None write three numbers, as (0.2, 0.5, 0.8): the lower end of an interval that you\n"
            "would bet on, your best guess, and its upper end. Then say why, in a sentence.\n"
            f'"""\n\nPREDICTION = {{\n{entries}}}\nREASON = ""\n'
        )


def in_place_of(name: str) -> Callable[[Function], AbstractContextManager[Any]]:
    """Puts a function where the laboratory looks up `name`, a dotted name, as long as it is entered."""
    return lambda function: patch(name, function)


def disagreement(
    function: Function, given: dict[str, Any], expected: Any, tolerance: float = 1e-6
) -> Counterexample | None:
    """Where a function of the given arguments is not what is expected, to a relative or absolute tolerance."""
    returned = function(*given.values())
    if np.allclose(np.asarray(returned, float), expected, rtol=tolerance, atol=tolerance):
        return None
    return Counterexample(show_all(given), show(np.asarray(expected, float)), show(returned))


def protected(value: Any) -> Any:
    """An argument whose arrays refuse to be written to, so that a line that would change them raises."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, dict):
        return {name: protected(item) for name, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(protected, value))
    return value


def show_all(given: dict[str, Any]) -> str:
    """Named arguments as people read them: `t = [3 3], length = [5 5]`."""
    return ", ".join(f"{name} = {show(value)}" for name, value in given.items())


def show(value: Any) -> str:
    """A value on one line, in a few digits; of a long array its ends."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name!r}: {show(item)}" for name, item in value.items()) + "}"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(show, value)) + ")"
    if isinstance(value, np.random.Generator):
        return "a generator"
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}({show_all({part.name: getattr(value, part.name) for part in fields(value)})})"
    if callable(value):
        return "a function"
    if isinstance(value, (float, np.floating)):
        return f"{value:.6g}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        try:
            text = np.array2string(np.asarray(value), precision=6, threshold=12, edgeitems=3, floatmode="maxprec")
        except TypeError:  # an array that JAX is tracing has no numbers yet
            return f"an array {list(value.shape)} that is being compiled"
        return " ".join(text.split())
    return repr(value) if isinstance(value, (str, int, list, set)) else f"a {type(value).__name__}"


def wrong_array(result: Any, shape: tuple[int, ...], kinds: str, due: str) -> str | None:
    """What is wrong with the form of a result that should be an array of a shape and a kind of numbers.

    `kinds` are NumPy's letters (f for floats, iu for integers); `due` says in words what should come back.
    """
    if result is None:
        return f"returns None, where {due} is due: is there a `return`?"
    found, kind = getattr(result, "shape", None), getattr(getattr(result, "dtype", None), "kind", None)
    if found is None or kind is None:
        if shape != () or not isinstance(result, float):
            return f"returns {show(result):.60}, where {due} is due"
        return None
    if tuple(found) != shape:
        return f"returns an array of shape {list(found)}, where {due} is due, here of shape {list(shape)}"
    if kind not in kinds:
        return f"returns numbers of type {result.dtype}, where {due} is due"
    return None
