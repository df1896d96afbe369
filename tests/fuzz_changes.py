"""How the files of a stranger are changed for the fuzz, each in a copy of a part of the world (see fuzz_targets.py).

A change gets the copy and a source of random numbers, and gives back where the copy lies now, and whether digests were
made right again.
"""

import hashlib
import json
import lzma
import random
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from safetensors.numpy import save as format_tensors

from course.chapters import traces
from tests.mutations import (
    mutate_bytes,
    mutate_json,
    mutate_npz,
    mutate_rows,
    mutate_tensors,
    mutate_text,
    mutate_toml,
    mutate_tree,
)
from wellposed import serialise
from wellposed.runs import checkpoint
from wellposed.runs.record import Failure, encode
from wellposed.runs.store import run_name


def sealed(run: Path, old: Path, manifest: dict[str, Any], state: Any, note: str = "") -> None:
    """Write a manifest and its state in the place of `old`, with every digest made right, under names that fit.

    `note` makes the copy of the manifest in the state another one.
    """
    vouches = "digest" in json.loads(old.read_text())
    told = {key: value for key, value in manifest.items() if key not in ("state", "digest", "schema")}
    repeated = (json.dumps(told, sort_keys=True) + note).encode()
    copy = {checkpoint.COPY: np.frombuffer(repeated, np.uint8)} if vouches else {}
    content = format_tensors(state | copy) if isinstance(state, dict) else state
    stem = checkpoint.CHECKPOINTS + "/" + old.stem
    number, step = manifest.get("number"), manifest.get("step")
    if isinstance(number, int) and isinstance(step, int) and 0 <= number < 10**9 and 0 <= step < 10**18:
        stem = f"{checkpoint.CHECKPOINTS}/{number:06d}_step_{step:010d}"
    for file in (old, old.with_suffix(".safetensors")):
        file.unlink()
    stored = {"file": f"{stem}.safetensors", "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (run / f"{stem}.safetensors").write_bytes(content)
    whole = manifest | {"state": stored}
    told = {key: value for key, value in whole.items() if key not in ("digest", "schema")}
    if vouches:
        whole["digest"] = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    (run / f"{stem}.json").write_text(json.dumps(whole))


def _checkpoint(run: Path) -> tuple[Path, dict[str, Any], dict[str, np.ndarray]]:
    """The newest manifest, its content, and its state."""
    file = checkpoint.manifests(run)[0]
    state = parse_tensors(file.with_suffix(".safetensors").read_bytes())
    state.pop(checkpoint.COPY, None)  # older ones have none
    return file, json.loads(file.read_text()), state


def config(run: Path, rng: random.Random) -> tuple[Path, bool]:
    """A configuration, in a directory of the name that it claims, with manifests that are of it."""
    file = run / "config.json"
    data = json.loads(file.read_text())
    if rng.random() < 0.03:
        data["config"]["agent"]["hidden"] = [2048, 2048]
    else:
        data = mutate_json(data, rng)
    if rng.random() < 0.1:
        file.write_bytes(mutate_bytes(json.dumps(data).encode(), rng))
        return run, False
    place = run
    with suppress(TypeError, KeyError, ValueError, AttributeError, OSError):  # then it has no name
        settings = data["config"]
        data["hash"] = serialise.content_hash(settings)
        named = run.parent / run_name(settings)
        assert named.parent.resolve() == run.parent.resolve(), "a name escapes the directory"
        old, manifest, state = _checkpoint(run)
        env = settings["env"]["id"]
        sealed(run, old, manifest | {"config_hash": data["hash"], "env": env, "algo": settings["algo"]}, state)
        place = run.rename(named)
    (place / "config.json").write_text(json.dumps(data))
    return place, place != run


def manifest(run: Path, rng: random.Random) -> tuple[Path, bool]:
    """A manifest."""
    file, data, state = _checkpoint(run)
    if rng.random() < 0.1:
        file.write_bytes(mutate_bytes(file.read_bytes(), rng))
        return run, False
    changed = mutate_json({key: value for key, value in data.items() if key not in ("state", "digest")}, rng)
    if not isinstance(changed, dict):
        file.write_text(json.dumps(changed))
        return run, False
    sealed(run, file, changed, state)
    return run, True


def arrays(run: Path, rng: random.Random) -> tuple[Path, bool]:
    """The state of a checkpoint."""
    file, data, state = _checkpoint(run)
    content: Any = mutate_tensors(state, rng)
    with suppress(SafetensorError, ValueError, KeyError, TypeError):
        content = parse_tensors(content)
    if rng.random() < 0.1:
        file.with_suffix(".safetensors").write_bytes(mutate_bytes(format_tensors(state), rng))
        return run, False
    sealed(run, file, data, content, rng.choice([""] * 19 + ["x"]))
    return run, True


def replay(run: Path, rng: random.Random) -> tuple[Path, bool]:
    """A part of the replay."""
    file, data, state = _checkpoint(run)
    if not data["replay"]:
        return arrays(run, rng)
    part = rng.choice(data["replay"])
    where = run / part["stored"]["file"]
    content = mutate_tensors(parse_tensors(where.read_bytes()), rng)
    where.write_bytes(content)
    if rng.random() < 0.1:
        return run, False
    part["stored"] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if rng.random() < 0.3:
        part["first"] += rng.choice([-1, 1, 5])
    elif rng.random() < 0.05:
        part["stored"]["bytes"] *= -1
    sealed(run, file, data, state)
    return run, True


def _tensors(content: bytes, rng: random.Random) -> bytes:
    return mutate_tensors(parse_tensors(content), rng)


def _packed(content: bytes, rng: random.Random) -> bytes:
    """The bytes of an xz file changed, or those of what it holds."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    inner = traces.unpacked(content)
    return lzma.compress(_tensors(inner, rng) if rng.random() < 0.7 else mutate_bytes(inner, rng))


def exported(file: Path, rng: random.Random) -> tuple[Path, bool]:
    """An exported policy of safetensors, whose header is among the metadata."""
    content = file.read_bytes()
    told = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    arrays = parse_tensors(content)
    if rng.random() < 0.5:
        told = {name: json.dumps(mutate_json(json.loads(text), rng)) for name, text in told.items()}
    else:
        with suppress(SafetensorError, ValueError):
            arrays = parse_tensors(mutate_tensors(arrays, rng))
    file.write_bytes(format_tensors(arrays, told))
    return file, False


BY_SUFFIX = {
    ".jsonl": mutate_rows, ".json": mutate_text, ".toml": mutate_toml, ".npz": mutate_npz, ".safetensors": _tensors,
    ".xz": _packed,
}  # fmt: skip


def of_file(name: str) -> Callable[[Path, random.Random], tuple[Path, bool]]:
    """One file of a folder, which no digest protects."""

    def mutate(folder: Path, rng: random.Random) -> tuple[Path, bool]:
        file = folder / name if folder.is_dir() else folder
        file.write_bytes(BY_SUFFIX[file.suffix](file.read_bytes(), rng))
        return folder, False

    return mutate


def tree(name: str = ".") -> Callable[[Path, random.Random], tuple[Path, bool]]:
    """What lies in a folder, or in one of its folders."""

    def mutate(folder: Path, rng: random.Random) -> tuple[Path, bool]:
        mutate_tree(folder / name, rng)
        return folder, False

    return mutate


def measured(chapter: Path, rng: random.Random) -> tuple[Path, bool]:
    """A measurement, with its hash."""
    file = chapter / "runs" / "ch04_hindsight" / "parts.json"
    data = mutate_json(json.loads(file.read_text()), rng)
    with suppress(TypeError, KeyError, ValueError):
        data["hash"] = serialise.content_hash(data["result"])
    file.write_text(json.dumps(data))
    return chapter, True


def records(course: Path, rng: random.Random) -> tuple[Path, bool]:
    """Published measurements, with their hashes."""
    file = course / "chapters" / "ch04_hindsight" / "records.json"
    data = json.loads(file.read_text())
    for one in data["results"]["measurements"].values():
        one["result"] = mutate_json(one["result"], rng)
        with suppress(TypeError, ValueError):
            one["hash"] = serialise.content_hash(one["result"])
    file.write_text(json.dumps(data))
    return course, True


def traced(chapter: Path, rng: random.Random) -> tuple[Path, bool]:
    """The samples of traces, with their digests."""
    told, samples = (chapter / "chapters" / "ch04_hindsight" / name for name in (traces.FILE, traces.SAMPLES))
    changed = _tensors(traces.unpacked(samples.read_bytes()), rng)
    samples.write_bytes(lzma.compress(changed))
    data = json.loads(told.read_text())
    with suppress(SafetensorError, ValueError, KeyError, TypeError):
        flat = parse_tensors(changed)
        for name, trace in data["traces"].items():
            own = {key[len(name) + 1 :]: array for key, array in flat.items() if key.startswith(f"{name}/")}
            trace["digest"] = traces.digest(own)
    told.write_text(json.dumps(data))
    return chapter, True


def of_the_chapter(course: Path, rng: random.Random) -> tuple[Path, bool]:
    """The run of a chapter, as `among`; or its verdict is missing, of another checkpoint, or tells more rates."""
    results = course / "runs" / "ch04_hindsight" / "parts.json"
    [name] = json.loads(results.read_text())["sources"]
    if rng.random() < 0.9:
        return among(course, rng, name)
    verdict = course / "runs" / name / "verdict.json"
    data = json.loads(verdict.read_text())
    verdict.unlink()
    at_limit = data["trained"] | {"success_at_limit": data["trained"]["any_success"]}
    if other := rng.choice([None, {"checkpoint": "0" * 64}, {"trained": at_limit}]):
        verdict.write_text(json.dumps(data | other))
    return course, False


ELSEWHERE = "process 1 on another, boot x, namespace y, start 1"  # who writes a run, as its lock names them


def among(folder: Path, rng: random.Random, name: str = "*_s*") -> tuple[Path, bool]:
    """One of several runs that belong together: it ended otherwise, is under way or there twice, or a file is mutated.

    `name`: which runs.
    """
    run = rng.choice(sorted((folder / "runs").glob(name)))
    state = rng.choice(["as it was", "as it was", "diverged", "under way", "twice"])
    if state == "twice":
        shutil.copytree(run, run.with_name(f"x{run.name}"))
    if state in ("diverged", "under way"):
        (run / "summary.json").unlink()
    if state == "diverged":
        (run / "failure.json").write_text(json.dumps(encode(Failure(1, 1, "loss", "why"))))
    if state == "under way":
        (run / "lock").write_text(ELSEWHERE)
    if state == "as it was" or rng.random() < 0.5:
        file = rng.choice([path for path in sorted(run.iterdir()) if path.suffix in BY_SUFFIX])
        file.write_bytes(BY_SUFFIX[file.suffix](file.read_bytes(), rng))
    return folder, False
