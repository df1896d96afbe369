"""Write what the arm in the book (`course/book/arm.py`) needs beside a chapter's text: policies, and a picture.

    python scripts/arm.py FOLDER "with hindsight"=RUN "without hindsight"=RUN

It takes the engine that `make book` fetched, and Node, which draws the picture with the script of the page.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from course.book.engine import write_engine
from course.book.site import THEME
from wellposed import serialise
from wellposed.export import judged
from wellposed.portable import PortablePolicy
from wellposed.runs.store import RunReader

BLOCK, GOAL = [1.30, 0.88], [1.42, 0.83, 0.4248]  # metres
DRAW = f"""wellposedArm.open(wellposedEngine).then((arm) => {{
    arm.restart({BLOCK});
    console.log(wellposedArm.picture(arm, {GOAL}));
}});"""


def as_json(policy: PortablePolicy) -> dict[str, Any]:
    """Header and arrays, these in base64."""
    arrays = {
        name: {"shape": array.shape, "type": str(array.dtype), "data": base64.b64encode(array.tobytes()).decode()}
        for name, array in policy.arrays.items()
    }
    return {"header": serialise.whole(policy.header), "arrays": arrays}


def picture() -> str:
    """The start of an episode as SVG."""
    engine = write_engine()
    assert engine is not None, "run `make book` first"
    place = "globalThis.location = {href: 'file:///book'};"
    script = "\n".join([place, engine.read_text(), (THEME / "js" / "arm.js").read_text(), DRAW])
    done = subprocess.run(["node", "-"], input=script, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def main(folder: Path, *named: str) -> None:
    """Write both files; a run without a verdict is judged first."""
    runs = {name: Path(run) for name, _, run in (one.partition("=") for one in named)}
    made = {name: " ".join(RunReader(run).provenance.command).partition(" --runs-dir")[0] for name, run in runs.items()}
    policies = {name: as_json(judged(run, "MIT", 1)) for name, run in runs.items()}
    (folder / "policies.json").write_text(json.dumps({"made": made, "policies": policies}) + "\n")
    (folder / "arm.svg").write_text(picture() + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
