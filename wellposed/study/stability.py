"""Stability: how much seeds differ, and how far each setting can be moved before the recipe fails.

One setting is moved at a time, by factors of two, as long as at least half of the seeds reach the bar.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wellposed import serialise
from wellposed.analysis.study import DOUBLINGS, Move, Stability, Trial, edges, holds, median_need
from wellposed.budget import environment_spec
from wellposed.config import AnyRunConfig, RunConfig, override
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.answers import outcome
from wellposed.launch.rows import row_of
from wellposed.progress import TrainingProgress
from wellposed.study.trials import trial_of

Named = tuple[str, AnyRunConfig]  # what a move is called, and a run
RESAMPLED = "same seeds, other minibatches"
Ladders = dict[tuple[str, bool], list[float]]  # (setting, whether up) -> possible factors, nearest first


@dataclass(frozen=True)
class Rows:
    """Rows that limit a move of the replay's size."""

    filled: int  # that a run of the recipe writes until it reaches the bar
    episode: int  # of one episode: no replay can be smaller


def rows_of(steps: float, max_episode_steps: int) -> Rows:
    """The rows of a replay after `steps` environment steps in episodes of full length."""
    episode = max_episode_steps + 1
    return Rows(max(episode, round(steps * episode / max_episode_steps)), episode)


def _capacity(capacity: int, factor: float, rows: Rows) -> int | None:
    """Relative to the rows that are written, because a capacity that is never reached has no effect."""
    kept = min(capacity, rows.filled)
    moved = round(kept * factor)
    felt = factor < 1 or kept * factor / 2 < rows.filled
    return moved if felt and moved >= rows.episode else None


# Each setting: its dotted name in a configuration, and its value after a move by a factor; None: it cannot be moved.
SETTINGS: dict[str, tuple[str, Callable[[Any, float, Rows], Any]]] = {
    "learning rate": ("agent.learning_rate", lambda rate, factor, _: rate * factor),
    "horizon, 1/(1 - discount)": ("agent.gamma", lambda gamma, factor, _: 1 - (1 - gamma) / factor),
    "temperature": ("agent.temperature", lambda temperature, factor, _: temperature * factor),
    "width": ("agent.hidden", lambda widths, factor, _: [max(1, round(width * factor)) for width in widths]),
    "replay size": ("replay.capacity", _capacity),
}


def changes(config: AnyRunConfig, setting: str, factor: float, rows: Rows) -> dict[str, Any] | None:
    """The changed setting of a move, by dotted name; None where the recipe has no such move."""
    name, move = SETTINGS[setting]
    now = serialise.flatten(serialise.whole(config)).get(name)
    moved = None if now is None else move(now, factor, rows)
    try:
        return None if moved is None or override(config, {name: moved}) == config else {name: moved}
    except UserError:  # out of the setting's range
        return None


def ladders(config: AnyRunConfig, rows: Rows, doublings: int = DOUBLINGS) -> Ladders:
    """The factors by which each setting can be moved up and down, up to the first impossible one."""
    found: Ladders = {}
    for setting in SETTINGS:
        for up in (False, True):
            factors = [2.0 ** (n if up else -n) for n in range(1, doublings + 1)]
            possible = [changes(config, setting, factor, rows) is not None for factor in factors]
            end = possible.index(False) if False in possible else len(factors)
            if end:
                found[setting, up] = factors[:end]
    return found


def left_out(config: AnyRunConfig, rows: Rows) -> list[str]:
    """A sentence for each setting that cannot be moved, or not in one direction."""
    there, sentences = ladders(config, rows), []
    for setting in SETTINGS:
        ways = [up for up in (False, True) if (setting, up) not in there]
        if len(ways) == 2:
            sentences.append(f"{config.algo.upper()} has no {setting} that could be moved here.")
        elif setting == "replay size" and ways == [True]:
            sentences.append(f"A larger replay changes nothing: all {rows.filled:,} rows that are written fit already.")
        elif ways:
            sentences.append(f"The {setting} cannot be moved {'up' if ways[0] else 'down'} by a factor of two.")
    return sentences


