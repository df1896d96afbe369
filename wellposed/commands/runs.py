"""Commands about runs: train, resume, judge, compare and report them, and predict what training takes."""

import shlex
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from wellposed import plugin
from wellposed.analysis.study import DOUBLINGS, PARTS, Part
from wellposed.commands.arguments import (
    CORES,
    ENV_HELP,
    RUNS,
    THREADS_HELP,
    JsonFile,
    Positional,
    RunPath,
    RunsDir,
    Threads,
    as_rows,
    emit,
)
from wellposed.errors import UserError, require
from wellposed.repository import ROOT
from wellposed.seeding import parse_seeds

if TYPE_CHECKING:
    from wellposed.config import AnyRunConfig
    from wellposed.side_by_side import Results


ConfigFile = Annotated[
    Path | None,
    tyro.conf.arg(name="config", metavar="FILE", help="begin with these settings, as in a run's config.json"),
]
Wandb = Annotated[str | None, tyro.conf.arg(metavar="PROJECT", help="log to this project of Weights & Biases as well")]


def train_command(default: "AnyRunConfig") -> Any:
    """The train command, with the defaults of the named environment and algorithm."""
    from wellposed.config import AnyRunConfig, config_type

    def train(
        config: Annotated[AnyRunConfig, tyro.conf.arg(name="", constructor=config_type(default.algo))] = default,
        seeds: Annotated[
            str | None, tyro.conf.arg(help="several seeds, as 0-4 or 0,2,5; one run each, side by side")
        ] = None,
        runs_dir: RunsDir = RUNS,
        threads: Annotated[int, tyro.conf.arg(help=f"runs side by side; with one run, {THREADS_HELP}")] = CORES,
        config_file: ConfigFile = None,
        wandb: Wandb = None,
        quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
        geometry: Annotated[
            Literal["declared", "found"],
            tyro.conf.arg(help="symmetries to use: the environment's own, or measured first"),
        ] = "declared",
        json_file: JsonFile = None,
    ) -> int:
        """Train an agent and record the run; the last line printed is the run's directory.

        Exit code 130 if it was interrupted: it is saved, and `wellposed resume` resumes it.
        """
        from wellposed.side_by_side import train_side_by_side

        del config_file  # read before the line was parsed: it gave the defaults
        if geometry == "found":
            config = _with_found_geometry(config)
        elif config.env.geometry is not None:
            from wellposed.check.declaration import with_ways

            config = replace(config, env=with_ways(config.env))
        runs = _runs(config, seeds)
        if words := plugin.words_for(config.env.id):
            about = "Training imports code of yours, which no record may do: commands that read this run"
            print(f"wellposed: {about} need {shlex.join(words)}", file=sys.stderr)
        return tell(train_side_by_side(runs, runs_dir, threads=threads, quiet=quiet, wandb=wandb), json_file)

    return train


def plan_command(default: "AnyRunConfig") -> Any:
    """The plan command: the options of the train command and a few of its own."""
    from wellposed.config import AnyRunConfig, RunConfig, config_type

    def plan(
        config: Annotated[AnyRunConfig, tyro.conf.arg(name="", constructor=config_type(default.algo))] = default,
        seeds: Annotated[str | None, tyro.conf.arg(help="several seeds, as 0-4 or 0,2,5, side by side")] = None,
        runs_dir: RunsDir = RUNS,
        threads: Annotated[int, tyro.conf.arg(help="runs side by side; with one run, threads for physics")] = CORES,
        buffer: Annotated[int | None, tyro.conf.arg(metavar="ROWS", help="short for --replay.capacity")] = None,
        pixels: Annotated[
            tuple[int, int] | None, tyro.conf.arg(metavar="HEIGHT WIDTH", help="count camera frames of this size too")
        ] = None,
        frame_stack: Annotated[int, tyro.conf.arg(help="frames in one observation, with --pixels")] = 3,
        config_file: ConfigFile = None,
        json_file: JsonFile = None,
    ) -> int:
        """Predict what training takes: bytes of replay, peak memory, updates, time from a 10 s trial, whether it fits.

        Nothing is recorded. Exit code 1 if it does not fit.
        """
        from wellposed.budget import Pixels
        from wellposed.plan import lines, make_plan

        del config_file  # read before the line was parsed: it gave the defaults
        if not isinstance(config, RunConfig) and (buffer is not None or pixels is not None):
            raise UserError(f"--buffer and --pixels are about a replay, and {config.algo} has none.")
        if buffer is not None and isinstance(config, RunConfig):
            config = replace(config, replay=replace(config.replay, capacity=buffer))
        frames = Pixels(*pixels, frame_stack) if pixels else None
        found = make_plan(_runs(config, seeds), runs_dir, threads=threads, pixels=frames)
        if not emit(asdict(found), json_file):
            print("\n".join(lines(found)))
        return 1 if found.fits is False else 0

    return plan


