"""Checkpoints: one safetensors file of arrays and one JSON manifest. Loading one executes nothing."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_tensors
from safetensors.numpy import save as format_tensors

from wellposed.errors import UserError
from wellposed.runs.files import read_bytes, read_json, write_json, write_whole
from wellposed.runs.record import decode, encode

MAX_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Manifest:
    """What a checkpoint is, and the digest of its arrays. It is written last: no manifest, no checkpoint."""

    env: str
    algo: str
    config_hash: str
    step: int
    updates: int
    bytes: int
    sha256: str


def save(
    folder: Path, arrays: dict[str, np.ndarray], *, env: str, algo: str, config_hash: str, step: int, updates: int
) -> Path:
    """Write a checkpoint into `folder` and return its manifest's path."""
    content = format_tensors({name: np.asarray(array, order="C") for name, array in arrays.items()})
    stem = f"step_{step:010d}"
    write_whole(folder / f"{stem}.safetensors", content)
    digest = hashlib.sha256(content).hexdigest()
    manifest = Manifest(env, algo, config_hash, step, updates, len(content), digest)
    write_json(folder / f"{stem}.json", encode(manifest))
    return folder / f"{stem}.json"


def load(manifest_path: Path) -> tuple[Manifest, dict[str, np.ndarray]]:
    """Read a checkpoint, checking size, digest and format before anything is used.

    Raises:
        UserError: if it is truncated, altered, or not safetensors (a pickle in disguise, say).
    """
    manifest = decode(Manifest, read_json(manifest_path), str(manifest_path))
    path = manifest_path.with_suffix(".safetensors")
    content = read_bytes(path, MAX_BYTES)
    if len(content) != manifest.bytes:
        raise UserError(
            f"{path} has {len(content)} bytes where its manifest says {manifest.bytes}: it is truncated or not the "
            "file that was saved. Use an earlier checkpoint."
        )
    if hashlib.sha256(content).hexdigest() != manifest.sha256:
        raise UserError(
            f"{path} is not the file that was saved: its digest differs from the manifest's. It is refused."
        )
    try:
        return manifest, parse_tensors(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise UserError(
            f"{path} is not a safetensors file ({error}). wellposed reads no pickles and runs nothing it reads; "
            "the checkpoint is refused."
        ) from error


def latest(folder: Path) -> Path:
    """The newest checkpoint's manifest.

    Raises:
        UserError: if there is none.
    """
    manifests = sorted(folder.glob("step_*.json"))
    if not manifests:
        raise UserError(f"{folder} holds no checkpoint; the run ended before its first one. Train it again.")
    return manifests[-1]


def prune(folder: Path, keep: int) -> None:
    """Delete all but the newest `keep` checkpoints, manifests first."""
    for manifest in sorted(folder.glob("step_*.json"))[:-keep]:
        manifest.unlink()
        manifest.with_suffix(".safetensors").unlink(missing_ok=True)
