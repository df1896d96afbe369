"""What a kind of measurement is: its settings, its result, and the function that leads from one to the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Over(Protocol):
    """Progress of a measurement: a loop that is seen."""

    def __call__(self, items: Sequence[T], what: str, /) -> Iterator[T]:
        """The items one by one, with a bar that says what is done with them, the rate and the time left."""
        ...


@dataclass(frozen=True)
class Context:
    """What a measurement is handed beside its settings."""

    threads: int  # native threads for physics
    runs: dict[str, list[Path]]  # "experiment.variant" -> its runs in the order of the seeds; what `of` names
    over: Over


@dataclass(frozen=True)
class Kind:
    """One kind of measurement, as `[measurements.NAME] kind = ...` of a chapter names it.

    A field `of` of the settings, a string or a list of strings, names the "experiment.variant"s that are measured.
    """

    settings: type  # a frozen dataclass: the keys of the table but `kind`
    result: type  # a frozen dataclass of JSON data
    measure: Callable[[Any, Context], Any]  # (settings, context) -> result
