"""What a stranger may hand us, each with the commands that read it (see fuzz.py).

An input is a copy of a part of the world (fuzz_world.py) with one file mutated, or its tree.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from course.chapters import publish, traces
from course.chapters.load import is_in_work
from tests import fuzz_robots
from tests.fuzz_changes import (
    among,
    arrays,
    config,
    exported,
    manifest,
    measured,
    of_file,
    of_the_chapter,
    records,
    replay,
    traced,
    tree,
)
from wellposed import cli, reproduce, training, verdict
from wellposed.check import stored
from wellposed.commands import launch
from wellposed.deploy import load_policy
from wellposed.errors import UserError
from wellposed.launch import local
from wellposed.launch.answers import load_answers
from wellposed.launch.rows import Folder
from wellposed.launch.states import state_of
from wellposed.runs import checkpoint, provenance
from wellposed.runs.listing import ORDERS
from wellposed.runs.store import RunReader, find_run
from wellposed.terminal import escaped

EPISODES = 2  # of a verdict


@dataclass
class Kind:
    """A file that is mutated in a copy of `source`, and what reads it."""

    name: str
    weight: float  # how often it comes
    source: Path  # a folder of the world, or a file
    mutate: Callable[[Path, random.Random], tuple[Path, bool]]  # in the copy: where it lies now, and whether sealed
    reads: list[tuple[float, Callable[[Path], Any]]]  # by how often


def command(often: float, *words: str) -> tuple[float, Callable[[Path], Any]]:
    """A command line, in which {live} is the mutated copy, {beside} the folder around it and {world} the world's."""

    def call(live: Path) -> int:
        return cli.main([word.format(live=live, beside=live.parent, world=WORLD[0]) for word in words])

    return often, call


def with_json(often: float, *words: str) -> list[tuple[float, Callable[[Path], Any]]]:
    """A command that prints sentences or, as often, JSON."""
    return [command(often / 2, *words), command(often / 2, *words, "--json", "-")]


WORLD: list[Path] = []  # the folder of the world that was made last


def shorten() -> None:
    """Verdicts are of few episodes, those of the world as well: records that do not fit would be read no further."""
    few = verdict.assess
    verdict.EPISODES = EPISODES
    verdict.assess = lambda path, episodes=EPISODES, *others, **named: few(  # type: ignore[assignment]
        path, min(episodes, EPISODES), *others, **named
    )


def confine() -> None:
    """Nothing trains: a run that is taken up is saved at once. Nothing is filmed. No other program is asked."""
    loop = training.train_on
    training.train_on = lambda run, record, bar, _: loop(run, record, bar, [0])  # type: ignore[assignment]
    reproduce.train = lambda config, *_, **__: (_pristine(config.algo), None)  # type: ignore[assignment]
    here = provenance.git_state()
    provenance.git_state = lambda: here
    code = cache(stored.source_of)  # of environments, which is ours and stays the same
    stored.source_of = lambda modules: code(tuple(modules))
    publish.traces_at = lambda *_: set()  # asks git, of what looks like a commit
    publish.film = lambda run, _: load_policy(run)  # type: ignore[assignment]
    traces.record_sample = _as_stored  # type: ignore[assignment]
    local.train_rows = partial(_only_what_was_begun, local.train_rows)  # type: ignore[assignment]
    local.do = lambda _, left, *__: _nothing_to_do() if left else iter(())  # type: ignore[assignment]
    launch.execute = _nothing_to_do  # type: ignore[assignment]


def _pristine(algo: str) -> Path:
    """The finished run of an algorithm."""
    return next(iter((WORLD[0] / "runs").glob(f"*_{algo}_*")), WORLD[0])


def _as_stored(case: Any) -> Any:
    """The trace of a case, as it was when the world was made."""
    known, samples = traces.load_traces(WORLD[0] / "chapters" / "ch04_hindsight")
    for name, trace in known.traces.items():
        if traces.is_of(trace, case):
            return trace, samples[name]
    raise UserError("Here a trace would be recorded, which is not what is tested.")


def _only_what_was_begun(train: Callable[..., Any], rows: Any, runs_dir: Path, *others: Any, **named: Any) -> Any:
    if any(state_of(runs_dir, row) == "waiting" for row in rows):
        raise UserError("Here training would begin, which is not what is tested.")
    return train(rows, runs_dir, *others, **named)


def _nothing_to_do(*_: Any) -> None:
    raise UserError("Here work would begin, which is not what is tested.")


def by_name(live: Path) -> int:
    """A run that is looked up by the beginning of its hash and its seed."""
    shared, _, seed = live.name.rpartition("_s")
    return cli.main(["diagnose", str(find_run(f"{shared[-12:-5]}_s{seed}", live.parent))])


def one_row(live: Path) -> None:
    """What a process of a cluster reads of a launch."""
    folder = Folder(live)
    print(escaped(f"{folder.command} {folder.row(1)}"))


