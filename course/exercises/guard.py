"""Guards around the reader's function: whatever goes wrong in it becomes one sentence with its line.

Changed inputs, printed text and endless loops are detected. All of this runs in a process of its own (`child`).
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

from course.exercises.answers import to_data
from course.exercises.exercise import Written, read_only, show_all

UNTRACEABLE = ("TracerArrayConversionError", "ConcretizationTypeError", "TracerBoolConversionError")
SOURCE = "<reader>"  # the file name that the reader's code is compiled with


class ReaderError(Exception):
    """A fault in the reader's file; the message is the end of a sentence that begins with file and line."""

    def __init__(self, line: int, what: str):
        super().__init__(what)
        self.line = line


class OutputTrap:
    """A replacement of standard output that keeps the first printed text and the reader's line that printed it."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.printed: tuple[int, str] | None = None

    def write(self, text: str) -> int:
        """Keep the first text that is not blank."""
        if self.printed is None and text.strip():
            self.printed = innermost_line(sys._getframe(1)) or 1, text.strip().splitlines()[0][:60]
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""

    def isatty(self) -> bool:
        """It is not a terminal."""
        return False

    def check(self) -> None:
        """Raises ReaderError if anything was printed."""
        if self.printed is not None:
            line, text = self.printed
            raise ReaderError(line, f"prints {text!r}: remove that line, the function only returns its result")


class TimeLimit:
    """A context that ends the process after some seconds and first dumps the stacks of all threads to a file.

    The timer runs outside of the interpreter, so it also ends code that holds the lock of the interpreter.
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

    def __init__(self, asked: Written, function: Callable[..., Any], trap: OutputTrap, limit: TimeLimit | None):
        """`limit` applies to every call; None if the caller applies one."""
        self.asked, self.function, self.trap, self.limit = asked, function, trap, limit
        self.line = first_line(function)
        self.answers: list[Any] | None = None  # what it answered, as JSON data, if somebody else judges it

    def __call__(self, *args: Any) -> Any:
        """Call the reader's function.

        Raises:
            ReaderError: if it raises, prints, changes an argument, or returns a result of the wrong form.
        """
        return self._answered(self._called(*args))

    def compile(self, *args: Any, slope: bool = False) -> None:
        """Compile the function, or its derivative; arrays become unknown, floats stay. Raises ReaderError as a call."""
        import jax

        unknown = [isinstance(arg, jax.Array) for arg in args]

        def traced(*arrays: Any) -> Any:
            rest = iter(arrays)
            given = [next(rest) if is_unknown else arg for arg, is_unknown in zip(args, unknown, strict=True)]
            return (jax.grad(self._called) if slope else self._called)(*given)

        jax.eval_shape(traced, *(arg for arg, is_unknown in zip(args, unknown, strict=True) if is_unknown))
        self._answered(None)

    def slope(self, *args: Any) -> float:
        """The derivative by the first argument. Raises ReaderError as a call."""
        import jax

        return self._answered(float(jax.grad(self._called)(*args)))

    def _answered(self, answer: Any) -> Any:
        if self.answers is not None:
            self.answers.append(to_data(answer))
        return answer

    def _called(self, *args: Any) -> Any:
        given = tuple(map(read_only, args))
        with self._limited(), self._explained(args):
            result = self.function(*given)
        self.trap.check()
        for name, before, after in zip(self.asked.parameters, args, given, strict=True):
            if isinstance(before, dict) and before.keys() != after.keys():
                raise ReaderError(self.line, f"changes its input `{name}`: make a new dictionary instead")
        if complaint := self.asked.form(args, result):
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
        except ReaderError:  # of a function among its arguments
            raise
        except BaseException as error:
            given = show_all(dict(zip(self.asked.parameters, args, strict=True)))
            raise ReaderError(raised_at(error) or self.line, describe_error(error, given)) from error

    def _return_line(self, args: tuple[Any, ...]) -> int:
        """The line of the `return` that these arguments lead to."""
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
            with suppress(Exception):  # the call succeeded before; only its line is needed
                self.function(*args)
        finally:
            sys.settrace(None)
        return line


def load(asked: Written, source: bytes) -> Callable[..., Any]:
    """Execute the reader's file and return the function that is asked for.

    Raises:
        ReaderError: if it is not Python, raises, or does not define the function with the expected signature.
    """
    try:
        code = compile(source, SOURCE, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise ReaderError(error.lineno or 1, f"is not Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise ReaderError(1, f"is not Python: {error or type(error).__name__}") from error
    namespace: dict[str, Any] = {"__name__": "exercise"}
    try:
        exec(code, namespace)
    except BaseException as error:
        raise ReaderError(raised_at(error) or 1, describe_error(error)) from error
    function, expected = namespace.get(asked.function), f"`{asked.function}({', '.join(asked.parameters)})`"
    if not callable(function):
        last = max(1, len(source.splitlines()))
        similar = difflib.get_close_matches(asked.function, [n for n, v in namespace.items() if callable(v)], n=1)
        instead = f" (there is `{similar[0]}`)" if similar else ""
        raise ReaderError(last, f"is the end of the file, which does not define the function {expected}{instead}")
    try:
        found = tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        found = None
    if found != asked.parameters:
        raise ReaderError(first_line(function), f"takes ({', '.join(found or ('?',))}), expected {expected}")
    return function


def describe_error(error: BaseException, given: str = "") -> str:
    """The message for an exception in the reader's code; `given` are the arguments of the call."""
    text = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, NotImplementedError):
        return "is still to be written: it raises NotImplementedError"
    if isinstance(error, SystemExit):
        return "ends the process: return a result instead"
    if isinstance(error, ValueError) and "read-only" in text:
        return f"changes its input ({text}): compute a new array instead"
    if type(error).__name__ in UNTRACEABLE:
        return "needs concrete numbers, but JAX compiles it before there are any: write it with jax.numpy alone"
    message = f"raises {type(error).__name__}" + (f": {text}" if text else "")
    return message.removesuffix(".") + (f", given {shorten(given, 240, placeholder=' ...')}" if given else "")


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
    """The code object of a function, without its decorators; None if it is not written in Python."""
    return getattr(inspect.unwrap(function), "__code__", None)


def first_line(function: Callable[..., Any]) -> int:
    """The line where the reader's file defines a function; 1 if it does not."""
    code = code_of(function)
    return code.co_firstlineno if code is not None and code.co_filename == SOURCE else 1
