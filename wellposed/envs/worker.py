"""A worker process: some of the envs of `workers.Workers`, made and stepped here.

`python -m wellposed.envs.worker LINK MEMORY`, with the words of `plugin.words` before; both are file descriptors.
"""

import faulthandler
import json
import mmap
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from wellposed import plugin
from wellposed.envs.group import Group, board_in, make_one
from wellposed.errors import UserError


def main(argv: list[str]) -> None:
    """Do what the parent says until it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the parent, which ends its workers once it has saved
        signal.signal(number, signal.SIG_IGN)
    faulthandler.enable()
    link, memory = (int(word) for word in plugin.load_named(argv))
    threading.Thread(target=_leave_without_parent, args=(link,), daemon=True).start()
    with suppress(EOFError, OSError), Connection(link) as parent:  # these say that the parent is gone
        _work(parent, memory)


def _work(parent: Connection, memory: int) -> None:
    """Make the envs that the parent orders, and do what it says until it says "close"."""
    try:
        group = _made(json.loads(parent.recv_bytes()), memory)
    except UserError as error:
        _answer(parent, {"error": f"{error} With --threads 1 envs are stepped in the process that trains."})
        return
    os.dup2(2, 1)  # what it says while it is made, the parent's own instance has said
    _answer(parent, {"found": None})
    while (message := json.loads(parent.recv_bytes()))[0] != "close":
        command, argument = message
        try:
            _answer(parent, {"found": getattr(group, command)(argument)})
        except UserError as error:
            _answer(parent, {"error": str(error)})
    group.close()


def _made(order: dict[str, Any], memory: int) -> Group:
    """The envs that the parent orders."""
    if order["registered"] is not None:
        spec = EnvSpec.from_json(order["registered"])
        gym.registry.setdefault(spec.id, spec)
    board = board_in(order["columns"], mmap.mmap(memory, 0), order["first"], order["last"])
    return Group(partial(make_one, order["name"], **order["arguments"]), board, order["first"])


def _answer(parent: Connection, found: dict[str, Any]) -> None:
    parent.send_bytes(json.dumps(found).encode())


def _leave_without_parent(link: int) -> None:
    """End this process, whatever it does, as soon as the other end of the socket is closed."""
    poll = select.poll()
    poll.register(link, 0)  # errors and hang-ups are always told
    poll.poll()
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
