"""Groups of runs: found by what a person calls them, and read with their verdicts, to be compared."""

import glob
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import track

from wellposed import verdict
from wellposed.analysis.comparison import Group, Run
from wellposed.errors import UserError
from wellposed.runs.store import RunReader, list_runs
from wellposed.serialise import content_hash
from wellposed.study.trials import read_trial

ENDED = ("finished", "diverged")


def find_runs(words: str, runs_dir: Path) -> list[RunReader]:
    """The runs of one configuration that a person means, in the order of their seeds.

    Args:
        words: with commas between them, each a directory (one run's, or one that holds some), a pattern with `*`, or
            else the beginning of runs' names below `runs_dir`, or of the hash in them.
        runs_dir: where names are looked for.

    Raises:
        UserError: if there are none, they are of several configurations, two have the same seed, or one has not ended.
    """
    found = {reader.path.resolve(): reader for word in words.split(",") for reader in _called(word.strip(), runs_dir)}
    readers = sorted(found.values(), key=lambda reader: reader.config["seed"])
    names = [_label(reader) for reader in readers]
    if len(set(names)) > 1:
        counts = ", ".join(f"{name} ({names.count(name)} runs)" for name in sorted(set(names)))
        raise UserError(f"{words!r} names runs of several configurations: {counts}. Name one of them.")
    seeds = [reader.config["seed"] for reader in readers]
    if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise UserError(f"{words!r} names two runs with seed {twice[0]}, which would count twice. Leave one out.")
    for reader in readers:
        if reader.status not in ENDED:
            raise UserError(
                f"{reader.path} is {reader.status}. Comparing only the runs that have ended would favour those that "
                f"ended early; let it end first (`wellposed resume {reader.path}`)."
            )
    return readers


def _called(word: str, runs_dir: Path) -> list[RunReader]:
    """The runs that one word names."""
    if not word:
        raise UserError("A group of runs was named with an empty word; `wellposed runs` lists what there is.")
    if Path(word).is_dir():
        found = list_runs(Path(word))
    elif glob.has_magic(word):
        found = [reader for folder in sorted(glob.glob(word)) for reader in list_runs(Path(folder))]
    else:
        found = [reader for reader in list_runs(runs_dir) if _begins(reader.path.name, word)]
    if not found:
        raise UserError(
            f"There is no run called {word!r}: it is neither a directory nor a pattern, and no run below {runs_dir} "
            "has a name or a hash that begins so. `wellposed runs` lists what there is; --runs-dir looks elsewhere."
        )
    return found


def _begins(name: str, word: str) -> bool:
    """Whether the name of a run begins so, or the hash in it; `..._s1` does not mean `..._s10`."""
    shared, _, _ = name.rpartition("_s")
    return name == word or shared.startswith(word) or shared.rpartition("_")[2].startswith(word)


def _label(reader: RunReader) -> str:
    """What the names of all runs of a configuration have in common, read from the configuration itself."""
    config = reader.config
    shared = {name: value for name, value in config.items() if name != "seed"}
    return f"{config['env']}_{config['algo']}_{content_hash(shared)}"


def read_groups(
    a: list[RunReader], b: list[RunReader], episodes: int = verdict.EPISODES, threads: int = 2
) -> tuple[Group, Group]:
    """Read the runs of two groups, and play the held-out episodes of those that have no verdict yet.

    Args:
        a: the runs of one group. b: those of the other. episodes: held-out episodes of each run, the same for all. A
        verdict over the usual number is stored with the run. threads: native threads for physics.

    Raises:
        UserError: if both groups hold the same run, or a record is damaged.
        KeyboardInterrupt: after Ctrl-C; verdicts that are stored are not lost.
    """
    if both := {reader.path.resolve() for reader in a} & {reader.path.resolve() for reader in b}:
        raise UserError(f"{min(both)} is named in both groups; a run cannot be better than itself.")
    console = Console(stderr=True)
    told = track([*a, *b], "held-out episodes", console=console, transient=True, disable=not sys.stderr.isatty())
    runs = [_read(reader, episodes, threads) for reader in told]
    one, other = (
        Group(_label(of_one[0]), {name: value for name, value in of_one[0].config.items() if name != "seed"}, found)
        for of_one, found in ((a, runs[: len(a)]), (b, runs[len(a) :]))
    )
    return one, other


def _read(reader: RunReader, episodes: int, threads: int) -> Run:
    """One run; of one that diverged no episode counts as a success, whatever it had learnt before."""
    if reader.summary is None:
        trial = replace(read_trial(reader.path, None), episodes=episodes)
        return Run(trial, reader.evaluations, {}, reader.provenance)
    judge = verdict.stored_verdict if episodes == verdict.EPISODES else partial(verdict.assess, episodes=episodes)
    judged = judge(reader.path, threads=threads)
    by_kind = {}
    for kind in judged.trained.success_by_kind:
        among = [episode.success for episode in judged.per_episode if episode.goal_kind == kind]
        by_kind[kind] = (sum(among), len(among))
    return Run(read_trial(reader.path, judged), reader.evaluations, by_kind, reader.provenance)
