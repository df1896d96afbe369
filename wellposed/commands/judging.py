"""Commands that judge a trained policy on held-out episodes: as it was trained, and under other conditions."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import tyro

from wellposed.commands import Group
from wellposed.commands.arguments import CORES, JsonFile, Positional, RunPath, Threads, emit
from wellposed.errors import UserError

Run = Annotated[Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a run's directory")]
Words = tuple[str, ...]
Episodes = Annotated[int, tyro.conf.arg(help="held-out episodes to play")]
Seed = Annotated[int, tyro.conf.arg(help="which held-out episodes; they are never used in training")]
SENSORS = "what the sensors are like, as noise=0.01 delay=2 object.bias=0.005 (docs/robustness.md)"
PIXELS = "changes to what the camera shows: moved=0.02 turned=2 light=0.2 colour=0.1 shown=blank (docs/pixels.md)"
DYNAMICS = "other dynamics, for each episode a value of a range or a set: friction=0.5..1.5 mass=0.5,1,2"


Seeds = tyro.conf.arg(metavar="RUN...", help="directories of runs that differ in their seed only")


def evaluate(
    run: Run,
    episodes: Episodes = 100,
    seed: Seed = 0,
    noise: Annotated[
        float, tyro.conf.arg(metavar="LENGTH", help="standard deviation of errors of all positions the policy sees")
    ] = 0.0,
    sensors: Annotated[Words, tyro.conf.arg(metavar="[QUANTITY.]FAULT=NUMBER...", help=SENSORS)] = (),
    dynamics: Annotated[Words, tyro.conf.arg(metavar="NAME=RANGE...", help=DYNAMICS)] = (),
    pixels: Annotated[Words, tyro.conf.arg(metavar="NAME=VALUE...", help=PIXELS)] = (),
    reality: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help="play the next episodes of a sealed reality (docs/reality.md)")
    ] = None,
    purpose: Annotated[
        Literal["evaluation", "identification"], tyro.conf.arg(help="of a reality's episodes")
    ] = "evaluation",
    record: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="write a reality's episodes as an npz (docs/identify.md)")
    ] = None,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Evaluate a run's newest checkpoint on held-out episodes, greedily, beside random actions.

    Sensors and dynamics that are named replace those of training; --pixels changes only what it names.
    """
    if reality is not None:
        if seed or noise or sensors or dynamics or pixels:
            raise UserError(
                "--reality is as it was sealed: leave --seed, --noise, --sensors, --dynamics, --pixels out."
            )
        return _in_reality(run, reality, episodes, purpose, record, threads, json_file)
    if record is not None:
        raise UserError("--record writes episodes of a reality: name it with --reality.")
    from wellposed import verdict

    found = verdict.assess(run, episodes, seed, threads, noise, sensors, dynamics, pixels)
    trained = asdict(found.trained)
    data = {"env": found.env, "run": str(run), "seed": seed, "noise": noise, **trained}
    data |= {"sensors": found.sensors, "dynamics": found.dynamics, "pixels": found.pixels, "sees": found.sees}
    data |= {"random": asdict(found.random), "per_episode": [asdict(row) for row in found.per_episode]}
    if not emit(data, json_file):
        print(verdict.sentence(found))
        print(verdict.baselines(found))
        if found.sees:
            print(found.sees)
    return 0


def _in_reality(
    run: Path,
    folder: Path,
    episodes: int,
    purpose: Literal["evaluation", "identification"],
    record: Path | None,
    threads: int,
    json_file: Path | None,
) -> int:
    """Play a reality's next episodes; they are on its ledger before anything is printed."""
    from wellposed.reality import play, table

    found = play(run, folder, episodes, purpose, threads, record)
    data = {"reality": str(folder), "run": str(run), "purpose": purpose, "head": found.record.head}
    data |= asdict(found.summary) | {"per_episode": [asdict(row) for row in found.rows]}
    if not emit(data, json_file):
        print("\n".join(table(found.record)))
    return 0


def seal_reality(
    file: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE", help="a TOML file (docs/reality.md)")],
    seed: Annotated[int | None, tyro.conf.arg(help="draws hidden values and episodes; a secret one by default")] = None,
) -> int:
    """Draw what is hidden of a reality, and seal it in a folder beside the file. Publish the head that it prints."""
    from wellposed.reality import seal, table

    record = seal(file, seed)
    print("\n".join(table(record)))
    print(record.folder)
    return 0


