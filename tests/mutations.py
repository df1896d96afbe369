"""Valid files of ours with some of their bytes or some of their meaning changed."""

import contextlib
import copy
import io
import json
import os
import random
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as format_tensors

from wellposed.arrays import parse_tensors

ODD: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 10**30, -(10**400), 1e308, float("nan"), float("inf"), "", "x" * 5000, "../../x",
    "/etc/passwd", "a:b", "<script>alert(1)</script>", "\0", "\ud800", [], {}, [[]] * 50, {"schema": 3}, "NaN", 0.5,
]  # fmt: skip


def mutate_json(data: Any, rng: random.Random) -> Any:
    """JSON data with one to three leaves or keys replaced, dropped, added, doubled or moved, or one value nudged."""
    data = copy.deepcopy(data)
    if rng.random() < 0.3:
        return _slipped(data, rng)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(data))
        if not places:
            return copy.deepcopy(rng.choice(ODD))
        holder, key = rng.choice(places)
        action = rng.randrange(6)
        if action == 0:
            holder[key] = copy.deepcopy(rng.choice(ODD))
        elif action == 5:
            holder[key] = _nudged(holder[key], rng)
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


def _slipped(data: Any, rng: random.Random) -> Any:
    """JSON data, a value of which is nudged; each part of what holds it is as likely, however much is in it."""
    holder: Any = None
    key, value = None, data
    while isinstance(value, dict | list) and value:
        holder, key = value, rng.choice([*value] if isinstance(value, dict) else range(len(value)))
        value = holder[key]
    if holder is None:
        return _nudged(data, rng)
    holder[key] = _nudged(value, rng)
    return data


def _nudged(value: Any, rng: random.Random) -> Any:
    """A value as it might be, so that what is wrong with it is its meaning."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return rng.choice([value + 1, value - 1, value / 2 if abs(value) < 1e300 else 0, -value, -1, 0])
    if isinstance(value, str):
        return rng.choice([value[: len(value) // 2], value[: len(value) // 2], f"{value}\ud800"])
    return value[: len(value) // 2] if isinstance(value, list) else value


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


def mutate_text(content: bytes, rng: random.Random) -> bytes:
    """A JSON file mutated in its meaning or in its bytes."""
    if rng.random() < 0.3:
        return mutate_bytes(content, rng)
    mutated = json.dumps(mutate_json(json.loads(content), rng)).encode()
    return mutated if rng.random() < 0.95 else mutated.replace(b"{", b'{"schema": 1, "schema": 1, ', 1)


def mutate_rows(content: bytes, rng: random.Random) -> bytes:
    """An append-only file with a row mutated, doubled, moved or left out, or with other bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    rows = [json.loads(line) for line in content.splitlines()] or [{}]
    at, action = rng.randrange(len(rows)), rng.randrange(9)
    if action == 0:
        rows.insert(at, rng.choice(rows))
    elif action == 1:
        rows.pop(at)
    elif action == 2:
        rng.shuffle(rows)
    elif action == 3:
        rows.clear()
    elif action > 5:
        rows[at] = _slipped(rows[at], rng)
    else:
        rows[at] = mutate_json(rng.choice(rows), rng)
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


ODD_TOML = (
    "-1", "0", "1e308", "nan", "true", '""', '"x"', "[]", "{}", "2026-01-01", "9223372036854775807", '"0-9999999"',
    "[[[[1]]]]", '"a:b"',
)  # fmt: skip


LINES = (  # such as an author writes
    "number = 5", "study = true", 'kind = "ports"', 'kind = "split"', 'inside = "parts.runs"', 'of = "learnt"',
    'inside = "width.narrow 0.5.success"', 'inside = "learnt.bar"', 'of = "width"', 'of = "width.narrow 0.5"',
    'of = "width.narrow 0.5.success"', 'of = ["width.narrow 0.5", "width.wide"]', 'of = "parts"', 'algo = "ppo"',
    'metric = "steps_to_bar"', 'metric = "nothing"', 'statistic = "mean"', 'env = "FetchReach-v4"', "doublings = 1",
    'env = "my_env:make"', 'env = "Nothing-v0"', "within = [1, 0]", "at_most = 1", 'equals = "x"', "[videos]",
    'film = "width.narrow 0.5"', "[studies.width]", "[experiments.learnt]", '[measurements."a b"]', "budget = 200",
    '[experiments.width.variants."the same"]', "[experiments.more]", 'stability_seeds = "0-1"', 'seeds = "3-1"',
    'parts = ["stability"]', "[search]", "trials = 3", 'method = "random"', 'objective = "steps"', "# a comment",
    "[[criteria]]", 'says = "so"', 'schema = "split"', 'file = "x.json"', 'kind = "x"', 'of = "width.none"',
    "summary = \"\"\"", "choice = [1, 2]", "low = 0.5", "high = 0.1",
)  # fmt: skip


