"""Progress of long work: a bar for each run on a terminal, one line per evaluation anywhere."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate


class TrainingProgress:
    """The bars of all runs that train in this process."""

    def __init__(self, quiet: bool):
        self.quiet = quiet
        console = Console(stderr=True, soft_wrap=True)
        self._bars = Progress(
            BarColumn(bar_width=8),
            TimeRemainingColumn(compact=True),  # the rest in two lines, so that all of it fits into 80 columns
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} steps   {task.description}\n{task.fields[rates]}"),
            console=console,
            disable=quiet or not console.is_terminal,
        )

    def __enter__(self) -> "TrainingProgress":
        self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.stop()

    def follow(self, name: str, total_steps: int) -> "RunProgress":
        """A bar for one more run."""
        task = self._bars.add_task(name, total=total_steps, rates="")
        return RunProgress(self._bars, task, name, self.quiet)


class RunProgress:
    """One run's bar, gone when the run is over: success, steps/s, updates/s, updates per step and time left.

    It may be used from the run's own thread.
    """

    def __init__(self, bars: Progress, task: TaskID, name: str, quiet: bool):
        self._bars, self._task, self._name, self._quiet, self._success = bars, task, name, quiet, "-"

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.remove_task(self._task)

    @property
    def quiet(self) -> bool:
        """Whether nothing is printed."""
        return self._quiet

    def advance(self, step: int, updates: int, seconds: float) -> None:
        """Show where training is."""
        rates = (
            f"success {self._success} · {step / seconds:,.0f} steps/s · {updates / seconds:,.0f} updates/s · "
            f"{updates / step:.2f} updates/step"
        )
        self._bars.update(self._task, completed=step, rates=rates)

    def say(self, sentence: str) -> None:
        """Print a line about the run."""
        if not self._quiet:
            self._bars.console.print(f"{self._name}  {sentence}")

    def evaluated(self, row: EvaluationRow) -> None:
        """Show an evaluation's result."""
        self._success = f"{row.success_rate:.0%}"
        self.say(
            f"{row.step:>8,} steps {row.updates:>8,} updates {row.seconds:5.0f} s  "
            f"success {describe_rate(row.success_rate, row.success_ci95)}"
        )
