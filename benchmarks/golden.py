"""Golden traces, bit for bit: does today's code do what that of another commit does, run beside it on this machine?

python -m benchmarks.golden --against HEAD~1
python -m benchmarks.golden --against HEAD~1 --only ch04.k       cases by a part of their name, as `ch04` or `td3`

Each commit is recorded by its own recorder, for that knows its seams.

`wellposed chapter traces` holds them against the stored ones, with tolerances, on any machine.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from safetensors.numpy import load_file

from benchmarks.machine import ROOT, check_out
from course.chapters.trace import all_cases, first_difference


def record_all(tree: Path, out: Path, names: list[str], compiled: Path) -> None:
    """Record traces by the code of a tree, in a process of its own."""
    out.mkdir()
    env = os.environ | {"PYTHONPATH": str(tree), "JAX_COMPILATION_CACHE_DIR": str(compiled)}
    env |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1"}
    subprocess.run([sys.executable, "-m", _recorder(tree), str(out), *names], cwd=tree, env=env, check=True)


def _recorder(tree: Path) -> str:
    """The module of a tree that records traces; before the course was a package of its own it stood in the other."""
    for package in ("course", "wellposed"):
        if (tree / package / "chapters/trace.py").exists():
            return f"{package}.chapters.trace"
    raise SystemExit("That commit records no traces yet. Name a later one, or use `benchmarks.against`.")


def against(commit: str, names: list[str]) -> list[str]:
    """How today's traces differ in their bits from those of a commit, in sentences."""
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        then, now = Path(folder) / "then", Path(folder) / "now"
        tree = Path(folder) / "tree"
        check_out(commit, tree)
        record_all(tree, then, names, Path(folder) / "compiled")
        record_all(ROOT, now, names, Path(folder) / "compiled")
        for name in names:
            one, other = (load_file(side / f"{name}.safetensors") for side in (then, now))
            found = first_difference({key: one[key] for key in sorted(one, key=_order)}, other)
            wrong += [f"{name}: {found}"] if found else []
    return wrong


def _order(name: str) -> tuple[int, str]:
    """The order in which parts of a trace come about: what differs first is most likely the cause."""
    parts = ("reset", "steps", "batch", "losses", "later", "weights", "state", "episodes", "evaluations", "metrics")
    return next(i for i, part in enumerate(parts) if name.startswith(part)), name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT", required=True)
    parser.add_argument("--only", metavar="PART", default="")
    args = parser.parse_args()
    wrong = against(args.against, [name for name in all_cases() if args.only in name])
    print("\n".join(wrong) or "No trace differs in a bit.")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
