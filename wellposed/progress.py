"""Progress of long work: a bar for each run on a terminal, one for all of them, one line per evaluation anywhere."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TypeVar

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress_bar import ProgressBar
from rich.table import Table

from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate
from wellposed.terminal import Lasting, escaped

T = TypeVar("T")


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Whole:
    """How far many runs are, by their steps. What a run took in an earlier process, or spares by stopping before its
    budget is used up, is done too, but says nothing about speed."""

    def __init__(self, runs: int, steps: int):
        self.runs, self.steps = runs, steps
        self.ended, self.taken, self.spared = 0, 0, 0
        self._began, self._lock = time.perf_counter(), threading.Lock()

    def add(self, taken: int = 0, spared: int = 0, ended: int = 0) -> None:
        """So many steps more were taken or spared, and so many runs ended."""
        with self._lock:
            self.taken, self.spared, self.ended = self.taken + taken, self.spared + spared, self.ended + ended

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes if it goes on as it went so far; None before the first step."""
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
    """The bars of all runs that train in this process, and of the work that they are part of.

    Whoever trains as a part of longer work is handed that work's display: it is shown from the first `with` to the end
    of that one, and what enters it within changes nothing.
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
            TimeRemainingColumn(compact=True),  # the rest in two lines, so that all of it fits into 80 columns
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
            redirect_stdout=sys.stdout.isatty(),  # else what goes into a file would land on the terminal
        )

    def _render(self) -> Group:
        whole = self.whole
        return Group(*([] if whole is None else [whole]), self._loops, self._bars)

    def __enter__(self) -> "TrainingProgress":
        self._entered += 1
        if self._shown and self._entered == 1:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._entered -= 1
        if self._shown and not self._entered:
            self._live.stop()

    @contextmanager
    def expect(self, runs: int, steps: int) -> Iterator[Whole]:
        """Inside, one more bar shows how far so many runs are that have so many steps to take."""
        self.whole = Whole(runs, steps)
        try:
            yield self.whole
        finally:
            self.whole = None

    def follow(self, name: str, total_steps: int) -> "RunProgress":
        """A bar for one more run."""
        name = escaped(name)
        task = self._bars.add_task(name, total=total_steps, rates="")
        return RunProgress(self, self._bars, task, name, total_steps)

    def over(self, items: Sequence[T], what: str) -> Iterator[T]:
        """The items one by one, with a bar that says what is done with them, how fast, and how long the rest takes."""
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
    """One run's bar, gone when the run is over: success, steps/s, updates/s, updates per step and time left.

    It may be used from the run's own thread.
    """

    def __init__(self, owner: TrainingProgress, bars: Progress, task: TaskID, name: str, total_steps: int):
        self._owner, self._bars, self._task, self._name, self._success = owner, bars, task, name, "-"
        self._total, self._step = total_steps, 0

    def __enter__(self) -> "RunProgress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bars.remove_task(self._task)
        if self._owner.whole is not None:
            self._owner.whole.add(spared=self._total - self._step, ended=1)

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
        self._bars.update(self._task, completed=step, rates=rates)
        if self._owner.whole is not None:
            before = {"taken": step - self._step} if self._step else {"spared": step}  # a resumed run begins further on
            self._owner.whole.add(**before)
        self._step = step

    def say(self, sentence: str) -> None:
        """Print a line about the run."""
        if not self.quiet:
            self._bars.console.print(escaped(f"{self._name}  {sentence}"))

    def evaluated(self, row: EvaluationRow) -> None:
        """Show an evaluation's result."""
        self._success = f"{row.success_rate:.0%}"
        self.say(
            f"{row.step:>8,} steps {row.updates:>8,} updates {row.seconds:5.0f} s  "
            f"success {describe_rate(row.success_rate, row.success_ci95)}"
        )
