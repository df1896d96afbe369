"""The rows of a launch, each a run, and the folder that holds them.

FOLDER/
    manifest.toml   the question, a copy; absent where a command or Python code asked for the rows
    launch.json     the command that asked, and the directory of the runs
    rows.jsonl      name, label and configuration of each run; rows are only added, so an index stays what it is
    runs/           the run directories
    errors/         why a row could not be done, one file each, until it is taken up again

A row's name is the name of its run directory. It holds a digest of the configuration, so a run that exists is found by
it, whoever trained it. Nothing here imports JAX: `wellposed status` must answer at once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from wellposed import serialise
from wellposed.errors import UserError
from wellposed.runs import disk
from wellposed.runs.files import (
    MAX_JSON_BYTES,
    append_rows,
    explained,
    folder_in,
    read_bytes,
    read_json,
    read_toml,
    write_json,
    write_whole,
)
from wellposed.runs.store import is_named, run_name

MAX_BYTES = 2**30


@dataclass(frozen=True)
class Row:
    """One run that is asked for."""

    name: str  # of its run directory
    label: str  # of the variant or trial that it belongs to
    config: dict[str, Any]  # as in the run's config.json


class _Length(msgspec.Struct):
    """Of a row's configuration: how long its run may be."""

    total_steps: int
    until_success: float | None = None


@dataclass(frozen=True)
class _About:
    """What launch.json holds."""

    command: list[str]
    runs: str


def row_of(label: str, config: Any) -> Row:
    """The row of a run's configuration (`AnyRunConfig`)."""
    data = serialise.to_dict(config)
    return Row(run_name(data), label, data)


def folder_of(config: Any, runs_dir: Path) -> Path:
    """The directory of the run of a configuration (`AnyRunConfig`)."""
    return runs_dir / run_name(serialise.to_dict(config))


@dataclass(frozen=True)
class Folder:
    """The folder of a launch."""

    path: Path

    @property
    def runs(self) -> Path:
        """The directory of the runs."""
        return self.path / self._about.runs

    @property
    def command(self) -> list[str]:
        """The command that asked for the rows, which their records name."""
        return self._about.command

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order of their indices.

        Raises:
            UserError: if the folder is not one of a launch, or its rows are damaged.
        """
        return self._decoded(self._lines)

    def row(self, index: int) -> Row:
        """One row; the others are not decoded. Raises UserError as `rows`, or if there is no such row."""
        lines = self._lines
        if not 0 <= index < len(lines):
            raise UserError(f"{self.path} has {len(lines)} rows, and none of index {index}.")
        return self._decoded([lines[index]])[0]

    @property
    def _lines(self) -> list[bytes]:
        path = self.path / "rows.jsonl"
        if not path.exists():
            raise UserError(f"{self.path} is not the folder of a launch: it has no rows.jsonl.")
        return read_bytes(path, MAX_BYTES).split(b"\n")[:-1]

    def _decoded(self, lines: list[bytes]) -> list[Row]:
        decoder = msgspec.json.Decoder(Row)
        try:
            rows = [decoder.decode(line) for line in lines]
            for row in rows:
                serialise.convert(_Length, row.config)
                if not (is_named(row.config) and row.name == run_name(row.config)):
                    raise ValueError(f"{row.name!r} is not the name of its configuration")
            return rows
        except (ValueError, RecursionError) as error:
            told = f"{self.path / 'rows.jsonl'} is damaged ({error}). Launch the manifest into another folder."
            raise UserError(told) from error

    @property
    def _about(self) -> _About:
        path = self.path / "launch.json"
        try:
            return serialise.from_dict(_About, read_json(path), str(path))
        except ValueError as error:
            raise UserError(f"{error}. The file was edited by hand or is damaged.") from error

    @property
    def errors(self) -> dict[str, str]:
        """Why rows could not be done, by their names."""
        folder = self.path / "errors"
        return {
            path.name: read_bytes(path, MAX_JSON_BYTES).decode(errors="replace") for path in sorted(folder.glob("*"))
        }

    def note_error(self, row: Row, sentence: str) -> None:
        """Keep why a row could not be done; "" once it is taken up again."""
        if sentence or (self.path / "errors").exists():
            path = folder_in(self.path, "errors") / row.name
            write_whole(path, sentence.encode(errors="replace")) if sentence else disk.remove(path)


def make_folder(path: Path, rows: Sequence[Row], command: list[str], runs: Path = Path("runs")) -> Folder:
    """Make the folder of a launch, or add rows to the one that is there.

    Args:
        path: of the folder.
        rows: all that are asked for; those that are there already must be among them.
        command: that asks for them.
        runs: the directory of the runs, relative to `path` or absolute.

    Raises:
        UserError: if the same run is asked for twice, or the folder holds rows that are not asked for, or has its runs
            elsewhere.
    """
    names = [row.name for row in rows]
    if twice := sorted({name for name in names if names.count(name) > 1}) if len({*names}) < len(names) else []:
        raise UserError(f"The same configuration and seed is asked for twice: {', '.join(twice)}.")
    folder = Folder(path)
    known = {row.name for row in folder.rows} if (path / "rows.jsonl").exists() else set[str]()
    if gone := known - set(names):
        raise UserError(
            f"{path} holds {len(gone)} rows that are not asked for any more, such as {min(gone)}. Name another --out."
        )
    if known and folder.runs != path / runs:
        raise UserError(f"{path} has its runs in {folder.runs}, not in {path / runs}. Name another --out.")
    with explained(path, "make"):
        disk.make_folder(path)
    if not known:
        write_json(path / "launch.json", {"command": command, "runs": str(runs)})
    add_rows(folder, [row for row in rows if row.name not in known])
    return folder


def is_copy(folder: Folder, manifest: Path) -> bool:
    """Whether a folder was made of exactly this manifest."""
    kept = folder.path / "manifest.toml"
    return kept.exists() and read_bytes(kept, MAX_BYTES) == read_bytes(manifest, MAX_BYTES)


def is_search(folder: Folder) -> bool:
    """Whether a folder was made of a manifest with a table [search]."""
    kept = folder.path / "manifest.toml"
    return kept.exists() and "search" in read_toml(kept)[1]


def keep_copy(folder: Folder, manifest: Path) -> None:
    """Keep a copy of the manifest; it is written last, so it says that all of its rows are there."""
    write_whole(folder.path / "manifest.toml", read_bytes(manifest, MAX_BYTES))


def add_rows(folder: Folder, rows: Iterable[Row]) -> None:
    """Add rows at the end; when it returns they survive a loss of power."""
    told = ({"name": row.name, "label": row.label, "config": row.config} for row in rows)
    append_rows(folder.path / "rows.jsonl", told)
