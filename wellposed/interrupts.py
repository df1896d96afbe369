"""The clock of a run, and how a run is interrupted."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Seconds of training, and of evaluation apart; those of a resumed run continue."""

    def __init__(self) -> None:
        self.set(0.0, 0.0)

    def set(self, seconds: float, paused: float) -> None:
        """Continue from so many seconds of training and of evaluation."""
        self.paused = paused  # seconds spent inside `pause`
        self._start = time.perf_counter() - seconds - paused

    @property
    def seconds(self) -> float:
        """Training time so far, without what `pause` held."""
        return time.perf_counter() - self._start - self.paused

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Time inside does not count as training."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.paused += time.perf_counter() - began


@contextmanager
def interruptible() -> Iterator[list[int]]:
    """Inside, the first Ctrl-C or SIGTERM only fills the list, so that loops end cleanly.

    Raises KeyboardInterrupt at the second signal.
    """
    caught: list[int] = []

    def handle(number: int, _frame: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        os.write(2, b"Stopping at the next update; once more to stop at once.\n")  # `print` is not reentrant

    if threading.current_thread() is not threading.main_thread():
        yield caught  # only the main thread receives signals
        return
    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
