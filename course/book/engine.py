"""The simulator of the arm in the page: MuJoCo's WebAssembly from npm, and Fetch Push, in one script of 4 MB.

`make book` runs this module, which fetches the package once into the user's cache; it is no part of the wheel. Without
it the page shows a picture.
"""

import base64
import gzip
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from wellposed.envs.suites.fetch import model, task
from wellposed.errors import UserError
from wellposed.repository import cache_folder

VERSION = "3.10.0"  # npm has no 3.11, which the laboratory has; both step alike (tests/book/test_arm.py)
PACKAGE = f"@mujoco/mujoco@{VERSION}"
SHA512 = "E1k0FiFf1vVRPkZtq2WKWY0D7DYGJ3BGQAEmup2H20UkTDOWj/JmyGDqf9Ils3RQrWxCEOHMdo9VtEBfymUd9g=="
_TEXTURE = re.compile(r'<texture name="texture_block".*?</texture>', re.DOTALL)  # a picture, which is not drawn
_BOX, _MESH = 6, 7  # mjtGeom
_HIDING = ("base", "estop", "laser", "head", "torso")  # parts of the robot that stand before the table


def package() -> Path:
    """Where the package is, if it was fetched."""
    return cache_folder() / "book" / f"mujoco-mujoco-{VERSION}.tgz"


def fetch() -> None:
    """Fetch the package with npm, and check it.

    Raises:
        UserError: if it cannot be fetched, or is not what it was.
    """
    package().parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=package().parent) as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, PACKAGE]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        except FileNotFoundError as error:
            raise UserError(f"{PACKAGE} cannot be fetched: npm is not installed.") from error
        except subprocess.SubprocessError as error:
            told = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
            raise UserError(f"{PACKAGE} cannot be fetched: {told[-1] if told else 'npm failed'}.") from error
        fetched = Path(folder) / package().name
        _require_digest(fetched.read_bytes())
        fetched.rename(package())


def write_engine() -> Path | None:
    """Write the script of the engine beside the package, and return where it is; None if nothing was fetched.

    Raises:
        UserError: if the package is not what it was.
    """
    if not package().is_file():
        return None
    content = package().read_bytes()
    _require_digest(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        source, wasm = (_read(archive, f"package/mujoco.{end}") for end in ("js", "wasm"))
    # A script, because browsers load no modules from file://.
    script = source.decode().replace("import.meta.url", "location.href").replace("export default loadMujoco;", "")
    parts = {"source": script.encode(), "wasm": wasm, "scene": json.dumps(scene()).encode()}
    packed = {name: _text(gzip.compress(part, mtime=0)) for name, part in parts.items()}
    file = package().with_name("mujoco.js")
    file.write_text(f"globalThis.wellposedEngine = {json.dumps(packed)};\n")
    return file


def scene() -> dict[str, Any]:
    """Fetch Push as the page needs it: model files in base64, the state at the start, ids, scales, what is drawn."""
    push = model.load_scene(model.PUSH)
    folder = model.model_path(model.PUSH).parent
    files = {name: (folder / name).read_text() for name in ("push.xml", "shared.xml", "robot.xml")}
    meshes = {path.name: path.read_bytes() for path in sorted((folder.parent / "stls" / "fetch").glob("*.stl"))}
    texts = {name: _TEXTURE.sub("", text).replace("../stls/fetch", ".") for name, text in files.items()}
    looks = {i: look for i in range(push.model.ngeom) if (look := _look(push.model, i))}
    return {
        "files": {
            name: _text(content) for name, content in (meshes | {k: v.encode() for k, v in texts.items()}).items()
        },
        "time": push.initial_time,
        "qpos": push.initial_qpos.tolist(),
        "qvel": push.initial_qvel.tolist(),
        "object_qpos": push.object_qpos.start,
        "fingers": push.finger_qpos.start,
        "finger_speeds": push.finger_qvel.start,
        "hand": push.hand_body,
        "grip": push.grip_site,
        "object": push.object_site,
        "substeps": model.SUBSTEPS,
        "dt": model.SUBSTEPS * push.model.opt.timestep,
        "scale": model.POSITION_SCALE,
        "radius": model.DISTANCE_THRESHOLD,
        "reach": model.PUSH.object_range,
        "start": push.initial_grip.tolist(),
        "height": push.object_height,
        "sensed": [list(one.scale) for one in task.SENSED],
        "drawn": [*looks],
        "looks": [*looks.values()],
    }


def _look(physics: Any, geom: int) -> str:
    """The class of a geom in the picture; empty for one that is not drawn."""
    if physics.geom_type[geom] not in (_BOX, _MESH) or physics.body_mocapid[physics.geom_bodyid[geom]] >= 0:
        return ""
    body = physics.body(physics.geom_bodyid[geom]).name
    if body in ("table0", "object0"):
        return {"table0": "table", "object0": "block"}[body]
    if any(part in body for part in _HIDING):
        return ""
    return "blue" if physics.geom_rgba[geom][2] > physics.geom_rgba[geom][0] + 0.2 else "arm"


def _require_digest(content: bytes) -> None:
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != SHA512:
        raise UserError(f"{package().name} is not the file whose digest is in course/book/engine.py.")


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    assert member is not None
    return member.read()


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


if __name__ == "__main__":
    try:
        if not package().is_file():
            fetch()
    except UserError as problem:
        print(f"wellposed: the book will show a picture instead of the arm. {problem}", file=sys.stderr)
