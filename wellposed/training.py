"""A training run, from opening its record to its end. What it does between two evaluations is in `loop/`.

A newcomer reads on in `loop/off_policy.py`, `rollout/` (acting and judging), `data/` (replay and hindsight) and
`agents/sac.py` (the update). Several runs at a time: `launch/` and `side_by_side`.
"""

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax

from wellposed import agents, serialise
from wellposed.budget import too_short
from wellposed.check import Certificate
from wellposed.check.declaration import with_ways
from wellposed.check.stored import Origin, certificate_for, origin_of, require_posed, warnings_of
from wellposed.config import AnyRunConfig, against_divergence, stored_config
from wellposed.envs.make import make_env
from wellposed.errors import EnvFailedError, NotFiniteError, UserError
from wellposed.interrupts import Stopwatch, interruptible
from wellposed.loop.monitor import chance_of_passing
from wellposed.loop.off_policy import OffPolicy
from wellposed.loop.on_policy import OnPolicy
from wellposed.memory import require_fit
from wellposed.progress import RunProgress, TrainingProgress
from wellposed.rollout.evaluate import evaluation_envs
from wellposed.runs import checkpoint, provenance
from wellposed.runs.record import Failure, Provenance, Summary
from wellposed.runs.store import RunReader, require_free, resume_command
from wellposed.runs.writer import OnEvaluation, RunWriter, unobserved
from wellposed.settings import flags, own_settings
from wellposed.start import begin, given

Run = OffPolicy | OnPolicy


def train(
    config: AnyRunConfig,
    runs_dir: str | Path,
    *,
    threads: int = 2,
    quiet: bool = False,
    on_evaluation: OnEvaluation = unobserved,
) -> tuple[Path, Summary]:
    """Train one run and record it below `runs_dir`.

    Args:
        config: the run, in full.
        runs_dir: where its directory is made.
        threads: native threads for physics; the result does not depend on it.
        quiet: no progress bar and no line per evaluation.
        on_evaluation: called after each evaluation with the run (a `RunReader`), the row of the evaluation, and the
            metrics of training since the one before. It is told, and changes nothing of the run.

    Returns:
        The run's directory and how it ended.

    Raises:
        UserError: if the directory is taken, the disk refuses, or training diverges.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the run is saved and can be resumed.
    """
    folder = Path(runs_dir)
    require_free(folder, [serialise.to_dict(config)])
    require_fit([config], threads, {folder})
    with own_settings(), TrainingProgress(quiet) as progress, interruptible() as stop:
        job = replace(new_run(config, folder), on_evaluation=on_evaluation)
        path, summary = train_recorded(job, threads, progress, stop)
    if summary is None:
        raise KeyboardInterrupt
    return path, summary


@dataclass(frozen=True)
class Job:
    """A run to train: its configuration, and a function that opens its record, given the provenance."""

    config: AnyRunConfig
    folder: Path  # the directory of the runs
    open: Callable[[Provenance], RunWriter]
    begins: bool = True  # False: it goes on from a checkpoint
    on_evaluation: OnEvaluation = unobserved


def new_run(config: AnyRunConfig, folder: Path) -> Job:
    """A new run, recorded in its own directory below `folder`."""
    told = partial(given, config, folder)
    return Job(
        config, folder, lambda origin: RunWriter(folder, serialise.to_dict(config), replace(origin, given=told()))
    )


def resumed_run(path: Path, salvage: bool = False) -> Job:
    """A run that was interrupted; with `salvage` it goes on without a damaged part of its replay.

    Raises:
        UserError: if its record is damaged.
    """
    begins, config = not checkpoint.manifests(path), stored_config(path)
    checkpoint.require_held(path, config.agent.hidden)
    return Job(config, path.parent, partial(RunWriter.reopen, path, salvage=salvage), begins)


def train_recorded(job: Job, threads: int, progress: TrainingProgress, stop: list[int]) -> tuple[Path, Summary | None]:
    """Train a run from opening its record to its end; no summary if it was interrupted, and saved."""
    name = f"{job.config.env.id} seed {job.config.seed}"
    with opened(job, threads) as (record, run, known), progress.follow(name, job.config.total_steps) as bar:
        record.on_evaluation = job.on_evaluation
        if record.reopened:
            if record.restored:
                run.restore(record.restored)
            bar.say(record.go_on())
        for sentence in filter(None, known):
            bar.say(sentence)
        try:
            summary = to_its_end(run, record, bar, stop)
        except NotFiniteError as error:
            record.fail(Failure(run.step, run.agent.updates, error.quantity, str(error)))
            raise UserError(how_it_diverged(record.path)) from error
        except EnvFailedError as error:
            again = resume_command([record.path])
            raise UserError(
                f"{error} The run is saved as it was at its last evaluation; `{again}` resumes it."
            ) from error
        if summary is not None:
            record.finish(summary)
        for complaint in record.complaints[:1]:
            bar.say(complaint)
        return record.path, summary


