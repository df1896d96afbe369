"""The kinds of exercise as data: a function to write with its properties, several of them, or measurements to predict.

The properties are closed forms. Only where an algorithm is put together does one compare with the laboratory's own.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from wellposed.arrays import leaves

Function = Any  # what a property asks: called with arguments, or by `compile` and `slope` (see `guard.Guarded`)


@dataclass(frozen=True)
class Counterexample:
    """A case in which a function does not have a property: arguments, expected and returned value, as text."""

    given: str
    expected: str
    returned: str


@dataclass(frozen=True)
class Property:
    """A property that the right function has and a typical wrong one has not."""

    name: str
    equation: str  # the equation that the property follows from, with its source
    hint: str  # an explanation without the code
    counterexample: Callable[[Function], Counterexample | None]


def as_property(
    name: str, *, equation: str, hint: str
) -> Callable[[Callable[[Function], Counterexample | None]], Property]:
    """A decorator that turns a search for a counterexample into a property."""
    return lambda search: Property(name, equation, hint, search)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a trial: named results as text, and the directories of the runs that it trained."""

    rows: list[tuple[str, str]]
    runs: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class Setting:
    """Where and how a trial is run."""

    folder: Path  # of its records
    seeds: list[int]
    threads: int
    quiet: bool


@dataclass(frozen=True, kw_only=True)
class Written:
    """A function that the reader writes, and what is asked of it.

    `form` returns what is wrong with the type or shape of a result, given the arguments, or None. `own` returns the
    laboratory's function.
    """

    function: str
    parameters: tuple[str, ...]
    task: str  # the docstring of its stub: shapes, units, equation
    properties: tuple[Property, ...]
    form: Callable[[tuple[Any, ...], Any], str | None]
    own: Callable[[], Callable[..., Any]]
    body: str = "raise NotImplementedError"  # of the stub; where a fault is to be found, code that runs

    @property
    def shown(self) -> Callable[..., Any]:
        """The function whose source is shown as a solution."""
        return self.own()

    @property
    def definition(self) -> str:
        """The function as it stands in the stub."""
        lines = f'"""{self.task.strip()}\n"""\n{self.body.strip()}'.splitlines()
        inner = "\n".join(f"    {line}".rstrip() for line in lines)
        return f"def {self.function}({', '.join(self.parameters)}):\n{inner}\n"

    @property
    def equations(self) -> str:
        """The equation behind each property, as comments."""
        return "".join(f"# {one.name}:\n#     {one.equation}\n" for one in self.properties)


@dataclass(frozen=True, kw_only=True)
class Write(Written):
    """An exercise in which the reader writes one function.

    `own` returns the laboratory's function with the reader's signature. `put` returns a context in which the reader's
    function replaces it, and `trial` runs the laboratory with the function that is installed.
    """

    id: str
    title: str
    put: Callable[[Callable[..., Any]], AbstractContextManager[Any]]
    trial: Callable[[Setting], Outcome]
    imports: str = "import numpy as np"
    # What is shown as a solution after passing, where `own` only adapts the laboratory's function to a signature.
    solution: Callable[[], Callable[..., Any]] | None = None

    @property
    def steps(self) -> tuple[Written, ...]:
        """Itself: there is one function to write."""
        return (self,)

    @property
    def shown(self) -> Callable[..., Any]:
        """The function whose source is shown as a solution."""
        return (self.solution or self.own)()

    @property
    def hints(self) -> str:
        """The equation behind each property, as comments."""
        return "\n# The equation behind each property that `check` looks at:\n" + self.equations

    @property
    def stub(self) -> str:
        """What `wellposed exercise start` writes."""
        return f'"""Exercise {self.id}: {self.title}."""\n\n{self.imports}\n\n\n{self.definition}'


