"""Progress of long work: a bar for each run and one for all of them on a terminal, one line per evaluation anywhere."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate
from wellposed.terminal import Lasting, escaped

T = TypeVar("T")


class Over(Protocol):
    """A progress bar around a loop."""

    def __call__(self, items: Sequence[T], what: str, /) -> Iterator[T]:
        """Iterate over the items; the bar shows `what`, the rate and the time left."""
        ...


def unwatched(items: Sequence[T], _what: str, /) -> Iterator[T]:
    """Iterate over the items without a progress bar."""
    return iter(items)


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Whole:
    """The progress of many runs, by their steps.

    Steps of an earlier process, or spared by stopping before the budget is used, count as done but not for the speed.
    """

    def __init__(self, runs: int, steps: int):
        self.runs, self.steps = runs, steps
        self.ended, self.taken, self.spared = 0, 0, 0
        self._began, self._lock = time.perf_counter(), threading.Lock()

    def add(self, taken: int = 0, spared: int = 0, ended: int = 0) -> None:
        """So many more steps were taken or spared, and so many more runs ended."""
        with self._lock:
            self.taken, self.spared, self.ended = self.taken + taken, self.spared + spared, self.ended + ended

    @property
    def seconds_left(self) -> float | None:
        """The time that the rest takes at the speed so far; None before the first step."""
        done = self.taken + self.spared
        return (time.perf_counter() - self._began) * (self.steps - done) / done if self.taken else None

    def __str__(self) -> str:
        left = self.seconds_left
        if left is None:
            return f"{self.ended} of {self.runs} runs"
        rate = self.taken / (time.perf_counter() - self._began)
        return f"{self.ended} of {self.runs} runs · {rate:,.0f} steps/s · about {duration(left)} left"

    def __rich__(self) -> Table:
        line = Table.grid(padding=(0, 1))
        line.add_row(ProgressBar(self.steps, self.taken + self.spared, width=8), str(self))
        return line


class TrainingProgress:
    """The bars of all runs that train in this process, and of the longer work that includes them.

    Training as part of longer work uses that work's display: it is shown from the first `with` to that one's end, and
    entering it again inside changes nothing.
    """

    def __init__(self, quiet: bool):
        self.quiet = quiet
        self.whole: Whole | None = None  # what all runs together are, where that is known
        # Names of others are text, never markup, and training goes on when nobody reads its progress any more.
        console = Console(file=Lasting(sys.stderr), soft_wrap=True, markup=False, emoji=False)  # type: ignore[arg-type]
        self._shown = not quiet and console.is_terminal
        self._entered = 0
        self._bars = Progress(
            BarColumn(bar_width=8),
            TimeRemainingColumn(compact=True),  # two lines fit into 80 columns
            TextColumn(
                "{task.completed:,.0f} of {task.total:,.0f} steps   {task.description}\n{task.fields[rates]}",
                markup=False,
            ),
            console=console,
        )
        self._loops = Progress(BarColumn(bar_width=8), TextColumn("{task.description}", markup=False), console=console)
        self._live = Live(
            get_renderable=self._render,
            console=console,
            refresh_per_second=10,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # else output to a file would appear on the terminal
        )

    def _render(self) -> Group:
        return Group(*filter(None, [self.whole]), self._loops, self._bars)

    def __enter__(self) -> "TrainingProgress":
        self._entered += 1
        if self._shown and self._entered == 1:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._entered -= 1
        if self._shown and not self._entered:
            self._live.stop()

    def tell(self, line: str) -> None:
        """Print a line above the bars."""
        if not self.quiet:
            self._bars.console.print(escaped(line))

    @contextmanager
    def expect(self, runs: int, steps: int) -> Iterator[Whole]:
        """Inside, one more bar shows the progress of so many runs with so many steps in all."""
        self.whole = Whole(runs, steps)
        try:
            yield self.whole
        finally:
            self.whole = None

    @contextmanager
    def follow(self, name: str, total_steps: int) -> Iterator["RunProgress"]:
        """A bar for one more run, until the run is over."""
        name = escaped(name)
        run = RunProgress(self, self._bars, self._bars.add_task(name, total=total_steps, rates=""), name)
        try:
            yield run
        finally:
            self._bars.remove_task(run.task)
            if self.whole is not None:
                self.whole.add(spared=total_steps - run.step, ended=1)

    def over(self, items: Sequence[T], what: str) -> Iterator[T]:
        """The items one by one, with a bar that shows how many are done, how fast, and the time left."""
        task, began = self._loops.add_task("", total=len(items)), time.perf_counter()
        try:
            for done, item in enumerate(items):
                seconds = time.perf_counter() - began
                rest = duration(seconds / done * (len(items) - done)) if done else ""
                rate = f" · {done / seconds:.2g}/s · about {rest} left" if done else ""
                self._loops.update(task, completed=done, description=f"{done} of {len(items)} {what}{rate}")
                yield item
        finally:
            self._loops.remove_task(task)


class RunProgress:
    """One run's bar: success, steps/s, updates/s, updates per step and time left. Any thread may use it."""

    def __init__(self, owner: TrainingProgress, bars: Progress, task: TaskID, name: str):
        self._owner, self._bars, self._name, self._success = owner, bars, name, "-"
        self.task, self.step = task, 0

    @property
    def quiet(self) -> bool:
        """Whether nothing is printed."""
        return self._owner.quiet

    def advance(self, step: int, updates: int, seconds: float) -> None:
        """Show where training is."""
        rates = (
            f"success {self._success} · {step / seconds:,.0f} steps/s · {updates / seconds:,.0f} updates/s · "
            f"{updates / step:.2f} updates/step"
        )
        self._bars.update(self.task, completed=step, rates=rates)
        if self._owner.whole is not None:
            before = {"taken": step - self.step} if self.step else {"spared": step}  # a resumed run starts later
            self._owner.whole.add(**before)
        self.step = step

    def say(self, sentence: str) -> None:
        """Print a line about the run."""
        self._owner.tell(f"{self._name}  {sentence}")

    def evaluated(self, row: EvaluationRow) -> None:
        """Show an evaluation's result."""
        self._success = f"{row.success_rate:.0%}"
        self.say(
            f"{row.step:>8,} steps {row.updates:>8,} updates {row.seconds:5.0f} s  "
            f"success {describe_rate(row.success_rate, row.success_ci95)}"
        )
