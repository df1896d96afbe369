"""The import rules: rows import only from rows above them, and some rows stay free of JAX."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "wellposed"

# Longest prefix wins. The table stands in CONTRIBUTING.md too.
LAYERS = {
    "wellposed": 18,  # the public API
    "wellposed.errors": 0,
    "wellposed.types": 1,
    "wellposed.planning.memory": 1,
    "wellposed.seeding": 1,
    "wellposed.stats": 1,
    "wellposed.arrays": 1,
    "wellposed.units": 1,
    "wellposed.interrupts": 1,
    "wellposed.config": 2,
    "wellposed.envs.goals": 2,
    "wellposed.envs": 3,
    "wellposed.nn": 3,
    "wellposed.runs": 3,
    "wellposed.progress": 4,
    "wellposed.check": 4,
    "wellposed.replay": 4,
    "wellposed.agents": 5,
    "wellposed.evaluate": 6,
    "wellposed.recipe": 6,
    "wellposed.planning.budget": 7,
    "wellposed.collect": 7,
    "wellposed.probe": 7,
    "wellposed.diagnose": 7,
    "wellposed.loop": 8,
    "wellposed.planning.room": 8,
    "wellposed.training": 9,
    "wellposed.planning.calibrate": 10,
    "wellposed.verdict": 10,
    "wellposed.examine": 11,
    "wellposed.analysis": 10,
    "wellposed.planning": 11,
    "wellposed.reproduce": 11,
    "wellposed.report": 11,
    "wellposed.experiments": 11,
    "wellposed.study": 12,
    "wellposed.doctor": 12,
    "wellposed.groups": 13,
    "wellposed.demo": 13,
    "wellposed.measure": 13,
    "wellposed.chapters": 14,
    "wellposed.exercises": 15,
    "wellposed.book": 15,
    "wellposed.commands": 16,
    "wellposed.cli": 17,
}
FREE_OF_JAX = {"wellposed.errors", "wellposed.types", "wellposed.seeding", "wellposed.stats", "wellposed.config"}
FREE_OF_JAX |= {"wellposed.envs", "wellposed.runs", "wellposed.replay", "wellposed.progress", "wellposed.evaluate"}
FREE_OF_JAX |= {"wellposed.check", "wellposed.analysis", "wellposed.arrays", "wellposed.interrupts", "wellposed.units"}
FREE_OF_JAX |= {"wellposed.planning.memory"}
JAX = {"jax", "equinox", "optax", "torch"}
FORBIDDEN = {  # within a row or against its sense
    "wellposed.envs": {"wellposed.nn", "wellposed.runs"},
    "wellposed.nn": {"wellposed.envs", "wellposed.runs"},
    "wellposed.runs": {"wellposed.envs", "wellposed.nn"},
    "wellposed.replay": {"wellposed.envs"},
    "wellposed.agents": {"wellposed.envs", "wellposed.replay", "wellposed.runs"},
    "wellposed.evaluate": {"wellposed.agents", "wellposed.envs"},
    "wellposed.diagnose": {"wellposed.envs", "wellposed.nn", "wellposed.replay"},
    "wellposed.analysis": {"wellposed.envs", "wellposed.agents", "wellposed.verdict"},
}


def _is_below(module: str, part: str) -> bool:
    return module == part or module.startswith(part + ".")


def _part(module: str) -> str:
    return max((p for p in LAYERS if _is_below(module, p)), key=len)


def _imports(source: str) -> set[str]:
    """Everything a module imports, wherever in it, as dotted names."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level:
            found.add("wellposed")  # relative imports would hide where they lead; the public API is above all
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def violations(module: str, source: str) -> list[str]:
    """What a module imports against the rules."""
    own, wrong = _part(module), []
    for name in _imports(source):
        top = name.split(".")[0]
        if top in JAX and any(_is_below(module, part) for part in FREE_OF_JAX):
            wrong.append(f"{module} must stay free of {top}")
        if top != "wellposed":
            continue
        target = _part(name)
        if _is_below(own, "wellposed.envs") and _is_below(target, "wellposed.envs"):
            continue
        if target != own and LAYERS[target] >= LAYERS[own]:
            wrong.append(f"{module} (layer {LAYERS[own]}) imports {name} (layer {LAYERS[target]})")
        if any(_is_below(module, part) and _is_below(name, bad) for part, bads in FORBIDDEN.items() for bad in bads):
            wrong.append(f"{module} must not import {name}")
    return wrong


def _modules() -> list[tuple[str, str]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [
        (".".join(p.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"), p.read_text())
        for p in paths
    ]


@pytest.mark.parametrize(("module", "source"), _modules(), ids=lambda value: value if "\n" not in value else "")
def test_modules_keep_to_their_layer(module, source):
    assert violations(module, source) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("wellposed.runs.store", "import jax"),
        ("wellposed.envs.fetch", "from wellposed.nn import networks"),
        ("wellposed.agents.sac", "from wellposed.replay import ReplayBuffer"),
        ("wellposed.replay.buffer", "from wellposed.training import train"),
        ("wellposed.seeding", "from wellposed import stats"),
        ("wellposed.replay.buffer", "from ..training import train"),
        ("wellposed.analysis.tables", "def f():\n    from wellposed.envs import make_vec"),
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
