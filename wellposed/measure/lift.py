"""How far random actions get towards a grasp, as data: what the measurement is told, and what it finds."""

from dataclasses import dataclass, field

from wellposed.errors import UserError
from wellposed.runs.record import Estimate


@dataclass(frozen=True)
class LiftSettings:
    """Which task, and how long chance is watched."""

    env: str  # a Fetch task with an object
    episodes: int = 5_000
    heights: list[float] = field(default_factory=lambda: [0.02, 0.05])  # metres; tipped on a corner it rises by 1.8 cm
    seed: int = 0

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0 or not self.heights or min(self.heights) <= 0:
            raise UserError(
                "episodes must be at least 1, seed not negative and heights above 0, "
                f"got {self.episodes}, {self.seed} and {self.heights}."
            )


@dataclass(frozen=True)
class Event:
    """Something that happened at some step of an episode."""

    event: str
    share: Estimate  # of the episodes, with its exact interval


@dataclass(frozen=True)
class Lift:
    """What happened in episodes of uniform random actions."""

    episodes: int
    events: list[Event]
