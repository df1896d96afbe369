"""Checkpoints: the whole state of a training run, in files that cannot execute code when they are read.

    checkpoints/000007_step_0000028000.safetensors   agent, environments, random streams, everything but the replay
    checkpoints/000007_step_0000028000.json          the manifest, written last: no manifest, no checkpoint
    replay/000007.safetensors                        the episodes that entered the replay since checkpoint 6

No part of the replay is written twice: a manifest lists its parts, each with its digest.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from safetensors.numpy import save as format_tensors

from wellposed.arrays import Arrays
from wellposed.errors import UserError
from wellposed.runs import disk
from wellposed.runs.files import explained, read_bytes, read_json, write_json, write_whole
from wellposed.runs.record import decode, encode

CHECKPOINTS, REPLAY = "checkpoints", "replay"
LINES: tuple[str, ...] = ("metrics", "evaluations", "episodes", "warnings")  # the append-only files
KEEP = 2  # the newest, and one in case that is damaged
MAX_BYTES = 4 * 2**30


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

    def __post_init__(self) -> None:
        if self.lines.keys() != set(LINES) or min(self.lines.values()) < 0:
            raise ValueError(f"lines must hold the lengths of {', '.join(LINES)}")

    @property
    def path(self) -> str:
        """Its place in the run directory."""
        return f"{CHECKPOINTS}/{self.number:06d}_step_{self.step:010d}.json"


def store(run: Path, file: str, arrays: Arrays) -> StoredArrays:
    """Write arrays to `file` in the run directory."""
    content = format_tensors({name: np.asarray(array, order="C") for name, array in arrays.items()})
    write_whole(run / file, content)
    return StoredArrays(file, len(content), hashlib.sha256(content).hexdigest())


def load(run: Path, stored: StoredArrays) -> Arrays:
    """Read arrays, checking place, size, digest and format first.

    Raises UserError if the file is truncated, altered, in another place or not safetensors.
    """
    path = run / stored.file
    if Path(stored.file).parts[:-1] not in ((CHECKPOINTS,), (REPLAY,)) or not 0 <= stored.bytes <= MAX_BYTES:
        raise UserError(f"A manifest in {run} names {stored.file!r} of {stored.bytes} bytes, which no run has.")
    content = read_bytes(path, stored.bytes)
    if len(content) != stored.bytes:
        raise UserError(
            f"{path} has {len(content)} bytes where its manifest says {stored.bytes}: it is truncated or not the "
            "file that was saved. Use an earlier checkpoint."
        )
    if hashlib.sha256(content).hexdigest() != stored.sha256:
        raise UserError(f"{path} is not the file that was saved: its digest differs from the manifest's.")
    try:
        return parse_tensors(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not a safetensors file ({error}), the only format that wellposed reads, so it is refused."
        ) from error


def commit(run: Path, manifest: Manifest) -> None:
    """Write a manifest, whose files are all there: this makes it the newest checkpoint."""
    write_json(run / manifest.path, encode(manifest))


def manifests(run: Path) -> list[Path]:
    """The manifests of a run, newest first."""
    return sorted((run / CHECKPOINTS).glob("*_step_*.json"), reverse=True)


def read_manifest(path: Path) -> Manifest:
    """Read one manifest; raises UserError if it is not one."""
    return decode(Manifest, read_json(path), str(path))


def prune(run: Path) -> None:
    """Delete what the newest checkpoints do not need: first manifests, then files that no kept one names."""
    needed: set[Path] = set()
    for path in manifests(run)[:KEEP]:
        manifest = read_manifest(path)
        files = [manifest.state.file, *(part.stored.file for part in manifest.replay)]
        needed |= {path, *(run / file for file in files)}
    with explained(run, "tidy"):
        there = [path for folder in (CHECKPOINTS, REPLAY) for path in (run / folder).iterdir()]
        for path in sorted(there, key=lambda path: path.suffix != ".json"):
            if path not in needed:
                disk.remove(path)