def _with_found_geometry(config: "AnyRunConfig") -> "AnyRunConfig":
    """The configuration with the geometry that is measured of its environment.

    Raises:
        UserError: if none is found.
    """
    from wellposed.check.geometry import find_geometry

    found = find_geometry(config.env.id, config.env.arguments)
    if found.geometry is None:
        raise UserError(f"No geometry of {config.env.id} was found: {found.why}. Train without --geometry found.")
    held = [f"{one.symmetry.kind} {one.symmetry.axis}" for one in found.tried if one.holds]
    print(
        f"Geometry found in {found.seconds:.0f} s: points {list(map(list, found.geometry.points))}, "
        f"symmetries {', '.join(held) or 'none'}.",
        file=sys.stderr,
    )
    return replace(config, env=replace(config.env, geometry=found.geometry))


def _runs(config: "AnyRunConfig", seeds: str | None) -> list["AnyRunConfig"]:
    """One run for each seed."""
    return [replace(config, seed=seed) for seed in (parse_seeds(seeds) if seeds else [config.seed])]


def tell(results: "Results", json_file: Path | None) -> int:
    """Print each run's directory as soon as it ends. If one was interrupted, print how to resume it and return 130."""
    ended, stopped = [], []
    for path, summary in results:
        if summary is None:
            stopped.append(path)
            continue
        ended.append({"run": str(path), "summary": asdict(summary)})
        if str(json_file) != "-":
            print(path, flush=True)  # now, because a later run may fail
    emit(ended, json_file)
    if stopped:
        from wellposed.runs.store import resume_command

        print(f"wellposed: interrupted and saved; resume with: {resume_command(stopped)}", file=sys.stderr)
    return 130 if stopped or not ended else 0


def resume_runs(
    runs: Annotated[Positional[list[RunPath]], tyro.conf.arg(metavar="RUN...", help="directories of interrupted runs")],
    threads: Annotated[int, tyro.conf.arg(help=f"runs side by side; with one run, {THREADS_HELP}")] = CORES,
    wandb: Wandb = None,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
    salvage: Annotated[
        bool, tyro.conf.arg(help="go on without damaged parts of the replay; the record says so")
    ] = False,
    json_file: JsonFile = None,
) -> int:
    """Resume runs that were interrupted or killed; each ends bit for bit as if it had never stopped.

    Exit code 130 if one was interrupted again.
    """
    from wellposed.side_by_side import resume

    if not runs:
        raise UserError("Name at least one run directory; `wellposed runs` lists them.")
    return tell(resume(runs, threads=threads, quiet=quiet, salvage=salvage, wandb=wandb), json_file)


