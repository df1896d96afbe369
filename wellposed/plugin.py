"""Code of a person's own: files that the command line imports first, and modules that make environments.

Records, experiments, chapters and bundles name environments, and data must not decide what is executed. So nothing is
imported by name unless a person named it in this process: as the environment of a command, with `--allow-import NAME`,
or in Python with `wp.allow_import(NAME)`, `wp.default_config(NAME)`, `wp.certify(NAME)` or `wp.make_vec(NAME)`.
`import_named` is the only function that imports by name, and it asks.
"""

import hashlib
import importlib
import importlib.util
import os
import shlex
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

from wellposed.errors import UserError

OPTION, PERMISSION = "--plugin", "--allow-import"
LOADED: list[Path] = []  # files named with --plugin in this process; one of its own that trains has to load them too
ALLOWED: list[str] = []  # names that a person gave in this process
_IMPORTING = threading.RLock()  # runs side by side make their environments at once


def load_named(argv: list[str]) -> list[str]:
    """Take over the files and names that a command line gives with --plugin and --allow-import.

    Returns:
        The other words.

    Raises:
        UserError: if a file cannot be imported, or a name is missing.
    """
    others, words = [], iter(argv)
    for word in words:
        option, equals, value = word.partition("=")
        if option not in (OPTION, PERMISSION):
            others.append(word)
            continue
        value = value if equals else next(words, "")
        if option == OPTION:
            load(Path(value))
        elif imports(value):
            allow_import(value)
        else:
            raise UserError(f"{PERMISSION} takes the name of an environment, as my_env:make or file.py:make.")
    return others


def load(path: Path) -> None:
    """Import a file named with --plugin, once.

    Raises:
        UserError: if there is no such file, or it raises an error.
    """
    if not path.is_file() or path.suffix != ".py":
        raise UserError(f"{OPTION} takes a Python file, and {path.resolve()} is none.")
    import_file(path)
    if path.resolve() not in LOADED:
        LOADED.append(path.resolve())


def imports(name: str) -> bool:
    """Whether an environment's name is `MODULE:NAME` or `FILE.py:NAME`, so that making it imports something."""
    return ":" in name


def allow_import(name: str) -> None:
    """Permit this process to import what an environment's name says; names that import nothing need no permission.

    Args:
        name: `MODULE:NAME` or `FILE.py:NAME`, as a record has it. A file may lie in another directory than then.
    """
    if imports(name):
        ALLOWED.append(name)


def given_name(name: str) -> str | None:
    """The last name that a person gave for what `name` means: itself, or a file so called elsewhere; None if none."""
    return next(
        (given for given in reversed(ALLOWED) if given == name or _of_file(name) == _of_file(given) != ()), None
    )


def _of_file(name: str) -> tuple[str, ...]:
    """The file of an environment's name, without its directory, and what it is called in there; () for a module."""
    place, _, attribute = name.rpartition(":")
    return (Path(place).name, attribute) if place.endswith(".py") else ()


def import_named(name: str) -> tuple[ModuleType, str]:
    """The module of an environment's name, and what it is called in there.

    Raises:
        UserError: if no person gave that name in this process, or the module cannot be imported.
    """
    if (given := given_name(name)) is None:
        raise UserError(
            f"{name} would import code, which a file that is read must not decide. If you trust it, add "
            f"{shlex.join([PERMISSION, name])} (in Python: wellposed.allow_import({name!r}))."
        )
    place, _, attribute = given.rpartition(":")
    if not place or not attribute:
        raise UserError(f"{name} is no environment: write MODULE:NAME or FILE.py:NAME.")
    with _IMPORTING:
        return (import_file(Path(place)) if place.endswith(".py") else _import_module(place)), attribute


def words_for(name: str) -> list[str]:
    """The words that a command needs in addition to read a record of this environment."""
    plugins = [word for path in LOADED for word in (OPTION, str(path))]
    return [*plugins, *((PERMISSION, given_name(name) or name) if imports(name) else ())]


def words() -> list[str]:
    """The words that permit another process of ours what a person permitted this one."""
    files = [word for path in LOADED for word in (OPTION, str(path))]
    return [*files, *(word for name in dict.fromkeys(ALLOWED) for word in (PERMISSION, name))]


def environment() -> dict[str, str]:
    """The environment variables with which another process of ours finds the modules that this one finds."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def import_file(path: Path) -> ModuleType:
    """Import a Python file, once. It may import others that lie beside it, as a script may.

    Raises:
        UserError: if there is no such file, or it raises an error.
    """
    path = path.resolve()
    if not path.is_file():
        raise UserError(f"There is no file {path}.")
    name = _module_name(path)
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # noqa: PT018
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for the names in their annotations
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a person's own code may raise anything
        del sys.modules[name]
        raise UserError(_told(error, path)) from error
    return module


def _module_name(path: Path) -> str:
    """A file's own name, which Gymnasium's entry points in it may use; a longer one where another module has that."""
    own = path.stem
    if own.isidentifier():
        taken = sys.modules.get(own) or importlib.util.find_spec(own)
        file = getattr(taken, "__file__", None) or getattr(taken, "origin", None)
        if taken is None or (file and Path(file).resolve() == path):
            return own
    return f"{own}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"


def _import_module(name: str) -> ModuleType:
    """Import a module that is installed, or lies in the current directory."""
    top = name.partition(".")[0]
    here = Path.cwd()
    if str(here) not in sys.path and ((here / top).is_dir() or (here / f"{top}.py").is_file()):
        sys.path.append(str(here))  # last: nothing that is installed is hidden
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:  # as above
        raise UserError(f"The module {name!r} could not be imported: {_told(error)}.") from error


def _told(error: BaseException, path: Path | None = None) -> str:
    """An error in a person's file, with the line of the file at which it came up."""
    at = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    where = f"{path}, line {at[-1]}: " if at else f"{path}: " if path else ""
    return f"{where}{type(error).__name__}: {error}"
