"""Several runs on this machine, new or resumed, each recorded as its own."""

from collections.abc import Generator, Sequence
from pathlib import Path

from wellposed import serialise
from wellposed.config import AnyRunConfig, stored_config
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.rows import Row, row_of
from wellposed.launch.states import state_of
from wellposed.launch.work import Extras
from wellposed.progress import TrainingProgress
from wellposed.runs import lock
from wellposed.runs.record import Summary
from wellposed.runs.store import RunReader, refuse_ended, require_free
from wellposed.training import how_it_diverged

Results = Generator[tuple[Path, Summary | None]]


def train_side_by_side(
    runs: Sequence[AnyRunConfig],
    runs_dir: str | Path,
    *,
    threads: int = 2,
    quiet: bool = False,
    wandb: str | None = None,
) -> Results:
    """Train several runs, `threads` at a time, each in a process and on a core of its own, bit for bit as if alone.

    One run alone trains in this process. A run that fails does not stop the others: its error is raised when they are
    done. Ctrl-C stops those under way at their next update, and no other is started.

    Args:
        runs: configurations, all different.
        runs_dir: where their directories are made.
        threads: cores to use; results do not depend on it.
        quiet: no progress bars and no line per evaluation.
        wandb: project of Weights & Biases that evaluations are logged to as well.

    Yields:
        Each run's directory and how it ended, in the order of `runs`, as soon as it and those before it are done; None
        instead of a summary for a run that was interrupted: it is saved and can be resumed.

    Raises:
        UserError: if a directory is taken, the disk refuses, or training diverges.
    """
    folder = Path(runs_dir)
    require_free(folder, [serialise.to_dict(config) for config in runs])
    yield from _results([row_of("", config) for config in runs], folder, threads, quiet, Extras(wandb=wandb))


def resume(
    paths: Sequence[str | Path],
    *,
    threads: int = 2,
    quiet: bool = False,
    salvage: bool = False,
    wandb: str | None = None,
) -> Results:
    """Resume runs that were interrupted, side by side; each ends bit for bit as if it had never stopped.

    Arguments, yields and errors are those of `train_side_by_side`, with `paths` of run directories. With `salvage`, a
    run whose replay is damaged goes on without the damaged part, which its record says. Raises UserError if one is
    finished, diverged, being written by another process, or has no intact checkpoint.
    """
    found = [path if path.name == path.resolve().name else path.resolve() for path in map(Path, paths)]
    if len({path.resolve() for path in found}) != len(found):
        raise UserError("The same run was named twice.")
    rows: dict[Path, list[Row]] = {}
    for path in found:
        refuse_ended(RunReader(path))
        lock.acquire(path / "lock").release()  # an error if a process is writing it
        rows.setdefault(path.parent, []).append(Row(path.name, "", serialise.to_dict(stored_config(path))))
    for folder, of_one in rows.items():
        yield from _results(of_one, folder, threads, quiet, Extras(salvage, wandb))


def _results(rows: list[Row], folder: Path, threads: int, quiet: bool, extras: Extras) -> Results:
    """Do the rows, and yield how they ended in their order; what failed is told at the end."""
    ended, errors = set[str](), list[str]()
    stopped, left = False, list(rows)
    work = local.train_rows(rows, folder, threads, TrainingProgress(quiet), extras)
    while left:
        try:
            ended.add(next(work).name)
        except StopIteration:
            break
        except KeyboardInterrupt:
            stopped = True
        except UserError as error:
            errors.append(str(error))
        over = bool(stopped or errors)  # then the rest comes out of order
        while left and (over or left[0].name in ended):
            row = left.pop(0)
            if row.name in ended and (how := how_it_diverged(folder / row.name)):
                errors.append(how)
            elif row.name in ended:
                yield folder / row.name, RunReader(folder / row.name).summary
            elif stopped and state_of(folder, row) == "interrupted":
                yield folder / row.name, None
    if errors:
        raise UserError("\n".join(errors))
