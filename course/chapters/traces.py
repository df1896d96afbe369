"""The stored traces of a chapter, beside its records: what its configurations did when its results were made.

    traces.safetensors.xz   samples of each trace, float32
    traces.json             for each the configuration or the environment, the digest of its samples, who recorded it

On the machine that recorded them traces are equal bit for bit. Elsewhere sums are rounded otherwise, and what grows
from that has a tolerance of its own. Those here hold, by a factor of three and more, where XLA, NumPy, OpenBLAS and the
C library are kept from using AVX and FMA. A chapter's file may state others, which stay when it is written again: what
a peg feels in contact is more sensitive to rounding than where a block lies.
"""

import hashlib
import lzma
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from course.chapters.spec import Chapter
from course.chapters.trace import cases, record
from wellposed import serialise
from wellposed.arrays import Arrays, parse_tensors
from wellposed.config import describes
from wellposed.errors import UserError
from wellposed.runs.files import parse_json, read_bytes, read_json, write_json, write_whole
from wellposed.runs.provenance import cpu_name, git_state
from wellposed.runs.record import decode, encode

FILE, SAMPLES = "traces.json", "traces.safetensors.xz"
FORMER_SAMPLES = "traces.safetensors"  # which is read where there is no other
MAX_BYTES = 2**22  # of samples, whether they are packed or not
FIRST_EVALUATION = ("seed", "length", "already_solved", "episode_return", "final_distance", "path_length")
COUNTED = ("train/action_saturation",)  # shares that count few actions: rounding moves them by more than any tolerance
# Largest difference, as a share of the root mean square of a quantity: of an array's last axis each column is one, but
# for what a rollout holds after the first updates, of which rounding moves small columns as far as large ones.
TOLERANCES = {
    "reset": 1e-5,
    "steps": 1e-5,
    "first evaluation": 1e-5,
    "batch": 1e-5,
    "first losses": 1e-4,
    # One call of PPO takes hundreds of updates on what it has collected, so rounding has grown by its end.
    "steps of a rollout": 1e-3,
    "batch of a rollout": 0.03,
    "first losses of a rollout": 0.02,
    "later losses": 0.5,
    "weight norms": 0.3,
}


@dataclass(frozen=True)
class StoredTrace:
    """What is told of a stored trace beside its samples."""

    of: dict[str, Any] | str  # the configuration, or the id of an environment
    digest: str  # of its samples
    commit: str | None
    cpu: str


@dataclass(frozen=True)
class StoredTraces:
    """The traces of a chapter, by the names of `trace.cases`."""

    tolerances: dict[str, float]
    traces: dict[str, StoredTrace]


def sample(trace: Arrays) -> Arrays:
    """A few numbers of each part of a trace."""
    found: Arrays = {}
    environment, off_policy = "reset/observation" in trace, "steps/time" in trace
    for name, array in trace.items():
        kind, _, what = name.partition("/")
        if array.dtype == np.uint8 and array.ndim >= 4:
            array = array[..., ::8, ::8, :]  # of images
        if kind == "reset":
            found[name] = array[::4]
        elif kind == "steps":
            found[name] = array[::10, ::4] if environment else array[::17]
        elif kind.startswith("batch"):
            found[name] = array[:4, ::51] if off_policy else array[::16]
        elif kind == "losses":
            found[f"first losses/{what}"] = array[:4]
            if what not in COUNTED:
                found[f"later losses/{what}"] = array[9::10]
        elif kind == "episodes" and what in FIRST_EVALUATION:
            found[f"first evaluation/{what}"] = array[:4]
    for moment in sorted({name.partition("/")[0] for name in trace if name.startswith("weights at ")}):
        nets = [array for name, array in trace.items() if name.startswith(f"{moment}/learner.nets.")]
        found[f"weight norms/{moment}"] = np.array([[np.linalg.norm(array) for array in nets]])
    return {name: np.ascontiguousarray(array, np.float32) for name, array in found.items()}


def difference(stored: Arrays, today: Arrays, tolerances: dict[str, float]) -> str | None:
    """The first quantity of two samples that differs by more than its tolerance, as a sentence; None if none does."""
    on_policy = any(name.endswith("/train/kl") for name in stored)
    for name in sorted(stored, key=lambda name: (list(tolerances).index(_part(name)), name)):
        if name not in today or today[name].shape != stored[name].shape:
            return f"{name} is not there any more in that shape."
        here, there = (samples[name].astype(float) for samples in (stored, today))
        apart = there - here
        if _part(name) == "later losses":  # rounding has decided single ones by then; their mean is what holds
            apart = apart.mean(axis=0, keepdims=True)
        part, late = _part(name), f"{_part(name)} of a rollout"
        if on_policy and late in tolerances and not name.startswith("batch 0/"):  # batch 0 is before any update
            part = late
        share, allowed = np.abs(apart) / _scale(here, least=1.0 if part == late else 1e-3), tolerances[part]
        if not (share <= allowed).all():
            return f"{name} differs by {share.max():.2g} of its size, where {allowed:g} is allowed."
    return None


def _part(name: str) -> str:
    """The key of TOLERANCES for a quantity: `batch` of `batch 0/reward`."""
    return name.partition("/")[0].rstrip(" 0123456789")


def _scale(array: np.ndarray, least: float) -> np.ndarray:
    """The size of each column of a quantity [..., columns], at least this share of that of the whole."""
    columns = array.reshape(-1, array.shape[-1] if array.ndim > 1 else 1)
    size = np.sqrt((columns**2).mean(axis=0))
    whole = np.sqrt((columns**2).mean())
    return np.maximum(size, least * whole) + 1e-12


