"""The command line. Thin: it reads arguments, calls the laboratory, prints, and sets the exit code.

Heavy imports stand inside the commands, so that `wellposed --help` answers at once.
"""

import os
import re
import sys
import threading
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import tyro

from wellposed.analysis.study import PARTS, Part
from wellposed.errors import UserError
from wellposed.seeding import parse_seeds

if TYPE_CHECKING:
    from wellposed.recipe import RunConfig
    from wellposed.training import Results

RUNS = Path("runs")
CORES = len(os.sched_getaffinity(0))
Positional = tyro.conf.Positional
JSON_HELP = "write the output as JSON to this file; - for standard output, which it then has to itself"
JsonFile = Annotated[Path | None, tyro.conf.arg(name="json", metavar="FILE", help=JSON_HELP)]
THREADS_HELP = "native threads for physics; results do not depend on it"
Threads = Annotated[int, tyro.conf.arg(help=THREADS_HELP)]
RunsDir = Annotated[Path, tyro.conf.arg(metavar="DIR", help="directory that holds run directories")]


def _emit(data: Any, target: Path | None) -> bool:
    """Write JSON where it was asked for; True if standard output is taken by it."""
    if target is None:
        return False
    from wellposed.runs.files import format_json, write_json

    if str(target) == "-":
        print(format_json(data))
        return True
    write_json(target, data)
    return False


def _train_command(default: "RunConfig") -> Any:
    """The train command, its defaults those of the environment and the algorithm that were named."""
    from wellposed.recipe import RunConfig, config_type

    def train(
        config: Annotated[RunConfig, tyro.conf.arg(name="", constructor=config_type(default.algo))] = default,
        seeds: Annotated[
            str | None, tyro.conf.arg(help="several seeds, as 0-4 or 0,2,5; one run each, side by side")
        ] = None,
        runs_dir: RunsDir = RUNS,
        threads: Annotated[int, tyro.conf.arg(help=f"runs side by side; with one run, {THREADS_HELP}")] = CORES,
        quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
        json_file: JsonFile = None,
    ) -> int:
        """Train an agent and record the run; the last line printed is the run's directory.

        Exit code 130 if it was interrupted: it is saved, and `wellposed resume` goes on with it.
        """
        from wellposed.training import train_side_by_side

        return _tell(train_side_by_side(_runs(config, seeds), runs_dir, threads=threads, quiet=quiet), json_file)

    return train


