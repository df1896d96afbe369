"""Commands that show records as tables."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from wellposed.commands.arguments import RUNS, JsonFile, Positional, RunPath, RunsDir, emit
from wellposed.runs.listing import Order


def list_runs(
    words: Annotated[
        Positional[tuple[str, ...]],
        tyro.conf.arg(
            metavar="WORD...", help="only runs whose directory, environment, algorithm or status has them all"
        ),
    ] = (),
    where: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="SETTING=VALUE...", help="only runs with these settings")
    ] = (),
    sort: Annotated[Order, tyro.conf.arg(help="by what they are sorted")] = "path",
    reverse: Annotated[bool, tyro.conf.arg(help="the largest first")] = False,
    paths: Annotated[bool, tyro.conf.arg(help="the directory of each run beneath it")] = False,
    runs_dir: RunsDir = RUNS,
    json_file: JsonFile = None,
) -> int:
    """List the runs below a directory, the settings in which they differ beneath them; damaged ones are listed, too.

    Commands that take a RUN take its short name too, for runs below ./runs. Success is that of the newest evaluation.
    """
    from wellposed.runs import listing, store

    rows = listing.chosen(listing.listing(store.list_runs(runs_dir)), words, where, sort, reverse)
    if not emit(listing.as_data(rows), json_file):
        nothing = f"No runs{' of that kind' if words or where else ''} below {runs_dir}."
        print("\n".join(listing.table(rows, paths)) if rows else nothing)
    return 0


def rows(
    run: Annotated[Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a run's directory, or its short name")],
    kind: Annotated[
        Literal["metrics", "evaluations", "episodes", "warnings"], tyro.conf.arg(help="which rows of the record")
    ] = "metrics",
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="a .csv or .parquet file; CSV on standard output without it")
    ] = None,
) -> int:
    """Write the rows of a run's record as one flat table."""
    from wellposed.runs.store import RunReader
    from wellposed.runs.tables import as_csv, rows_of, write_table

    found = rows_of(RunReader(run), kind)
    if out is None:
        print(as_csv(found), end="")
    else:
        write_table(found, out)
        print(out)
    return 0
