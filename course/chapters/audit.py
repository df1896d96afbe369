"""Reads a run directory as one result of a chapter; every summary in it is checked against its rows."""

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from course.chapters.edited import require_equal, with_line
from course.chapters.results import EVALUATION_SERIES, Curve, HeldOut, RunResult
from wellposed import seeding, serialise, stats, verdict
from wellposed.config import AnyRunConfig
from wellposed.errors import UserError
from wellposed.loop.monitor import reached
from wellposed.runs.files import read_json
from wellposed.runs.record import (
    MEANS,
    EpisodeRow,
    Estimate,
    EvaluationRow,
    Failure,
    MetricsRow,
    Solved,
    Summary,
    Verdict,
    decode,
)
from wellposed.runs.store import RunReader

DIGITS = 5  # significant digits of series and means


class MissingError(UserError):
    """A result does not exist yet; `wellposed chapter run` creates it."""


def run_result(config: AnyRunConfig, folder: Path) -> RunResult:
    """The result of a run that has ended, after checking its whole record.

    Raises:
        MissingError: if it has not ended, or was not evaluated on held-out episodes.
        UserError: if a file is damaged or was edited by hand, naming the line.
    """
    if not (folder / "config.json").is_file():
        raise MissingError(f"{folder} does not exist: the run has not been trained.")
    try:
        return _result(config, RunReader(folder))
    except MissingError:
        raise
    except UserError as error:
        raise with_line(error) from error


def _result(config: AnyRunConfig, reader: RunReader) -> RunResult:
    """The result of a run after checking that its files agree."""
    require_equal(reader.path / "config.json", {"config": serialise.to_dict(config)}, "what this run was started with")
    if reader.status not in ("finished", "diverged"):
        raise MissingError(f"{reader.path} is {reader.status}: its training has not ended.")
    origin, evaluations = reader.provenance, reader.evaluations
    _check_evaluations(reader, evaluations)
    failure, summary = reader.failure, reader.summary
    if summary is not None:
        _check_summary(config, reader.path / "summary.json", evaluations)
    last: Summary | Failure | None = summary or failure
    assert last is not None
    return RunResult(
        run=reader.path.name,
        seed=reader.config["seed"],  # also checks the hash
        ended="diverged" if summary is None else summary.stop_reason,
        step=last.step,
        updates=last.updates,
        seconds=evaluations[-1].seconds if summary is None else summary.seconds,
        solved=None if summary is None else summary.solved,
        held_out=None if summary is None else _held_out(reader),
        curve=_curve(evaluations),
        series=_series(reader.metrics, [row.step for row in evaluations]),
        command=" ".join(origin.command),
        commit=origin.commit,
        dirty=origin.dirty,
        cpu=origin.cpu,
        cores=origin.cores,
        started=origin.started,
    )


def _check_evaluations(reader: RunReader, rows: list[EvaluationRow]) -> None:
    """Check evaluations against their episodes; raises UserError."""
    file, episodes = reader.path / "evaluations.jsonl", reader.path / "episodes.jsonl"
    if not rows:
        raise UserError(f"{file} holds no evaluation.")
    outcomes: dict[int, list[bool]] = {row.step: [] for row in rows}
    for i, (step, episode) in enumerate(reader.episodes, 1):
        if step not in outcomes:
            raise UserError(f"{episodes}, line {i} belongs to no evaluation. It was edited by hand or is damaged.")
        outcomes[step].append(episode.success)
    for i, row in enumerate(rows, 1):
        of_row = outcomes[row.step]
        if len(of_row) != row.episodes or not _is_rate(row.success_rate, row.success_ci95, of_row):
            raise UserError(
                f"{file}, line {i}: a success rate of {row.success_rate} over {row.episodes} episodes differs from "
                f"{episodes.name} at step {row.step}: {sum(of_row)} of {len(of_row)}. One was edited by hand."
            )


def _is_rate(rate: float, ci95: tuple[float, float], outcomes: list[bool]) -> bool:
    """Whether a rate and its interval are those of the outcomes."""
    return np.allclose([rate, *ci95], stats.wilson(sum(outcomes), len(outcomes)), rtol=0, atol=1e-9)


