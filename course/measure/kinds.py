"""The interface of a measurement: a type of settings, a type of results, and the function from one to the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wellposed.progress import Over, unwatched


@dataclass(frozen=True)
class Context:
    """What a measurement gets beside its settings."""

    threads: int  # native threads for physics
    runs: dict[str, list[Path]]  # "experiment.variant" -> its run directories in the order of the seeds
    over: Over = unwatched
    brought: Path = Path()  # the folder of the chapter, with the files that it brings
    kept: Path = Path()  # where a measurement may keep files


@dataclass(frozen=True)
class Kind:
    """One kind of measurement, named by `kind` in `[measurements.NAME]` of a chapter.

    If the settings have a field `of`, a string or a list of strings, it names the "experiment.variant"s whose runs
    are measured; `Context.runs` holds them.
    """

    settings: type  # a frozen dataclass: the keys of the table except `kind`
    result: type  # a frozen dataclass of JSON data
    measure: Callable[[Any, Context], Any]  # (settings, context) -> result
