"""The code that something is made of: a digest of its source, and the versions of the packages that it uses."""

import ast
import contextlib
import functools
import hashlib
import importlib.util
import sys
import sysconfig
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.machinery import ModuleSpec
from pathlib import Path

OURS = __name__.partition(".")[0]
_PARSING = threading.Lock()  # where two threads parse at once, CPython 3.11 may raise a SystemError (gh-106905)


@dataclass(frozen=True)
class Source:
    """Code, as far as its imports say what it is made of."""

    digest: str  # of all code of its own; docstrings and comments do not count
    packages: dict[str, str]  # version of each installed package that this code imports, or lies in


def source_of(modules: Iterable[str]) -> Source:
    """The code of these modules, and of all that they import of their own packages or that lies beside them.

    Of this package only the part that a module lies in is its own, as `wellposed.envs`.
    """
    waiting, code, others = list(modules), dict[str, str](), set[str]()
    own = {_own(name) for name in waiting}
    others |= {name.partition(".")[0] for name in waiting}
    while waiting:
        name = waiting.pop()
        if name in code or (spec := _spec(name)) is None or not str(spec.origin).endswith(".py"):
            continue
        path = Path(str(spec.origin))
        with _PARSING:
            tree = ast.parse(path.read_bytes())
        code[name] = ast.unparse(_without_docstrings(tree))
        for imported, holder in _imported(tree, spec.parent or ""):
            top = holder.partition(".")[0]
            if not spec.parent and _beside(top, path):
                own.add(top)
            if any(imported == package or imported.startswith(f"{package}.") for package in own):
                waiting.append(imported if _spec(imported) is not None else holder)
            else:
                others.add(top)
    text = "\n".join(f"{name}\n{code[name]}" for name in sorted(code))
    names = sorted(others - sys.stdlib_module_names - {"", OURS})
    versions = {package: version for name in names if (version := _version(name)) for package in [_package(name)]}
    return Source(hashlib.sha256(text.encode()).hexdigest(), versions)


def _own(module: str) -> str:
    """The package whose modules count as a module's own code."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] == OURS and len(parts) > 2 else 1])


def _beside(module: str, path: Path) -> bool:
    """Whether a module without dots lies beside a file that is no part of an installed package."""
    folder, spec = path.parent, _spec(module)
    if str(folder) in sysconfig.get_paths().values() or spec is None or spec.origin is None:
        return False
    return folder in Path(spec.origin).parents


def _spec(module: str) -> ModuleSpec | None:
    """Where a module is; None if there is none of that name."""
    try:
        return importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None


def _imported(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """What a module of `package` imports: each name with its dots, and the module that holds it if it is none."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            holder = importlib.util.resolve_name(module, package) if node.level else module
            yield from ((f"{holder}.{alias.name}", holder) for alias in node.names)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return tree


def _version(name: str) -> str | None:
    """The version of an installed package, by the name under which it is imported."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(_package(name))
    return None


def _package(name: str) -> str:
    """The name by which an installed package is asked for, as gymnasium-robotics for gymnasium_robotics."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        metadata.version(name)
        return name.replace("_", "-")
    return next(iter(_distributions().get(name, [])), name)


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Names of installed packages by the names under which they are imported."""
    return metadata.packages_distributions()
