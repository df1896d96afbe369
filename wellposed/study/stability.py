"""Stability: how much seeds differ, and how far each setting can be moved before the recipe no longer works."""

from collections.abc import Generator
from pathlib import Path

import jax

from wellposed import envs
from wellposed.analysis.study import DOUBLINGS, Move, Stability, Trial, edges, holds, median_need
from wellposed.config import AnyRunConfig, override
from wellposed.experiments import describe
from wellposed.progress import TrainingProgress
from wellposed.study.moves import Rows, changes, ladders, left_out, next_moves, rows_of
from wellposed.study.trials import Named, train_all, trial_of


def name_of(setting: str, factor: float) -> str:
    """`learning rate x 1/4`, `width x 2`."""
    return f"{setting} x {factor:.0f}" if factor >= 1 else f"{setting} x 1/{1 / factor:.0f}"


def moved(base: list[AnyRunConfig], setting: str, factor: float, rows: Rows) -> list[Named]:
    """The runs of one move, one for each seed."""
    change = changes(base[0], setting, factor, rows)
    assert change is not None
    return [(name_of(setting, factor), override(config, change)) for config in base]


def rows_until_solved(config: AnyRunConfig, trials: list[Trial]) -> Rows:
    """The replay's rows at the median step at which the recipe reaches the bar; at the end of the budget if it does
    not."""
    need = median_need(trials, "step")
    env = envs.make_vec(config.env)
    env.close()
    steps = config.total_steps if need.censored or need.value is None else need.value
    return rows_of(steps, env.max_episode_steps)


def examine(
    base: list[AnyRunConfig],
    trials: list[Trial],
    runs_dir: Path,
    threads: int,
    quiet: bool,
    progress: TrainingProgress | None = None,
    doublings: int = DOUBLINGS,
) -> Generator[str, None, Stability]:
    """Move one setting at a time, by a factor of two each way, and double those that hold.

    Where the recipe itself does not reach the bar there is nothing to break: each setting is moved once.

    Args:
        base: the recipe, one configuration for each seed.
        trials: what they found.
        runs_dir: where runs are.
        threads: runs side by side.
        quiet: no progress bars and no line per evaluation.
        progress: the display of longer work that this is a part of.
        doublings: how often at most a setting is moved by two, each way.

    Yields:
        A line for each run that ended.
    """
    rows = rows_until_solved(base[0], trials)
    ladder = ladders(base[0], rows, doublings if holds(trials) else 1)
    found: list[Move] = []
    held: dict[tuple[str, float], bool] = {}
    while todo := next_moves(ladder, held):
        runs = {move: moved(base, *move, rows) for move in todo}
        every = [run for of_one in runs.values() for run in of_one]
        for answer in train_all(every, runs_dir, threads, quiet, progress):
            yield describe(answer)
        for (setting, factor), of_one in runs.items():
            outcome = [trial_of(config, runs_dir, threads) for _, config in of_one]
            held[setting, factor] = holds(outcome)
            found.append(Move(setting, factor, changes(base[0], setting, factor, rows) or {}, outcome))
        jax.clear_caches()  # each move compiles programs of its own, some 40 MB of them, that no other one can use
    reach = edges(ladder, held) if holds(trials) else []
    return Stability(trials, found, reach, left_out(base[0], rows), doublings)