def show_reality(
    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="DIR", help="the folder of a sealed reality")],
    head: Annotated[
        str | None, tyro.conf.arg(metavar="DIGEST", help="a head that was published: is what it stood for still there?")
    ] = None,
    json_file: JsonFile = None,
) -> int:
    """Verify the ledger of a reality, and tell which policies were evaluated there how often."""
    from wellposed.reality import read_record, require_head, selection, table

    record = read_record(folder)
    if head is not None:
        require_head(record, head)
    data = {"title": record.reality.title, "budget": record.reality.budget, "spent": record.spent, "head": record.head}
    data |= {"selection": selection(record.entries), "entries": [asdict(entry) for entry in record.entries]}
    if not emit(data, json_file):
        print("\n".join(table(record)))
    return 0


def reality_predicts(
    folder: Annotated[Positional[Path], tyro.conf.arg(metavar="DIR", help="the folder of a sealed reality")],
    runs: Annotated[Positional[list[RunPath]], tyro.conf.arg(metavar="RUN...", help="runs that were evaluated there")],
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Tell how well success in simulation predicts success in a reality: the rank correlation over runs."""
    from wellposed.predictive import pairs_of, predict, table
    from wellposed.reality import read_record

    found = predict(pairs_of(read_record(folder), runs, threads))
    if not emit(asdict(found), json_file):
        print("\n".join(table(found)))
    return 0


def identify(
    file: Annotated[Positional[Path], tyro.conf.arg(metavar="FILE", help="what `eval --reality --record` wrote")],
    names: Annotated[
        Positional[list[str]], tyro.conf.arg(metavar="NAME...", help="parameters: friction mass size damping gain")
    ],
    episodes: Annotated[int | None, tyro.conf.arg(help="only the first ones of the recording")] = None,
    steps: Annotated[int, tyro.conf.arg(help="steps that are predicted at once")] = 1,
    transitions: Annotated[int, tyro.conf.arg(help="that are simulated, evenly spread over the recording")] = 500,
    threads: Threads = CORES,
    json_file: JsonFile = None,
) -> int:
    """Estimate parameters of a simulator's dynamics from recorded transitions, with intervals (docs/identify.md).

    What the data do not tell is called not identifiable.
    """
    from wellposed.errors import require
    from wellposed.identify import identify, table
    from wellposed.recorded import read_recording

    require(episodes is None or episodes >= 1, "episodes", "must be at least 1", episodes)
    require(steps >= 1, "steps", "must be at least 1", steps)
    require(transitions >= 2, "transitions", "must be at least 2", transitions)
    recording = read_recording(file)
    found = identify(recording if episodes is None else recording.first(episodes), names, steps, threads, transitions)
    if not emit(asdict(found), json_file):
        print("\n".join(table(found)))
    return 0


REALITY = Group(
    "Sealed realities: seal, show, predicts, identify; `wellposed reality` explains them.",
    {"seal": seal_reality, "show": show_reality, "predicts": reality_predicts, "identify": identify},
)


def robustness(
    runs: Annotated[Positional[list[RunPath]], Seeds],
    only: Annotated[Words, tyro.conf.arg(metavar="NAME...", help="curves, challenges and sets; all without it")] = (),
    dynamics: Annotated[
        Words, tyro.conf.arg(metavar="NAME=LOW..HIGH...", help="an uncertainty set of one to three dimensions of yours")
    ] = (),
    episodes: Episodes = 100,
    seed: Seed = 0,
    out: Annotated[
        Path, tyro.conf.arg(metavar="DIR", help="folder of robustness.html, robustness.json and episodes.jsonl")
    ] = Path("robustness"),
    threads: Threads = CORES,
    quiet: Annotated[bool, tyro.conf.arg(help="no progress bar")] = False,
    json_file: JsonFile = None,
) -> int:
    """Measure success under sensor errors and other dynamics; prints the page's path last.

    Success against the level of one disturbance at a time, on paired episodes; the challenges of the real-world RL
    suite; the worst case of uncertainty sets, found by search and played again on fresh episodes.
    """
    from wellposed.report.robustness import lines, write_page
    from wellposed.robustness import Request, examine, write

    if not runs:
        raise UserError("Name at least one run directory; `wellposed runs` lists them.")
    found = examine(runs, Request(only, dynamics, episodes, seed), threads, quiet)
    write(found, out)
    write_page(found.result, out / "robustness.html")
    if not emit(asdict(found.result), json_file):
        print("\n".join(lines(found.result)))
        print(out / "robustness.html")
    return 0