def how_it_diverged(path: Path) -> str:
    """What is said of a run that diverged; "" if it did not."""
    if (failure := RunReader(path).failure) is None:
        return ""
    advice = against_divergence(stored_config(path))
    return f"{path}: training diverged: {failure.detail} The record and the checkpoint before it are kept. {advice}"


def to_its_end(run: Run, record: RunWriter, progress: RunProgress, stop: list[int]) -> Summary | None:
    """Train until there is a reason to stop. Returns and raises as `train_on`."""
    try:
        return train_on(run, record, progress, stop)
    except NotFiniteError:
        run.monitor.conclude(run.config.total_steps, record, progress)  # an evaluation begun before may say "solved"
        if run.monitor.look is not None:  # interrupted
            return None
        if run.monitor.reason_to_stop is None:
            raise
        return run.monitor.summary(run.monitor.reason_to_stop)


def train_on(run: Run, record: RunWriter, progress: RunProgress, stop: list[int]) -> Summary | None:
    """Act, store, learn, evaluate, record; until there is a reason to stop.

    Returns:
        How the run ended; None if it was stopped from outside, and saved.

    Raises:
        NotFiniteError: at the first number that is not finite. The checkpoint before it is kept.
        UserError: if the disk refuses.
    """
    monitor = run.monitor
    with ThreadPoolExecutor(2, "beside") as beside:  # steps, and evaluations
        while True:
            if run.between and not stop:
                monitor.conclude(run.step, record, progress)
                if (reason := monitor.reason_to_stop) is not None:
                    return monitor.summary(reason)
                if monitor.evaluation_due(run.step):
                    run.save(record)
                    monitor.begin(run.step, beside, stop, run.probe)
                    continue
            if stop:
                if monitor.look is None:  # else the checkpoint before it counts, and it is begun again
                    run.save(record)
                return None
            run.advance(beside, stop)
            progress.advance(run.step, run.agent.updates, run.clock.seconds)


@contextmanager
def opened(job: Job, threads: int) -> Iterator[tuple[RunWriter, Run, list[str]]]:
    """The record and the state of a run, its environments built, and what is to be said at its start.

    The environment's certificate is looked up or made while the parts are built and compiled. Raises UserError if the
    environment is not well posed or the record cannot be opened; then nothing is written.
    """
    config, clock = job.config, Stopwatch()
    with ExitStack() as stack:
        beside = stack.enter_context(ThreadPoolExecutor(1, "certificate"))
        certified = beside.submit(_certified, config, job.begins)
        beside.submit(importlib.import_module, "scipy.stats")  # half a second that the first evaluation would wait for
        make = lambda n, role: stack.enter_context(  # noqa: E731
            closing(make_env(config.env, n, role, threads=threads, seed=config.seed))
        )
        env = make(config.num_envs, "training")
        eval_env = make(evaluation_envs(config), "evaluation")
        kind: Any = OnPolicy if agents.find(config.algo).on_policy else OffPolicy
        run: Run = kind(config, env, eval_env, clock)
        origin, certificate = certified.result()
        require_posed(certificate)
        if job.begins:
            begin(run, config, job.folder)
        known = [*warnings_of(certificate), too_short(config, env.spec), chance_of_passing(config)]
        yield stack.enter_context(job.open(here(threads, origin))), run, known


def _certified(config: AnyRunConfig, begins: bool) -> tuple[Origin, Certificate]:
    """The origin of a run's environment, and its certificate.

    Raises UserError if a run that begins has a geometry that is not whole.
    """
    if begins and (whole := with_ways(config.env)) != config.env:
        assert whole.geometry is not None
        raise UserError(
            f"The geometry of {config.env.id} leaves out differences, and the observation does not hold them: networks "
            f"would not see the way from the effector to another point. Add differences={whole.geometry.differences}."
        )
    origin = origin_of(config.env.id, config.env.arguments)
    return origin, certificate_for(origin, gamma=config.agent.gamma)


def here(threads: int, env: Origin | None = None) -> Provenance:
    """The provenance of a run that starts now in this process, with `env`."""
    devices = [f"{device} ({device.device_kind})" for device in jax.devices()]
    collected = provenance.collect(threads=threads, autoreset_mode="SameStep", devices=devices, flags=flags())
    if env is None:
        return collected
    return replace(collected, packages=env.versions | collected.packages, environment=env.source)
