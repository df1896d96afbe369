"""Named entries of one kind: ours, and those of installed packages by entry point."""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Generic, TypeVar

from wellposed.errors import UserError

T = TypeVar("T")


def from_packages(group: str, take: Callable[[metadata.EntryPoint], None], what: str) -> None:
    """Load the entry points that installed packages have in a group; one that fails is a warning.

    Args:
        group: of the entry points.
        take: loads and registers one. It may raise anything; the others are loaded all the same.
        what: how the warning names it, as "algorithm" or "environments".
    """
    for point in metadata.entry_points(group=group):
        try:
            take(point)
        except Exception as error:
            where = f"{point.value!r} ({point.dist.name})" if point.dist else repr(point.value)
            warnings.warn(f"The {what} of {where} could not be registered: {error!r}.", stacklevel=3)


class Registry(Mapping[str, T], Generic[T]):
    """Entries by name. Installed packages add to it by entry points of the registry's group."""

    def __init__(self, kind: str, group: str):
        """`kind`: what messages call an entry, as "algorithm"; `group`: of the entry points."""
        self.kind, self.group = kind, group
        self._entries: dict[str, T] = {}
        self._asked = False  # whether the entry points were loaded
        self._asking = threading.RLock()

    def register(self, name: str, entry: T) -> None:
        """Add an entry. Raises ValueError if the name is taken."""
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already")
        self._entries[name] = entry

    def find(self, name: str) -> T:
        """The entry of that name. Raises UserError if there is none."""
        if name not in list(self):  # from a file it may be of any type, and a list has no hash
            there = f"There is no {self.kind} {name!r}; there are {', '.join(self)}."
            raise UserError(f"{there} If a file of yours registers it, name that file with --plugin FILE.")
        return self[name]

    def __getitem__(self, name: str) -> T:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, T]:
        with self._asking:  # a second thread waits until all are there
            if not self._asked:
                self._asked = True
                from_packages(self.group, lambda point: self.register(point.name, point.load()), self.kind)
        return self._entries
