"""What reads a stranger's files, each with a valid file to begin from (see fuzz.py)."""

import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.chapters.tiny import TOML, write_chapter
from tests.fuzz import either, mutate_bytes, mutate_json, mutate_tensors
from tests.test_resume import TINY
from wellposed import serialise
from wellposed.chapters.load import load_chapter
from wellposed.config import stored_config
from wellposed.envs.make import make_env
from wellposed.interrupts import Stopwatch
from wellposed.launch.answers import load_answers
from wellposed.launch.manifest import load_experiment
from wellposed.loop.off_policy import OffPolicy, advance
from wellposed.runs import checkpoint
from wellposed.runs.files import read_json, read_lines
from wellposed.runs.record import EpisodeRow, Failure, Verdict, WarningRow, decode, encode
from wellposed.runs.store import RunReader, run_name
from wellposed.runs.writer import Restored
from wellposed.training import train
from wellposed.verdict import assess

QUESTION = """
title = "?"
env = "FetchReach-v4"
seeds = "0-1"
until_success = 0.9
[base]
total_steps = 400
[variants.one]
"agent.mirror" = false
[variants.two]
agent.inputs.clip = 3.0
"""


@dataclass
class Target:
    """Something that reads: `prepare` writes a mutated input and returns its size, `read` reads it."""

    name: str
    prepare: Callable[[random.Random], int]
    read: Callable[[], Any]


def targets(folder: Path) -> list[Target]:
    """All targets, around one run that is trained here."""
    path = train(replace(TINY, until_success=None), folder / "runs", quiet=True)[0]
    for name, row in {"failure": Failure(1, 1, "loss", "why"), "verdict": assess(path, episodes=2)}.items():
        (path / f"{name}.json").write_text(json.dumps(encode(row)))
    (path / "warnings.jsonl").write_text(json.dumps(encode(WarningRow(1, "mjWARN_INERTIA", 2))) + "\n")
    reader = RunReader(path)
    found = [_document(path / name, read) for name, read in _documents(reader).items()]
    return [*found, _config(folder, path), _manifest(reader), _arrays(reader), _restored(reader), *_questions(folder)]


def _documents(reader: RunReader) -> dict[str, Callable[[], Any]]:
    """How each JSON file of a run is read."""
    path = reader.path
    episodes = path / "episodes.jsonl"

    def read_episodes() -> None:
        for row in read_lines(episodes):
            decode(EpisodeRow, {k: v for k, v in row.items() if k != "step"} if isinstance(row, dict) else row, "x")

    return {
        "provenance.json": lambda: reader.provenance,
        "summary.json": lambda: reader.summary,
        "failure.json": lambda: reader.failure,
        "metrics.jsonl": lambda: reader.metrics,
        "evaluations.jsonl": lambda: reader.evaluations,
        "warnings.jsonl": lambda: reader.warnings,
        "episodes.jsonl": read_episodes,
        "verdict.json": lambda: decode(Verdict, read_json(path / "verdict.json"), "x"),
    }


def _document(file: Path, read: Callable[[], Any]) -> Target:
    original = file.read_bytes()

    def prepare(rng: random.Random) -> int:
        return file.write_bytes(either(file, original, rng))

    return Target(file.name, prepare, read)


def _config(folder: Path, path: Path) -> Target:
    """A configuration in a directory of the name that it claims, with the hash that it claims."""
    original, strange = json.loads((path / "config.json").read_text()), folder / "strange"
    there: list[Path] = []

    def prepare(rng: random.Random) -> int:
        shutil.rmtree(strange, ignore_errors=True)
        data = mutate_json(original, rng)
        place = strange / "x"
        try:
            data["hash"] = serialise.content_hash(data["config"])
            place = strange / run_name(data["config"])
            assert place.resolve().parent == strange.resolve(), "a name escapes the directory"
            place.mkdir(parents=True)
        except (TypeError, KeyError, ValueError, AttributeError, OSError):
            place = strange / "x"
            place.mkdir(parents=True, exist_ok=True)
        there[:] = [place]
        content = json.dumps(data).encode()
        return (place / "config.json").write_bytes(mutate_bytes(content, rng) if rng.random() < 0.2 else content)

    return Target("config.json", prepare, lambda: stored_config(there[0]))


