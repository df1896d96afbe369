"""Success under noise on everything the policy is shown, as data: what the measurement is told, and what it finds."""

from dataclasses import dataclass

from wellposed.errors import UserError
from wellposed.runs.record import Estimate


@dataclass(frozen=True)
class StressSettings:
    """Whose runs are stressed, and how much."""

    of: str  # "experiment.variant"
    noise: list[float]  # metres: standard deviation of the error of a position (`envs.wrappers.sensors`)
    episodes: int = 100  # held-out episodes of each run and level
    seed: int = 0  # of episodes and noise

    def __post_init__(self) -> None:
        if not self.noise or sorted({*self.noise}) != self.noise or not 0 <= self.noise[0] <= self.noise[-1] < 1:
            raise UserError(f"noise must be lengths in metres, from 0 up to 1 and rising, got {self.noise}.")
        if self.episodes < 1 or self.seed < 0:
            raise UserError(f"episodes must be at least 1 and seed not negative, got {self.episodes} and {self.seed}.")


@dataclass(frozen=True)
class Stress:
    """Success, judged on the true state, at each level of noise."""

    runs: int
    episodes: int
    # Of each level: "noise" in metres, "success" over all runs, and the same of each kind of goal by its name.
    levels: list[dict[str, float | Estimate]]
