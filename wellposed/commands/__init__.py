"""The commands of the laboratory, and how an installed package adds its own.

A package adds a command by an entry point of the group `wellposed.commands`, whose object is a function, as those here
are, or a `Group` of them. The course (`course.commands`) does.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wellposed.registry import Registry

Command = Callable[..., int]  # its parameters are the command's options, its result is the exit code


@dataclass(frozen=True)
class Group:
    """Commands with a first word in common, as `wellposed reality seal` and `wellposed reality show`."""

    about: str  # a line in the list of commands
    commands: dict[str, Command]


ADDED: Registry[Command | Group] = Registry("command", "wellposed.commands")


def listed(about: str) -> Any:
    """A command for the list of commands only, where `about` stands beside its name."""

    def command() -> int:
        raise AssertionError(about)

    command.__doc__ = about
    return command
