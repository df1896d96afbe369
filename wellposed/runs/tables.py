"""The rows of a run as one flat table: CSV, or Parquet."""

import csv
import importlib
import io
from pathlib import Path
from typing import Any, Literal

from wellposed.errors import UserError
from wellposed.runs.files import encoded, read_lines, write_whole
from wellposed.runs.record import EpisodeRow, decode
from wellposed.runs.store import RunReader
from wellposed.serialise import flatten, to_dict

Kind = Literal["metrics", "evaluations", "episodes", "warnings"]


def rows_of(reader: RunReader, kind: Kind) -> list[dict[str, Any]]:
    """The rows of one kind, nested values by dotted name, an interval as its two ends.

    Raises:
        UserError: if the record is damaged.
    """
    if kind == "episodes":
        path = reader.path / "episodes.jsonl"
        rows: list[Any] = []
        for i, row in enumerate(read_lines(path), 1):
            step = row.pop("step", None) if isinstance(row, dict) else None
            rows.append({"step": step} | to_dict(decode(EpisodeRow, row, f"{path}, line {i}")))
    else:
        rows = [to_dict(row) for row in getattr(reader, kind)]
    return [_ends_apart(flatten(row)) for row in rows]


def _ends_apart(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose intervals are two columns."""
    found: dict[str, Any] = {}
    for name, value in row.items():
        found |= {f"{name}.low": value[0], f"{name}.high": value[1]} if isinstance(value, list) else {name: value}
    return found


def as_csv(rows: list[dict[str, Any]]) -> str:
    """A line of names, and a line for each row; what a row lacks is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def write_table(rows: list[dict[str, Any]], target: Path) -> None:
    """Write rows to a file whose ending says how: .csv or .parquet.

    Raises:
        UserError: if it ends otherwise, or Parquet cannot be written here.
    """
    if target.suffix == ".csv":
        write_whole(target, encoded(as_csv(rows)))
        return
    if target.suffix != ".parquet":
        raise UserError(f"--out takes a file that ends with .csv or .parquet, got {target}.")
    try:
        arrow: Any = importlib.import_module("pyarrow")
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise UserError("Parquet needs pyarrow: `pip install 'wellposed[parquet]'`, or take --out FILE.csv.") from error
    names = dict.fromkeys(name for row in rows for name in row)
    memory = io.BytesIO()
    try:
        parquet.write_table(arrow.table({name: [row.get(name) for row in rows] for name in names}), memory)
    except UnicodeEncodeError as error:
        raise UserError(
            f"The rows hold half a character, which Parquet cannot: {error}. Take --out FILE.csv."
        ) from error
    write_whole(target, memory.getvalue())
