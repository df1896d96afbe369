"""The import rules: rows import only from rows above them, and some rows stay free of JAX."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "wellposed"

# Longest prefix wins. The table stands in CONTRIBUTING.md too.
ROWS: dict[int, tuple[str, ...]] = {
    0: ("errors",),
    1: ("stats", "seeding", "arrays", "interrupts", "registry", "findings", "units"),
    2: ("types", "serialise"),
    3: ("envs", "data", "runs", "nn"),
    4: ("agents", "check", "progress"),
    5: ("config",),
    6: ("recipes", "rollout", "diagnose", "probe"),
    7: ("budget",),
    8: ("memory", "loop"),
    9: ("training",),
    10: ("side_by_side", "verdict", "analysis"),
    11: ("examination", "plan", "reproduce", "experiments"),
    12: ("report", "doctor"),
    13: ("study",),
    14: ("compare", "demo", "measure"),
    15: ("chapters",),
    16: ("exercises", "book"),
    17: ("commands",),
    18: ("cli",),
    19: ("__main__",),
}
LAYERS = {f"wellposed.{name}": row for row, names in ROWS.items() for name in names} | {"wellposed": 20}  # public API
FREE_OF_JAX = {f"wellposed.{name}" for row in (0, 1, 2) for name in ROWS[row]}
FREE_OF_JAX |= {f"wellposed.{name}" for name in ("envs", "data", "runs", "check", "progress", "rollout", "analysis")}
JAX = {"wellposed.errors", "wellposed.types", "wellposed.seeding", "wellposed.stats", "wellposed.config"}
FREE_OF_JAX |= {
    "wellposed.envs",
    "wellposed.runs",
    "wellposed.replay",
    "wellposed.progress",
    "wellposed.rollout.evaluate",
}
FREE_OF_JAX |= {"wellposed.check", "wellposed.analysis", "wellposed.arrays", "wellposed.interrupts"}
FREE_OF_JAX |= {"wellposed.planning.memory"}
JAX = {"jax", "equinox", "optax", "torch"}
FORBIDDEN = {  # within a row or against its sense
    "wellposed.envs": {"wellposed.data", "wellposed.nn", "wellposed.runs"},
    "wellposed.data": {"wellposed.envs", "wellposed.nn", "wellposed.runs"},
    "wellposed.nn": {"wellposed.envs", "wellposed.data", "wellposed.runs"},
    "wellposed.runs": {"wellposed.envs", "wellposed.data", "wellposed.nn"},
    "wellposed.agents": {"wellposed.envs", "wellposed.data", "wellposed.runs"},
    "wellposed.check": {"wellposed.agents", "wellposed.data"},
    "wellposed.rollout": {"wellposed.agents", "wellposed.envs.suites"},
    "wellposed.diagnose": {"wellposed.envs", "wellposed.nn", "wellposed.data"},
    "wellposed.training": {"wellposed.analysis", "wellposed.report"},
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
        ("wellposed.envs.suites.fetch.task", "from wellposed.nn import networks"),
        ("wellposed.agents.sac", "from wellposed.data import ReplayBuffer"),
        ("wellposed.data.episodes", "from wellposed.training import train"),
        ("wellposed.seeding", "from wellposed import stats"),
        ("wellposed.data.episodes", "from ..training import train"),
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