def experiment(
    question: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE", help="the experiment, as experiments/*.toml")],
    runs_dir: RunsDir = RUNS,
    threads: Annotated[int, tyro.conf.arg(help="runs side by side")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
) -> int:
    """Train the variants and seeds of an experiment, except finished runs; stores the answers beside the question.

    A question that comes with wellposed (experiments/push.toml) is copied to here first, if it is not here.
    """
    from wellposed.launch.answers import describe, run_experiment

    if not question.exists() and not question.is_absolute() and (brought := ROOT / question).is_file():
        question.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(brought, question)
    for answer in run_experiment(question, runs_dir, threads, quiet):
        print(describe(answer), flush=True)
    print(question.with_suffix(".json"))
    return 0


def study(
    env: Annotated[Positional[str], tyro.conf.arg(metavar="ENV", help=ENV_HELP)],
    algo: Annotated[str, tyro.conf.arg(help="algorithm whose default recipe is studied, sac, td3 or ppo")] = "sac",
    seeds: Annotated[str, tyro.conf.arg(help="seeds of learnability, as 0-4 or 0,2,5")] = "0-4",
    stability_seeds: Annotated[str, tyro.conf.arg(help="seeds of each move of a setting")] = "0-2",
    doublings: Annotated[
        int, tyro.conf.arg(help="1 to 3: settings that hold are moved by up to 2, 4 or 8 times")
    ] = DOUBLINGS,
    bar: Annotated[float, tyro.conf.arg(help="success rate that two evaluations in a row must reach")] = 0.95,
    budget: Annotated[int | None, tyro.conf.arg(help="environment steps of a run; the recipe's by default")] = None,
    only: Annotated[
        tuple[Part, ...], tyro.conf.arg(help="which questions to ask; the others keep their stored answers")
    ] = PARTS,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR", help="folder of study.html and study.json")] = Path("study"),
    runs_dir: RunsDir = RUNS,
    threads: Annotated[int, tyro.conf.arg(help="runs side by side")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
) -> int:
    """Study existence, learnability and stability of an environment and its recipe; prints the page's path last.

    Finished runs are skipped, interrupted ones resumed. Exit code 130 if it was interrupted; the same command resumes.
    """
    from wellposed.progress import TrainingProgress
    from wellposed.recipes import default_config
    from wellposed.study.run import Question, run_study

    plugin.allow_import(env)
    recipe = default_config(env, algo)
    recipe = recipe if budget is None else replace(recipe, total_steps=budget)
    question = Question(recipe, parse_seeds(seeds), parse_seeds(stability_seeds), bar, only, doublings)
    try:
        for line in run_study(question, out, runs_dir, threads, TrainingProgress(quiet)):
            print(line, flush=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("All runs are saved; the same command resumes them.") from None
    print(out / "study.html")
    return 0


def demo(
    seed: Annotated[int, tyro.conf.arg(help="seed of the run")] = 0,
    seeds: Annotated[str | None, tyro.conf.arg(help="several seeds, as 0-4 or 0,2,5")] = None,
    runs_dir: RunsDir = RUNS,
    threads: Threads = CORES,
) -> int:
    """Test the machine, train Fetch Reach from sparse rewards, judge and report it; about half a minute."""
    from wellposed.demo import run_demo

    return run_demo(parse_seeds(seeds) if seeds else [seed], runs_dir, threads)


def reproduce_run(
    run: Annotated[
        Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a finished run's directory; it is only read")
    ],
    threads: Threads = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Train a recorded run again and compare it with its record. Exit code 1 if the record is not reproduced."""
    from wellposed.reproduce import reproduce

    found = reproduce(run, threads=threads, quiet=quiet)
    if not emit(asdict(found), json_file):
        print(found.sentence)
    return 0 if found.holds else 1


def diagnose(
    run: Annotated[Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a run's directory; it may be under way")],
    json_file: JsonFile = None,
) -> int:
    """Find what is wrong with a run, from its record, and what to change. Exit code 1 if anything is wrong."""
    from wellposed.diagnose import lines
    from wellposed.examination import examine

    found = examine(run)
    keys = ("rule", "kind", "sure", "step", "evidence", "lesson", "change")
    rows = as_rows(found.findings, keys, rule="name", lesson="why", change="advice")
    if not emit({"run": str(run), "healthy": found.healthy, **asdict(found), "findings": rows}, json_file):
        print("\n".join(lines(found)))
    return 0 if found.healthy else 1


GROUP_HELP = (
    "runs of one configuration, with one or several seeds: a directory, a quoted pattern with *, or the beginning of "
    "their names or of the hash in them; separate several with commas"
)


def compare(
    a: Annotated[Positional[str], tyro.conf.arg(metavar="A", help=GROUP_HELP)],
    b: Annotated[Positional[str], tyro.conf.arg(metavar="B", help="the same for the other group")],
    more: Annotated[
        Positional[tuple[str, ...]], tyro.conf.arg(metavar="C...", help="further groups, each compared with A as well")
    ] = (),
    page: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="write an HTML page with the curves of all groups together")
    ] = None,
    bar: Annotated[
        float | None,
        tyro.conf.arg(help="success rate to reach; by default the lowest at which one of the groups stops"),
    ] = None,
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes of each run; more give narrower intervals")] = 100,
    runs_dir: RunsDir = RUNS,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Compare groups of runs with the first: which is better, by how much, how certainly, and what else differs."""
    from wellposed.analysis import comparison
    from wellposed.compare import find_runs, lines, read_groups

    if bar is not None:
        require(0 < bar <= 1, "bar", "is a share above 0 and at most 1", bar)
    first, *others = (find_runs(words, runs_dir) for words in (a, b, *more))
    found = [comparison.compare(*read_groups(first, other, episodes, threads), bar) for other in others]
    if page is not None:
        from wellposed.report.page import write_report  # only here: it draws

        paths = [*dict.fromkeys(reader.path for group in (first, *others) for reader in group)]
        write_report(paths, page, video=False, threads=threads)
    data = [comparison.as_data(one) for one in found]
    if not emit(data if more else data[0], json_file):
        print("\n\n".join("\n".join(lines(one)) for one in found))
    return 0


def report(
    runs: Annotated[
        Positional[list[RunPath]],
        tyro.conf.arg(metavar="RUN...", help="finished runs, of one configuration or of several"),
    ],
    out: Annotated[Path, tyro.conf.arg(metavar="FILE", help="the HTML file to write")] = Path("report.html"),
    video: Annotated[bool, tyro.conf.arg(help="draw the video of the trained policy; takes seconds")] = True,
    threads: Threads = CORES,
) -> int:
    """Write a self-contained HTML report of finished runs; the last line printed is its path."""
    from wellposed.report.page import write_report

    if not runs:
        raise UserError("Name at least one run directory; `wellposed runs` lists them.")
    print(write_report(runs, out, video=video, threads=threads))
    return 0