def _check_summary(config: AnyRunConfig, file: Path, rows: list[EvaluationRow]) -> None:
    """Check a summary against the evaluations; raises UserError."""
    last, solved = rows[-1], None
    if config.until_success is not None and reached(config, rows):
        solved = asdict(Solved(config.until_success, last.step, last.updates, last.seconds))
    expected = {
        "stop_reason": "budget" if last.step >= config.total_steps else "solved",
        "step": last.step,
        "updates": last.updates,
        "solved": solved,
        "final_evaluation": serialise.to_dict(last),
    }
    require_equal(file, expected, "what evaluations.jsonl says")


def _held_out(reader: RunReader) -> HeldOut:
    """The verdict on the run's newest checkpoint, its rates recomputed from its episodes."""
    file = reader.path / "verdict.json"
    if not file.exists():
        raise MissingError(f"{file} does not exist: the run has not been evaluated on held-out episodes.")
    found = decode(Verdict, read_json(file), str(file))
    manifest, _ = reader.load_checkpoint()
    if found.checkpoint != manifest.state.sha256:
        raise MissingError(f"{file} is the verdict on an older checkpoint of the run.")
    rows, random = found.per_episode, found.random
    kinds = sorted({row.goal_kind for row in rows} - {""})
    seeds = seeding.evaluation_env_seeds(verdict.SEED, verdict.EPISODES, "held-out")
    by_kind = {kind: asdict(_estimate([row.success for row in rows if row.goal_kind == kind])) for kind in kinds}
    baseline = _estimate([i < round(random.success_rate * len(rows)) for i in range(len(rows))])
    expected = {
        "env": reader.config["env"]["id"],
        "seed": verdict.SEED,
        "per_episode": [{"seed": seed} for seed in seeds],
        "trained": {"episodes": len(seeds), **_rates(rows), "success_by_kind": by_kind},
        "random": {"episodes": len(seeds), "success_rate": baseline.value, "success_ci95": list(baseline.ci95)},
    }
    require_equal(file, expected, "what its held-out episodes give")
    return HeldOut(
        seed=found.seed,
        checkpoint=found.checkpoint,
        success=_bits(row.success for row in rows),
        already_solved=_bits(row.already_solved for row in rows),
        kinds={kind: _bits(row.goal_kind == kind for row in rows) for kind in kinds},
        random_success=baseline,
        means=_means(rows),
        success_at_limit=_bits(row.success_at_limit is True for row in rows) if found.trained.success_at_limit else "",
    )


def _rates(rows: list[EpisodeRow]) -> dict[str, object]:
    """The rates of a verdict, by the names of their fields."""
    success, floor = (_estimate([getattr(row, name) for row in rows]) for name in ("success", "already_solved"))
    return {
        "success_rate": success.value,
        "success_ci95": list(success.ci95),
        "already_solved_rate": floor.value,
        "already_solved_ci95": list(floor.ci95),
    }


def _estimate(outcomes: list[bool]) -> Estimate:
    """A rate with its Wilson interval."""
    rate = stats.wilson(sum(outcomes), len(outcomes))
    return Estimate(rate.estimate, (rate.low, rate.high))


def _bits(outcomes: Iterable[bool]) -> str:
    """One character for each episode."""
    return "".join("01"[outcome] for outcome in outcomes)


def _means(rows: list[EpisodeRow]) -> dict[str, float]:
    """Means of the episodes' measures, each over the episodes that have a value."""
    values = {name: [v for row in rows if (v := getattr(row, name)) is not None] for name in MEANS}
    return {name: _rounded(float(np.mean(known))) for name, known in values.items() if known}


def _curve(rows: list[EvaluationRow]) -> Curve:
    """The evaluations as columns."""
    return Curve(
        episodes=rows[0].episodes,
        step=[row.step for row in rows],
        updates=[row.updates for row in rows],
        seconds=[round(row.seconds, 2) for row in rows],
        success=[round(row.success_rate * row.episodes) for row in rows],
    )


def _series(rows: list[MetricsRow], steps: list[int]) -> dict[str, list[float | None]]:
    """Logged training metrics and values of the critics at the steps of the evaluations; None if not logged."""
    at = {row.step: row.metrics for row in rows}
    names = {name for row in rows for name in row.metrics if name.startswith("train/") or name in EVALUATION_SERIES}
    return {
        name: [_rounded(at[step][name]) if step in at and name in at[step] else None for step in steps]
        for name in sorted(names)
    }


def _rounded(value: float) -> float:
    """A value rounded to DIGITS significant digits."""
    return float(f"{value:.{DIGITS}g}")
