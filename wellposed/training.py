"""Training runs: one or several side by side, begun anew or taken up where they were stopped, each with its record."""

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import jax
from gymnasium.vector import AutoresetMode

from wellposed import config as configs
from wellposed import envs
from wellposed.budget import runs_at_once
from wellposed.envs.wrappers.curriculum import with_curriculum
from wellposed.errors import NotFiniteError, UserError, require
from wellposed.evaluate import EVALUATION_COPIES
from wellposed.interrupts import Stopwatch, interruptible
from wellposed.loop import LOOPS, OnPolicyTraining, Training
from wellposed.memory import require_fit
from wellposed.progress import TrainingProgress
from wellposed.recipe import AnyRunConfig, against_divergence, stored_config
from wellposed.runs import provenance
from wellposed.runs.record import Failure, Provenance, Summary
from wellposed.runs.store import require_free
from wellposed.runs.writer import RunWriter

Results = Generator[tuple[Path, Summary | None]]


@dataclass(frozen=True)
class Job:
    """A run to train: its configuration, and how its record is opened, given where this process comes from."""

    config: AnyRunConfig
    open: Callable[[Provenance], RunWriter]


def train(config: AnyRunConfig, runs_dir: str | Path, *, threads: int = 2, quiet: bool = False) -> tuple[Path, Summary]:
    """Train one run and record it below `runs_dir`.

    Args:
        config: the run, in full.
        runs_dir: where its directory is made.
        threads: native threads for physics; the result does not depend on it.
        quiet: no progress bar and no line per evaluation.

    Returns:
        The run's directory and how it ended.

    Raises:
        UserError: if the directory is taken, the disk refuses, or training diverges.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the run is saved, and `resume` goes on with it.
    """
    [(path, summary)] = train_side_by_side([config], runs_dir, threads=threads, quiet=quiet)
    if summary is None:
        raise KeyboardInterrupt
    return path, summary


def train_side_by_side(
    runs: Sequence[AnyRunConfig],
    runs_dir: str | Path,
    *,
    threads: int = 2,
    quiet: bool = False,
    progress: TrainingProgress | None = None,
) -> Results:
    """Train several runs in this process, `threads` at a time, each recorded as its own and bit for bit as if alone.

    Arguments and errors are those of `train`; `progress` is the display of longer work that the runs are a part of.
    A run that fails does not stop the others: its error is raised when they are done. After Ctrl-C those under way end
    at their next update, and no other is begun.

    Yields:
        Each run's directory and how it ended, in the order of `runs`, as soon as it and those before it are done; None
        instead of a summary where a run was interrupted: it is saved, and `resume` goes on with it.
    """
    folder = Path(runs_dir)
    require_free(folder, [configs.to_dict(config) for config in runs])

    def job(config: AnyRunConfig) -> Job:
        return Job(config, lambda origin: RunWriter(folder, configs.to_dict(config), origin))

    yield from _side_by_side([job(config) for config in runs], {folder}, threads, progress or TrainingProgress(quiet))


def resume(
    paths: Sequence[str | Path],
    *,
    threads: int = 2,
    quiet: bool = False,
    progress: TrainingProgress | None = None,
) -> Results:
    """Go on with runs that were cut short, side by side; each ends bit for bit as if nothing had happened.

    Args:
        paths: run directories.
        threads: runs at a time, as in `train_side_by_side`.
        quiet: no progress bar and no line per evaluation.
        progress: the display of longer work that they are a part of.

    Yields:
        As `train_side_by_side`.

    Raises:
        UserError: if one is finished, diverged, being written by another process, or damaged beyond its checkpoints.
    """
    found = [Path(path) for path in paths]
    if len({path.resolve() for path in found}) != len(found):
        raise UserError("The same run was named twice.")

    def job(path: Path) -> Job:
        return Job(stored_config(path), lambda origin: RunWriter.reopen(path, origin))

    folders = {path.parent for path in found}
    yield from _side_by_side([job(path) for path in found], folders, threads, progress or TrainingProgress(quiet))


def overlap_by_threads() -> None:
    """Keep XLA from queueing on its own, before anything is computed.

    Its queue would run `act` and `update` one after another, on threads that spin while they wait; we overlap by
    threads of our own. Results do not depend on it, and where JAX has computed before it comes too late to help.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)


def _side_by_side(jobs: list[Job], folders: set[Path], threads: int, progress: TrainingProgress) -> Results:
    """Do the jobs, `threads` at a time, if memory holds them beside what is under way below `folders`."""
    require(threads >= 1, "threads", "must be at least 1", threads)
    overlap_by_threads()
    require_fit([job.config for job in jobs], threads, folders)
    at_once = runs_at_once(len(jobs), threads)
    errors: list[UserError] = []
    patient = True
    pool = ThreadPoolExecutor(at_once, "run")
    with progress, interruptible() as interrupted:
        share = max(1, threads // at_once)
        futures = [pool.submit(_do, job, share, progress, interrupted) for job in jobs]
        try:
            for future in futures:
                try:
                    result = future.result()
                except UserError as error:
                    errors.append(error)
                    continue
                if result is not None:
                    yield result
        except KeyboardInterrupt:  # the second one: whoever wants to wait no longer does not
            patient = False
            raise
        finally:
            interrupted.append(0)  # whatever ends this early, the threads hear of it
            pool.shutdown(wait=patient, cancel_futures=True)
    if errors:
        raise UserError("\n".join(str(error) for error in errors))


def _do(
    job: Job, threads: int, progress: TrainingProgress, interrupted: list[int]
) -> tuple[Path, Summary | None] | None:
    """Train a run from its opening to its end; None if there is no time to begin."""
    if interrupted:
        return None
    name = f"{job.config.env} seed {job.config.seed}"
    with opened(job, threads) as (run, training), progress.follow(name, job.config.total_steps) as bar:
        if run.resumed:
            bar.say(run.resumed)
        if run.restored:
            training.restore(run.restored)
            run.restored = None  # it holds a copy of the replay
        try:
            summary = training.run(run, bar, interrupted)
        except NotFiniteError as error:
            run.fail(Failure(training.now.step, training.agent.updates, error.quantity, str(error)))
            raise UserError(
                f"{run.path}: training diverged: {error} The record and the checkpoint before it are kept. "
                f"{against_divergence(job.config)}"
            ) from error
        if summary is not None:
            run.finish(summary)
        return run.path, summary


def here(threads: int, autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP) -> Provenance:
    """The provenance of what begins now in this process."""
    devices = [f"{device} ({device.device_kind})" for device in jax.devices()]
    return provenance.collect(threads=threads, autoreset_mode=autoreset_mode.value, devices=devices)


@contextmanager
def opened(job: Job, threads: int) -> Iterator[tuple[RunWriter, Training | OnPolicyTraining]]:
    """The record and the training of a run, its environments built; all is closed afterwards."""
    config, clock = job.config, Stopwatch()
    with ExitStack() as stack:
        make = lambda n: stack.enter_context(closing(envs.make_vec(config.env, n, threads=threads)))  # noqa: E731
        env = with_curriculum(make(config.num_envs), config.curriculum)
        eval_env = make(min(EVALUATION_COPIES, config.eval_episodes))
        origin = here(threads, env.metadata["autoreset_mode"])
        run = stack.enter_context(job.open(origin))
        yield run, LOOPS[type(config)](config, env, eval_env, clock)  # type: ignore[arg-type]
