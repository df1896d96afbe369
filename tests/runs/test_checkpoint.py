"""Checkpoints that are damaged, or are not what they say."""

import hashlib
import os
import pickle
from dataclasses import replace

import numpy as np
import pytest

from wellposed.errors import UserError
from wellposed.runs import checkpoint, disk, files
from wellposed.runs.checkpoint import Manifest, ReplayPart

ARRAYS = {"weights": np.arange(12.0).reshape(3, 4), "step": np.array(7)}
FILE = "checkpoints/000001_step_0000000010.safetensors"


@pytest.fixture
def run(tmp_path):
    for folder in (checkpoint.CHECKPOINTS, checkpoint.REPLAY):
        (tmp_path / folder).mkdir()
    return tmp_path


def save(run, number: int, parts: list[ReplayPart] | None = None) -> Manifest:
    later, lines = checkpoint.StoredArrays("", 0, ""), dict.fromkeys(checkpoint.LINES, 0)
    manifest = Manifest(number, "FetchReach-v4", "sac", "abc", number, 5, 1.0, 0.5, later, parts or [], lines)
    return checkpoint.commit(run, manifest, ARRAYS)


def pretend(run, content: bytes) -> checkpoint.StoredArrays:
    """Other bytes in the place of the arrays, with a manifest that vouches for them."""
    (run / FILE).write_bytes(content)
    return checkpoint.StoredArrays(FILE, len(content), hashlib.sha256(content).hexdigest())


def test_what_was_saved_is_loaded(run):
    manifest = save(run, 1)
    [path] = checkpoint.manifests(run)
    assert checkpoint.read_manifest(path) == manifest
    arrays = checkpoint.load_state(run, manifest)
    assert arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert arrays["step"].shape == ()


def test_a_truncated_one_is_refused(run):
    stored = checkpoint.store(run, FILE, ARRAYS)
    (run / FILE).write_bytes((run / FILE).read_bytes()[:-8])
    with pytest.raises(UserError, match="truncated"):
        checkpoint.load(run, stored)


def test_one_that_grew_is_refused_unread(run):
    stored = checkpoint.store(run, FILE, ARRAYS)
    os.truncate(run / FILE, 2**40)
    with pytest.raises(UserError, match="more than it should hold"):
        checkpoint.load(run, stored)


def test_one_whose_bytes_were_changed_is_refused(run):
    stored = checkpoint.store(run, FILE, ARRAYS)
    content = bytearray((run / FILE).read_bytes())
    content[-1] ^= 1
    (run / FILE).write_bytes(content)
    with pytest.raises(UserError, match="its size or digest is not the manifest"):
        checkpoint.load(run, stored)


def test_what_the_system_reads_and_writes_in_pieces_is_whole(run, monkeypatch):
    """It takes 2 GiB at a time; here it takes 100 bytes."""
    read, write = os.pread, disk.write
    monkeypatch.setattr(os, "pread", lambda handle, size, at: read(handle, min(size, 100), at))
    monkeypatch.setattr(disk, "write", lambda handle, content: write(handle, content[:100]))
    stored = checkpoint.store(run, FILE, {"large": np.arange(1000.0)})
    assert stored.bytes > 8000
    assert np.array_equal(checkpoint.load(run, stored)["large"], np.arange(1000.0))


def test_a_state_beyond_four_gibibytes_is_not_refused_for_its_size(run, monkeypatch):
    size, asked = 5 * 2**30, []
    stored = replace(checkpoint.store(run, FILE, ARRAYS), bytes=size)
    os.truncate(run / FILE, size)  # a hole: nothing of it is on the disk
    monkeypatch.setattr(files, "_read_at", lambda _handle, _begin, size: asked.append(size) or b"")
    with pytest.raises(UserError, match="its size or digest is not the manifest"):
        checkpoint.load(run, stored)
    assert asked == [size]


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/wellposed-was-here",)


def test_a_pickle_in_disguise_is_refused_and_not_run(run):
    with pytest.raises(UserError, match="the only format that wellposed reads"):
        checkpoint.load(run, pretend(run, pickle.dumps(Bomb())))
    assert not os.path.exists("/tmp/wellposed-was-here")


@pytest.mark.parametrize(
    "header",
    [
        b'{"w":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,8000000000000]}}',
        b'{"w":{"dtype":"F64","shape":[2],"data_offsets":[0,800]}}',
        b'{"w":{"dtype":"X1","shape":[1],"data_offsets":[0,8]}}',
        b"[]",
        b"\xff\xfe",
    ],
)
def test_a_header_that_lies_is_refused(run, header):
    stored = pretend(run, len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(UserError, match="not a safetensors file"):
        checkpoint.load(run, stored)


@pytest.mark.parametrize(
    "change",
    [
        {"file": "checkpoints/../../secret.safetensors"},
        {"file": "/etc/passwd"},
        {"file": "config.json"},
        {"bytes": 10 * 2**40},
        {"bytes": -1},
    ],
)
def test_a_manifest_that_points_elsewhere_or_claims_too_much_is_refused(run, change):
    with pytest.raises(UserError, match="which no run has"):
        checkpoint.load(run, replace(checkpoint.store(run, FILE, ARRAYS), **change))


def test_a_missing_part_is_refused(run):
    stored = checkpoint.store(run, FILE, ARRAYS)
    (run / FILE).unlink()
    with pytest.raises(UserError, match="no such file"):
        checkpoint.load(run, stored)


def test_arrays_without_a_manifest_are_no_checkpoint(run):
    """Death between the two writes: the newest whole checkpoint is the one before."""
    save(run, 1)
    checkpoint.store(run, "checkpoints/000002_step_0000000020.safetensors", ARRAYS)
    assert [path.name[:6] for path in checkpoint.manifests(run)] == ["000001"]


def test_what_the_newest_do_not_need_is_pruned(run):
    parts = [
        ReplayPart(10 * i, 10 * i + 10, checkpoint.store(run, f"replay/{i:06d}.safetensors", ARRAYS)) for i in range(3)
    ]
    save(run, 1, parts[:1])
    save(run, 2, parts[:2])
    save(run, 3, parts[1:])
    checkpoint.prune(run)
    assert [path.name[:6] for path in checkpoint.manifests(run)] == ["000003", "000002"]
    assert len(list((run / "checkpoints").iterdir())) == 4
    assert len(list((run / "replay").iterdir())) == 3  # the second newest still needs the first part
    save(run, 4, parts[1:])
    checkpoint.prune(run)
    assert {path.stem for path in (run / "replay").iterdir()} == {"000001", "000002"}


@pytest.mark.parametrize("lines", [{}, dict.fromkeys(checkpoint.LINES, -1), {"metrics": 3}])
def test_a_manifest_without_the_lengths_of_all_rows_is_refused(run, lines):
    manifest = save(run, 1)
    with pytest.raises(ValueError, match="lines must hold"):
        replace(manifest, lines=lines)
