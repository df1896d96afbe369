"""What the runs of an experiment found: an answer for each run, stored beside the question."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.manifest import Experiment, load_experiment
from wellposed.launch.rows import Row
from wellposed.progress import TrainingProgress
from wellposed.runs.files import read_json, write_json
from wellposed.runs.provenance import as_typed
from wellposed.runs.record import Solved, decode, encode
from wellposed.runs.store import RunReader


@dataclass(frozen=True)
class Answer:
    """One run of one variant, and what a published number must carry."""

    variant: str
    seed: int
    run: str  # its directory's name, which holds the hash of its configuration
    solved: Solved | None  # null: not within the budget
    step: int  # where it ended
    updates: int
    seconds: float
    success: float  # of the last evaluation
    curve: list[tuple[int, float]]  # step and success rate of each evaluation
    commit: str | None
    dirty: bool | None
    cpu: str


@dataclass(frozen=True)
class Answers:
    """What an experiment found."""

    experiment: Experiment
    command: str
    answers: list[Answer]


def load_answers(path: Path) -> Answers:
    """Read stored answers; raises UserError if they are not that."""
    return decode(Answers, read_json(path), str(path))


def run_experiment(path: Path, runs_dir: Path, threads: int, quiet: bool) -> Iterator[Answer]:
    """Train what is missing on this machine, and go on with what was cut short.

    Yields:
        Every run's answer as soon as there is one; when all are there they are stored, in the order of the question.

    Raises:
        UserError: if the question is not sound, or a run fails or diverges, after the others are done.
        KeyboardInterrupt: after Ctrl-C; the same call goes on from there.
    """
    experiment = load_experiment(path)
    rows, answers, diverged = experiment.rows(), dict[str, Answer](), list[str]()
    for row in local.train_rows(rows, runs_dir, threads, TrainingProgress(quiet)):
        if (failure := RunReader(runs_dir / row.name).failure) is not None:
            diverged.append(f"{runs_dir / row.name}: training diverged: {failure.detail}")
            continue
        answers[row.name] = answer_of(row, runs_dir)
        yield answers[row.name]
    if diverged:
        raise UserError("\n".join(diverged))
    command = " ".join(as_typed(["wellposed", "experiment", str(path), "--threads", str(threads)]))
    write_json(path.with_suffix(".json"), encode(Answers(experiment, command, [answers[row.name] for row in rows])))


def answer_of(row: Row, runs_dir: Path) -> Answer:
    """A finished run in a few numbers."""
    reader = RunReader(runs_dir / row.name)
    summary, origin = reader.summary, reader.provenance
    assert summary is not None
    return Answer(
        variant=row.label,
        seed=reader.config["seed"],
        run=reader.path.name,
        solved=summary.solved,
        step=summary.step,
        updates=summary.updates,
        seconds=summary.seconds,
        success=summary.final_evaluation.success_rate,
        curve=[(row.step, row.success_rate) for row in reader.evaluations],
        commit=origin.commit,
        dirty=origin.dirty,
        cpu=origin.cpu,
    )


def outcome(row: Row, runs_dir: Path) -> str:
    """How a run ended, in a line."""
    if (failure := RunReader(runs_dir / row.name).failure) is not None:
        return f"{row.label}, seed {row.config['seed']}: diverged. {failure.detail}"
    return describe(answer_of(row, runs_dir))


def describe(answer: Answer) -> str:
    """An answer in a line: `wide, seed 1: solved in 21 s, 24,000 steps, success 98%`."""
    at = "not solved" if answer.solved is None else f"solved in {answer.solved.seconds:.0f} s"
    return f"{answer.variant}, seed {answer.seed}: {at}, {answer.step:,} steps, success {answer.success:.0%}"
