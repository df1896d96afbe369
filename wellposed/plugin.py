"""Files of a person's own that the command line imports first: `--plugin FILE`, with any command.

Such a file registers an algorithm or an environment when it is imported. Only a person names one, never a record,
manifest or configuration: data must not decide what is executed.
"""

import importlib.util
import shlex
import sys
import traceback
from pathlib import Path

from wellposed.errors import UserError

OPTION = "--plugin"
LOADED: list[Path] = []  # in this process; one that it starts must load them too


def load_named(argv: list[str]) -> list[str]:
    """Import the files that a command line names with --plugin, or raise UserError; returns the other words."""
    others, words = [], iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        if option == OPTION:
            load(Path(value if equals else next(words, "")))
        else:
            others.append(word)
    return others


def options() -> str:
    """The options --plugin FILE of this process, to be put after a command that continues its work; "" without any."""
    return "".join(f" {OPTION} {shlex.quote(str(path))}" for path in LOADED)


def load(path: Path) -> None:
    """Import a Python file, once. It may import others beside it, as a script may.

    Raises UserError if there is no such file, or it raises an error.
    """
    path = path.resolve()
    if path in LOADED:
        return
    if not path.is_file() or path.suffix != ".py":
        raise UserError(f"{OPTION} takes a Python file, and {path} is not one.")
    spec = importlib.util.spec_from_file_location(f"plugin_{path.stem}", path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the names in their annotations
    sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a person's own code may raise anything
        at = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f"{path}, line {at[-1]}" if at else str(path)
        raise UserError(f"{where}: {type(error).__name__}: {error}") from error
    LOADED.append(path)
