"""Digests of source code that comments and docstrings do not change: what a published fact depends on."""

import ast
import hashlib
import subprocess
from pathlib import Path
from typing import Any

DEFINITIONS = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def source_digest(path: Path) -> str:
    """Sixteen hexadecimal digits of a file: of Python its syntax without docstrings, of anything else its bytes.

    They are the same for every version of Python that can read the file.

    Raises:
        OSError: if it cannot be read.
        SyntaxError: if it is not Python.
    """
    return content_digest(path.read_bytes(), path.suffix == ".py")


def content_digest(content: bytes, python: bool) -> str:
    """The digest of a file's content."""
    if python:
        content = repr(_shape(ast.parse(content))).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _shape(node: Any) -> Any:
    """A syntax tree as nested tuples; fields that are empty are left out, for which there are differ with versions."""
    if isinstance(node, list):
        return [_shape(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    fields = {name: getattr(node, name) for name in node._fields if name not in ("kind", "type_comment")}
    if isinstance(node, DEFINITIONS) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = fields["body"][1:]
    return type(node).__name__, [(name, _shape(value)) for name, value in fields.items() if value not in (None, [])]


def digest_at(root: Path, commit: str, file: str) -> str | None:
    """The digest of a file of a git repository as it was at a commit; None if it cannot be had."""
    try:
        shown = subprocess.run(["git", "show", f"{commit}:{file}"], cwd=root, capture_output=True, check=True).stdout
        return content_digest(shown, file.endswith(".py"))
    except (OSError, subprocess.CalledProcessError, SyntaxError):
        return None
