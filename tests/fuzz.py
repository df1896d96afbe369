"""What a stranger hands us is data: mutated records, checkpoints and experiments give a sentence or a valid load.

    python -m tests.fuzz --inputs 200000 --seed 0

The suite runs a few thousand of these (test_fuzz.py). Every input is a valid file of ours with some of its bytes or
some of its meaning changed, its digests made to fit again, so that it gets past the first check. Watched meanwhile:
which exceptions come out, what is executed, imported or opened for writing (by Python's audit events), and memory.
"""

import argparse
import copy
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as format_tensors

from wellposed.errors import NotFiniteError, UserError

# What nothing that is read may ever cause. `open` is watched apart: reading is allowed.
FORBIDDEN = {
    "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pty.spawn", "exec", "compile",
    "import", "pickle.find_class", "marshal.loads", "ctypes.dlopen", "socket.connect", "os.remove", "os.rename",
    "os.mkdir", "os.rmdir", "os.symlink", "os.link", "os.chmod", "os.truncate", "shutil.rmtree",
}  # fmt: skip


class Watch:
    """Python's audit events while something untrusted is read. A hook cannot be taken away, so there is one."""

    def __init__(self) -> None:
        self.on, self.seen = False, list[str]()
        sys.addaudithook(self.hear)

    def hear(self, event: str, args: tuple) -> None:
        """Note what is forbidden."""
        if not self.on:
            return
        writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
        if event in FORBIDDEN or writes:
            self.seen.append(f"{event} {args[:2]}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, everything counts; raises AssertionError if anything forbidden happened."""
        self.seen.clear()
        self.on = True
        try:
            yield
        finally:
            self.on = False
        assert not self.seen, f"reading caused {self.seen}"


ODD: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 10**30, -(10**400), 1e308, float("nan"), float("inf"), "", "x" * 5000, "../../x",
    "/etc/passwd", "a:b", "<script>alert(1)</script>", "\0", "\ud800", [], {}, [[]] * 50, {"schema": 3}, "NaN", 0.5,
]  # fmt: skip


def mutate_json(data: Any, rng: random.Random) -> Any:
    """JSON data with one to three leaves or keys replaced, dropped, added, doubled or moved."""
    data = copy.deepcopy(data)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(data))
        if not places:
            return copy.deepcopy(rng.choice(ODD))
        holder, key = rng.choice(places)
        action = rng.randrange(5)
        if action == 0:
            holder[key] = copy.deepcopy(rng.choice(ODD))
        elif action == 1:
            del holder[key]
        elif action == 2 and isinstance(holder, dict):
            holder[rng.choice(["schema", "note", "__class__", "step", ""])] = copy.deepcopy(rng.choice(ODD))
        elif action == 3:
            other, name = rng.choice(places)
            holder[key] = copy.deepcopy(other.get(name) if isinstance(other, dict) else None)
        else:
            holder[key] = [holder[key]] * rng.choice([1, 2, 100])
    return data


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in JSON data."""
    keys = list(data) if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else []
    for key in keys:
        yield data, key
        yield from _places(data[key])


def mutate_bytes(content: bytes, rng: random.Random) -> bytes:
    """Bytes with some flipped, cut out, doubled, or the end missing."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, n = rng.randrange(len(found) + 1), rng.choice([1, 1, 2, 8, 64])
        action = rng.randrange(5)
        if action == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif action == 1:
            del found[at : at + n]
        elif action == 2:
            found[at:at] = rng.randbytes(n)
        elif action == 3:
            found[at:at] = found[at : at + n]
        else:
            del found[at:]
    return bytes(found)


def either(path: Path, original: bytes, rng: random.Random) -> bytes:
    """A JSON file mutated in its meaning or in its bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(original, rng)
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in original.splitlines()]
        rows[rng.randrange(len(rows))] = mutate_json(rng.choice(rows), rng)
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    return json.dumps(mutate_json(json.loads(original), rng)).encode()


def mutate_tensors(arrays: dict[str, np.ndarray], rng: random.Random) -> bytes:
    """A safetensors file with arrays of other names, shapes, types or values, or with its header made to lie."""
    arrays = dict(arrays)
    for _ in range(rng.randint(1, 3)):
        name = rng.choice(sorted(arrays))
        array = arrays.pop(name)
        action = rng.randrange(6)
        if action == 0:
            continue
        if action == 1:
            name = rng.choice(["agent/x", "loop/env/x", "", "loop/learnt/x", name + "x"])
        elif action == 2:
            array = array.reshape(1, *array.shape)
        elif action == 3:
            with np.errstate(all="ignore"):
                array = array.astype(rng.choice([np.float16, np.float64, np.int64, np.uint8, np.bool_]))
        elif action == 4:
            array = np.full_like(array, rng.choice([0, 1, -1, 127]) if array.dtype.kind in "if" else 1)
        elif array.size:
            array = array.copy()
            odd = rng.choice([np.nan, np.inf, 1e38]) if array.dtype.kind == "f" else 99
            with np.errstate(all="ignore"):
                array.reshape(-1)[rng.randrange(array.size)] = odd
        arrays[name] = array
    content = format_tensors(arrays) if arrays else b""
    return mutate_bytes(content, rng) if rng.random() < 0.4 else content


def run(inputs: int, seed: int, folder: Path) -> Counter[str]:
    """Feed `inputs` mutated inputs to all targets in turn; returns how many were refused and loaded, by target.

    Raises:
        AssertionError: at the first input that caused anything but a sentence or a load.
    """
    from tests.fuzz_targets import targets

    found, watch, count = targets(folder), Watch(), Counter[str]()
    for target in found:  # what is imported at first use is imported now
        for i in range(5):
            _feed(target, random.Random(i), watch, count, watched=False)
    count.clear()
    for i in range(inputs):
        # Taking up costs a thousand times as much as reading, so it comes less often.
        target = found[i % len(found)]
        if target.name == "taking up" and i // len(found) % 50:
            target = found[i // len(found) % len(found)]
        _feed(target, random.Random(f"{seed} {i}"), watch, count, measured=i % 97 == 0)
    return count


def _feed(
    target: Any, rng: random.Random, watch: Watch, count: Counter[str], watched: bool = True, measured: bool = False
) -> None:
    """One input."""
    size = target.prepare(rng)
    measured &= target.name != "taking up"
    if measured:
        tracemalloc.start()
    try:
        if watched and target.name != "taking up":  # which makes an agent, and may compile
            with watch.reading():
                target.read()
        else:
            target.read()
        count[f"{target.name}: loaded"] += 1
    except (UserError, NotFiniteError) as error:
        count[f"{target.name}: {'refused' if len(str(error)) > 15 else 'refused without a sentence'}"] += 1
    finally:
        if measured:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            assert peak < 2 * size + 2**22, f"{target.name}: {peak} bytes for an input of {size}"


def main() -> int:
    """Feed the inputs and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    import tempfile

    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        count = run(args.inputs, args.seed, Path(folder))
    for name, n in sorted(count.items()):
        print(f"{name:<32} {n:>8,}")
    print(f"{count.total():,} inputs, no other outcome, {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