def _manifest(reader: RunReader) -> Target:
    file = checkpoint.manifests(reader.path)[0]
    original = file.read_bytes()

    def prepare(rng: random.Random) -> int:
        return file.write_bytes(either(file, original, rng))

    def read() -> None:
        manifest, _ = reader.load_state(file)
        for part in manifest.replay:
            checkpoint.load(reader.path, part.stored)

    return Target("manifest", prepare, read)


def _arrays(reader: RunReader) -> Target:
    """A state file whose digest fits."""
    manifest, state = reader.load_state(checkpoint.manifests(reader.path)[1])
    stored = [manifest.state]

    def prepare(rng: random.Random) -> int:
        content = mutate_tensors(state, rng)
        file = "checkpoints/000099_step_0000000001.safetensors"
        stored[0] = checkpoint.StoredArrays(file, len(content), hashlib.sha256(content).hexdigest())
        return (reader.path / file).write_bytes(content)

    return Target("state", prepare, lambda: checkpoint.load(reader.path, stored[0]))


def _restored(reader: RunReader) -> Target:
    """A checkpoint whose digests all fit, taken up for a few steps."""
    from concurrent.futures import ThreadPoolExecutor

    from wellposed.arrays import part_of

    manifest, state = reader.load_state(checkpoint.manifests(reader.path)[1])
    parts = [(part.first, checkpoint.load(reader.path, part.stored)) for part in manifest.replay]
    env, eval_env = (make_env(TINY.env, n, "training") for n in (TINY.num_envs, 2))
    at: dict[str, Any] = {}

    def prepare(rng: random.Random) -> int:
        from safetensors.numpy import load

        try:
            at["state"] = load(mutate_tensors(state, rng))
            at["parts"] = [
                (parts[0][0] + rng.choice([0, 0, -1, 5]), load(mutate_tensors(parts[0][1], rng))),
                *parts[1:],
            ]
        except Exception:  # not even a file: that is the other target's business
            at["state"], at["parts"] = {}, []
        if rng.random() < 0.7:
            at["parts"] = parts
        return sum(array.nbytes for array in at["state"].values())

    def read() -> None:
        agent, loop = part_of(at["state"], "agent"), part_of(at["state"], "loop")
        training = OffPolicy(TINY, env, eval_env, Stopwatch())
        training.restore(Restored(manifest, agent, loop, at["parts"], [], [], 0))
        with ThreadPoolExecutor(1) as collector:
            for _ in range(60):
                advance(training, collector, [])

    return Target("taking up", prepare, read)


def _questions(folder: Path) -> list[Target]:
    """An experiment's question and its answers."""
    question, answers = folder / "question.toml", folder / "answers.json"
    stored = Path(__file__).parent.parent / "experiments" / "push.json"
    original = stored.read_bytes() if stored.exists() else b'{"schema": 3}'

    def ask(rng: random.Random) -> int:
        return question.write_bytes(mutate_bytes(QUESTION.encode(), rng))

    def answer(rng: random.Random) -> int:
        return answers.write_bytes(either(answers, original, rng))

    return [
        Target("experiment", ask, lambda: load_experiment(question).runs()),
        Target("answers", answer, lambda: load_answers(answers)),
        _chapter(folder),
    ]


def _chapter(folder: Path) -> Target:
    """The data of a chapter."""
    place = write_chapter(folder)

    def prepare(rng: random.Random) -> int:
        return (place / "chapter.toml").write_bytes(mutate_bytes(TOML.encode(), rng))

    return Target("chapter", prepare, lambda: load_chapter(place))
