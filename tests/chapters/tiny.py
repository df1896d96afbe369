"""A tiny chapter, and results that were made up."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from course.chapters import traces
from course.chapters.load import load_chapter
from course.chapters.results import Curve, HeldOut, RunResult
from course.chapters.spec import Chapter
from course.chapters.trace import cases
from wellposed import serialise
from wellposed.runs import checkpoint
from wellposed.runs.files import read_json, write_json
from wellposed.runs.record import Estimate, Solved
from wellposed.runs.store import run_name

HEAD = """
number = 4
title = "Hindsight"
summary = "A tiny chapter."
minutes = 3
study_minutes = 60

[experiments.width]
title = "Does a wider network help?"
"""
JUDGED = """
[[deliverables]]
file = "width.json"
schema = "experiment"
says = "what a width needs"

[[criteria]]
says = "Something is known."
of = "width.narrow 0.5"
metric = "success"
statistic = "mean"
at_least = 0.0
"""
TOML = f"""{HEAD}env = "FetchReach-v4"
seeds = "0"
until_success = 0.98
[experiments.width.base]
total_steps = 160
random_steps = 160
num_envs = 4
eval_every = 80
eval_episodes = 4
"agent.batch_size" = 16
[experiments.width.variants."narrow 0.5"]
"agent.hidden" = [8]
{JUDGED}
[[criteria]]
says = "It used its budget."
of = "width.narrow 0.5"
metric = "end_steps"
statistic = "max"
equals = 160
"""


def write_chapter(folder: Path, text: str = TOML) -> Path:
    """The chapter's folder below a directory of chapters."""
    place = folder / "chapters" / "ch04_hindsight"
    place.mkdir(parents=True, exist_ok=True)
    (place / "chapter.toml").write_text(text)
    return place


def load(folder: Path, text: str = TOML) -> Chapter:
    """The chapter, read."""
    return load_chapter(write_chapter(folder, text))


def store_traces(chapter: Chapter, content: float = 0.0) -> dict[str, str]:
    """Traces of all that a chapter names, made up, one number each; their digests by name."""
    samples = {name: {"steps/reward": np.array([i, content], np.float32)} for i, name in enumerate(cases(chapter))}
    of = {name: case if isinstance(case, str) else serialise.to_dict(case) for name, case in cases(chapter).items()}
    found = {name: traces.StoredTrace(of[name], traces.digest(samples[name]), "abc", "a processor") for name in of}
    traces.store_traces(chapter.folder, found, samples)
    return {name: trace.digest for name, trace in found.items()}


def as_seed(run: Path, seed: int) -> Path:
    """A copy of a run that says it is of another seed, hashes and all."""
    data = read_json(run / "config.json")
    data["config"]["seed"] = seed
    data["hash"] = serialise.content_hash(data["config"])
    copy = run.parent / run_name(data["config"])
    shutil.copytree(run, copy)
    write_json(copy / "config.json", data)
    verdict = read_json(copy / "verdict.json") if (copy / "verdict.json").exists() else None
    for file in (copy / "checkpoints").glob("*.json"):
        manifest = replace(checkpoint.read_manifest(file), config_hash=data["hash"])
        state = checkpoint.load(copy, manifest.state)
        renewed = checkpoint.commit(copy, manifest, state)
        if verdict and verdict["checkpoint"] == manifest.state.sha256:
            write_json(copy / "verdict.json", verdict | {"checkpoint": renewed.state.sha256})
    return copy


def made_up(seed: int, success: str = "1111011111", solved_at: int | None = 200, **changes) -> RunResult:
    """A run that was not run: held-out episodes as one character each, and the step at which it reached the bar."""
    solved = None if solved_at is None else Solved(0.9, solved_at, solved_at // 2, solved_at / 100)
    end = solved_at or 1000
    floor = "1" + "0" * (len(success) - 1)
    air = "01" * (len(success) // 2)
    kinds = {"air": air, "table": air.translate(str.maketrans("01", "10"))}
    held_out = HeldOut(0, "abc", success, floor, kinds, Estimate(0.2, (0.1, 0.3)), {"final_distance": 0.01 * seed})
    curve = Curve(10, [0, 100, end], [0, 50, end // 2], [0.0, 1.0, end / 100], [0, 5, 9])
    series: dict[str, list[float | None]] = {"train/temperature": [None, 0.2, 0.05]}
    series["rollout/moved_rate"] = [None, 0.125, 0.0625]
    run = RunResult(
        run=f"run{seed}",
        seed=seed,
        ended="budget" if solved is None else "solved",
        step=end,
        updates=end // 2,
        seconds=end / 100,
        solved=solved,
        held_out=held_out,
        curve=curve,
        series=series,
        command="wellposed chapter run 4",
        commit="abc",
        dirty=False,
        cpu="a processor",
        cores=2,
        started="2026-01-01T00:00:00+00:00",
    )
    return replace(run, **changes)
