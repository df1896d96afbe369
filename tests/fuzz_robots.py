"""What a stranger may hand us of robots: their files, recordings, sealed realities (see fuzz_targets.py)."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.mutations import mutate_bytes, mutate_json, mutate_rows, mutate_text, mutate_toml
from wellposed import recorded, serialise
from wellposed.deploy_check.robot import read_robot
from wellposed.envs.make import EnvConfig, make_env
from wellposed.reality import LEDGER, SEALED, Entry, seal
from wellposed.start import read_demonstrations
from wellposed.types import Spec

SIZES = {"observation": 25, "achieved_goal": 3, "desired_goal": 3}  # of FetchPickAndPlace
ROBOT = """
rate = 25
recording = "recording.jsonl"
[delay]
sensing = 0.01
actuation = 0.01
[workspace]
unit = "m"
low = [0, 0, 0]
high = [2, 2, 2]
effector = [0, 1, 2]
[control]
smoothing = 0.0
"""
REALITY = """
title = "A slow arm"
budget = 20
[env]
"control.delay" = 1
[hidden]
"dynamics.gain" = "0.5..1.5"
[does]
constant = [0, 0, 0, 0]
terms = [[0, 0, 1], [1, 2, 0.5]]
"""
PLAYED = (("a", "evaluation"), ("b", "identification"), ("b", "evaluation"))
SEALED_OTHERWISE: tuple[dict[str, Any], ...] = (  # all of which can be read
    {"settings": {}}, {"settings": {"control.delay": -1}}, {"settings": {"id": "FetchReach-v4"}}, {"sees": {}},
    {"sees": {"x": {"constant": [0]}}}, {"sees": {"observation": {"constant": [0], "terms": [[0, 99, 1]]}}},
    {"does": None}, {"does": {"constant": [0]}}, {"does": {"constant": [0] * 4, "terms": [[9, 0, 1]]}}, {"budget": 8},
    {"seed": -1}, {"settings": {}, "sees": {}, "does": None},
)  # fmt: skip
LINES = (  # such as whoever describes a robot writes
    "rate = 0", "sensing = -1", 'unit = "periods"', "smoothing = 2", "delay = 1", "scale = 0", "low = 5",
    'means = "velocity"', 'means = "effort"', 'unit = "m/s"', "speed = -1", "axis = 1", "axis = 7", "effector = [0]",
    "[[workspace.keep_out]]", "low = [0, 0]", "high = [1, 1]", 'key = "x"', "numbers = [0, 0]", "numbers = [99]",
    "low = [3, 3, 3]",
    "rate = 1e13", 'recording = ""', 'recording = "x.npz"', "jerk = 1", "acceleration = 2",
)  # fmt: skip


def make(folder: Path) -> None:
    """A robot with a recording, and a reality in which two policies were evaluated, and one was only begun."""
    (folder / "robot").mkdir()
    sense = [f'[[sense]]\nkey = "{key}"\nname = "{key}"\nunit = "m"\nnoise = 0.001\nhigh = 3\n' for key in SIZES]
    action = (
        '[[action]]\nname = "{}"\nmeans = "displacement"\nunit = "m"\nscale = 0.05\nlow = -1\nhigh = 1\nspeed = 1\n'
    )
    axes = [action.format(name) + f"axis = {i}\n" for i, name in enumerate("xyz")]
    (folder / "robot" / "robot.toml").write_text(ROBOT + "".join([*sense, *axes, action.format("fingers")]))
    read_robot(folder / "robot" / "robot.toml")
    moment = {key: [1.0] * size for key, size in SIZES.items()} | {"action": [0.1, 0.0, 0.2, 0.0]}
    rows = [json.dumps(moment | {"episode": t // 4}) + "\n" for t in range(8)]
    (folder / "robot" / "recording.jsonl").write_text("".join(rows))
    arrays = {key: np.ones((8, size)) for key, size in SIZES.items()} | {"action": np.full((8, 4), 0.1)}
    shutil.copytree(folder / "robot", folder / "logged")
    np.savez(folder / "logged" / "recording.npz", length=np.array([3, 3]), **arrays)  # type: ignore[arg-type]
    text = (folder / "robot" / "robot.toml").read_text()
    (folder / "logged" / "robot.toml").write_text(text.replace("recording.jsonl", "recording.npz"))
    offset, sees = 0, ""
    for key, size in SIZES.items():
        terms = [[i, offset + i, 1] for i in range(size)]
        sees += f"[sees.{key}]\nconstant = {[0] * size}\nterms = {terms}\n"
        offset += size
    (folder / "arm.toml").write_text(REALITY + sees)
    record = seal(folder / "arm.toml", 0)
    for i, (policy, purpose) in enumerate([*PLAYED, ("c", "evaluation")]):
        told: dict[str, Any] = {"purpose": purpose, "policy": policy * 64, "first": 2 * i, "episodes": 2}
        record = record.append(kind="begun", trained=f"20{i}9", **told)
        if i < len(PLAYED):
            record = record.append(kind="ended", success=[True, False], trained=f"20{i}9", **told)
    _record(folder / "episodes.npz")


def _record(file: Path) -> None:
    """Two episodes of random actions, as `eval --record` writes them."""
    where, rng = EnvConfig("FetchPickAndPlace-v4"), np.random.default_rng(0)
    recorder = recorded.recorder_of(where)
    with closing(recorder.watch(make_env(where, 2, "evaluation"))) as env:
        env.reset(seed=[0, 1])
        for _ in range(env.spec.max_episode_steps):
            env.step(rng.uniform(-1, 1, (2, env.spec.action_dim)).astype(np.float32))
    recorded.write_recording(file, recorder.recording)


def described(folder: Path, rng: random.Random) -> tuple[Path, bool]:
    """A robot's file."""
    file = folder / "robot.toml"
    file.write_bytes(mutate_toml(file.read_bytes(), rng, LINES))
    return folder, False


