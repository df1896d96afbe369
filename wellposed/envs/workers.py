"""Envs in processes of their own, for an environment that cannot be stepped on threads: it holds Python's lock.

Each worker is a `group.Group` of some of the envs in `python -m wellposed.envs.worker`, a fresh interpreter that was
permitted to import what this one was. All share the memory of one board, which has no name in the file system, so
nothing can be left behind. What a worker is to do goes over a socket, as JSON. It ends when the socket is closed, so
also when this process is killed.
"""

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import IO, Any

import gymnasium as gym
import numpy as np

from wellposed import plugin
from wellposed.envs.group import Column, Warned, board_bytes, board_in
from wellposed.errors import EnvFailedError

GRACE = 10.0  # seconds after which a worker that was told to end is killed


class WorkerDiedError(EnvFailedError):
    """A process in which envs were stepped is gone."""


def confined(name: str, arguments: dict[str, Any]) -> str:
    """Why an environment can be made in no other process, in words; "" if it can."""
    with suppress(TypeError, ValueError):
        if json.loads(json.dumps(arguments)) != arguments:
            raise ValueError
        registered = "" if plugin.imports(name) else gym.spec(name).to_json()  # ValueError: it is made by an object
        return "this program registers it itself" if '"__main__:' in registered else ""
    return "another process could not make it"


class Workers:
    """`count` workers that share all envs of a board; what a `Group` does, side by side."""

    def __init__(self, name: str, arguments: dict[str, Any], columns: Sequence[Column], count: int):
        with _memory(max(1, board_bytes(columns))) as file:
            self.board = board_in(columns, mmap.mmap(file.fileno(), 0))
            registered = None if plugin.imports(name) else gym.spec(name).to_json()
            order = {"name": name, "arguments": arguments, "registered": registered, "columns": columns}
            shares = np.array_split(np.arange(len(self.board["seed"])), count)
            self._workers = [_Worker(order, int(share[0]), int(share[-1]) + 1, file) for share in shares]
        self._made = False
        self._end = weakref.finalize(self, _end, self._workers)

    @property
    def processes(self) -> list[int]:
        """Their ids."""
        return [worker.process.pid for worker in self._workers]

    def begin(self, envs: list[int]) -> None:
        """As `Group.begin`."""
        self._ask("begin", [worker.of(envs) for worker in self._workers])

    def play(self, envs: list[int]) -> None:
        """As `Group.play`."""
        self._ask("play", [worker.of(envs) for worker in self._workers])

    def step(self, autoreset: bool) -> Warned:
        """As `Group.step`. Raises WorkerDiedError if a worker is gone."""
        return [warned for found in self._ask("step", [autoreset] * len(self._workers)) for warned in found]

    def close(self) -> None:
        """Let the workers close their envs, and wait until they have ended."""
        self._end()

    def _ask(self, command: str, arguments: list[Any]) -> list[Any]:
        """What the workers answer; those whose argument is an empty list are not asked.

        Raises:
            EnvFailedError: if an env raises an error, or a worker is gone.
        """
        if not self._made:
            _results([worker.answer() for worker in self._workers])
            self._made = True
        asked = [
            (worker, argument) for worker, argument in zip(self._workers, arguments, strict=True) if argument != []
        ]
        for worker, argument in asked:
            worker.tell([command, argument])
        return _results([worker.answer() for worker, _ in asked])


class _Worker:
    """The process of the envs from `first` up to but not `last`."""

    def __init__(self, order: dict[str, Any], first: int, last: int, file: IO[bytes]):
        self._name, self._first, self._last = order["name"], first, last
        ours, theirs = socket.socketpair()
        with theirs:
            shared = theirs.fileno(), file.fileno()
            words = [sys.executable, "-P", "-m", "wellposed.envs.worker", *plugin.words(), *map(str, shared)]
            # A group of its own: Ctrl-C is for this process, which ends its workers itself.
            self.process = subprocess.Popen(
                words, env=plugin.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=shared,
                process_group=0,
            )  # fmt: skip
        self._link = Connection(ours.detach())
        self.tell(order | {"first": first, "last": last})

    def of(self, envs: Iterable[int]) -> list[int]:
        """Which of these envs are its own, counted from its first."""
        return [i - self._first for i in envs if self._first <= i < self._last]

    def tell(self, message: Any) -> None:
        """Send it what it is to do. If it is gone, `answer` says so."""
        with suppress(OSError):
            self._link.send_bytes(json.dumps(message).encode())

    def answer(self) -> Any:
        """What it found; an error to raise if it could not do what it was told."""
        try:
            found = json.loads(self._link.recv_bytes())
        except (EOFError, OSError):
            return WorkerDiedError(f"The worker process of {self} {self._how_it_died()}.")
        return EnvFailedError(found["error"]) if "error" in found else found["found"]

    def __str__(self) -> str:
        return f"envs {self._first} to {self._last - 1} of {self._name}"

    def _how_it_died(self) -> str:
        code = self.wait()
        if code >= 0:
            return f"ended with exit code {code}"
        why = ", as the system does where memory runs out" if code == -signal.SIGKILL else ""
        return f"was killed by {signal.Signals(-code).name}{why}"

    def wait(self) -> int:
        """Its exit code, once it has ended; it is killed if that takes too long."""
        try:
            return self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def let_go(self) -> None:
        """Close the socket, which ends it if nothing else does."""
        self._link.close()


def _memory(size: int) -> IO[bytes]:
    """Memory that processes can share, as a file without a name."""
    nameless = hasattr(os, "memfd_create")  # Linux
    file: Any = os.fdopen(os.memfd_create("envs"), "r+b") if nameless else tempfile.TemporaryFile()  # noqa: SIM115
    os.ftruncate(file.fileno(), size)
    return file


def _results(answers: list[Any]) -> list[Any]:
    """The answers of all workers. Raises the first that is an error."""
    for one in answers:
        if isinstance(one, EnvFailedError):
            raise one
    return answers


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.tell(["close", None])
    for worker in workers:
        worker.wait()
        worker.let_go()
