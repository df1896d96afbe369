"""Commands that train, or predict what training takes."""

import shlex
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
    RunsDir,
    Threads,
    emit,
)
from wellposed.errors import UserError
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
        geometry: Annotated[
            Literal["declared", "found"],
            tyro.conf.arg(help="symmetries to use: the environment's own, or measured first"),
        ] = "declared",
        json_file: JsonFile = None,
    ) -> int:
        """Train an agent and record the run; the last line printed is the run's directory.

        Exit code 130 if it was interrupted: it is saved, and `wellposed resume` continues it.
        """
        from wellposed.side_by_side import train_side_by_side

        if words := plugin.words_for(config.env.id):
            told = "Training imports code of yours, which no record may do: commands that read this run"
            print(f"wellposed: {told} need {shlex.join(words)}", file=sys.stderr)
        if geometry == "found":
            config = _with_found_geometry(config)
        return tell(train_side_by_side(_runs(config, seeds), runs_dir, threads=threads, quiet=quiet), json_file)

    return train


def plan_command(default: "AnyRunConfig") -> Any:
    """The plan command, with the options of the train command and a few of its own."""
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
    """Print each run's directory as soon as it ends; 130 if one was interrupted, saying how to continue it."""
    ended, stopped = [], []
    for path, summary in results:
        if summary is None:
            stopped.append(path)
            continue
        ended.append({"run": str(path), "summary": asdict(summary)})
        if str(json_file) != "-":
            print(path, flush=True)  # at once: a later one may fail
    emit(ended, json_file)
    if stopped:
        from wellposed.runs.store import resume_command

        print(f"wellposed: interrupted and saved; go on with: {resume_command(stopped)}", file=sys.stderr)
    return 130 if stopped or not ended else 0


def resume_runs(
    runs: Annotated[Positional[list[Path]], tyro.conf.arg(metavar="RUN...", help="directories of interrupted runs")],
    threads: Annotated[int, tyro.conf.arg(help=f"runs side by side; with one run, {THREADS_HELP}")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Continue runs that were interrupted or killed; each ends bit for bit as if it had never stopped.

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

    Finished runs are skipped, interrupted ones go on. Exit code 130 if it was interrupted: the same command goes on.
    """
    from wellposed.recipes import default_config
    from wellposed.study.run import Question, run_study

    plugin.allow_import(env)
    recipe = default_config(env, algo)
    recipe = recipe if budget is None else replace(recipe, total_steps=budget)
    question = Question(recipe, parse_seeds(seeds), parse_seeds(stability_seeds), bar, only, doublings)
    try:
        for line in run_study(question, out, runs_dir, threads, quiet):
            print(line, flush=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("All runs are saved; the same command goes on from there.") from None
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
