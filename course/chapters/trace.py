"""Golden traces: what a configuration does in its first 1,600 environment steps or more, as named arrays.

A trace holds two episodes of 16 envs (more steps, where an episode is longer than 50), every update that is due until
then, three evaluations, and a run that died between two checkpoints and was taken up again. Nothing here depends on the
inside of the package but through `course.chapters.taps`: the same two files record traces of another commit.

    python -m course.chapters.trace OUT [CASE ...]      writes OUT/CASE.safetensors; all cases where none is named
"""

import importlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors.numpy import load_file, save_file

from course.chapters import taps
from course.chapters.load import chapter_folders, find_chapters, load_chapter
from course.chapters.spec import Chapter

wp: Any = importlib.import_module("wellposed")  # the public API of whatever version this runs in
Arrays = dict[str, np.ndarray]
STEPS, EPISODES, ENVS, THREADS = 1_600, 4, 16, 2
BESIDE = {"td3": "FetchPush-v4"}  # algorithms that no chapter trains, each with an environment
BATCHES = 2  # minibatches of the first calls of `update` that are kept
UNTOLD = ("seconds", "per_second", "schema")  # ends of names in rows that no behaviour decides


def cases(chapter: Chapter) -> dict[str, Any]:
    """What a chapter's facts rest on, by the first name it has there: configurations, each once and shortened, and
    environments, by their id.
    """
    found: dict[str, Any] = {}
    for name, asked in chapter.experiments.items():
        found |= {f"{name}.{variant}": _shortened(configs[0]) for variant, configs in asked.runs.items()}
    found |= {name: _shortened(study.recipe) for name, study in chapter.studies.items()}
    found |= {
        name: asked.settings.env for name, asked in chapter.measurements.items() if hasattr(asked.settings, "env")
    }
    names = list(found)
    return {name: found[name] for i, name in enumerate(names) if found[name] not in [found[n] for n in names[:i]]}


