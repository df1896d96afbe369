"""Checkpoints that are damaged, or are not what they say."""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest

from wellposed.errors import UserError
from wellposed.runs import checkpoint

ARRAYS = {"weights": np.arange(12.0).reshape(3, 4), "step": np.array(7)}
NAMES = {"env": "FetchReach-v4", "algo": "sac", "config_hash": "abc"}


@pytest.fixture
def saved(tmp_path):
    return checkpoint.save(tmp_path, ARRAYS, step=10, updates=5, **NAMES)


def pretend(manifest_path, content: bytes) -> None:
    """Put other bytes in the place of the arrays, with a manifest that vouches for them."""
    manifest_path.with_suffix(".safetensors").write_bytes(content)
    data = json.loads(manifest_path.read_text())
    data |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    manifest_path.write_text(json.dumps(data))


def test_what_was_saved_is_loaded(saved):
    manifest, arrays = checkpoint.load(saved)
    assert (manifest.step, manifest.updates, manifest.env) == (10, 5, "FetchReach-v4")
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert arrays["step"].shape == ()


def test_a_truncated_one_is_refused(saved):
    arrays = saved.with_suffix(".safetensors")
    arrays.write_bytes(arrays.read_bytes()[:-8])
    with pytest.raises(UserError, match="truncated"):
        checkpoint.load(saved)


def test_one_whose_bytes_were_changed_is_refused(saved):
    arrays = saved.with_suffix(".safetensors")
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(content)
    with pytest.raises(UserError, match="digest differs"):
        checkpoint.load(saved)


class Bomb:
    def __reduce__(self):
        return os.system, ("touch /tmp/wellposed-was-here",)


def test_a_pickle_in_disguise_is_refused_and_not_run(saved):
    pretend(saved, pickle.dumps(Bomb()))
    with pytest.raises(UserError, match="reads no pickles"):
        checkpoint.load(saved)
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
def test_a_header_that_lies_is_refused(saved, header):
    pretend(saved, len(header).to_bytes(8, "little") + header + b"\0" * 8)
    with pytest.raises(UserError, match="not a safetensors file"):
        checkpoint.load(saved)


def test_a_missing_part_is_refused(saved, tmp_path):
    saved.with_suffix(".safetensors").unlink()
    with pytest.raises(UserError, match="Could not read"):
        checkpoint.load(saved)
    with pytest.raises(UserError, match="holds no checkpoint"):
        checkpoint.latest(tmp_path / "elsewhere")


def test_arrays_without_a_manifest_are_no_checkpoint(saved, tmp_path):
    """Death between the two writes: the newest whole checkpoint is the one before."""
    (tmp_path / "step_0000000020.safetensors").write_bytes(b"half")
    assert checkpoint.latest(tmp_path) == saved


def test_only_the_newest_are_kept(tmp_path):
    for step in (1, 20, 300):
        checkpoint.save(tmp_path, ARRAYS, step=step, updates=0, **NAMES)
    checkpoint.prune(tmp_path, keep=2)
    kept = {"step_0000000020.json", "step_0000000300.json"}
    assert {p.name for p in tmp_path.glob("*.json")} == kept
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