@dataclass(frozen=True)
class Build:
    """An exercise in which the reader writes an algorithm step by step, and in the last step puts it together.

    Its properties are closed forms, except those of the last step, which compare with what the laboratory computes.
    """

    id: str
    title: str
    about: str
    imports: str
    steps: tuple[Written, ...]

    @property
    def hints(self) -> str:
        """The equation behind each property of each step, as comments."""
        steps = (f"\n# Step {i}, {step.function}\n{step.equations}" for i, step in enumerate(self.steps, 1))
        return "\n# The equation behind each property that `check` looks at:\n" + "".join(steps)

    @property
    def stub(self) -> str:
        """What `wellposed exercise start` writes."""
        head = f'"""Exercise {self.id}: {self.title}.\n\n{self.about.strip()}\n"""\n\n{self.imports}\n'
        steps = (f"\n\n# Step {i} of {len(self.steps)}\n{step.definition}" for i, step in enumerate(self.steps, 1))
        return head + "".join(steps)


@dataclass(frozen=True)
class Quantity:
    """A number to predict, and the range of its possible values."""

    name: str
    says: str
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """A measured quantity: its value, its 95 % interval, and both as text."""

    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Predict:
    """An exercise in which the reader predicts numbers before they are measured.

    `experiment` holds the fields of `wellposed.launch.manifest.Experiment`; `measure` computes the quantities
    from the run directories of each variant.
    """

    id: str
    title: str
    question: str
    quantities: tuple[Quantity, ...]
    experiment: dict[str, Any]
    measure: Callable[[dict[str, list[Path]], int], dict[str, Measured]]

    @property
    def hints(self) -> str:
        """None: what is to be predicted follows from the chapter."""
        return ""

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
    """A context that replaces the function at a dotted name by the given one."""
    return lambda function: patch(name, function)


def disagreement(
    function: Function, given: dict[str, Any], expected: Any, tolerance: float = 1e-6
) -> Counterexample | None:
    """A counterexample if the function of the given arguments differs from `expected` by more than the tolerance."""
    returned = function(*given.values())
    if np.allclose(np.asarray(returned, float), expected, rtol=tolerance, atol=tolerance):
        return None
    return Counterexample(show_all(given), show(np.asarray(expected, float)), show(returned))


def read_only(value: Any) -> Any:
    """The value with read-only arrays, so that a line that writes to them raises."""
    if isinstance(value, np.ndarray):
        view = value.view()
        view.flags.writeable = False
        return view
    if isinstance(value, dict):
        return {name: read_only(item) for name, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(read_only, value))
    return value


def show_all(given: dict[str, Any]) -> str:
    """Named arguments as text: `t = [3 3], length = [5 5]`."""
    return ", ".join(f"{name} = {show(value)}" for name, value in given.items())


def show(value: Any) -> str:
    """A value as text on one line with few digits; a long array is abbreviated."""
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
        except TypeError:  # a JAX tracer has no values
            return f"an array {list(value.shape)} that is being compiled"
        return " ".join(text.split())
    return repr(value) if isinstance(value, (str, int, list, set)) else f"a {type(value).__name__}"


def wrong_array(result: Any, shape: tuple[int, ...], kinds: str, expected: str) -> str | None:
    """What is wrong with a result that should be an array of this shape and kind of numbers; None if nothing is.

    `kinds` are NumPy's letters (f for floats, iu for integers); `expected` describes the array in words.
    """
    if result is None:
        return f"returns None, expected {expected}: is there a `return`?"
    found, kind = getattr(result, "shape", None), getattr(getattr(result, "dtype", None), "kind", None)
    if found is None or kind is None:
        if shape != () or not isinstance(result, float):
            return f"returns {show(result):.60}, expected {expected}"
        return None
    if tuple(found) != shape:
        return f"returns an array of shape {list(found)}, expected {expected}, here of shape {list(shape)}"
    if kind not in kinds:
        return f"returns numbers of type {result.dtype}, expected {expected}"
    return None


def wrong_arrays(result: Any, like: dict[str, Any]) -> str | None:
    """What is wrong with a result that should be a dictionary with the names and shapes of another, maybe nested."""
    if not isinstance(result, dict):
        return f"returns {show(result):.60}, expected a dictionary with {', '.join(like)}"
    before, after = leaves(like), leaves(result)
    if odd := sorted(before.keys() ^ after.keys()):
        return (
            f"returns a dictionary {'without' if odd[0] in before else 'with'} {odd[0]!r}, expected {', '.join(before)}"
        )
    complaints = (wrong_array(after[name], np.shape(before[name]), "f", f"floats in {name!r}") for name in before)
    return next((complaint for complaint in complaints if complaint), None)
