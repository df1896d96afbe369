"""Success of each kind of goal while runs learnt, as data: what the measurement is told, and what it finds."""

from dataclasses import dataclass

from wellposed.errors import UserError


@dataclass(frozen=True)
class SplitSettings:
    """Whose monitoring evaluations are read, and when."""

    of: str  # "experiment.variant"
    steps: list[int]  # at which success is told
    bar: float = 0.9  # of each kind of goal, for when it was learnt

    def __post_init__(self) -> None:
        if not self.steps or sorted({*self.steps}) != self.steps or self.steps[0] < 0:
            raise UserError(f"steps must be rising numbers of environment steps, got {self.steps}.")
        if not 0 < self.bar <= 1:
            raise UserError(f"bar is a share above 0 and up to 1, got {self.bar}.")


@dataclass(frozen=True)
class Split:
    """Success by kind of goal over environment steps."""

    runs: int
    # At each of the steps: "step", "success" of all monitoring episodes and of each kind of goal by its name, mean over
    # runs of the last evaluation up to there; a run that has ended counts on with its last one.
    rows: list[dict[str, int | float]]
    learnt: dict[str, list[int | None]]  # kind -> of each run the second of two evaluations in a row at the bar
    median: dict[str, int | None]  # of these; null where half of the runs never got there