def next_moves(ladders: Ladders, held: dict[tuple[str, float], bool]) -> list[tuple[str, float]]:
    """The moves to try next: on each ladder the nearest untried factor, unless a nearer one broke.

    Args:
        ladders: the possible moves.
        held: for each tried move, whether at least half of the seeds reached the bar.
    """
    found = []
    for (setting, _), factors in ladders.items():
        nearest = next((factor for factor in factors if not held.get((setting, factor), False)), None)
        if nearest is not None and (setting, nearest) not in held:
            found.append((setting, nearest))
    return found


def name_of(setting: str, factor: float) -> str:
    """`learning rate x 1/4`, `width x 2`."""
    return f"{setting} x {factor:.0f}" if factor >= 1 else f"{setting} x 1/{1 / factor:.0f}"


def moved(base: list[AnyRunConfig], setting: str, factor: float, rows: Rows) -> list[Named]:
    """The runs of one move, one for each seed."""
    change = changes(base[0], setting, factor, rows)
    assert change is not None
    return [(name_of(setting, factor), override(config, change)) for config in base]


def resampled(base: list[AnyRunConfig]) -> list[Named]:
    """The same seeds with other minibatches and hindsight goals, one run for each; none without a replay."""
    return [(RESAMPLED, override(one, {"replay.draw": 1})) for one in base if isinstance(one, RunConfig)]


def rows_until_solved(config: AnyRunConfig, trials: list[Trial]) -> Rows:
    """The replay's rows at the median step at which the recipe reaches the bar, or at the end of the budget."""
    need = median_need(trials, "step")
    steps = config.total_steps if need.censored or need.value is None else need.value
    return rows_of(steps, environment_spec(config.env).max_episode_steps)


def stability_of(
    base: list[AnyRunConfig],
    trials: list[Trial],
    runs_dir: Path,
    threads: int,
    progress: TrainingProgress,
    doublings: int = DOUBLINGS,
) -> Generator[str, None, Stability]:
    """Move one setting at a time up and down by a factor of two, and double the moves that hold.

    Where the recipe itself does not reach the bar nothing can break: each setting is moved once.

    Args:
        base: the recipe, one configuration for each seed.
        trials: their trials.
        runs_dir: directory of the runs.
        threads: runs side by side.
        progress: bars and lines of the runs.
        doublings: how often a setting is moved by two at most, in each direction.

    Yields:
        A line for each run that ended.
    """
    rows = rows_until_solved(base[0], trials)
    ladder = ladders(base[0], rows, doublings if holds(trials) else 1)
    other = yield from _resampled(base, runs_dir, threads, progress)
    found: list[Move] = []
    held: dict[tuple[str, float], bool] = {}
    while todo := next_moves(ladder, held):
        runs = {move: moved(base, *move, rows) for move in todo}
        every = [run for of_one in runs.values() for run in of_one]
        for row in local.train_rows([row_of(*run) for run in every], runs_dir, threads, progress):
            yield outcome(row, runs_dir)
        for (setting, factor), of_one in runs.items():
            trials_ = [trial_of(config, runs_dir, threads) for _, config in of_one]
            held[setting, factor] = holds(trials_)
            found.append(Move(setting, factor, changes(base[0], setting, factor, rows) or {}, trials_))
    reach = edges(ladder, held) if holds(trials) else []
    return Stability(trials, found, reach, left_out(base[0], rows), doublings, other)


def _resampled(
    base: list[AnyRunConfig], runs_dir: Path, threads: int, progress: TrainingProgress
) -> Generator[str, None, Move | None]:
    """Train the recipe's seeds with other minibatches, and return what became of them; None without a replay."""
    runs = resampled(base)
    for row in local.train_rows([row_of(*run) for run in runs], runs_dir, threads, progress):
        yield outcome(row, runs_dir)
    trials = [trial_of(config, runs_dir, threads) for _, config in runs]
    return Move(RESAMPLED, 1.0, {"replay.draw": 1}, trials) if trials else None