def in_notebook(live: Path) -> None:
    """What a notebook shows of a run."""
    RunReader(live)._repr_html_()
    verdict.stored_verdict(live)._repr_html_()


def plays(file: Path) -> None:
    """An exported policy acts, on its own and in several environments."""
    policy = load_policy(file)
    obs = {key: np.ones(size) for key, size in fuzz_robots.SIZES.items()}
    policy(obs)
    policy({key: array[None] for key, array in obs.items()})
    policy.reset(np.array([True]))


OFTEN = {"runs": 1.0, "cut": 1.0, "old": 0.2}


ROWS = [command(1.0, "rows", "{live}", "--kind", kind) for kind in checkpoint.LINES]
LOOKS = [  # at a run
    *with_json(6.0, "runs", "--runs-dir", "{beside}"),
    *with_json(6.0, "diagnose", "{live}"),
    *with_json(6.0, "reproduce", "{live}", "--quiet"),
    *with_json(1.0, "compare", "{live}", "{world}/other", "--episodes", str(EPISODES)),
    command(1.0, "runs", "sac", "--runs-dir", "{beside}", "--sort", "success", "--reverse"),
    command(0.1, "runs", "--runs-dir", "{beside}", "--where", "agent.gamma=0.95"),
    *(command(0.1, "runs", "--runs-dir", "{beside}", "--sort", order) for order in ORDERS),
    (0.3, by_name),
    (0.2, in_notebook),
    command(0.1, "train", "--config", "{live}/config.json", "--runs-dir", "{beside}", "--quiet", "--threads", "1"),
    command(0.05, "report", "{live}", "--no-video", "--out", "{beside}/report.html"),
    command(0.1, "export", "{live}", "--out", "{beside}/policy.npz"),
    command(0.05, "eval", "{live}", "--episodes", "1", "--noise", "0.01"),
    command(0.02, "eval", "{live}", "--episodes", "0"),
]
RESUME = ("resume", "{live}", "--quiet", "--threads", "1")
GOING_ON = [  # of one that was cut short
    command(0.5, *RESUME),
    command(0.4, *RESUME, "--salvage"),
    command(0.1, "reproduce", "{live}", "--quiet"),
    command(2.0, "diagnose", "{live}"),
    command(2.0, "runs", "--runs-dir", "{beside}", "--paths"),
]


def kinds(folder: Path) -> list[Kind]:
    """All kinds of inputs from the world in `folder`."""
    return [*_of_runs(folder), *_of_the_course(folder), *_of_launches(folder), *_of_files(folder)]


def _of_runs(folder: Path) -> list[Kind]:
    """Runs that are finished, cut short, diverged or old."""
    found: list[Kind] = []
    old = [*LOOKS[:6], command(0.5, "eval", "{live}", "--episodes", "1"), *GOING_ON[:2]]
    plain = [(f"{name}.jsonl", 0.6) for name in ("metrics", "evaluations", "episodes", "warnings")]
    plain.append(("provenance.json", 0.6))
    ends = {"runs": [("verdict.json", 1.0), ("summary.json", 0.6)], "cut": [], "old": [("summary.json", 0.6)]}
    for state, reads, more in (("runs", LOOKS, []), ("cut", GOING_ON, [command(3.0, *RESUME)]), ("old", old, [])):
        for run in sorted((folder / state).glob("*_s*")):
            for mutate in (config, manifest, arrays, replay):
                found.append(Kind(f"{mutate.__name__} ({state})", 6.0 * OFTEN[state], run, mutate, reads))
            for name, weight in [*plain, *ends[state]]:
                of_rows = ROWS if name.endswith(".jsonl") else []
                found.append(Kind(f"{name} ({state})", weight * OFTEN[state], run, of_file(name), [*reads, *of_rows]))
        found.append(Kind(f"tree ({state})", 6.0 * OFTEN[state], run, tree(), [*reads, *ROWS, *more]))
    diverged = next((folder / "diverged").glob("*sac*"))
    older = next((folder / "older").iterdir())
    found.append(Kind("failure.json", 0.5, diverged, of_file("failure.json"), LOOKS[:8]))
    found.append(Kind("cut long ago", 0.2, older, of_file("metrics.jsonl"), GOING_ON[:2]))
    return found


