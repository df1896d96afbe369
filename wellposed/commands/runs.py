"""Commands about runs: train, resume, judge, compare and report them, and predict what training takes."""

import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import tyro

from wellposed import plugin
from wellposed.analysis.study import DOUBLINGS, PARTS, Part
from wellposed.commands.arguments import (
    CORES,
    RUNS,
    THREADS_HELP,
    JsonFile,
    Positional,
    RunsDir,
    Threads,
    as_rows,
    emit,
)
from wellposed.errors import UserError, require
from wellposed.seeding import parse_seeds

if TYPE_CHECKING:
    from wellposed.config import AnyRunConfig
    from wellposed.side_by_side import Results


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
        quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
        json_file: JsonFile = None,
    ) -> int:
        """Train an agent and record the run; the last line printed is the run's directory.

        Exit code 130 if it was interrupted: it is saved, and `wellposed resume` resumes it.
        """
        from wellposed.side_by_side import train_side_by_side

        return tell(train_side_by_side(_runs(config, seeds), runs_dir, threads=threads, quiet=quiet), json_file)

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
        json_file: JsonFile = None,
    ) -> int:
        """Predict what training takes: bytes of replay, peak memory, updates, time from a 10 s trial, whether it fits.

        Nothing is recorded. Exit code 1 if it does not fit.
        """
        from wellposed.budget import Pixels
        from wellposed.plan import lines, make_plan

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


def _runs(config: "AnyRunConfig", seeds: str | None) -> list["AnyRunConfig"]:
    """One run for each seed."""
    return [replace(config, seed=seed) for seed in (parse_seeds(seeds) if seeds else [config.seed])]


def tell(results: "Results", json_file: Path | None) -> int:
    """Print each run's directory as soon as it ends. If one was interrupted, print how to resume it and return 130."""
    ended, stopped = [], []
    for path, summary in results:
        if summary is None:
            stopped.append(str(path))
            continue
        ended.append({"run": str(path), "summary": asdict(summary)})
        if str(json_file) != "-":
            print(path, flush=True)  # now, because a later run may fail
    emit(ended, json_file)
    if stopped:
        command = f"wellposed resume {shlex.join(stopped)}{plugin.options()}"
        print(f"wellposed: interrupted and saved; resume with: {command}", file=sys.stderr)
    return 130 if stopped or not ended else 0


def resume_runs(
    runs: Annotated[Positional[list[Path]], tyro.conf.arg(metavar="RUN...", help="directories of interrupted runs")],
    threads: Annotated[int, tyro.conf.arg(help=f"runs side by side; with one run, {THREADS_HELP}")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Resume runs that were interrupted or killed; each ends bit for bit as if it had never stopped.

    Exit code 130 if one was interrupted again.
    """
    from wellposed.side_by_side import resume

    if not runs:
        raise UserError("Name at least one run directory; `wellposed runs` lists them.")
    return tell(resume(runs, threads=threads, quiet=quiet), json_file)


def experiment(
    question: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE", help="the experiment, as experiments/*.toml")],
    runs_dir: RunsDir = RUNS,
    threads: Annotated[int, tyro.conf.arg(help="runs side by side")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
) -> int:
    """Train the variants and seeds of an experiment, except finished runs; stores the answers beside the question."""
    from wellposed.experiments import describe, run_experiment

    for answer in run_experiment(question, runs_dir, threads, quiet):
        print(describe(answer), flush=True)
    print(question.with_suffix(".json"))
    return 0


def study(
    env: Annotated[Positional[str], tyro.conf.arg(metavar="ENV", help="environment id; `wellposed envs` lists them")],
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
    from wellposed.recipes import default_config
    from wellposed.study.run import Question, run_study

    recipe = default_config(env, algo)
    recipe = recipe if budget is None else replace(recipe, total_steps=budget)
    question = Question(recipe, parse_seeds(seeds), parse_seeds(stability_seeds), bar, only, doublings)
    try:
        for line in run_study(question, out, runs_dir, threads, quiet):
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
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN", help="a finished run's directory; it is only read")],
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


def evaluate(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN", help="a run's directory")],
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes to play")] = 100,
    seed: Annotated[int, tyro.conf.arg(help="which held-out episodes; they are never used in training")] = 0,
    noise: Annotated[
        float, tyro.conf.arg(metavar="LENGTH", help="standard deviation of errors of all positions the policy sees")
    ] = 0.0,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Evaluate a run's newest checkpoint on held-out episodes, greedily, beside random actions."""
    from wellposed import verdict

    found = verdict.assess(run, episodes, seed, threads, noise)
    trained = asdict(found.trained)
    data = {"env": found.env, "run": str(run), "seed": seed, "noise": noise, **trained}
    data |= {"random": asdict(found.random), "per_episode": [asdict(row) for row in found.per_episode]}
    if not emit(data, json_file):
        print(verdict.sentence(found))
        print(verdict.baselines(found))
    return 0


def diagnose(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN", help="a run's directory; it may be under way")],
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


def list_runs(runs_dir: RunsDir = RUNS, json_file: JsonFile = None) -> int:
    """List the runs below a directory, with status and last evaluation; damaged ones are listed, too."""
    from wellposed.runs import store
    from wellposed.stats import describe_rate

    rows = []
    for reader in store.list_runs(runs_dir):
        row: dict[str, Any] = {"run": str(reader.path), "status": "damaged", "last": None, "problem": None}
        try:
            row |= {"config_seed": reader.config["seed"], "status": reader.status}
            row["last"] = msgspec.to_builtins(reader.last_evaluation)
        except UserError as error:
            row["problem"] = str(error)
        rows.append(row)
    if not emit(rows, json_file):
        for row in rows:
            last = row["last"]
            result = describe_rate(last["success_rate"], last["success_ci95"]) if last else row["problem"] or "-"
            print(f"{row['status']:<12} {row['run']}  {result}")
        if not rows:
            print(f"No runs below {runs_dir}.")
    return 0


GROUP_HELP = (
    "runs of one configuration, with one or several seeds: a directory, a quoted pattern with *, or the beginning of "
    "their names or of the hash in them; separate several with commas"
)


def compare(
    a: Annotated[Positional[str], tyro.conf.arg(metavar="A", help=GROUP_HELP)],
    b: Annotated[Positional[str], tyro.conf.arg(metavar="B", help="the same for the other group")],
    bar: Annotated[
        float | None,
        tyro.conf.arg(help="success rate to reach; by default the lowest at which one of the groups stops"),
    ] = None,
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes of each run; more give narrower intervals")] = 100,
    runs_dir: RunsDir = RUNS,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Compare two groups of runs: which is better, by how much, how certainly, and what else differs."""
    from wellposed.analysis import comparison
    from wellposed.compare import find_runs, lines, read_groups

    if bar is not None:
        require(0 < bar <= 1, "bar", "is a share above 0 and at most 1", bar)
    groups = [find_runs(words, runs_dir) for words in (a, b)]
    found = comparison.compare(*read_groups(groups[0], groups[1], episodes, threads), bar)
    if not emit(comparison.as_data(found), json_file):
        print("\n".join(lines(found)))
    return 0


def report(
    runs: Annotated[Positional[list[Path]], tyro.conf.arg(metavar="RUN...", help="runs that differ in seed only")],
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
