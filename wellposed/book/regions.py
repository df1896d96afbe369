"""Regions of source files by the names that stand in them, so that no code is ever pasted into prose."""

import ast
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from wellposed.errors import UserError

_Scope = ast.Module | ast.ClassDef
_Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Region:
    """A stretch of a source file, without the indentation that all of it has."""

    file: str
    first: int  # its first line in the file, from 1
    last: int
    code: str


def region(root: Path, reference: str) -> Region:
    """The region that `wellposed/agents/sac.py#critic_loss` names.

    After # stands the name of a function, a class, a constant of the module, or Class.method; without #, the whole file
    is meant. Decorators belong to a region, and so do the comments right above a constant.

    Raises:
        UserError: if there is no such file below `root`, it is not Python, or has nothing of that name.
    """
    file, _, name = reference.strip().partition("#")
    path = root / file
    if not path.resolve().is_relative_to(root.resolve()) or not path.is_file():
        raise UserError(f"There is no source file {file}.")
    source = path.read_text()
    lines = source.splitlines()
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise UserError(f"{file} is not Python: {error.msg} on line {error.lineno}.") from error
    first, last = _span(tree, name, file, lines) if name else (1, len(lines))
    return Region(file, first, last, dedent("\n".join(lines[first - 1 : last])) + "\n")


def _span(tree: ast.Module, name: str, file: str, lines: list[str]) -> tuple[int, int]:
    """First and last line of what a qualified name names."""
    scope: ast.AST = tree
    for part in name.split("."):
        found = _members(scope) if isinstance(scope, _Scope) else {}
        if part not in found:
            known = ", ".join(found) or "nothing that has a name"
            raise UserError(f"There is no {name} in {file}; there, {part!r} could be one of: {known}.")
        scope = found[part]
    if isinstance(scope, _Named):
        return min(node.lineno for node in [scope, *scope.decorator_list]), scope.end_lineno or scope.lineno
    assert isinstance(scope, ast.Assign | ast.AnnAssign)
    first = scope.lineno
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return first, scope.end_lineno or scope.lineno


def _members(scope: _Scope) -> dict[str, ast.AST]:
    """What is defined right inside a module or a class, by name, in order."""
    found: dict[str, ast.AST] = {}
    for node in scope.body:
        if isinstance(node, _Named):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id: node for target in targets if isinstance(target, ast.Name)}
    return found
