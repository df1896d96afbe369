"""Where each run of a launch is, read from its directory and nothing else."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, get_args

from wellposed.launch.rows import Row
from wellposed.runs.store import RunReader

State = Literal["finished", "running", "interrupted", "failed", "waiting"]
STATES: tuple[State, ...] = get_args(State)
OF_STATUS: dict[str, State] = {
    "finished": "finished", "diverged": "failed", "running": "running", "interrupted": "interrupted"
}  # fmt: skip
ENDED: tuple[State, ...] = ("finished", "failed")  # nothing is left to do


def state_of(runs: Path, row: Row) -> State:
    """The state of a row, whose run directory lies in `runs`; failed: training diverged."""
    path = runs / row.name
    if not (path / "config.json").exists():
        return "waiting"
    return OF_STATUS[RunReader(path).status]


def states(runs: Path, rows: Iterable[Row]) -> list[State]:
    """The states of many rows."""
    return [state_of(runs, row) for row in rows]
