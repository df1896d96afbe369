"""The exception for what a person can fix: its text is shown without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something outside the program is wrong (an argument, a file, a full disk).

    The message says in whole sentences what was wrong and what to do. The command line prints it and exits with 1.
    """


class EnvFailedError(UserError):
    """An environment raised an error while it was stepped, or the process died in which it was."""


class NotFiniteError(FloatingPointError):
    """A NaN or an infinity: every later number would inherit it.

    `quantity` says what it is: action, physics, observation, reward, loss or weight.
    """

    def __init__(self, quantity: str, detail: str):
        """`detail`: one sentence, with the evidence."""
        super().__init__(detail)
        self.quantity = quantity


def require(condition: bool, setting: str, rule: str, got: object) -> None:
    """Raise UserError for a setting that breaks its rule: `require(k >= 0, "replay.k", "must not be negative", k)`."""
    if not condition:
        raise UserError(f"--{setting.replace('_', '-')} {rule}, got {got}.")


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar to a wrong one, if any is."""
    return next(iter(difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)), None)


def instead(wrong: str, known: Iterable[str]) -> str:
    """What to write instead of an unknown name: `; did you mean 'mean'? There are mean, low.`."""
    names = list(known)
    near = nearest(wrong, names)
    meant = f"; did you mean {near!r}?" if near else "."
    return f"{meant} There {'are' if len(names) != 1 else 'is'} {', '.join(names) or 'none'}."
