"""A chapter as data: experiments, studies, measurements, deliverables and criteria.

Each table of `chapter.toml` is one dataclass here; `course.chapters.load` reads and checks them.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.chapters.metrics import Statistic
from wellposed.analysis.study import DOUBLINGS, PARTS, Part
from wellposed.config import ALGO, AnyRunConfig
from wellposed.errors import UserError, instead
from wellposed.launch.manifest import Experiment
from wellposed.study.run import Question

BOUNDS = ("at_least", "at_most", "equals", "within", "inside")


@dataclass(frozen=True)
class ExperimentTable:
    """`[experiments.NAME]`: the fields of `wellposed.launch.manifest.Experiment`."""

    title: str
    env: str
    seeds: str
    variants: dict[str, dict[str, Any]]
    base: dict[str, Any] = field(default_factory=dict)
    until_success: float | None = None  # None: every run uses its whole budget
    study: bool = False


@dataclass(frozen=True)
class StudyTable:
    """`[studies.NAME]`: the options of `wellposed study`, and settings that differ from the default recipe."""

    env: str
    algo: str = ALGO
    bar: float = 0.95
    seeds: str = "0-4"
    stability_seeds: str = "0-2"
    doublings: int = DOUBLINGS
    budget: int | None = None
    parts: list[Part] = field(default_factory=lambda: list(PARTS))
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Deliverable:
    """`[[deliverables]]`: a file in the chapter's folder of results, and its schema."""

    file: str
    schema: str
    says: str


@dataclass(frozen=True)
class Criterion:
    """`[[criteria]]`: a metric of the results, and its bound."""

    says: str
    of: str
    metric: str
    statistic: Statistic | None = None
    at_least: float | None = None
    at_most: float | None = None
    equals: bool | int | float | str | None = None
    within: tuple[float, float] | None = None
    inside: str | None = None

    def __post_init__(self) -> None:
        if len(self.bounds) != 1:
            raise ValueError(f"A criterion has exactly one of {', '.join(BOUNDS)}; this one has {len(self.bounds)}.")
        if self.within is not None and self.within[0] > self.within[1]:
            raise ValueError(f"within takes the lower bound first, got {list(self.within)}.")

    @property
    def bounds(self) -> list[str]:
        """The names of the bounds that are set."""
        return [name for name in BOUNDS if getattr(self, name) is not None]


@dataclass(frozen=True)
class AskedExperiment:
    """An experiment of a chapter."""

    question: Experiment
    runs: dict[str, list[AnyRunConfig]]  # variant -> its configurations in the order of the seeds
    study: bool  # trained with --studies only


@dataclass(frozen=True)
class AskedMeasurement:
    """A measurement of a chapter."""

    kind: str
    settings: Any  # of the kind's settings type
    of: list[str]  # the "experiment.variant"s whose runs are measured
    study: bool  # it reads runs that are trained with --studies only


@dataclass(frozen=True)
class Chapter:
    """A validated chapter."""

    folder: Path
    number: int
    title: str
    summary: str
    minutes: float  # measured: what `wellposed chapter run` takes on two cores
    study_minutes: float  # additional minutes of --studies
    in_work: bool  # not published yet; only drafts of the book show it
    experiments: dict[str, AskedExperiment]
    measurements: dict[str, AskedMeasurement]
    studies: dict[str, Question]
    videos: dict[str, str]  # name -> the "experiment.variant" whose first run is filmed; an env's id: uniform actions
    deliverables: list[Deliverable]
    criteria: list[Criterion]

    @property
    def slug(self) -> str:
        """The name of its folder, also below the directory of runs."""
        return self.folder.name

    def files(self) -> dict[str, str]:
        """The files that running the chapter creates in its folder of results, each with its schema."""
        found = {f"{name}.json": "experiment" for name in self.experiments}
        found |= {f"{name}.json": asked.kind for name, asked in self.measurements.items()}
        return found | {f"study_{name}/study.json": "study" for name in self.studies}

    def video(self, name: str) -> Path:
        """The file of a video, beside the text."""
        return self.folder / f"{name}.mp4"

    def runs_of(self, text: str) -> tuple[str, str, str] | None:
        """Experiment, variant and rest of a path; None if it does not begin with an experiment.

        Raises:
            UserError: if the experiment has no such variant.
        """
        name, _, tail = text.partition(".")
        if name not in self.experiments:
            return None
        variants = self.experiments[name].runs
        for variant in sorted(variants, key=len, reverse=True):
            for written in (variant, f'"{variant}"'):
                if tail == written or tail.startswith(f"{written}."):
                    return name, variant, tail[len(written) + 1 :]
        raise UserError(f"The experiment {name} has no variant {tail!r}{instead(tail, variants)}")

    def variant(self, text: str) -> tuple[str, str, str]:
        """Like `runs_of`, but raises UserError if the path does not begin with an experiment."""
        if found := self.runs_of(text):
            return found
        name = text.partition(".")[0]
        raise UserError(f"There is no experiment {name!r}{instead(name, self.experiments)}")

    def data_of(self, text: str) -> tuple[str, str] | None:
        """Measurement or study, and rest of a path; None if it begins with neither."""
        name, _, path = text.partition(".")
        return (name, path) if name in {*self.measurements, *self.studies} else None

    def is_study(self, name: str) -> bool:
        """Whether an experiment, a measurement or a study needs --studies."""
        asked = self.experiments.get(name) or self.measurements.get(name)
        return asked is None or asked.study

    def command(self, studies: bool = False) -> str:
        """The command that creates the chapter's results."""
        return f"wellposed chapter run {self.number}{' --studies' if studies else ''}"

    def made_by(self, name: str) -> str:
        """The command that creates the results of an experiment, a measurement or a study."""
        return self.command(self.is_study(name))