def _of_the_course(folder: Path) -> list[Kind]:
    """What a chapter's author, or whoever publishes, hands on."""
    place, results = "chapters/ch04_hindsight", "runs/ch04_hindsight"
    where = ("--chapters", "{live}/chapters")
    runs = (*where, "--runs-dir", "{live}/runs")
    question = ("{live}/question.toml", "--runs-dir", "{live}/runs")
    reads = [
        *with_json(3.0, "chapter", "list", *where),
        *with_json(1.0, "chapter", "status", *runs),
        *with_json(1.0, "chapter", "verify", "4", *runs),
        command(0.3, "chapter", "publish", "4", "--anyway", *runs),
        command(0.1, "chapter", "verify", "5", *runs),
        (0.1, lambda live: print(is_in_work(live / place))),
    ]
    hold = [command(1.0, "chapter", "traces", *where), command(0.2, "chapter", "traces", "4", "--write", *where)]
    several = [
        *reads[2:],
        *with_json(2.0, "status", *question),
        command(1.0, "experiment", *question, "--quiet"),
        command(1.0, "runs", "sac", "--runs-dir", "{live}/runs", "--where", "env.sensors.noise=0.01"),
        command(0.2, "runs", "--runs-dir", "{live}/runs", "--where", "env.sensors.noise"),
        (0.4, lambda live: by_name(min((live / "runs").glob("*_s*"), default=live))),
    ]
    files = [f"{place}/{name}" for name in ("chapter.toml", "records.json", "traces.json", "traces.safetensors.xz")]
    files += [f"{results}/{name}" for name in ("width.json", "parts.json", "study_learnt/study.json")]
    found = [Kind(Path(name).name, 1.5, folder / "course", of_file(name), reads) for name in files]
    again = command(0.3, "chapter", "run", "4", "--studies", "--quiet", *runs)
    found[0].weight = 9.0  # what most of the readers' lines are about
    found.append(Kind("tree (course)", 2.0, folder / "course", tree(), reads))
    found.append(Kind("tree (results)", 1.0, folder / "course", tree(results), [*reads[2:], again]))
    found.append(Kind("tree (records)", 0.7, folder / "course", tree(place), reads))
    return [
        *found,
        Kind("measured", 1.5, folder / "course", measured, reads[2:]),
        Kind("records.json, hashes right", 0.7, folder / "course", records, reads),
        Kind("traces", 1.5, folder / "course", traced, [*hold, *reads[2:]]),
        Kind("traces.json, held", 0.5, folder / "course", of_file(f"{place}/{traces.FILE}"), hold),
        Kind("several runs (course)", 3.0, folder / "course", among, several),
        Kind("run of the chapter", 3.0, folder / "course", of_the_chapter, [*reads[2:6], again]),
        Kind(
            "tree (chapters)",
            1.0,
            folder / "course" / "chapters",
            tree(),
            [command(1.0, "chapter", "list", "--chapters", "{live}")],
        ),
    ]


def _of_launches(folder: Path) -> list[Kind]:
    """The folder of a launch, of an experiment or of a search."""
    reads = [
        *with_json(3.0, "status", "{live}"),
        *with_json(0.4, "collect", "{live}"),  # draws
        command(1.0, "launch", "{live}/manifest.toml", "--out", "{live}", "--quiet"),
        command(0.5, "launch", "{world}/question.toml", "--out", "{live}", "--quiet"),
        (0.5, one_row),
    ]
    found = []
    for name in ("question", "search"):
        source, files = folder / "launched" / name, ["rows.jsonl", "launch.json", "manifest.toml"]
        for file in [*files, *["trials.json"] * (name == "search")]:
            found.append(Kind(f"{file} ({name})", 1.0, source, of_file(file), reads))
        found.append(Kind(f"tree ({name})", 1.5, source, tree(), reads))
        found.append(Kind(f"several runs ({name})", 2.0, source, among, reads))
    return found


def _of_files(folder: Path) -> list[Kind]:
    """Files that are named on a command line or in Python."""
    experiment = command(1.0, "experiment", "{live}", "--runs-dir", "{world}/runs", "--quiet")
    ask = command(1.0, "launch", "{live}", "--out", "{beside}/new", "--quiet")
    look = command(0.5, "status", "{live}", "--runs-dir", "{world}/runs")
    begin = command(1.0, "train", "--config", "{live}", "--runs-dir", "{beside}/new", "--quiet", "--threads", "1")
    a_run, other = (next((folder / "runs").glob(f"*{algo}*")) for algo in ("sac", "ppo"))
    robots = [
        Kind(name, weight, folder / source, mutate, reads)
        for name, weight, source, mutate, reads in fuzz_robots.files(command, of_file, other)
    ]
    return [
        *robots,
        Kind("question.toml", 2.5, folder / "question.toml", of_file(""), [experiment, ask, look]),
        Kind("search.toml", 2.0, folder / "search.toml", of_file(""), [ask]),
        Kind("answers", 0.3, folder / "question.json", of_file(""), [(1.0, load_answers)]),
        Kind("train --config", 0.3, a_run / "config.json", of_file(""), [begin]),
        Kind("policy.npz", 4.0, folder / "policy.npz", of_file(""), [(1.0, plays)]),
        Kind("policy.safetensors", 1.0, folder / "policy.safetensors", exported, [(1.0, plays)]),
    ]
