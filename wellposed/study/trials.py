"""The runs of a study: ordinary run directories, trained if missing; diverged runs count as outcomes."""

from collections.abc import Iterator
from pathlib import Path

from wellposed import verdict
from wellposed.analysis.study import Trial
from wellposed.config import AnyRunConfig
from wellposed.errors import UserError
from wellposed.experiments import Answer, answer_all, folder_of
from wellposed.progress import TrainingProgress
from wellposed.runs.record import Estimate, Verdict
from wellposed.runs.store import RunReader

Named = tuple[str, AnyRunConfig]  # a name for lines of progress, and the run


def is_finished(config: AnyRunConfig, runs_dir: Path) -> bool:
    """Whether a run needs no more training: it has finished or diverged."""
    return _status(folder_of(config, runs_dir)) in ("finished", "diverged")


def train_all(runs: list[Named], runs_dir: Path, threads: int, progress: TrainingProgress) -> Iterator[Answer]:
    """Train what is missing. A run that diverges is an outcome and does not stop the others.

    Yields:
        The answer of each finished run, once.

    Raises:
        UserError: if a run fails otherwise.
        KeyboardInterrupt: after Ctrl-C; the same call continues from there.
    """
    told: set[str] = set()
    while True:
        left = [(name, config) for name, config in runs if _status(folder_of(config, runs_dir)) != "diverged"]
        try:
            for answer in answer_all(left, runs_dir, threads, progress):
                if answer.run not in told:
                    told.add(answer.run)
                    yield answer
            return
        except UserError:
            if not any(_status(folder_of(config, runs_dir)) == "diverged" for _, config in left):
                raise


def trial_of(config: AnyRunConfig, runs_dir: Path, threads: int) -> Trial:
    """The trial of a run that ended, with its success on held-out episodes."""
    folder = folder_of(config, runs_dir)
    judged = verdict.stored_verdict(folder, threads) if RunReader(folder).summary is not None else None
    return read_trial(folder, judged)


def read_trial(path: Path, judged: Verdict | None) -> Trial:
    """The trial of a run directory that has ended; `judged` is its verdict, None if it diverged.

    Raises:
        UserError: if its record is damaged.
    """
    reader = RunReader(path)
    summary, origin = reader.summary, reader.provenance
    last = summary or reader.failure
    assert last is not None
    if not (evaluations := reader.evaluations):
        raise UserError(f"{path} is damaged: it has ended, and has no evaluation.")
    row = judged.trained if summary and judged else None  # divergence counts as failure, whatever was learnt before
    return Trial(
        seed=reader.config["seed"],
        run=reader.path.name,
        solved=summary.solved if summary else None,
        diverged=summary is None,
        step=last.step,
        updates=last.updates,
        seconds=summary.seconds if summary else evaluations[-1].seconds,
        success=Estimate(row.success_rate, row.success_ci95) if row else Estimate(0.0, (0.0, 0.0)),
        episodes=row.episodes if row else verdict.EPISODES,
        commit=origin.commit,
        dirty=origin.dirty,
        cpu=origin.cpu,
    )


def _status(folder: Path) -> str | None:
    """The status of a run; None if it has not started."""
    return RunReader(folder).status if (folder / "config.json").exists() else None
