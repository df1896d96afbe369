"""The interface of a measurement: a type of settings, a type of results, and the function from one to the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Over(Protocol):
    """A progress bar around a loop."""

    def __call__(self, items: Sequence[T], what: str, /) -> Iterator[T]:
        """Iterate over the items; the bar shows `what`, the rate and the time left."""
        ...


def unwatched(items: Sequence[T], _what: str, /) -> Iterator[T]:
    """Iterate over the items without a progress bar."""
    return iter(items)


@dataclass(frozen=True)
class Context:
    """What a measurement gets beside its settings."""

    threads: int  # native threads for physics
    runs: dict[str, list[Path]]  # "experiment.variant" -> its run directories in the order of the seeds
    over: Over = unwatched


@dataclass(frozen=True)
class Kind:
    """One kind of measurement, named by `kind` in `[measurements.NAME]` of a chapter.

    If the settings have a field `of`, a string or a list of strings, it names the "experiment.variant"s whose runs
    are measured; `Context.runs` holds them.
    """

    settings: type  # a frozen dataclass: the keys of the table except `kind`
    result: type  # a frozen dataclass of JSON data
    measure: Callable[[Any, Context], Any]  # (settings, context) -> result
