"""Loss of power: what was written and not flushed may be there, be missing, or be there in part.

A session is followed at the one module that writes. After each of its calls, the states are noted in which a crash may
leave the file system, and the run is opened in each: what was saved is there. A file holds what was flushed, what was
written, or a part of that with zeros behind. Of the changes to a folder that were not flushed any may be missing, in
any combination; a rename happens or does not.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runs.test_faults import MOMENTS, begin_or_take_up, record, session, snapshot
from tests.runs.test_store import CONFIG, PROVENANCE
from wellposed.errors import UserError
from wellposed.runs import disk
from wellposed.runs.store import RunReader, run_name
from wellposed.runs.writer import RunWriter

MOST = 12  # states after one call, apart from the extreme ones; where more are possible they are drawn
State = frozenset[tuple[str, bytes | None]]  # each file's path and content, and each folder's path


@dataclass(eq=False)
class File:
    """A file's content, as it was flushed and as it is."""

    flushed: bytes = b""
    now: bytes = b""

    def after_crash(self) -> list[bytes]:
        """What may be in it."""
        if self.now == self.flushed:
            return [self.now]
        new = len(self.now) - len(self.flushed)
        torn = self.now[: len(self.flushed) + new // 2] + bytes(new - new // 2)
        return [self.flushed, self.now, *([torn] if new > 1 else [])]


@dataclass(eq=False)
class Folder:
    """A folder's entries, as they were flushed, and each change since: names that went, and one that came."""

    flushed: dict[str, "File | Folder"] = field(default_factory=dict)
    changes: list[tuple[list[str], dict[str, "File | Folder"]]] = field(default_factory=list)

    def with_changes(self, kept: tuple[bool, ...]) -> dict[str, "File | Folder"]:
        """Its entries, if of the changes only some happened."""
        found = dict(self.flushed)
        for (gone, came), keep in zip(self.changes, kept, strict=True):
            if keep:
                found = {name: entry for name, entry in found.items() if name not in gone} | came
        return found

    @property
    def now(self) -> dict[str, "File | Folder"]:
        """Its entries."""
        return self.with_changes((True,) * len(self.changes))

    def after_crash(self) -> list[dict[str, "File | Folder"]]:
        """What may be in it: nothing new, all, only one of the changes, all but one."""
        n = len(self.changes)
        kept = [
            (False,) * n,
            (True,) * n,
            *(tuple((i == one) == only for i in range(n)) for one in range(n) for only in (True, False)),
        ]
        return list(map(self.with_changes, kept if n else [()]))


class Disk:
    """Follows the calls that write below `root`, and notes the states that a crash could leave after each."""

    def __init__(self, root: Path, blind: str = ""):
        """`blind`: a call that does nothing here, though it says that it did."""
        self.folders, self.root, self.blind = {root: Folder()}, root, blind
        self.files: list[File] = []
        self.open: dict[int, File] = {}  # by handle
        self.saved: list[int] = []
        self.states: dict[State, int] = {}  # with the number of the last checkpoint that was saved by then
        self.rng = random.Random(0)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        followed = (self.create, self.open_to_append, self.write, self.truncate, self.sync, self.rename, self.remove)
        for follow in (*followed, self.sync_folder):
            patch.setattr(disk, follow.__name__, self.wrap(follow, getattr(disk, follow.__name__)))
        make_folder = disk.make_folder

        def make(path: Path) -> None:
            for folder in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
                self.folders[folder] = Folder()
                self.folders[folder.parent].changes.append(([], {folder.name: self.folders[folder]}))
            make_folder(path)  # which flushes what is above

        patch.setattr(disk, "make_folder", make)

    def wrap(self, follow: Callable[..., None], original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            result = original(*args)
            if follow.__name__ != self.blind:
                follow(result, *args)
            for state in self.possible():
                self.states[state] = max(self.states.get(state, 0), self.saved[-1] if self.saved else 0)
            return result

        return call

    def create(self, handle: int, path: Path) -> None:
        self.files.append(File())
        self.open[handle] = self.files[-1]
        self.folders[path.parent].changes.append(([], {path.name: self.files[-1]}))

    def open_to_append(self, handle: int, path: Path) -> None:
        there = self.folders[path.parent].now.get(path.name)
        if isinstance(there, File):
            self.open[handle] = there
        else:
            self.create(handle, path)

    def write(self, taken: int, handle: int, content: bytes | memoryview) -> None:
        self.open[handle].now += bytes(content[:taken])

    def truncate(self, _: None, handle: int, size: int) -> None:
        self.open[handle].now = self.open[handle].now[:size]

    def sync(self, _: None, handle: int) -> None:
        self.open[handle].flushed = self.open[handle].now

    def rename(self, _: None, old: Path, new: Path) -> None:
        folder = self.folders[old.parent]
        folder.changes.append(([old.name], {new.name: folder.now[old.name]}))

    def remove(self, _: None, path: Path) -> None:
        if path.name in self.folders[path.parent].now:
            self.folders[path.parent].changes.append(([path.name], {}))

    def sync_folder(self, _: None, path: Path) -> None:
        if path in self.folders:
            folder = self.folders[path]
            folder.flushed, folder.changes = folder.now, []

    def possible(self) -> Iterator[State]:
        """The states after a crash now: all that is unflushed missing, there, or torn; and others."""
        folders, files = list(self.folders.values()), self.files
        entries, contents = ([part.after_crash() for part in parts] for parts in (folders, files))
        pick = lambda options, i: tuple(of[min(i, len(of) - 1)] for of in options)  # noqa: E731
        extremes = [(*pick(entries, i), *pick(contents, j)) for i, j in product(range(2), range(3))]
        every = product(*entries, *contents)
        if math.prod(map(len, (*entries, *contents))) > MOST:
            every = (tuple(map(self.rng.choice, (*entries, *contents))) for _ in range(MOST))
        for choice in (*extremes, *every):
            found = dict(zip(map(id, (*folders, *files)), choice, strict=True))
            yield frozenset(self.below(self.folders[self.root], "", found))

    def below(self, folder: Folder, where: str, found: dict[int, Any]) -> Iterator[tuple[str, bytes | None]]:
        """What lies in a folder."""
        for name, entry in found[id(folder)].items():
            if isinstance(entry, File):
                yield f"{where}{name}", found[id(entry)]
            else:
                yield f"{where}{name}/", None
                yield from self.below(entry, f"{where}{name}/", found)


def materialise(state: State, folder: Path) -> None:
    for name, content in sorted(state, key=lambda entry: entry[0]):
        (folder / name).mkdir(parents=True) if content is None else (folder / name).write_bytes(content)


def followed(folder: Path, blind: str = "") -> dict[State, int]:
    """A session from its beginning to its end; the states that a crash in it may leave."""
    folder.mkdir()
    found = Disk(folder, blind)
    with pytest.MonkeyPatch.context() as patch:
        found.install(patch)
        with RunWriter(folder / "runs", CONFIG, PROVENANCE) as run:
            session(run, found.saved)
    return found.states


def lost(state: State, saved: int, folder: Path) -> str:
    """What is wrong with a run in that state; "" if nothing is."""
    materialise(state, folder)
    path = folder / "runs" / run_name(CONFIG)
    if not (path / "config.json").exists():
        return f"checkpoint {saved} and its run are gone" if saved else ""
    if RunReader(path).summary:
        return ""
    try:
        with RunWriter.reopen(path, PROVENANCE) as run:
            restored = run.restored
    except UserError as error:
        return str(error)
    number = restored.manifest.number if restored else 0
    if number < saved:
        return f"checkpoint {saved} was saved, and {number} is the newest that is whole"
    if restored and not np.array_equal(restored.agent["w"], snapshot(number).agent["w"]):
        return f"checkpoint {number} holds something else"
    return ""


@pytest.mark.slow
def test_after_a_loss_of_power_at_any_moment_what_was_saved_is_there(tmp_path):
    states = followed(tmp_path / "session")
    found = [lost(state, saved, tmp_path / str(i)) for i, (state, saved) in enumerate(states.items())]
    assert [what for what in found if what] == []
    assert len(states) > 300
    assert set(states.values()) == set(range(MOMENTS + 1))


def test_a_run_that_lost_power_ends_as_if_it_had_not(tmp_path):
    states = followed(tmp_path / "session")
    whole = record(tmp_path / "session" / "runs")
    for i, state in enumerate(islice(states, 0, None, 60)):
        materialise(state, tmp_path / str(i))
        path = tmp_path / str(i) / "runs" / run_name(CONFIG)
        if not (path / "summary.json").exists():
            begin_or_take_up(tmp_path / str(i) / "runs", [])
        assert record(path.parent) == whole


@pytest.mark.parametrize("blind", ["sync", "sync_folder"])
def test_a_flush_that_does_nothing_would_be_seen(tmp_path, blind):
    states = followed(tmp_path / "session", blind)
    assert any(lost(state, saved, tmp_path / str(i)) for i, (state, saved) in enumerate(states.items()))
