"""Progress of long work: a bar on a terminal, one line per evaluation anywhere."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate


class TrainingProgress:
    """Shows success, steps/s, updates/s, updates per step and time left while a run trains."""

    def __init__(self, total_steps: int, name: str, quiet: bool):
        self.quiet, self._success = quiet, "-"
        console = Console(stderr=True, soft_wrap=True)
        self._bar = Progress(
            BarColumn(bar_width=8),
            TimeRemainingColumn(compact=True),  # the rest in two lines, so that all of it fits into 80 columns
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} steps   {task.description}\n{task.fields[rates]}"),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(name.split("_")[0], total=total_steps, rates="")

    def __enter__(self) -> "TrainingProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def advance(self, step: int, updates: int, seconds: float) -> None:
        """Show where training is."""
        rates = (
            f"success {self._success} · {step / seconds:,.0f} steps/s · {updates / seconds:,.0f} updates/s · "
            f"{updates / step:.2f} updates/step"
        )
        self._bar.update(self._task, completed=step, rates=rates)

    def evaluated(self, row: EvaluationRow) -> None:
        """Show an evaluation's result."""
        self._success = f"{row.success_rate:.0%}"
        if not self.quiet:
            self._bar.console.print(
                f"{row.step:>8,} steps {row.updates:>8,} updates {row.seconds:5.0f} s  "
                f"success {describe_rate(row.success_rate, row.success_ci95)}"
            )
