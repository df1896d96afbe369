"""Where each run of a launch is, read from its directory and nothing else."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from wellposed.launch.rows import Row
from wellposed.runs.store import RunReader

State = Literal["finished", "running", "interrupted", "failed", "pruned", "waiting"]
STATES: tuple[State, ...] = get_args(State)
OF_STATUS: dict[str, State] = {
    "finished": "finished", "diverged": "failed", "running": "running", "interrupted": "interrupted"
}  # fmt: skip
ENDED: tuple[State, ...] = ("finished", "failed", "pruned")  # nothing is left to do
PRUNED = "pruned"  # a file in a run directory: the search does not go on with this run


def state_of(runs: Path, row: Row) -> State:
    """The state of a row, whose run directory lies in `runs`; failed: training diverged."""
    path = runs / row.name
    begun = (path / "config.json").exists()
    state = OF_STATUS[RunReader(path).status] if begun else "waiting"
    return "pruned" if state in ("interrupted", "waiting") and (path / PRUNED).exists() else state


def states(runs: Path, rows: Iterable[Row]) -> list[State]:
    """The states of many rows."""
    return [state_of(runs, row) for row in rows]
