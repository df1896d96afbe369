"""What demonstrations and a warm start bring on Push and PickAndPlace: environment steps and seconds to the bar.

Every variant is the default recipe with one thing added, five seeds each, and stops at two monitoring evaluations in a
row at 95 %. Cloning counts in the seconds, demonstrations do not count as steps. Finished runs are not trained again.

    python -m benchmarks.warm_start                # both tasks, fifty runs: some two hours on two cores
    python -m benchmarks.warm_start FetchPush-v4 --seeds 0-4 --runs-dir runs/warm_start
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import print_header
from wellposed import serialise
from wellposed.analysis.differences import ratio_of_times
from wellposed.analysis.summary import summary_over_seeds
from wellposed.analysis.survival import Times
from wellposed.config import AnyRunConfig
from wellposed.launch import local
from wellposed.launch.rows import folder_of, row_of
from wellposed.progress import TrainingProgress
from wellposed.recipes import default_config
from wellposed.runs.store import RunReader, run_name
from wellposed.seeding import parse_seeds

BAR = 0.95
EPISODES = 100  # of each monitoring evaluation
EVERY = {"FetchPush-v4": 2_000, "FetchPickAndPlace-v4": 10_000}
NOTHING = "nothing"
VARIANTS: dict[str, dict[str, Any]] = {
    NOTHING: {},
    "25 demonstrations": {"demonstrations": "oracle:25"},
    "100 demonstrations": {"demonstrations": "oracle:100"},
    "100 demonstrations, not cloned": {"demonstrations": "oracle:100", "clone_updates": 0},
}
OTHER = {"FetchPush-v4": "FetchPickAndPlace-v4", "FetchPickAndPlace-v4": "FetchPush-v4"}


def config_of(env: str, seed: int, settings: dict[str, Any]) -> AnyRunConfig:
    """A run of a variant."""
    shared = {"until_success": BAR, "stop_rule": "twice", "eval_every": EVERY[env], "eval_episodes": EPISODES}
    return replace(default_config(env), seed=seed, **shared, **settings)


def runs_of(env: str, seeds: list[int], runs_dir: Path) -> dict[str, list[AnyRunConfig]]:
    """All runs on a task by variant; the last one begins with the network that solved the other task."""
    named = {name: [config_of(env, seed, settings) for seed in seeds] for name, settings in VARIANTS.items()}
    other = [runs_dir / run_name(serialise.to_dict(config_of(OTHER[env], seed, {}))) for seed in seeds]
    starts = [config_of(env, seed, {"init_from": str(path)}) for seed, path in zip(seeds, other, strict=True)]
    return named | {f"a policy for {OTHER[env]}": starts}


def report(env: str, named: dict[str, list[AnyRunConfig]], runs_dir: Path) -> None:
    """A line for each variant."""
    print(f"\n## {env}, to {BAR:.0%} of {EPISODES} monitoring episodes twice in a row")
    print(
        "| begins with | solved | environment steps, median | seconds, median | steps relative to nothing | at step 0 |"
    )
    print("|---|---|---|---|---|---|")
    nothing: Any = None
    for name, configs in named.items():
        readers = [RunReader(folder_of(config, runs_dir)) for config in configs]
        ends = [reader.summary for reader in readers]
        reached = np.array([end is not None and end.solved is not None for end in ends])
        last = [reader.evaluations[-1] for reader in readers]
        steps, seconds = (np.array([getattr(row, of) for row in last], float) for of in ("step", "seconds"))
        times = Times(steps, reached)
        nothing = nothing or times
        ratio = ratio_of_times(times, nothing)
        kinds = {"count": steps, "seconds": seconds}
        told = [summary_over_seeds(values, kind, censored=~reached, median=True).text for kind, values in kinds.items()]  # type: ignore[arg-type]
        first = np.mean([reader.evaluations[0].success_rate for reader in readers])
        relative = f"{ratio.at_least:.2f} ({100 * ratio.confidence:.0f} % CI {ratio.low:.2f}-{ratio.high:.2f})"
        print(f"| {name} | {reached.sum()} of {len(reached)} | {told[0]} | {told[1]} | {relative} | {first:.1%} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("envs", nargs="*", default=[*EVERY])
    parser.add_argument("--seeds", default="0-4")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/warm_start"))
    args = parser.parse_args()
    seeds, cores = parse_seeds(args.seeds), len(os.sched_getaffinity(0))
    print_header("What demonstrations and warm starts bring", "jax", "mujoco")
    # What others begin with comes first.
    first = [row_of(f"{env} {seed}", config_of(env, seed, {})) for env in EVERY for seed in seeds]
    list(local.train_rows(first, args.runs_dir, cores, TrainingProgress(quiet=True)))
    for env in args.envs:
        named = runs_of(env, seeds, args.runs_dir)
        rows = [row_of(f"{name} {config.seed}", config) for name, configs in named.items() for config in configs]
        list(local.train_rows(rows, args.runs_dir, cores, TrainingProgress(quiet=True)))
        report(env, named, args.runs_dir)


if __name__ == "__main__":
    main()