def _plan_command(default: "RunConfig") -> Any:
    """The plan command; its options are those of the train command, and a few of its own."""
    from wellposed.recipe import RunConfig, config_type

    def plan(
        config: Annotated[RunConfig, tyro.conf.arg(name="", constructor=config_type(default.algo))] = default,
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
        """What a training would take: bytes of replay, peak memory, updates, time from a 10 s trial, whether it fits.

        Nothing is trained or recorded. Exit code 1 if it does not fit.
        """
        from wellposed.planning.plan import lines, make_plan
        from wellposed.replay.size import Pixels

        if buffer is not None:
            config = replace(config, replay=replace(config.replay, capacity=buffer))
        frames = Pixels(*pixels, frame_stack) if pixels else None
        found = make_plan(_runs(config, seeds), runs_dir, threads=threads, pixels=frames)
        if not _emit(asdict(found), json_file):
            print("\n".join(lines(found)))
        return 1 if found.fits is False else 0

    return plan


def _runs(config: "RunConfig", seeds: str | None) -> list["RunConfig"]:
    """One run for each seed that is asked for."""
    return [replace(config, seed=seed) for seed in (parse_seeds(seeds) if seeds else [config.seed])]


def _tell(results: "Results", json_file: Path | None) -> int:
    """Print each run's directory as soon as it ends; 130 if one was interrupted, with how to go on."""
    ended, stopped = [], []
    for path, summary in results:
        if summary is None:
            stopped.append(str(path))
            continue
        ended.append({"run": str(path), "summary": asdict(summary)})
        if str(json_file) != "-":
            print(path, flush=True)  # at once: a later one may fail
    _emit(ended, json_file)
    if stopped:
        print(f"wellposed: interrupted and saved; go on with: wellposed resume {' '.join(stopped)}", file=sys.stderr)
    return 130 if stopped or not ended else 0


def resume_runs(
    runs: Annotated[Positional[list[Path]], tyro.conf.arg(metavar="RUN...", help="directories of runs cut short")],
    threads: Annotated[int, tyro.conf.arg(help=f"runs side by side; with one run, {THREADS_HELP}")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Go on with runs that were interrupted or killed; each ends bit for bit as if nothing had happened.

    Exit code 130 if one was interrupted again.
    """
    from wellposed.training import resume

    if not runs:
        raise UserError("Name at least one run directory; `wellposed runs` lists them.")
    return _tell(resume(runs, threads=threads, quiet=quiet), json_file)


def reproduce_run(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN", help="a finished run's directory; it is only read")],
    threads: Threads = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar and no line per evaluation")] = False,
    json_file: JsonFile = None,
) -> int:
    """Train a recorded run again and hold it against its record. Exit code 1 if the record does not stand."""
    from wellposed.reproduce import reproduce

    found = reproduce(run, threads=threads, quiet=quiet)
    if not _emit(asdict(found), json_file):
        print(found.sentence)
    return 0 if found.holds else 1


def evaluate(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN", help="a run's directory")],
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes to play")] = 100,
    seed: Annotated[int, tyro.conf.arg(help="which held-out episodes; never ones of training")] = 0,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Play held-out episodes with a run's newest checkpoint, greedily, beside random actions."""
    from wellposed import verdict

    found = verdict.assess(run, episodes, seed, threads)
    trained = asdict(found.trained)
    data = {"env": found.env, "run": str(run), "seed": seed, **trained}
    data |= {"random": asdict(found.random), "per_episode": [asdict(row) for row in found.per_episode]}
    if not _emit(data, json_file):
        print(verdict.sentence(found))
        print(verdict.baselines(found))
    return 0


def check(
    env: Annotated[Positional[str], tyro.conf.arg(metavar="ENV", help="Gymnasium id, module:Id-v0 or module:factory")],
    seed: Annotated[int, tyro.conf.arg(help="seed of the exploration")] = 0,
    gamma: Annotated[float | None, tyro.conf.arg(help="discount that training would use; none: the recipe's")] = None,
    json_file: JsonFile = None,
) -> int:
    """Certify that hindsight can learn an environment: every condition measured. Exit code 1 if it is not posed."""
    from wellposed.agents import SACConfig
    from wellposed.check import certificate

    gamma = SACConfig().gamma if gamma is None else gamma
    began, findings, silent = time.perf_counter(), [], str(json_file) == "-"
    sys.path.insert(0, "")  # a module:factory stands in the directory that the command is called from
    for finding in certificate.examine(env, seed=seed, gamma=gamma):
        findings.append(finding)
        if not silent and not finding.because:
            print(certificate.describe(finding), flush=True)
    found = certificate.Certificate(env, certificate.verdict(findings), findings, time.perf_counter() - began)
    if not _emit(asdict(found), json_file):
        print(*certificate.unexamined_together(findings), "", sep="\n")
        print(f"{certificate.summary(env, findings)}, {found.seconds:.0f} s.")
    return 0 if found.posed else 1


def diagnose(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN", help="a run's directory; it may be under way")],
    json_file: JsonFile = None,
) -> int:
    """Why is it not learning: what a run's record shows to be wrong, and what to change. Exit code 1 if anything is."""
    from wellposed.diagnose import lines
    from wellposed.examine import examine

    found = examine(run)
    if not _emit({"run": str(run), "healthy": found.healthy, **asdict(found)}, json_file):
        print("\n".join(lines(found)))
    return 0 if found.healthy else 1


def doctor(
    frame: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help="save the rendered frame here, as PNG")] = None,
    json_file: JsonFile = None,
) -> int:
    """Examine this machine: versions, devices, OpenGL, a frame, determinism, a tiny training. Exit code 1 if unfit."""
    from wellposed.doctor import examine

    findings, silent = [], str(json_file) == "-"
    for finding in examine(frame):
        findings.append(finding)
        if not silent:
            mark = "ok  " if finding.ok else ("FAIL" if finding.required else "no  ")
            print(f"{mark} {finding.name:<24} {finding.detail} ({finding.seconds:.1f} s)", flush=True)
    fit = all(finding.ok for finding in findings if finding.required)
    if not _emit({"fit": fit, "findings": [asdict(finding) for finding in findings]}, json_file):
        print("This machine is fit for the laboratory." if fit else "This machine is not fit; see FAIL above.")
    return 0 if fit else 1


def list_envs(
    tag: Annotated[str | None, tyro.conf.arg(help="only environments with this tag")] = None,
    json_file: JsonFile = None,
) -> int:
    """List the registered environments; any other Gymnasium goal environment works by its id."""
    from wellposed import envs

    entries = [entry for entry in envs.registered() if tag is None or tag in entry.tags]
    if not entries:
        known = sorted(set().union(*(entry.tags for entry in envs.registered())))
        raise UserError(f"No environment has the tag {tag!r}; there are {', '.join(known)}.")
    data = [{"id": e.id, "tags": sorted(e.tags), "summary": e.summary, "budget": e.budget} for e in entries]
    if not _emit(data, json_file):
        for row in data:
            print(f"{row['id']:<28} {', '.join(row['tags']):<24} {row['summary']}")
    return 0


def list_runs(runs_dir: RunsDir = RUNS, json_file: JsonFile = None) -> int:
    """List the runs below a directory, with status and last evaluation; damaged ones are named, not hidden."""
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
    if not _emit(rows, json_file):
        for row in rows:
            last = row["last"]
            result = describe_rate(last["success_rate"], last["success_ci95"]) if last else row["problem"] or "-"
            print(f"{row['status']:<12} {row['run']}  {result}")
        if not rows:
            print(f"No runs below {runs_dir}.")
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


def demo(
    seed: Annotated[int, tyro.conf.arg(help="seed of the run")] = 0,
    seeds: Annotated[str | None, tyro.conf.arg(help="several seeds, as 0-4 or 0,2,5")] = None,
    runs_dir: RunsDir = RUNS,
    threads: Threads = CORES,
) -> int:
    """Proof of life, training on Fetch Reach from sparse rewards, verdict, report; about half a minute."""
    from wellposed.demo import run_demo

    return run_demo(parse_seeds(seeds) if seeds else [seed], runs_dir, threads)


def _default_config(argv: list[str]) -> "RunConfig":
    """The default configuration of the environment and the algorithm that a `train` or `plan` command line names.

    It is needed before the line is parsed, because the settings and their defaults depend on it.

    Raises:
        UserError: if the line names no environment, or what it names is unknown.
    """
    from wellposed.recipe import ALGO, default_config

    algo = [ALGO, *re.findall(r"(?<!\S)--algo[ =](\w\S*)", " ".join(argv))][-1]
    free = [word for before, word in pairwise(argv) if not before.startswith("--") or before.endswith("quiet")]
    words = [word for word in [*free, *argv[1:]] if re.search(r"-v\d+$", word)] + [w for w in argv[1:2] if w[:1] != "-"]
    if words:
        return default_config(words[0], algo)
    if {"-h", "--help"} & set(argv):
        return default_config("FetchReach-v4", algo)
    raise UserError(f"Name the environment to {argv[0]} for, as in `wellposed {argv[0]} FetchReach-v4`.")


def _json_to_stdout(argv: list[str]) -> list[str]:
    """`--json` without a file means standard output."""
    result = []
    for i, word in enumerate(argv):
        result.append(word)
        following = argv[i + 1 : i + 2]
        if word == "--json" and (not following or (following[0].startswith("-") and following[0] != "-")):
            result.append("-")
    return result


def experiment(
    question: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE", help="the experiment, as experiments/*.toml")],
    runs_dir: RunsDir = RUNS,
    threads: Annotated[int, tyro.conf.arg(help="runs side by side")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
) -> int:
    """Train the variants and seeds of an experiment, skipping finished runs; stores the answers beside the question."""
    from wellposed.experiments import describe, run_experiment

    for answer in run_experiment(question, runs_dir, threads, quiet):
        print(describe(answer), flush=True)
    print(question.with_suffix(".json"))
    return 0


def study(
    env: Annotated[Positional[str], tyro.conf.arg(metavar="ENV", help="environment id; `wellposed envs` lists them")],
    algo: Annotated[str, tyro.conf.arg(help="algorithm whose default recipe is studied, sac or td3")] = "sac",
    seeds: Annotated[str, tyro.conf.arg(help="seeds of learnability, as 0-4 or 0,2,5")] = "0-4",
    stability_seeds: Annotated[str, tyro.conf.arg(help="seeds of each move of a setting")] = "0-2",
    bar: Annotated[float, tyro.conf.arg(help="success rate that two evaluations in a row have to reach")] = 0.95,
    budget: Annotated[int | None, tyro.conf.arg(help="environment steps of a run; none: the recipe's")] = None,
    only: Annotated[
        tuple[Part, ...], tyro.conf.arg(help="which of the questions to ask; others stay as they are")
    ] = PARTS,
    out: Annotated[Path, tyro.conf.arg(metavar="DIR", help="folder of study.html and study.json")] = Path("study"),
    runs_dir: RunsDir = RUNS,
    threads: Annotated[int, tyro.conf.arg(help="runs side by side")] = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bars and no line per evaluation")] = False,
) -> int:
    """Existence, learnability, stability of an environment and its recipe; the last line printed is the page's path.

    Finished runs are skipped, those cut short go on. Exit code 130 if it was interrupted: the same command goes on.
    """
    from wellposed.recipe import default_config
    from wellposed.study.run import Question, run_study

    recipe = default_config(env, algo)
    recipe = recipe if budget is None else replace(recipe, total_steps=budget)
    question = Question(recipe, parse_seeds(seeds), parse_seeds(stability_seeds), bar, only)
    try:
        for line in run_study(question, out, runs_dir, threads, quiet):
            print(line, flush=True)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("All runs are saved; the same command goes on from there.") from None
    print(out / "study.html")
    return 0


COMMANDS: dict[str, Any] = {
    "resume": resume_runs,
    "reproduce": reproduce_run,
    "eval": evaluate,
    "check": check,
    "diagnose": diagnose,
    "doctor": doctor,
    "envs": list_envs,
    "runs": list_runs,
    "report": report,
    "experiment": experiment,
    "study": study,
    "demo": demo,
}


def main(argv: list[str] | None = None) -> int:
    """Run a command; a person's mistake gets a sentence on standard error and exit code 1, Ctrl-C gets 130."""
    argv = _json_to_stdout(sys.argv[1:] if argv is None else argv)
    try:
        # Only `train` and `plan` need the learner's defaults; asking for them imports JAX.
        commands = {"train": _named_train, "plan": _named_plan} | COMMANDS
        if build := {"train": _train_command, "plan": _plan_command}.get(argv[0] if argv else ""):
            commands[argv[0]] = build(_default_config(argv))
        return tyro.extras.subcommand_cli_from_dict(
            commands, prog="wellposed", description=DESCRIPTION, args=argv or ["--help"]
        )
    except (UserError, FloatingPointError) as error:
        print(f"wellposed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        how = str(stop) or "`wellposed resume RUN` goes on with a training run."
        print(f"wellposed: stopped. {how}", file=sys.stderr, flush=True)
        if threading.active_count() > 1:  # one that is in the middle of an update or an evaluation would be waited for
            sys.stdout.flush()
            os._exit(130)
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _named_train() -> int:
    """Train an agent and record the run: `wellposed train ENV`."""
    raise AssertionError("only listed; main builds the real command")


def _named_plan() -> int:
    """What a training would take, and whether it fits: `wellposed plan ENV`."""
    raise AssertionError("only listed; main builds the real command")


DESCRIPTION = (
    "A laboratory for goal-conditioned robot learning: pose the problem, train fast, verify with intervals. "
    "`wellposed COMMAND --help` explains each command."
)

if __name__ == "__main__":
    sys.exit(main())
