"""What a person waits for: the wall clock of `wellposed train ENV --until-success BAR`, from the shell and back to it.

Each seed is trained by this code and by that of another commit, in processes of their own; who comes first changes from
seed to seed. Both have been started once before, so what they keep on disk is there. Afterwards, off the clock, each
agent plays 200 held-out episodes.

    python -m benchmarks.door_to_door FetchPush-v4 --against 165d6aa --seeds 0-4

The last table says where the time of this code went, beside what the machine would need at least: physics alone on all
threads, and the arithmetic of the updates at the matmul peak.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.against import environ
from benchmarks.cost import flops_of_an_update
from benchmarks.machine import ROOT, check_out, matmul_peak, print_header
from wellposed.recipes import default_config
from wellposed.seeding import parse_seeds

BARS = {"FetchReach-v4": 0.98, "FetchPush-v4": 0.95, "FetchPickAndPlace-v4": 0.95}
HELD_OUT = 200  # episodes
NOW = "now"


@dataclass(frozen=True)
class Visit:
    """One command and what came of it."""

    seconds: float  # from the shell and back to it
    training: float  # of these, as the run's summary tells
    evaluation: float  # that training spent on evaluations
    steps: int
    updates: int
    held_out: float


def command(tree: Path, *words: str) -> float:
    """Run a command of the code in `tree`; its seconds."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "wellposed", *words], cwd=tree, env=environ(tree), stdout=subprocess.DEVNULL, check=True
    )
    return time.perf_counter() - began


def visit(tree: Path, env: str, seed: int) -> Visit:
    """Train until the bar, and judge what was trained."""
    with tempfile.TemporaryDirectory() as folder:
        told, judged = Path(folder) / "told.json", Path(folder) / "judged.json"
        bar, words = str(BARS[env]), ("--runs-dir", folder, "--json", str(told))
        seconds = command(tree, "train", env, "--until-success", bar, "--seed", str(seed), "--quiet", *words)
        [ended] = json.loads(told.read_text())
        command(tree, "eval", ended["run"], "--episodes", str(HELD_OUT), "--json", str(judged))
        rate = json.loads(judged.read_text())["success_rate"]
    summary = ended["summary"]
    times = summary["seconds"], summary["evaluation_seconds"]
    return Visit(seconds, *times, summary["step"], summary["updates"], rate)


def physics_seconds(env: str, steps: int = 3_200) -> float:
    """Seconds of one environment step of physics alone, with the envs of the recipe on all threads."""
    from wellposed.envs.make import make_env

    config, rng = default_config(env), np.random.default_rng(0)
    with closing(make_env(config.env, config.num_envs, "training", threads=2)) as made:
        made.reset(seed=0)
        actions = rng.uniform(-1, 1, (steps // config.num_envs, config.num_envs, made.spec.action_dim))
        physics, simulations = made.physics, made.simulations  # type: ignore[attr-defined]
        controls = [made.task.control(made.readings, action) for action in actions.astype(np.float32)]  # type: ignore[attr-defined]
        began = time.perf_counter()
        for control in controls:
            physics.for_each(lambda i, control=control: simulations[i].advance(control[i]))
        return (time.perf_counter() - began) / steps


def print_parts(env: str, visits: list[Visit]) -> None:
    """Where the mean run's time went, beside the least that the machine needs for the same work."""
    from wellposed.envs import make_vec

    steps, updates = (float(np.mean([getattr(one, name) for one in visits])) for name in ("steps", "updates"))
    seconds, training, evaluation = (
        float(np.mean([getattr(one, name) for one in visits])) for name in ("seconds", "training", "evaluation")
    )
    flops = flops_of_an_update(default_config(env).agent, make_vec(env).inner.spec)
    rows = [
        ("start and end: imports, environments, compiled programs, files", seconds - training - evaluation, None),
        (f"training: {steps:,.0f} steps, {updates:,.0f} updates", training, None),
        ("of that, physics of the steps", None, steps * physics_seconds(env)),
        ("of that, arithmetic of the updates", None, updates * flops / matmul_peak() / 1e9),
        ("training that waits for evaluations", evaluation, None),
        ("door to door", seconds, None),
    ]
    print("\n| part | seconds | at least |\n|---|---|---|")
    for name, spent, least in rows:
        print(f"| {name} | {'' if spent is None else f'{spent:.1f}'} | {'' if least is None else f'{least:.1f}'} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", choices=list(BARS))
    parser.add_argument("--against", metavar="COMMIT", help="the commit to compare with")
    parser.add_argument("--seeds", default="0-4", help="as 0-4 or 0,2,5")
    args = parser.parse_args()
    print_header(f"{args.env}, door to door to {BARS[args.env]:.0%}", "jax", "mujoco")
    with tempfile.TemporaryDirectory() as folder:
        trees = {NOW: ROOT}
        if args.against:
            check_out(args.against, Path(folder))
            trees[args.against] = Path(folder)
        for tree in trees.values():
            with tempfile.TemporaryDirectory() as runs:
                command(tree, "train", args.env, "--total-steps", "1600", "--runs-dir", runs, "--quiet")
        visits: dict[str, list[Visit]] = {name: [] for name in trees}
        for seed in parse_seeds(args.seeds):
            for name in sorted(trees, reverse=bool(seed % 2)):
                one = visit(trees[name], args.env, seed)
                visits[name].append(one)
                parts = f"training {one.training:.1f} s, waiting for evaluations {one.evaluation:.1f} s"
                told = f"{one.steps:>8,} steps; {parts}; held out {one.held_out:.1%}"
                print(f"seed {seed}  {name:<8} {one.seconds:6.1f} s {told}", flush=True)
    seconds = {name: np.array([one.seconds for one in of_one]) for name, of_one in visits.items()}
    if args.against:
        ratio = seconds[NOW] / seconds[args.against]
        whole = seconds[NOW].sum() / seconds[args.against].sum()
        print(f"now / {args.against}: {whole:.2f} in all, by seed {', '.join(f'{one:.2f}' for one in ratio)}")
    print_parts(args.env, visits[NOW])


if __name__ == "__main__":
    main()
