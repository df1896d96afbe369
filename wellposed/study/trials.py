"""The runs of a study as trials: what became of each, and how it does on held-out episodes."""

from pathlib import Path

from wellposed import verdict
from wellposed.analysis.study import Trial
from wellposed.config import AnyRunConfig
from wellposed.errors import UserError
from wellposed.launch.rows import folder_of
from wellposed.runs.record import Estimate, Verdict
from wellposed.runs.store import RunReader


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
        raise UserError(f"{path} is damaged: it has ended without an evaluation. Train it again in another --runs-dir.")
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
