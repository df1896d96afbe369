"""The import rules: rows import only from rows above them, and some rows stay free of JAX."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("wellposed", "course")

TABLE = (ROOT / "CONTRIBUTING.md").read_text().partition("## Who may import whom")[2]
JAX = {"jax", "equinox", "optax", "torch"}


def _named(text: str) -> list[str]:
    """The modules that stand in backquotes, as dotted names."""
    names = re.findall(r"`([\w.]+)`", text)
    return [name if name.partition(".")[0] in PACKAGES else f"wellposed.{name}" for name in names]


def read_table(text: str) -> tuple[dict[str, tuple[int, int]], dict[str, set[str]]]:
    """The table of CONTRIBUTING.md: row and place of each module, and what each must not import."""
    places: dict[str, tuple[int, int]] = {}
    refused: dict[str, set[str]] = {}
    for row, modules, forbidden in re.findall(r"^\| (\d+) \| (.*?) \|(.*)\|$", text, re.MULTILINE):
        names = _named(modules)
        places |= {name: (int(row), place) for place, name in enumerate(names)}
        for clause in filter(str.strip, forbidden.split(";")):
            whose, colon, what = clause.rpartition(":")
            for name in _named(whose) if colon else names:
                bad = {*_named(what)} | (JAX if "JAX" in what else set())
                refused.setdefault(name, set()).update(bad | ({*names} - {name} if "each other" in what else set()))
    return places, refused


PLACES, REFUSED = read_table(TABLE)


def _is_below(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def _part(module: str) -> str:
    """The module of the table that another one belongs to: itself or a package around it."""
    return max((part for part in PLACES if _is_below(module, part)), key=len)


def _imports(source: str) -> set[str]:
    """Everything a module imports, wherever in it, as dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add("wellposed.__main__")  # a relative import would hide where it leads; this is the last of all
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def violations(module: str, source: str) -> list[str]:
    """What a module imports against the rules."""
    own, wrong = _part(module), []
    for name in _imports(source):
        if name.partition(".")[0] in PACKAGES and _part(name) != own and PLACES[_part(name)] > PLACES[own]:
            wrong.append(f"{module} (layer {PLACES[own][0]}) imports {name} (layer {PLACES[_part(name)][0]})")
        if any(_is_below(name, bad) for bad in REFUSED.get(own, ())):
            wrong.append(f"{module} must not import {name}")
        if _is_below(module, "course") and _is_below(name, "wellposed") and re.search(r"\._(?!_)", name):
            wrong.append(f"{module} imports {name}, which is the laboratory's own")
    return wrong


def _modules() -> list[tuple[str, str]]:
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    return [
        (".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), p.read_text()) for p in paths
    ]


def test_every_module_has_its_place_in_the_table():
    here = {
        f"{package}.{path.stem}"
        for package in PACKAGES
        for path in (ROOT / package).iterdir()
        if path.stem != "__init__" and (path.suffix == ".py" or (path / "__init__.py").exists())
    }
    assert PLACES.keys() - {*PACKAGES} == here


@pytest.mark.parametrize(("module", "source"), _modules(), ids=lambda value: value if "\n" not in value else "")
def test_modules_keep_to_their_layer(module, source):
    assert violations(module, source) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wellposed.runs.store", "import jax"),
        ("wellposed.envs.suites.fetch.task", "from wellposed.nn import networks"),
        ("wellposed.agents.sac", "from wellposed.data import ReplayBuffer"),
        ("wellposed.data.episodes", "from wellposed.training import train"),
        ("wellposed.seeding", "from wellposed import stats"),
        ("wellposed.stats", "from wellposed import seeding"),
        ("wellposed.envs.make", "from wellposed.data import episodes"),
        ("wellposed.data.episodes", "from wellposed.envs import rules"),
        ("wellposed.rollout.evaluate", "from wellposed.envs.suites import fetch"),
        ("wellposed.diagnose.phases", "from wellposed.agents.sac import SAC"),
        ("wellposed.recipes", "import wellposed"),
        ("wellposed.data.episodes", "from ..training import train"),
        ("wellposed.cli", "from course.book import build"),
        ("course.chapters.load", "import course.book"),
        ("course.chapters.load", "from wellposed.training import _open"),
        ("wellposed.analysis.curves", "def f():\n    from wellposed.envs import make_vec"),
    ],
)
def test_a_forbidden_import_is_noticed(module, source):
    assert violations(module, source)


def test_no_file_over_400_lines_and_no_function_over_50():
    too_long = []
    for module, source in _modules():
        if source.count("\n") > 400:
            too_long.append(module)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 50:
                too_long.append(f"{module}.{node.name}")
    assert too_long == []
