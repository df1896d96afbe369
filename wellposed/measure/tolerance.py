"""What the policies of finished runs bear: `wellposed robustness` as a measurement of a chapter."""

from dataclasses import dataclass

from wellposed.analysis.robustness import Condition, LevelCurve, WorstCase
from wellposed.measure.kinds import Context
from wellposed.robustness import Request, asked, examine
from wellposed.runs.record import Estimate


@dataclass(frozen=True)
class ToleranceSettings:
    """The runs that are tested, and what they are tested with."""

    of: str  # "experiment.variant"
    only: list[str]  # names of curves, challenges and sets of robustness.toml
    episodes: int = 100  # held-out episodes for each run and condition
    seed: int = 0  # of the episodes

    def __post_init__(self) -> None:
        asked(Request(self.only))


@dataclass(frozen=True)
class Tolerance:
    """What the policies bear, over the seeds, by the names of what they were tested with."""

    runs: int
    episodes: int
    clean: Estimate
    curves: dict[str, LevelCurve]
    challenges: dict[str, Condition]
    worst_cases: dict[str, WorstCase]


def measure_tolerance(settings: ToleranceSettings, context: Context) -> Tolerance:
    """Play what was asked for with every run, on the same held-out episodes.

    Raises:
        UserError: if a run cannot be loaded.
    """
    request = Request(settings.only, episodes=settings.episodes, seed=settings.seed)
    found = examine(context.runs[settings.of], request, context.threads).result
    curves = {one.name: one for one in found.curves}
    challenges = {one.name: one for one in found.challenges}
    worst_cases = {one.name: one for one in found.worst_cases}
    return Tolerance(len(found.runs), found.episodes, found.clean, curves, challenges, worst_cases)
