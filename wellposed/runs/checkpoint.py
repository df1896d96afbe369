"""Checkpoints: the whole state of a training run, in files that cannot execute code when they are read.

    checkpoints/000007_step_0000028000.safetensors   agent, environments, random streams, everything but the replay
    checkpoints/000007_step_0000028000.json          the manifest, written last: no manifest, no checkpoint
    replay/000007.safetensors                        the episodes that entered the replay since checkpoint 6

No part of the replay is written twice: a manifest lists its parts, each with its digest.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from safetensors.numpy import save as format_tensors

from wellposed import serialise
from wellposed.arrays import Arrays, parse_tensors
from wellposed.errors import UserError
from wellposed.runs import disk
from wellposed.runs.files import explained, read_bytes, read_json, write_json, write_whole
from wellposed.runs.record import decode, encode

CHECKPOINTS, REPLAY = "checkpoints", "replay"
LINES: tuple[str, ...] = ("metrics", "evaluations", "episodes", "warnings")  # the append-only files
KEEP = 2  # the newest, and one in case that is damaged
MAX_BYTES = 2**40
COPY = "manifest"  # the array of a state that repeats its manifest
OWN = {  # the names of our files; what else lies in these folders is somebody else's
    CHECKPOINTS: re.compile(r"(\d{6,})_step_(\d{10,})\.(json|safetensors)"),
    REPLAY: re.compile(r"(\d{6,})\.safetensors"),
}


@dataclass(frozen=True)
class StoredArrays:
    """A safetensors file: its place in the run directory, its size and its SHA-256."""

    file: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class ReplayPart:
    """Rows `first` up to `end` of all rows that ever entered the replay, in whole episodes."""

    first: int
    end: int
    stored: StoredArrays


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint is, and the digests of its files."""

    number: int  # counts the run's checkpoints
    env: str
    algo: str
    config_hash: str
    step: int
    updates: int
    seconds: float  # of training so far
    evaluation_seconds: float
    state: StoredArrays
    replay: list[ReplayPart]
    lines: dict[str, int]  # bytes of each append-only file at that moment
    digest: str = field(default="", metadata=serialise.LATER)  # SHA-256 of all of the above

    def __post_init__(self) -> None:
        if self.lines.keys() != set(LINES) or min(self.lines.values()) < 0:
            raise ValueError(f"lines must hold the lengths of {', '.join(LINES)}")
        if self.number < 1 or not (0 <= self.step < 2**63 and 0 <= self.updates < 2**63 and self.seconds >= 0):
            raise ValueError("number, step, updates or seconds are those of no checkpoint")
        bounds = [bound for part in self.replay for bound in (part.first, part.end)]
        if bounds != sorted(bounds) or bounds[1:-1:2] != bounds[2::2] or min(bounds, default=0) < 0:
            raise ValueError("the parts of the replay do not follow each other")

    @property
    def stem(self) -> str:
        """Its place in the run directory, and that of its state, without the ending."""
        return f"{CHECKPOINTS}/{self.number:06d}_step_{self.step:010d}"

    def copy(self) -> np.ndarray:
        """What its state repeats of it, as bytes [n]."""
        told = {name: part for name, part in serialise.to_dict(self).items() if name not in ("state", "digest")}
        return np.frombuffer(json.dumps(told, sort_keys=True).encode(), np.uint8)

    def expected_digest(self) -> str:
        """The digest that it has if nobody changed it."""
        told = {name: part for name, part in serialise.to_dict(self).items() if name != "digest"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def store(run: Path, file: str, arrays: Arrays) -> StoredArrays:
    """Write arrays to `file` in the run directory."""
    content = format_tensors({name: np.asarray(array, order="C") for name, array in arrays.items()})
    write_whole(run / file, content)
    return StoredArrays(file, len(content), hashlib.sha256(content).hexdigest())


def require_counted(manifest: Manifest, parts: list[tuple[ReplayPart, Arrays]], held: np.ndarray | None) -> None:
    """Hold the rows that a manifest counts against those in its files, and against what its state says is held, [2].

    Raises UserError where they differ.
    """
    counted = all(array.shape[:1] == (part.end - part.first,) for part, arrays in parts for array in arrays.values())
    if not counted or (manifest.replay and held is not None and held.tolist()[-1:] != [manifest.replay[-1].end]):
        raise UserError(f"{manifest.stem}.json counts other rows of the replay than are there.")


def load(run: Path, stored: StoredArrays) -> Arrays:
    """Read arrays, checking place, size, digest and format first.

    Raises UserError if the file is truncated, altered, in another place or not safetensors.
    """
    path = run / stored.file
    if Path(stored.file).parts[:-1] not in ((CHECKPOINTS,), (REPLAY,)) or not 0 <= stored.bytes <= MAX_BYTES:
        raise UserError(f"A manifest in {run} names {stored.file!r} of {stored.bytes} bytes, which no run has.")
    content = read_bytes(path, stored.bytes)
    if len(content) != stored.bytes or hashlib.sha256(content).hexdigest() != stored.sha256:
        raise UserError(f"{path} is truncated or was altered: its size or digest is not the manifest's.")
    try:
        return parse_tensors(content)
    except ValueError as error:
        raise UserError(
            f"{path} is not a safetensors file, the only format that wellposed reads, so it is refused: {error}."
        ) from error


def commit(run: Path, manifest: Manifest, state: Arrays) -> Manifest:
    """Write a state, and then its manifest: from that moment on this is the newest checkpoint.

    Args:
        run: the run directory, in which the parts of the replay are already.
        manifest: the checkpoint; its `state` and `digest` are still to be found.
        state: named arrays.
    """
    stored = store(run, f"{manifest.stem}.safetensors", state | {COPY: manifest.copy()})
    manifest = replace(manifest, state=stored)
    manifest = replace(manifest, digest=manifest.expected_digest())
    write_json(run / f"{manifest.stem}.json", encode(manifest))
    return manifest


def manifests(run: Path) -> list[Path]:
    """The manifests of a run, newest first."""
    names = {path: OWN[CHECKPOINTS].fullmatch(path.name) for path in (run / CHECKPOINTS).glob("*.json")}
    return sorted((path for path, name in names.items() if name), key=lambda p: int(p.name.split("_")[0]), reverse=True)


def read_manifest(path: Path) -> Manifest:
    """Read one manifest; raises UserError if it is not one, was altered, or is that of another place."""
    manifest = decode(Manifest, read_json(path), str(path))
    if manifest.digest and manifest.digest != manifest.expected_digest():
        raise UserError(f"{path} is not the manifest that was saved: it does not have its own digest.")
    here = f"{path.parent.name}/{path.stem}"
    parts = [Path(part.stored.file) for part in manifest.replay]
    if manifest.stem != here or manifest.state.file != f"{here}.safetensors":
        raise UserError(f"{path} is the manifest of another checkpoint: its number, step or state differ.")
    if not all(part.parent.name == REPLAY and OWN[REPLAY].fullmatch(part.name) for part in parts):
        raise UserError(f"{path} names parts of a replay that no run has.")
    return manifest


def load_state(run: Path, manifest: Manifest) -> Arrays:
    """The state of a checkpoint.

    Raises UserError if it is damaged, or repeats another manifest than this one.
    """
    state = load(run, manifest.state)
    if manifest.digest or COPY in state:  # older checkpoints have neither
        told = state.pop(COPY, None)
        if not manifest.digest or told is None or not np.array_equal(told, manifest.copy()):
            raise UserError(f"{run / manifest.stem}.json does not say what its state repeats: it was altered.")
    return state


def require_held(run: Path, hidden: Sequence[int]) -> None:
    """Before networks with these hidden layers are made: is there a state of the run that is large enough for one?

    Raises UserError if not: its configuration was edited, and what it asks for may not fit in memory.
    """
    states = [path.with_suffix(".safetensors") for path in manifests(run)]
    held = max((state.lstat().st_size for state in states if state.is_file()), default=None)
    if held is not None and 4 * sum((n + 1) * m for n, m in pairwise((0, *hidden))) > held:
        raise UserError(f"{run}: its checkpoint holds smaller networks than its configuration asks for.")


def prune(run: Path) -> None:
    """Delete what the newest checkpoints do not need: first manifests, then files that no kept one names."""
    needed: set[Path] = set()
    for path in manifests(run)[:KEEP]:
        manifest = read_manifest(path)
        files = [manifest.state.file, *(part.stored.file for part in manifest.replay)]
        needed |= {path, *(run / file for file in files)}
    with explained(run, "tidy"):
        there = [path for folder, own in OWN.items() for path in (run / folder).iterdir() if own.fullmatch(path.name)]
        for path in sorted(there, key=lambda path: path.suffix != ".json"):
            if path not in needed:
                disk.remove(path)