# What an author writes, and what it becomes by a mistake: in a chapter, an experiment, a robot, a reality, a search.
MISTAKES = (
    ('of = "parts"', 'of = "parts"\nstatistic = "mean"'), ('of = "learnt"', 'of = "leant"'),
    ('statistic = "mean"\n', ""), ('metric = "success"', 'metric = "steps_to_bar"'), ("until_success = 0.0\n", ""),
    ('inside = "width', 'inside = "widht'), ('inside = "width.narrow 0.5.success"', 'inside = "parts.runs"'),
    ('kind = "split"\n', ""), ('of = "width.narrow 0.5"', 'of = "width.narrow 0.5.success"'),
    ('schema = "split"', 'schema = "study"'), ('file = "parts', 'file = "part'), ("study_learnt", "study_leant"),
    ("[experiments.width]", "[experiments.width]\nstudy = true"), ("[studies.learnt]", '[studies."a b"]'),
    ("[studies.learnt]", "[studies.width]"), ("[studies.learnt]", "[studies]\nmore = 1\n[studies.learnt]"),
    ('.variants."narrow 0.5"]', ".variants]"), ("FetchPickAndPlace-v4", "Nothing-v0"),
    ("FetchPickAndPlace-v4", "my_env:make"), ('seeds = "0"', 'seeds = "3-1"'), ('seeds = "0"', 'seeds = "0-1"'),
    ("[measurements.parts]", '[videos]\nfilm = "width.narrow 0.5"\n[measurements.parts]'),
    ("\nminutes", '\nvideos = {film = "width.none"}\nminutes'), ("at_least = 0.0", "at_least = 0.0\nequals = 1"),
    ("    0, 200, 400,", "    400, 0,"), ("bar = 0.9", "bar = 2.0"), ('algo = "ppo"', "agent.gamma = 0.5"),
    ("[variants.sac]", "[variants.a]\nagent.gamma = 0.5\n[variants.b]\nagent.gamma = 0.5\n[variants.sac]"),
    ("[base]", "[base]\nseed = 1"), ("low = 0.9", "low = 0.99"), ("trials = 2", "trials = 0"),
    ("choice = [8, 16]", "choice = []"), ("sensing = 0.01", "sensing = -1"), ("speed = 1", "speed = 0"),
    ('means = "displacement"', 'means = "effort"'), ('means = "displacement"', 'means = "velocity"'),
    ("effector = [0, 1, 2]", "effector = [0]"), ("rate = 25", "rate = 0"), ("rate = 25", "rate = 1e13"),
    ("smoothing = 0.0", "delay = 1"), ("axis = 1", "axis = 0"), ("axis = 2", "axis = 7"),
    ('unit = "m"\nscale', 'unit = "rad"\nscale'), ("scale = 0.05", "scale = 0"), ('key = "observation"', 'key = "x"'),
    ('key = "observation"', 'key = "observation"\nnumbers = [0, 0]'),
    ('key = "observation"', 'key = "observation"\nnumbers = [99]'), ("high = [2, 2, 2]", "high = [2, 0, 2]"),
    ("[base]", "[base]\nenv.kwargs = {x = 2026-01-01}"), ("0.5..1.5", "1,2"), ("budget = 20", "budget = 0"),
    ("control.delay", "control.dealy"), ('delay" = 1', 'delay" = -1'),
)  # fmt: skip


def _mistaken(text: str, rng: random.Random) -> str:
    """A text with a mistake that can be made in it, if any."""
    known = [(right, wrong) for right, wrong in MISTAKES if right in text]
    if not known:
        return text
    right, wrong = rng.choice(known)
    at = rng.choice([found.start() for found in re.finditer(re.escape(right), text)])
    return text[:at] + wrong + text[at + len(right) :]


