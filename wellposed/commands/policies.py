"""Commands that take a trained policy out of its run: into a file, a video, a window."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from wellposed.commands.arguments import CORES, JsonFile, Positional, RunPath, Threads, as_rows, emit

VERDICTS = {"holds": "pass", "fails": "fail", "open": "not checked"}
Run = Annotated[Positional[RunPath], tyro.conf.arg(metavar="RUN", help="a run's directory, or its short name")]


def export(
    run: Run,
    form: Annotated[
        Literal["npz", "safetensors", "onnx", "stablehlo"],
        tyro.conf.arg(name="format", help="npz and safetensors are read by wp.load_policy and by plain NumPy"),
    ] = "npz",
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="the file; by default the run's name with the format's ending")
    ] = None,
    licence: Annotated[str, tyro.conf.arg(help="of the policy, as the Hugging Face hub writes it")] = "mit",
    card: Annotated[
        Path | None, tyro.conf.arg(metavar="DIR", help="write a repository for the hub there: README.md and the policy")
    ] = None,
    push: Annotated[str | None, tyro.conf.arg(metavar="REPO", help="upload that repository to the hub as REPO")] = None,
    threads: Threads = CORES,
) -> int:
    """Write a run's policy to one file that others can use; the last line printed is its path.

    A run without a verdict plays its 100 held-out episodes first: the file says what its policy achieves.
    """
    from wellposed import hub
    from wellposed.export import export_policy, judged

    if card is not None or push is not None:
        policy = judged(run, licence, threads)
        if card is not None:
            card.mkdir(parents=True, exist_ok=True)
            print("\n".join(str(path) for path in hub.write_repository(policy, card)))
        if push is not None:
            print(hub.push(policy, push))
    print(export_policy(run, out, form=form, licence=licence, threads=threads))
    return 0


def deploy_check(
    policy: Annotated[
        Positional[RunPath],
        tyro.conf.arg(metavar="POLICY", help="a run's directory or short name, or an exported file"),
    ],
    robot: Annotated[Path, tyro.conf.arg(metavar="FILE", help="what the robot is like (docs/deploy_check.md)")],
    json_file: JsonFile = None,
) -> int:
    """Check a policy against a real robot, before it moves. Exit code 1 if a check fails.

    Rates, delays, units, limits and noise that a robot.toml states are compared with the policy's training; what was
    recorded on the robot is shown to the policy, and its answers are looked at.
    """
    from wellposed.deploy_check import examine

    found = examine(policy, robot)
    fit = all(finding.status != "fails" for finding in found)
    keys = ("check", "verdict", "evidence", "numbers", "advice")
    rows = as_rows(found, keys, check="name", verdict="status")
    rows = [row | {"verdict": VERDICTS[row["verdict"]]} for row in rows]
    if not emit({"fit": fit, "checks": rows}, json_file):
        for row in rows:
            print(f"{row['verdict']:<12} {row['check']:<18} {row['evidence']} {row['advice']}".rstrip())
        counts = ", ".join(f"{sum(row['verdict'] == word for row in rows)} {word}" for word in VERDICTS.values())
        print(f"\n{counts}.")
    return 0 if fit else 1


def video(
    run: Run,
    out: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help="the MP4 to write; by default the run's name with .mp4")
    ] = None,
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes to show, one after another")] = 4,
    seed: Annotated[int, tyro.conf.arg(help="which held-out episodes")] = 0,
    threads: Threads = CORES,
) -> int:
    """Film a run's policy at work; the last line printed is the video's path."""
    from wellposed.showing import film

    print(film(run, out, episodes=episodes, seed=seed, threads=threads))
    return 0


def watch(
    run: Run,
    episodes: Annotated[int, tyro.conf.arg(help="held-out episodes to play")] = 10,
    seed: Annotated[int, tyro.conf.arg(help="which held-out episodes")] = 0,
) -> int:
    """Watch a run's policy in a window, in real time; closing it ends the command."""
    from wellposed.showing import watch as show

    show(run, episodes=episodes, seed=seed)
    return 0