def _shortened(config: Any) -> Any:
    steps = max(STEPS, 2 * ENVS * taps.episode_steps(config.env.id))
    return taps.shortened(config, steps, steps * 4 // 5, EPISODES)


def record(case: Any) -> Arrays:
    """The trace of a configuration or an environment: arrays in the order in which they come about.

    Raises:
        AssertionError: if the run that was taken up again ended otherwise than the one that was never stopped.
    """
    if isinstance(case, str):
        return _record_environment(case)
    drawn: list[Arrays] = []
    learnt: list[Arrays] = []
    losses: list[dict[str, float]] = []

    def keep(given: Arrays, found: dict[str, float]) -> None:
        learnt.append(given if len(learnt) < BATCHES else {})
        losses.append(found)

    with tempfile.TemporaryDirectory() as folder:
        with taps.tapped(lambda batch: drawn.append(batch if len(drawn) < BATCHES else {}), keep):
            path, _ = wp.train(case, folder, threads=THREADS, quiet=True)
        ended = _of_record(path)
        _die_before_the_end(path)
        [(path, summary)] = wp.resume([path], threads=THREADS, quiet=True)
        if (wrong := first_difference(ended, _of_record(path))) or summary is None:
            raise AssertionError(f"A run that died and was taken up again ended otherwise: {wrong}")
    calls = {f"losses/{name}": np.array([found[name] for found in losses]) for name in losses[0]}
    batches = {
        f"batch {i}/{name}": a for i, batch in enumerate((drawn or learnt)[:BATCHES]) for name, a in batch.items()
    }
    return {name: a for name, a in ended.items() if name.startswith("steps/")} | batches | calls | ended


def _record_environment(env_id: str) -> Arrays:
    """100 steps of uniform actions in all envs."""
    env, rng = wp.make_vec(env_id, ENVS, threads=THREADS), np.random.default_rng(0)
    obs, _ = env.reset(seed=0)
    rows = [dict(obs)]
    for _ in range(STEPS // ENVS):
        action = rng.uniform(-1, 1, (ENVS, *env.single_action_space.shape)).astype(np.float32)
        obs, reward, terminated, truncated, info = env.step(action)
        ends = {"terminated": terminated, "truncated": truncated, "success": np.asarray(info["is_success"])}
        rows.append(dict(obs) | {"action": action, "reward": reward} | ends)
    env.close()
    return merged("reset", rows[0]) | merged(
        "steps", {name: np.stack([row[name] for row in rows[1:]]) for name in rows[1]}
    )


def _of_record(path: Path) -> Arrays:
    """All that a run record holds but seconds: steps, states at its two checkpoints, evaluations, metrics."""
    found: Arrays = {}
    states = sorted((path / "checkpoints").glob("*.safetensors"))
    for moment, state in ((file.stem[-4:], load_file(file)) for file in states):
        found |= merged(f"weights at {moment}", taps.weights(state))
        found |= merged(f"state at {moment}", taps.surroundings(state))
    last, parts = load_file(states[-1]), [load_file(file) for file in sorted((path / "replay").glob("*.safetensors"))]
    steps = _at_random_first(taps.replay(parts)) if parts else merged("steps", taps.rewards(last))
    for kind in ("episodes", "evaluations", "metrics"):
        rows = [json.loads(line) for line in (path / f"{kind}.jsonl").read_text().splitlines()]
        flat = [dict(_leaves(row)) for row in rows]
        names = sorted({name for row in flat for name in row if not name.endswith(UNTOLD)})
        found |= {f"{kind}/{name}": np.array([float(row.get(name, np.nan)) for row in flat]) for name in names}
    return steps | found


def _at_random_first(rows: Arrays) -> Arrays:
    """The rows of a replay in two parts: the first half of the episodes, of uniform actions, and the policy's."""
    begins = np.flatnonzero(rows["time"] == 0)
    policy = begins[len(begins) // 2]
    first, later = (
        {name: array[part] for name, array in rows.items()} for part in (slice(policy), slice(policy, None))
    )
    return merged("steps", first) | merged("later steps", later)


def merged(part: str, arrays: Arrays) -> Arrays:
    """Arrays under `part/name`."""
    return {f"{part}/{name}": array for name, array in arrays.items()}


def _leaves(data: Any, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers in JSON data by dotted name."""
    if isinstance(data, dict | list):
        pairs = data.items() if isinstance(data, dict) else enumerate(data)
        for key, value in pairs:
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(data, int | float):
        yield name, data


def _die_before_the_end(path: Path) -> None:
    """Leave a finished record as it would be had the process died after its last checkpoint but one."""
    (path / "summary.json").unlink()
    newest = max((path / "checkpoints").glob("*.json"))
    newest.unlink()
    newest.with_suffix(".safetensors").unlink()


def first_difference(one: Arrays, other: Arrays) -> str | None:
    """The first quantity of a trace that differs in a bit in another one, as a sentence; None if there is none."""
    for name, here in one.items():
        if name not in other:
            return f"only one of them has {name}"
        there = other[name]
        if (here.dtype, here.shape) != (there.dtype, there.shape):
            return f"{name} is {here.dtype}{list(here.shape)} in one and {there.dtype}{list(there.shape)} in the other"
        if here.tobytes() != there.tobytes():
            where = np.argmax((here != there) & ~((here != here) & (there != there)))
            return f"{name} differs, first in place {where} of {here.size}: {here.flat[where]} and {there.flat[where]}"
    return None


def all_cases() -> dict[str, Any]:
    """The cases of all chapters, each once (`ch04.relabelling.future`), and what no chapter names (`beside.td3`)."""
    found = {f"beside.{algo}": _shortened(wp.default_config(env, algo)) for algo, env in BESIDE.items()}
    for number, folder in chapter_folders(find_chapters()).items():
        for name, case in cases(load_chapter(folder)).items():
            if case not in found.values():
                found[f"ch{number:02d}.{name}"] = case
    return found


def main(out: Path, names: list[str]) -> None:
    """Record traces into a folder."""
    found = all_cases()
    for name in names or found:
        save_file({key: np.ascontiguousarray(a) for key, a in record(found[name]).items()}, out / f"{name}.safetensors")
        jax.clear_caches()
        print(name, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
