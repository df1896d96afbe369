"""What reaches the terminal: plain text, whatever names and texts of others hold, and as long as somebody reads it."""

import errno
import os
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from wellposed.errors import UserError

GONE = (errno.EPIPE, errno.EIO, errno.ECONNRESET)  # the reader of a pipe has ended, a terminal was closed
HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # Unicode: control, format (such as right-to-left), surrogate, separators


def escaped(text: str) -> str:
    r"""Text whose characters are all seen: what would steer a terminal becomes `\u001b`, as JSON writes it too."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(_escaped(c) if c not in "\n\t" and unicodedata.category(c) in HIDDEN else c for c in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


class Lasting:
    """A text stream that goes on when nobody reads it any more: what is then written is lost, and nothing else."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write text."""
        with lasting(self._stream):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what is buffered."""
        with lasting(self._stream):
            self._stream.flush()


class Plain(Lasting):
    """A lasting stream on which nothing but visible characters arrives."""

    def write(self, text: str) -> int:
        """Write text, escaped."""
        super().write(escaped(text))
        return len(text)


@contextmanager
def lasting(stream: TextIO) -> Iterator[None]:
    """Turn a stream to nowhere when it takes nothing more.

    Raises:
        UserError: unless the reason is that whoever read it has gone: a full disk, for one.
    """
    try:
        yield
    except OSError as error:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # what is buffered must not fail again when the process ends
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if error.errno not in GONE:
            raise UserError(f"The output could not be written: {error.strerror}.") from error


@contextmanager
def output(kind: type[Lasting]) -> Iterator[None]:
    """Within, what is printed on standard output goes through such a stream."""
    before, sys.stdout = sys.stdout, kind(sys.stdout)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout = before


def open_standard_streams() -> None:
    """Lead descriptors 0 to 2 to nowhere where they are closed.

    A file opened later would get such a number, and messages would land in it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number, inheritable=True)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