def mutate_toml(content: bytes, rng: random.Random, known: Sequence[str] = LINES) -> bytes:
    """A TOML file with a line more or less, doubled or moved, or another value, often of that key, or other bytes.

    `known`: lines such as an author of that file writes.
    """
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    text = content.decode()
    if rng.random() < 0.4:
        return _mistaken(_mistaken(text, rng) if rng.random() < 0.5 else text, rng).encode()
    lines = text.splitlines()
    for _ in range(rng.randint(1, 2)):
        at, action = rng.randrange(len(lines)), rng.randrange(8)
        name, equals, _ = lines[at].partition(" = ")
        if equals and action < 3:
            lines[at] = f"{name} = {rng.choice(ODD_TOML)}"
        elif equals and action == 3:
            of_key = [line for line in lines if line.startswith(f"{name} = ")]
            lines[at] = f"{name} = {rng.choice(rng.choice([of_key, lines])).partition(' = ')[2]}"
        elif action == 4:
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif action > 5:
            new = rng.choice(known)
            here = [i for i, line in enumerate(lines) if line.partition(" = ")[0] == new.partition(" = ")[0]]
            if here and rng.random() < 0.7:
                lines[rng.choice(here)] = new
            else:
                lines.insert(at, new)
        else:
            del lines[at]
    return "\n".join(lines).encode()


NAMES = ("x", ".x", "-x", "ch04_x", "ch05_hindsight", "000001_step_0000000400.json", "\n", "\u202e", "a" * 200)


def mutate_tree(folder: Path, rng: random.Random) -> None:
    """A folder in which something is missing, empty, doubled, renamed, or not what its name says."""
    everything = sorted(folder.rglob("*"))
    place, linked = rng.choice(everything), rng.choice([path for path in everything if path.is_file()])
    other = place.with_name(rng.choice([*NAMES, f"{place.name}.part", f"{place.stem}2{place.suffix}"]))
    action = rng.randrange(8)
    if action == 0 and not other.exists():
        place.rename(other)
        return
    if action == 1 and not other.exists():
        (shutil.copytree if place.is_dir() else shutil.copyfile)(place, other)
        return
    (shutil.rmtree if place.is_dir() else os.unlink)(place)
    if action == 2:
        place.mkdir()
    elif action == 3:
        place.write_bytes(b"")
    elif action == 4:
        os.mkfifo(place)
    elif action == 5:
        place.symlink_to(rng.choice(["/etc/passwd", "/", "..", "nowhere", place.name]))
    elif action == 6 and linked.exists():
        os.link(linked, place)


# What an npz says of its arrays, and a lie: their format, their shapes, how long they are unpacked.
LIES = (
    (rb"NUMPY\x01", b"NUMPY\x03"), (rb"'shape': \(", b"'shape': (9"),
    (rb"(?<=PK\x01\x02.{20})....", b"\xf0\xff\xff\x7f"),
)  # fmt: skip


def mutate_npz(content: bytes, rng: random.Random) -> bytes:
    """An exported policy with other arrays or another header, or with other bytes."""
    if rng.random() < 0.2:
        return mutate_bytes(content, rng)
    with np.load(io.BytesIO(content)) as file:
        arrays = dict(file)
    header = json.loads(str(arrays.pop("wellposed")))
    if rng.random() < 0.5:
        header = mutate_json(header, rng)
    else:
        with contextlib.suppress(ValueError):
            arrays = parse_tensors(mutate_tensors(arrays, rng))
    memory, named = io.BytesIO(), {name: array for name, array in arrays.items() if name}
    np.savez(memory, wellposed=np.array(json.dumps(header)), **named)  # type: ignore[arg-type]
    if rng.random() < 0.9:
        return memory.getvalue()
    told, lie = rng.choice(LIES)
    return re.sub(told, lie, memory.getvalue(), count=1, flags=re.DOTALL)


def _part(name: str) -> str:
    """What an array belongs to, as `loop/env` in a checkpoint: some parts have many, and each is as likely."""
    return "/".join(name.split("/")[:-1][:2])


def mutate_tensors(arrays: dict[str, np.ndarray], rng: random.Random) -> bytes:
    """A safetensors file with arrays of other names, shapes, types or values, or with its header made to lie."""
    arrays = dict(arrays)
    for _ in range(min(rng.randint(1, 3), len(arrays))):
        of_part = rng.choice(sorted({_part(name) for name in arrays}))
        name = rng.choice(sorted(name for name in arrays if _part(name) == of_part))
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