def digest(samples: Arrays) -> str:
    """Sixteen hexadecimal digits of named arrays."""
    found = hashlib.sha256()
    for name in sorted(samples):
        found.update(f"{name} {samples[name].shape} ".encode() + samples[name].tobytes())
    return found.hexdigest()[:16]


def load_traces(folder: Path) -> tuple[StoredTraces, dict[str, Arrays]]:
    """The stored traces of the chapter in a folder, and the samples of each; nothing at all if there are none.

    Raises:
        UserError: if they are damaged or were edited by hand.
    """
    file, former = folder / FILE, folder / FORMER_SAMPLES
    if not file.exists():
        return StoredTraces(TOLERANCES, {}), {}
    found = decode(StoredTraces, read_json(file), str(file))
    holder = former if former.exists() and not (folder / SAMPLES).exists() else folder / SAMPLES
    content = read_bytes(holder, MAX_BYTES)
    try:
        flat = parse_tensors(content if holder == former else unpacked(content))
    except ValueError as error:
        raise UserError(f"{holder} is damaged: {error}.") from error
    samples = {
        name: {key[len(name) + 1 :]: array for key, array in flat.items() if key.startswith(f"{name}/")}
        for name in found.traces
    }
    for name, trace in found.traces.items():
        if digest(samples[name]) != trace.digest:
            raise UserError(
                f"{file}: the samples of {name} are not those that were recorded; they were edited by hand."
            )
        if unknown := {_part(key) for key in samples[name]} - found.tolerances.keys():
            raise UserError(f"{file} has no tolerance of {min(unknown)!r}, of which there are samples of {name}.")
    return found, samples


def store_traces(
    folder: Path, traces: dict[str, StoredTrace], samples: dict[str, Arrays], tolerances: dict[str, float] = TOLERANCES
) -> None:
    """Write the traces of a chapter whole."""
    flat = {f"{name}/{key}": array for name in traces for key, array in samples[name].items()}
    write_whole(folder / SAMPLES, lzma.compress(save(flat)))
    write_json(folder / FILE, encode(StoredTraces(tolerances, traces)))
    (folder / FORMER_SAMPLES).unlink(missing_ok=True)


def unpacked(content: bytes) -> bytes:
    """What an xz file holds. Raises ValueError if it is none, or holds more than MAX_BYTES."""
    reader = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=2**27)
    try:
        found = reader.decompress(content, max_length=MAX_BYTES + 1)
    except lzma.LZMAError as error:
        raise ValueError(f"it is not an xz file: {error}") from error
    if len(found) > MAX_BYTES:
        raise ValueError(f"it holds more than {MAX_BYTES:,} bytes")
    if not reader.eof:
        raise ValueError("it is cut short")
    return found


def record_sample(case: Any) -> tuple[StoredTrace, Arrays]:
    """Today's trace of a configuration or an environment, as it is stored."""
    samples, (commit, _) = sample(record(case)), git_state()
    of = case if isinstance(case, str) else serialise.to_dict(case)
    return StoredTrace(of, digest(samples), commit, cpu_name()), samples


def current_traces(chapter: Chapter) -> dict[str, StoredTrace | None]:
    """The stored trace of each case of a chapter, whatever name it was stored under; None where there is none."""
    known, _ = load_traces(chapter.folder)
    return {
        name: next((trace for trace in known.traces.values() if is_of(trace, case)), None)
        for name, case in cases(chapter).items()
    }


def check(chapter: Chapter, write: bool = False) -> Iterator[tuple[str, str | None]]:
    """Record today's trace of each case of a chapter and hold it against the stored one.

    With `write` traces that are missing or differ are stored as they are today; facts that were published with the
    former ones are stale from then on.

    Yields:
        The name of each case, and how it differs, as a sentence; None if it does not.
    """
    known, samples = load_traces(chapter.folder)
    names = {trace.digest: name for name, trace in known.traces.items()}
    kept: dict[str, StoredTrace] = {}
    kept_samples: dict[str, Arrays] = {}
    for (name, stored), case in zip(current_traces(chapter).items(), cases(chapter).values(), strict=True):
        today, new = record_sample(case)
        old = samples[names[stored.digest]] if stored else {}
        wrong = difference(old, new, known.tolerances) if stored else "There is no stored trace."
        kept[name], kept_samples[name] = (stored, old) if stored and wrong is None else (today, new)
        yield name, wrong
    if write and kept:
        store_traces(chapter.folder, kept, kept_samples, known.tolerances)


def is_of(stored: StoredTrace, case: Any) -> bool:
    """Whether a stored trace is of this configuration or environment."""
    if isinstance(stored.of, str) or isinstance(case, str):
        return stored.of == case
    return describes(stored.of, case)


def traces_at(folder: Path, commit: str) -> set[str]:
    """The digests of the traces that were stored in a folder at a commit; none if that cannot be had.

    The commit may come from a stranger's record: what could be an option is not handed to git. `git cat-file`, unlike
    `git show`, runs no filter that a repository names.
    """
    if not re.fullmatch("[0-9a-f]{7,64}", commit):
        return set()
    try:
        show = ["git", "cat-file", "blob", f"{commit}:./{FILE}"]
        shown = subprocess.run(show, cwd=folder, capture_output=True, check=True).stdout
        return {trace.digest for trace in decode(StoredTraces, parse_json(shown, FILE), FILE).traces.values()}
    except (OSError, subprocess.CalledProcessError, UserError):
        return set()
