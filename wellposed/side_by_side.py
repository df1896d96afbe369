"""Several runs in one process, new or resumed, each recorded as its own."""

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from wellposed import serialise
from wellposed.budget import runs_at_once
from wellposed.config import AnyRunConfig, stored_config
from wellposed.errors import UserError, require
from wellposed.interrupts import interruptible
from wellposed.memory import require_fit
from wellposed.progress import TrainingProgress
from wellposed.runs import checkpoint
from wellposed.runs.record import Summary
from wellposed.runs.store import require_free
from wellposed.runs.writer import OnEvaluation, RunWriter, unobserved
from wellposed.settings import own_settings
from wellposed.training import Job, new_run, train_recorded

Results = Generator[tuple[Path, Summary | None]]


def train_side_by_side(
    runs: Sequence[AnyRunConfig],
    runs_dir: str | Path,
    *,
    threads: int = 2,
    quiet: bool = False,
    progress: TrainingProgress | None = None,
    on_evaluation: OnEvaluation = unobserved,
) -> Results:
    """Train several runs in this process, `threads` at a time, each recorded as its own and bit for bit as if alone.

    Arguments and errors are those of `train`; `progress` is the display of longer work that includes these runs. A run
    that fails does not stop the others: its error is raised when they are done. Ctrl-C stops those under way at their
    next update, and no other is started.

    Yields:
        Each run's directory and how it ended, in the order of `runs`, as soon as it and those before it are done; None
        instead of a summary for a run that was interrupted: it is saved and can be resumed.
    """
    folder = Path(runs_dir)
    require_free(folder, [serialise.to_dict(config) for config in runs])
    jobs = [new_run(config, folder) for config in runs]
    jobs = [replace(job, on_evaluation=on_evaluation) for job in jobs]
    yield from _side_by_side(jobs, {folder}, threads, progress or TrainingProgress(quiet))


def resume(
    paths: Sequence[str | Path],
    *,
    threads: int = 2,
    quiet: bool = False,
    salvage: bool = False,
    progress: TrainingProgress | None = None,
    on_evaluation: OnEvaluation = unobserved,
) -> Results:
    """Resume runs that were interrupted, side by side; each ends bit for bit as if it had never stopped.

    Arguments, yields and errors are those of `train_side_by_side`, with `paths` of run directories. With `salvage`, a
    run whose replay is damaged goes on without the damaged part, which its record says. Raises UserError if one is
    finished, diverged, being written by another process, or has no intact checkpoint.
    """
    found = [Path(path) for path in paths]
    if len({path.resolve() for path in found}) != len(found):
        raise UserError("The same run was named twice.")

    def job(path: Path) -> Job:
        begins = not checkpoint.manifests(path)
        return Job(stored_config(path), partial(RunWriter.reopen, path, salvage=salvage), begins, on_evaluation)

    folders = {path.parent for path in found}
    yield from _side_by_side([job(path) for path in found], folders, threads, progress or TrainingProgress(quiet))


def _side_by_side(jobs: list[Job], folders: set[Path], threads: int, progress: TrainingProgress) -> Results:
    """Do the jobs, `threads` at a time, if memory holds them beside the runs under way below `folders`."""
    require(threads >= 1, "threads", "must be at least 1", threads)
    require_fit([job.config for job in jobs], threads, folders)
    at_once = runs_at_once(len(jobs), threads)
    errors: list[UserError] = []
    patient = True
    pool = ThreadPoolExecutor(at_once, "run")
    with own_settings(), progress, interruptible() as interrupted:
        share = max(1, threads // at_once)

        def do(job: Job) -> tuple[Path, Summary | None] | None:
            return None if interrupted else train_recorded(job, share, progress, interrupted)

        futures = [pool.submit(do, job) for job in jobs]
        try:
            for future in futures:
                try:
                    result = future.result()
                except UserError as error:
                    errors.append(error)
                    continue
                if result is not None:
                    yield result
        except KeyboardInterrupt:  # the second Ctrl-C: do not wait for the threads
            patient = False
            raise
        finally:
            interrupted.append(0)  # tell the threads, whatever ended this
            pool.shutdown(wait=patient, cancel_futures=True)
    if errors:
        raise UserError("\n".join(str(error) for error in errors))
