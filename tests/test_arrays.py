"""Arrays out of files of others."""

import io
import zipfile

import numpy as np
import pytest

from wellposed.arrays import lengths_of, parse_npz, parse_tensors, require_numbers

ARRAYS = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(3)}


def npz(**arrays: np.ndarray) -> bytes:
    memory = io.BytesIO()
    np.savez_compressed(memory, **arrays)  # type: ignore[arg-type]
    return memory.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return memory.getvalue()


def npy(header: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 8


def test_what_was_saved_is_read():
    found = parse_npz(npz(**ARRAYS), 1000)
    assert found.keys() == ARRAYS.keys()
    assert all(np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS)


def test_a_file_that_unpacks_into_more_than_is_allowed_is_refused():
    bomb = npz(a=np.zeros(10**6))
    assert len(bomb) < 20_000
    with pytest.raises(ValueError, match="8,000,128 bytes together"):
        parse_npz(bomb, 10**6)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        npz(**ARRAYS)[:-30],
        npz(a=np.array([None])),
        zipped("a.npy", b"text"),
        zipped("a.npy", npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n")),
        zipped("a.npy", npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n")),
        zipped("a.npy", npy(b"((((\n")),
        zipped("a.npy", npy(b"(" * 9000)),
        zipped("a.npy", npy(b'"""\n')),
    ],
)
def test_what_is_no_npz_is_refused_before_anything_is_unpacked(content):
    with pytest.raises(ValueError):
        parse_npz(content, 10**6)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, (2**40).to_bytes(8, "little") + b"{}"])
def test_what_is_no_safetensors_file_is_refused(content):
    with pytest.raises(ValueError, match="not a safetensors file"):
        parse_tensors(content)


@pytest.mark.parametrize("kind", ["uint8", "int8", "uint64", ">i4"])
def test_lengths_of_a_narrow_type_can_be_calculated_with(kind):
    found = lengths_of(np.array([100, 127], kind))
    assert ((found + 200) - 300).tolist() == [0, 27]
    assert (found - 300).tolist() == [-200, -173]


@pytest.mark.parametrize(
    "array", [np.array(3), np.array([]), np.array([3, 0]), np.array([2.0]), np.array([2**63], "uint64")]
)
def test_lengths_that_are_none_are_refused(array):
    with pytest.raises(ValueError, match=r"length must be|longer than any file"):
        lengths_of(array)


def test_only_finite_numbers_of_the_right_shape_are_numbers():
    for kind in (float, "uint8", "int16"):
        require_numbers("action", np.zeros((3, 2), kind), (3, 2))
    for wrong in (np.zeros((2, 3)), np.full((3, 2), "x"), np.full((3, 2), np.nan), np.zeros((3, 2), bool)):
        with pytest.raises(ValueError, match="action"):
            require_numbers("action", wrong, (3, 2))
