"""`wellposed demo`: tests of the machine, training, verdict and report in one command."""

import time
from datetime import datetime
from pathlib import Path

from wellposed import verdict
from wellposed.config import RunConfig
from wellposed.doctor import MARKS, examine
from wellposed.envs.make import EnvConfig
from wellposed.report.page import write_report
from wellposed.training import train

TARGET = 0.98


def demo_config(seed: int) -> RunConfig:
    """Sparse Fetch Reach, evaluated often enough to see the curve rise; otherwise the default recipe."""
    return RunConfig(
        env=EnvConfig("FetchReach-v4"),
        seed=seed,
        total_steps=10_000,
        num_envs=4,
        random_steps=200,
        until_success=1.0,
        eval_every=100,
    )


def run_demo(seeds: list[int], runs_dir: Path, threads: int) -> int:
    """Run the demonstration in a new directory below `runs_dir`; 0 if the machine and every verdict are good."""
    began = time.perf_counter()
    folder = runs_dir / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    print("1. Proof of life")
    fit = True
    for finding in examine():
        fit &= finding.status != "fails"
        print(f"   {MARKS[finding.status]} {finding.name:<24} {finding.evidence}", flush=True)
    if not fit:
        print("This machine is not fit for the laboratory; see FAIL above.")
        return 1
    print("2. Training: Fetch Reach from sparse rewards, SAC with hindsight", flush=True)
    # One by one, so that seconds of training are comparable.
    runs = [train(demo_config(seed), folder, threads=threads) for seed in seeds]
    print("3. Verdict on 100 held-out episodes a run, greedy policy")
    sound = True
    for path, summary in runs:
        found = verdict.stored_verdict(path, threads)
        sound &= found.trained.success_rate >= TARGET
        print(f"   {verdict.sentence(found)} after {summary.seconds:.1f} s of training, {summary.step:,} steps")
        print(f"   beside it: {verdict.baselines(found)}", flush=True)
    print("4. Report")
    page = write_report([path for path, _ in runs], folder / "report.html", threads=threads)
    print(f"   done in {time.perf_counter() - began:.0f} s" + ("" if sound else f"; a run missed {TARGET:.0%}"))
    print(page.resolve())
    return 0 if sound else 1
