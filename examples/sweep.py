"""A sweep: three learning rates, three seeds each, trained side by side; how many solve the task, and at which step.

    python examples/sweep.py
    python examples/sweep.py --env FetchPush-v4 --total-steps 60000 --bar 0.95

`wellposed experiment FILE` does the same from a file of variants, goes on where it was stopped, and stores the answers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import tyro

import wellposed as wp


def configurations(env: str, total_steps: int, bar: float, rates: Sequence[float], seeds: int) -> list[wp.RunConfig]:
    """The recipe of an environment with each learning rate and seed."""
    recipe = replace(wp.default_config(env), total_steps=total_steps, until_success=bar)
    agents = [replace(recipe.agent, learning_rate=rate) for rate in rates]
    return [replace(recipe, seed=seed, agent=agent) for agent in agents for seed in range(seeds)]


def sweep(configs: Sequence[wp.RunConfig], runs_dir: Path) -> Iterator[str]:
    """Train what is asked; yields a line for each learning rate."""
    found: dict[float, list[float]] = {}
    for config, (_, summary) in zip(configs, wp.train_side_by_side(configs, runs_dir), strict=True):
        if summary is None:
            raise SystemExit("Interrupted; `wellposed resume RUN` goes on with a run.")
        steps = found.setdefault(config.agent.learning_rate, [])
        steps.append(summary.solved.step if summary.solved else float("inf"))
    for rate, steps in found.items():
        solved = sum(step < float("inf") for step in steps)
        yield f"learning rate {rate:g}: {solved} of {len(steps)} solved, median step {median(steps):,.0f}"


def main(env: str = "FetchReach-v4", total_steps: int = 8000, bar: float = 0.98, runs_dir: Path = Path("runs/sweep")):
    """Print how each learning rate does on an environment; the directory of the runs must be new or empty."""
    print(*sweep(configurations(env, total_steps, bar, (3e-4, 1e-3, 3e-3), seeds=3), runs_dir), sep="\n")


if __name__ == "__main__":
    tyro.cli(main)
