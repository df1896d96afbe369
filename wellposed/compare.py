"""`wellposed compare`: find two groups of runs, read them, and describe their comparison in sentences.

The statistics are in `wellposed.analysis.comparison`.
"""

import glob
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from wellposed import verdict
from wellposed.analysis.comparison import Comparison, Group, Run
from wellposed.errors import UserError
from wellposed.report import template
from wellposed.runs.store import RunReader, list_runs, resume_command, run_name
from wellposed.study.trials import read_trial
from wellposed.terminal import Lasting

ENDED = ("finished", "diverged")
NOUNS = {"step": "Environment steps", "updates": "Gradient updates", "seconds": "Seconds of training"}


def find_runs(words: str, runs_dir: Path) -> list[RunReader]:
    """Runs of one configuration by name, in the order of their seeds.

    Args:
        words: separated by commas; each a run directory, a directory that contains runs, a pattern with `*`, or the
            beginning of a run's name (or of the hash in it) below `runs_dir`.
        runs_dir: where names are looked up.

    Raises:
        UserError: if there are none, they have several configurations, two have the same seed, or one has not ended.
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
                f"ended early; finish it first (`{resume_command([reader.path])}`)."
            )
    return readers


def _called(word: str, runs_dir: Path) -> list[RunReader]:
    """The runs that one word names."""
    if not word:
        raise UserError("The name of a group of runs is empty; `wellposed runs` lists the runs.")
    if Path(word).is_dir():
        found = list_runs(Path(word))
    elif glob.has_magic(word):
        found = [reader for folder in sorted(glob.glob(word)) for reader in list_runs(Path(folder))]
    else:
        found = [reader for reader in list_runs(runs_dir) if _begins(reader.path.name, word)]
    if not found:
        raise UserError(
            f"There is no run called {word!r}: it is neither a directory nor a pattern, and no run below {runs_dir} "
            "has a name or a hash that begins with it. `wellposed runs` lists the runs; --runs-dir looks elsewhere."
        )
    return found


def _begins(name: str, word: str) -> bool:
    """Whether the name of a run, or the hash in it, begins with a word; `..._s1` does not match `..._s10`."""
    shared, _, _ = name.rpartition("_s")
    return name == word or shared.startswith(word) or shared.rpartition("_")[2].startswith(word)


def _label(reader: RunReader) -> str:
    """The part of the name that all runs of a configuration share, made from the configuration itself."""
    return run_name(reader.config).rpartition("_s")[0]


def read_groups(
    a: list[RunReader], b: list[RunReader], episodes: int = verdict.EPISODES, threads: int = 2
) -> tuple[Group, Group]:
    """Read the runs of two groups; those without a verdict play their held-out episodes now.

    Args:
        a: the runs of one group.
        b: the runs of the other.
        episodes: held-out episodes of each run, the same for all. Verdicts over the default number are stored.
        threads: native threads for physics.

    Raises:
        UserError: if both groups contain the same run, or a record is damaged.
        KeyboardInterrupt: after Ctrl-C; stored verdicts are kept.
    """
    if both := {reader.path.resolve() for reader in a} & {reader.path.resolve() for reader in b}:
        raise UserError(f"{min(both)} is named in both groups; a run cannot be better than itself.")
    console = Console(file=Lasting(sys.stderr))  # type: ignore[arg-type]
    told = track([*a, *b], "held-out episodes", console=console, transient=True, disable=not sys.stderr.isatty())
    runs = [_read(reader, episodes, threads) for reader in told]
    one, other = (
        Group(_label(of_one[0]), {name: value for name, value in of_one[0].config.items() if name != "seed"}, found)
        for of_one, found in ((a, runs[: len(a)]), (b, runs[len(a) :]))
    )
    return one, other


def _read(reader: RunReader, episodes: int, threads: int) -> Run:
    """One run. If it diverged, no episode counts as a success, whatever it had learnt before."""
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


def lines(found: Comparison) -> list[str]:
    """The lines that `wellposed compare` prints; the first is the answer."""
    return template("compare.txt.j2").render(found=found, answer=answer(found), NOUNS=NOUNS).splitlines()


def answer(found: Comparison) -> str:
    """Which is better, in a sentence that claims no more than the intervals."""
    ahead = np.sign(found.success.difference.value) if found.success.shown else 0  # 1: A, -1: B
    step = next((one.ratio for one in found.times if one.quantity == "step"), None)
    sooner = np.sign(1 - step.low) if step is not None and step.decided else 0
    better, faster = ("A" if sign > 0 else "B" for sign in (ahead, sooner))
    if ahead and sooner == -ahead:
        return (
            f"{better} succeeds more often and {faster} reaches the bar in fewer steps: which is better depends on "
            "what matters to you."
        )
    if ahead:
        return f"{better} is better: it succeeds more often{' and reaches the bar in fewer steps' if sooner else ''}."
    if sooner:
        return f"{faster} learns faster: it reaches the bar in fewer steps. No difference in success is shown."
    return "Neither is shown to be better. That does not mean that they are equal."
