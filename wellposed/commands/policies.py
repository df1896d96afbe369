"""Commands that take a trained policy out of its run: into a file, a video, a window."""

from pathlib import Path
from typing import Annotated, Literal

import tyro

from wellposed.commands.arguments import CORES, Positional, RunPath, Threads

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
