"""`wellposed compare`: find two groups of runs, read them, and describe their comparison in sentences.

The statistics are in `wellposed.analysis.comparison`.
"""

import glob
import sys
from dataclasses import replace
from functools import partial
from math import isinf
from pathlib import Path

from rich.console import Console
from rich.progress import track

from wellposed import verdict
from wellposed.analysis.comparison import Comparison, Differing, Group, RateDifference, Run, TimeRatio
from wellposed.analysis.differences import Ratio
from wellposed.errors import UserError
from wellposed.runs.record import Estimate
from wellposed.runs.store import RunReader, list_runs, resume_command, run_name
from wellposed.study.trials import read_trial

ENDED = ("finished", "diverged")
NOUNS = {"step": "environment steps", "updates": "gradient updates", "seconds": "seconds of training"}


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
    console = Console(stderr=True)
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
    said = [
        answer(found),
        "",
        f"A: {_group(found.a, found.seeds[0])}",
        f"B: {_group(found.b, found.seeds[1])}",
        *_settings(found),
        *_few(found),
        "",
        *_rate(found.success),
        f"  A run of A succeeds more often than a run of B with probability {_share(found.better)}.",
    ]
    if found.needed is not None:
        said.append(
            "  If the difference is as large as it looks, about "
            f"{found.needed.seeds} seeds each, and {found.needed.episodes} episodes, are needed to tell it from 0."
        )
    for one in found.by_kind:
        said += _rate(one)
    if found.bar is None:
        return [*said, "", "No run stops at a success rate, so there is no bar to reach; name one with --bar."]
    said += ["", f"To the bar, {found.bar:.0%} of the monitoring episodes twice in a row:"]
    return said + [line for one in found.times for line in _time(one, found.same_machine)]


def answer(found: Comparison) -> str:
    """Which is better, in a sentence that claims no more than the intervals."""
    ahead = _sign(found.success.difference.value) if found.success.shown else 0
    step = next((one.ratio for one in found.times if one.quantity == "step"), None)
    sooner = 0 if step is None or not step.decided else _sign(1 - step.low)
    if ahead and sooner == -ahead:
        return (
            f"{_name(ahead)} succeeds more often and {_name(sooner)} reaches the bar in fewer steps: which is better "
            "depends on what matters to you."
        )
    if ahead:
        too = " and reaches the bar in fewer steps" if sooner else ""
        return f"{_name(ahead)} is better: it succeeds more often{too}."
    if sooner:
        return f"{_name(sooner)} learns faster: it reaches the bar in fewer steps. No difference in success is shown."
    return "Neither is shown to be better. That does not mean that they are equal."


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _name(sign: int) -> str:
    return "A" if sign > 0 else "B"


def _group(label: str, seeds: list[int]) -> str:
    return f"{label}, {'seed' if len(seeds) == 1 else f'{len(seeds)} seeds:'} {', '.join(map(str, seeds))}"


def _settings(found: Comparison) -> list[str]:
    """How the configurations, code and machines of the groups differ."""
    if not found.settings:
        said = ["They have the same configuration; they differ in their seeds and in what is listed below."]
    elif found.changes == 1:
        one = len(found.settings) == 1
        said = [f"They differ in {'one setting' if one else 'one thing, with several settings'}:"]
    else:
        said = [
            f"WARNING: they differ in {found.changes} settings, so no difference can be attributed to one of them. "
            "Change one thing at a time."
        ]
    said += _table(found.settings)
    if any(setting.name == "env.id" for setting in found.settings):
        said.append("WARNING: their environments differ, and success may be easier in one of them.")
    if found.unrecorded:
        said.append(f"Not recorded by all of them, so nothing is said of it: {', '.join(found.unrecorded)}.")
    if found.circumstances:
        said += ["WARNING: not only settings differ:", *_table(found.circumstances)]
    return said


def _table(differing: list[Differing]) -> list[str]:
    return [f"  {one.name}: {one.a} in A, {one.b} in B" for one in differing]


def _few(found: Comparison) -> list[str]:
    if min(len(seeds) for seeds in found.seeds) > 1:
        return []
    return [
        "WARNING: one seed does not show how much seeds differ. The interval of its rate is that of the run, not of "
        "its configuration, and nothing is claimed."
    ]


def _rate(one: RateDifference) -> list[str]:
    """Both rates, and their difference."""
    low, high = (100 * end for end in one.difference.ci95)
    text = f"{100 * one.difference.value:+.1f} percentage points (95 % CI {low:+.1f} to {high:+.1f})"
    verdict = "." if one.shown else ": no difference is shown."
    head = f"Success on held-out episodes{f', {one.of}' if one.of else ''}"
    return [f"{head}: A {one.a.text}, B {one.b.text}.", f"  A minus B: {text}{verdict}"]


def _time(one: TimeRatio, same_machine: bool) -> list[str]:
    """What both groups need of a quantity, and the ratio."""
    noun = NOUNS[one.quantity]
    said = [f"{noun[0].upper()}{noun[1:]}: A {one.a.text}, B {one.b.text}."]
    if one.quantity == "seconds" and not same_machine:
        return [*said, "  They were not measured on the same machine and threads, so they are not compared."]
    ratio = one.ratio
    if ratio.low == 0 and isinf(ratio.high):
        return [*said, "  Too few of the runs reached it to compare them."]
    sure = f"({100 * ratio.confidence:.0f} % CI {_ends(ratio)})"
    if ratio.decided:
        verdict = "."
    elif ratio.confidence < 0.95:
        verdict = ": with so few seeds more is not possible, and no difference is claimed."
    else:
        verdict = ": no difference is shown."
    return [*said, f"  A needs {_times(ratio)} times as many as B {sure}{verdict}"] + (
        [f"  A run of A reaches it before a run of B with probability {_share(one.sooner)}."]
        if one.quantity == "step"
        else []
    )


def _times(ratio: Ratio) -> str:
    """The estimate, or its bounds where runs are censored."""
    if ratio.at_least == ratio.at_most:
        return f"{ratio.at_least:.2f}"
    if isinf(ratio.at_most):
        return f"more than {ratio.at_least:.2f}"
    return f"less than {ratio.at_most:.2f}" if ratio.at_least == 0 else f"{ratio.at_least:.2f} to {ratio.at_most:.2f}"


def _ends(ratio: Ratio) -> str:
    if isinf(ratio.high):
        return f"{ratio.low:.2f} or more"
    if ratio.low == 0:
        return f"up to {ratio.high:.2f}"
    return f"{ratio.low:.2f} to {ratio.high:.2f}"


def _share(found: Estimate) -> str:
    return f"{found.value:.2f} (95 % CI {found.ci95[0]:.2f} to {found.ci95[1]:.2f})"
