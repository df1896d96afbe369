"""What the runs of an experiment found: an answer for each run, stored beside the question."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path

from wellposed.analysis.summary import Summary, summary_over_seeds
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.manifest import Experiment, load_experiment
from wellposed.launch.rows import Folder, Row
from wellposed.launch.states import state_of
from wellposed.progress import TrainingProgress
from wellposed.runs.files import read_json, write_json
from wellposed.runs.provenance import as_typed
from wellposed.runs.record import Solved, decode, encode
from wellposed.runs.store import RunReader
from wellposed.training import how_it_diverged


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
        if how := how_it_diverged(runs_dir / row.name):
            diverged.append(how)
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


@dataclass(frozen=True)
class Group:
    """What the runs of one variant found, those that have ended."""

    label: str
    runs: int
    ended: int
    diverged: int
    solved: int
    steps: Summary | None  # to the bar, over seeds; null where no run has ended
    seconds: Summary | None  # of training to the bar
    success: Summary | None  # at the last evaluation; 0 of a run that diverged

    @property
    def text(self) -> str:
        """`no mirror: 3 of 3 runs ended, 2 solved; steps 31,000 (median, ...); success 98.6 % (mean, ...)`."""
        found = f"{self.label}: {self.ended} of {self.runs} runs ended, {self.solved} solved"
        found += f", {self.diverged} diverged" if self.diverged else ""
        if self.steps is None or self.seconds is None or self.success is None:
            return found
        return f"{found}; steps {self.steps.text}; training {self.seconds.text}; success {self.success.text}"


def summaries(rows: list[Row], runs_dir: Path) -> list[Group]:
    """What each variant found, in the order of the question."""
    labelled: dict[str, list[Row]] = {}
    for row in rows:
        labelled.setdefault(row.label, []).append(row)
    return [_group(label, of_one, runs_dir) for label, of_one in labelled.items()]


def _group(label: str, rows: list[Row], runs_dir: Path) -> Group:
    found = [state_of(runs_dir, row) for row in rows]
    finished = [row for row, state in zip(rows, found, strict=True) if state == "finished"]
    answers, diverged = [answer_of(row, runs_dir) for row in finished], found.count("failed")
    solved = [answer.solved for answer in answers]
    counts = (label, len(rows), len(answers) + diverged, diverged, sum(one is not None for one in solved))
    if not counts[2]:
        return Group(*counts, None, None, None)
    steps = [answer.step if answer.solved is None else answer.solved.step for answer in answers]
    seconds = [answer.seconds if answer.solved is None else answer.solved.seconds for answer in answers]
    never = [inf] * diverged
    late = [one is None for one in solved] + [True] * diverged
    rates = [answer.success for answer in answers] + [0.0] * diverged
    return Group(
        *counts,
        summary_over_seeds(steps + never, "count", censored=late, median=True),
        summary_over_seeds(seconds + never, "seconds", censored=late, median=True),
        summary_over_seeds(rates, "rate", episodes=rows[0].config["eval_episodes"]),
    )


def collect_answers(folder: Folder, command: list[str]) -> Path:
    """Store the answers of the finished runs of a launch, in the order of the question; returns the file."""
    rows = [row for row in folder.rows if state_of(folder.runs, row) == "finished"]
    experiment, file = load_experiment(folder.path / "manifest.toml"), folder.path / "answers.json"
    answers = Answers(experiment, " ".join(as_typed(command)), [answer_of(row, folder.runs) for row in rows])
    write_json(file, encode(answers))
    return file


def outcome(row: Row, runs_dir: Path) -> str:
    """How a run ended, in a line."""
    if (failure := RunReader(runs_dir / row.name).failure) is not None:
        return f"{row.label}, seed {row.config['seed']}: diverged. {failure.detail}"
    return describe(answer_of(row, runs_dir))


def describe(answer: Answer) -> str:
    """An answer in a line: `wide, seed 1: solved in 21 s, 24,000 steps, success 98%`."""
    at = "not solved" if answer.solved is None else f"solved in {answer.solved.seconds:.0f} s"
    return f"{answer.variant}, seed {answer.seed}: {at}, {answer.step:,} steps, success {answer.success:.0%}"