def moments(folder: Path, rng: random.Random) -> tuple[Path, bool]:
    """A recording in which every moment, or one, lacks a key or holds something else under it."""
    rows = [json.loads(line) for line in (folder / "recording.jsonl").read_text().splitlines()]
    name, odd = rng.choice([*rows[0]]), rng.choice([[], [1e300] * 3, [0.0] * 4, 1, "x", [[1.0] * 3] * 2])
    for row in rows if rng.random() < 0.7 else rng.sample(rows, 1):
        row[name] = odd
    if rng.random() < 0.2:
        rows = [{key: value for key, value in row.items() if key != name} for row in rows]
    (folder / "recording.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder, False


def logged(folder: Path, rng: random.Random) -> tuple[Path, bool]:
    """A recording of arrays."""
    file = folder / "recording.npz"
    if rng.random() < 0.1:
        file.write_bytes(mutate_bytes(file.read_bytes(), rng))
        return folder, False
    np.savez(file, **_with_an_odd_one(_arrays_of(file), rng))  # type: ignore[arg-type]
    return folder, False


def episodes(file: Path, rng: random.Random) -> tuple[Path, bool]:
    """A recording of a simulation: with other bytes, of something else, or with another array."""
    action, arrays = rng.random(), _arrays_of(file)
    if action < 0.1:
        file.write_bytes(mutate_bytes(file.read_bytes(), rng))
        return file, False
    if action < 0.5:
        about = json.loads(str(arrays["about"]))
        arrays["about"] = np.array(json.dumps(mutate_json(about, rng)))
    elif action < 0.6:
        arrays["length"] = np.array(rng.choice([[1, 99], [99, 1], [100], [0, 100], [-1, 101], [2**62, 2**62]]))
    else:
        arrays = _with_an_odd_one(arrays, rng)
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file, False


def _arrays_of(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as stored:
        return dict(stored)


def _with_an_odd_one(arrays: dict[str, np.ndarray], rng: random.Random) -> dict[str, np.ndarray]:
    """The arrays with one of them missing, or of another shape, size or type, or not finite."""
    name = rng.choice([*arrays])
    array = arrays.pop(name)
    if rng.random() < 0.8:
        words, flat = np.full(array.shape, "x"), array.reshape(-1)
        odd = [words, flat, flat[0], array.astype(str)]
        if array.ndim:
            odd += [array[:-1], array[..., :1], array[:0]]
        if array.dtype.kind in "iuf":
            with np.errstate(all="ignore"):
                odd += [array + 1, array * np.inf, array * 1e300, array.astype(np.uint8)]
        arrays[name] = rng.choice(odd)
    return arrays


def ledger(folder: Path, rng: random.Random) -> tuple[Path, bool]:
    """A reality that was sealed otherwise, or has another row in its ledger, or is whole, with every digest right."""
    sealed, rows = folder / SEALED, folder / LEDGER
    action = rng.random()
    if action < 0.2:
        sealed.write_bytes(mutate_text(sealed.read_bytes(), rng))
    elif action < 0.5:
        sealed.write_text(json.dumps(json.loads(sealed.read_bytes()) | rng.choice(SEALED_OTHERWISE)))
    elif action < 0.8:
        rows.write_bytes(mutate_rows(rows.read_bytes(), rng))
    previous, found = hashlib.sha256(sealed.read_bytes()).hexdigest(), []
    with suppress(TypeError, ValueError):  # no row any more
        for line in rows.read_bytes().splitlines() if action < 0.95 else []:
            found.append(json.loads(line) | {"previous": previous})
            previous = serialise.from_dict(Entry, found[-1], "").digest
    rows.write_text("".join(json.dumps(row) + "\n" for row in found))
    return folder, True


def files(
    command: Callable[..., Any], of_file: Callable[..., Any], run: Path
) -> list[tuple[str, float, str, Any, list[Any]]]:
    """What is mutated: its name, how often, the folder or file in the world, how, and what reads it."""
    check = [command(1.0, "deploy-check", "{world}/policy.npz", "--robot", "{live}/robot.toml")]
    show = ("reality", "show", "{live}")
    reads = [command(1.0, *show), command(0.5, *show, "--json", "-"), command(0.3, *show, "--head", "a" * 12)]
    play = ("--reality", "{live}", "--threads", "1", "--episodes")
    reads += [command(1.5, "eval", str(run), *play, "1"), command(0.2, "eval", str(run), *play, "15")]
    reads.append(command(0.1, "eval", "{world}/cut/" + run.name, *play, "1"))
    seal = ("reality", "seal", "{live}", "--seed", "0")
    identify = ("reality", "identify", "{live}", "friction", "mass", "--transitions", "2", "--threads", "1")
    shown = [command(1.0, *identify), command(0.2, *identify, "--json", "-"), command(0.2, *identify, "--steps", "60")]
    shown += [command(0.2, *identify, "--episodes", "1"), (0.5, demonstrated)]
    return [
        ("episodes.npz", 1.5, "episodes.npz", episodes, shown),
        ("robot/robot.toml", 2.5, "robot", described, check),
        ("robot/recording.jsonl", 1.0, "robot", moments, check),
        ("robot/recording.jsonl, its rows", 1.0, "robot", of_file("recording.jsonl"), check),
        ("robot/recording.npz", 1.5, "logged", logged, check),
        ("arm/sealed.json", 0.5, "arm", of_file(SEALED), reads),
        ("arm/ledger.jsonl", 0.5, "arm", of_file(LEDGER), reads),
        ("arm", 2.0, "arm", ledger, reads),
        ("arm.toml", 1.5, "arm.toml", of_file(""), [command(1.0, *seal), (0.1, twice(command(1.0, *seal)[1]))]),
    ]


def demonstrated(file: Path) -> None:
    """What a training reads of a file of demonstrations, as a recording is one."""
    read_demonstrations(file, _spec())


@cache
def _spec() -> Spec:
    with closing(make_env(EnvConfig("FetchPickAndPlace-v4"), 1, "evaluation")) as env:
        return env.spec


def twice(read: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Read a file and, if that went well, read it again."""
    return lambda live: read(live) or read(live)
