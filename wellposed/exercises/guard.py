"""The reader's function under guard: whatever goes wrong in it becomes one sentence with the line where it did.

It cannot change its inputs, print, or take for ever unnoticed. All of this happens in a process of its own (`child`).
"""

import difflib
import faulthandler
import inspect
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from textwrap import shorten
from types import CodeType, FrameType, TracebackType
from typing import Any, TextIO

from wellposed.exercises.exercise import Write, protected, show_all

UNTRACEABLE = ("TracerArrayConversionError", "ConcretizationTypeError", "TracerBoolConversionError")
SOURCE = "<reader>"  # what the reader's code is compiled as: the same whatever the file is called, and plain ASCII


class ReaderError(Exception):
    """The reader's file does not do what it could be judged by; the message is the end of a sentence about a line."""

    def __init__(self, line: int, what: str):
        super().__init__(what)
        self.line = line


class Listener:
    """Takes the place of standard output: keeps what is printed first, and from which of the reader's lines."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.heard: tuple[int, str] | None = None

    def write(self, text: str) -> int:
        """Hear what is printed."""
        if self.heard is None and text.strip():
            self.heard = innermost_line(sys._getframe(1)) or 1, text.strip().splitlines()[0][:60]
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def isatty(self) -> bool:
        """It is no terminal."""
        return False

    def check(self) -> None:
        """Raises ReaderError if anything was printed."""
        if self.heard is not None:
            line, text = self.heard
            raise ReaderError(
                line, f"prints {text!r}: the function's only output is what it returns, so take that line out"
            )


class TimeLimit:
    """Inside, the process ends after so many seconds, and tells the stacks of all its threads to a file before.

    It ends whatever it is doing: the watch is kept outside of Python.
    """

    def __init__(self, seconds: float, stacks: TextIO):
        self.seconds, self.stacks = seconds, stacks
        self._inside, self._lock = 0, threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=self.stacks)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                faulthandler.cancel_dump_traceback_later()


class Guarded:
    """The reader's function as properties and the trainer call it."""

    def __init__(self, exercise: Write, function: Callable[..., Any], listener: Listener, limit: TimeLimit | None):
        """`limit` is kept at every call; None where the caller keeps one."""
        self.exercise, self.function, self.listener, self.limit = exercise, function, listener, limit
        self.line = first_line(function)

    def __call__(self, *args: Any) -> Any:
        """Call the reader's function.

        Raises:
            ReaderError: if it raises, prints, changes an argument, or what it returns has not the form that is due.
        """
        given = tuple(map(protected, args))
        with self._limited(), self._explained(args):
            result = self.function(*given)
        self.listener.check()
        for name, before, after in zip(self.exercise.parameters, args, given, strict=True):
            if isinstance(before, dict) and before.keys() != after.keys():
                raise ReaderError(self.line, f"changes its input `{name}`: make a new dictionary instead")
        if complaint := self.exercise.form(args, result):
            with self._limited():
                line = self._return_line(given)
            raise ReaderError(line, complaint)
        return result

    @contextmanager
    def _limited(self) -> Iterator[None]:
        if self.limit is None:
            yield
        else:
            with self.limit:
                yield

    @contextmanager
    def _explained(self, args: tuple[Any, ...]) -> Iterator[None]:
        """Turn what the reader's function raises into a ReaderError."""
        try:
            yield
        except ReaderError:  # of a function that it was handed
            raise
        except BaseException as error:
            given = show_all(dict(zip(self.exercise.parameters, args, strict=True)))
            raise ReaderError(raised_at(error) or self.line, complaint_of(error, given)) from error

    def _return_line(self, args: tuple[Any, ...]) -> int:
        """The line of the `return` that is taken with these arguments."""
        code, line = code_of(self.function), self.line

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal line
            if frame.f_code is not code:
                return None
            if event == "return":
                line = frame.f_lineno
            return trace

        sys.settrace(trace)
        try:
            with suppress(Exception):  # it was called before, and this is only about a line
                self.function(*args)
        finally:
            sys.settrace(None)
        return line


def load(exercise: Write, source: bytes) -> Callable[..., Any]:
    """The exercise's function, out of the text of the reader's file, which is executed.

    Raises:
        ReaderError: if it is no Python, raises, or does not define the function with the signature that is due.
    """
    try:
        code = compile(source, SOURCE, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ReaderError(error.lineno or 1, f"is no Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ReaderError(1, f"is no Python: {error or type(error).__name__}") from error
    namespace: dict[str, Any] = {"__name__": "exercise"}
    try:
        exec(code, namespace)
    except BaseException as error:
        raise ReaderError(raised_at(error) or 1, complaint_of(error)) from error
    function, due = namespace.get(exercise.function), f"`{exercise.function}({', '.join(exercise.parameters)})`"
    if not callable(function):
        last = max(1, len(source.splitlines()))
        similar = difflib.get_close_matches(exercise.function, [n for n, v in namespace.items() if callable(v)], n=1)
        instead = f" (there is `{similar[0]}`)" if similar else ""
        raise ReaderError(last, f"is the last, and nothing before it defines the function {due}{instead}")
    try:
        found = tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        found = None
    if found != exercise.parameters:
        raise ReaderError(first_line(function), f"takes ({', '.join(found or ('?',))}), where {due} is due")
    return function


def complaint_of(error: BaseException, given: str = "") -> str:
    """What is said of an exception in the reader's code; `given` are the arguments with which it came."""
    text = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, NotImplementedError):
        return "is still to be written: it raises NotImplementedError"
    if isinstance(error, SystemExit):
        return "ends the process: a function returns"
    if isinstance(error, ValueError) and "read-only" in text:
        return f"changes its input ({text}): compute a new array instead"
    if type(error).__name__ in UNTRACEABLE:
        return "needs the numbers themselves, but JAX compiles it before there are any: write it with jax.numpy alone"
    what = f"raises {type(error).__name__}" + (f": {text}" if text else "")
    return what.removesuffix(".") + (f", given {shorten(given, 240, placeholder=' ...')}" if given else "")


def raised_at(error: BaseException) -> int | None:
    """The reader's innermost line in the traceback of an exception; None if there is none."""
    line, at = None, error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_filename == SOURCE:
            line = at.tb_lineno
        at = at.tb_next
    return line


def innermost_line(frame: FrameType | None) -> int | None:
    """The reader's innermost line in a stack; None if there is none."""
    while frame is not None:
        if frame.f_code.co_filename == SOURCE:
            return frame.f_lineno
        frame = frame.f_back
    return None


def code_of(function: Callable[..., Any]) -> CodeType | None:
    """The code of a function, of one within a decorated one too; None of what is not written in Python."""
    return getattr(inspect.unwrap(function), "__code__", None)


def first_line(function: Callable[..., Any]) -> int:
    """Where the reader's file defines a function; 1 if it does not."""
    code = code_of(function)
    return code.co_firstlineno if code is not None and code.co_filename == SOURCE else 1
