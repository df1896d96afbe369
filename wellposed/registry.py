"""Named entries of one kind: ours, and those of installed packages by entry point."""

import threading
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from wellposed.errors import UserError

T = TypeVar("T")


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
                for point in entry_points(group=self.group):
                    self.register(point.name, point.load())
        return self._entries
