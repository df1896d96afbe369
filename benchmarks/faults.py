"""Does `wellposed diagnose` name what is wrong? Faults injected into Reach and Push, beside as many sound runs.

Each case is trained on two seeds: rules were tuned on the first and are reported on the second, which nothing was tuned
on. A run's record is kept and never made twice, so the benchmark may be interrupted and goes on. Sound runs stop at the
same short budgets: most of those on Push have not taken off by then, and must still be called sound.

    python -m benchmarks.faults train DIR                   # hours on one core; add --only "frozen actor" for one case
    python -m benchmarks.faults table DIR --seeds report    # seconds
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.injections import FAULTS, HEALTHY, TASKS, Case

BUDGETS = {"FetchReach-v4": 4_800, "FetchPush-v4": 8_000}  # environment steps
EVALUATIONS, EPISODES = {"FetchReach-v4": 8, "FetchPush-v4": 4}, 25
SEEDS = {"fault": {"tune": 0, "report": 1}, "healthy": {"tune": 2, "report": 3}}


def cases() -> dict[str, Case]:
    """All cases by their name."""
    return {case.name: case for case in (*FAULTS, *HEALTHY)}


def seeds_of(case: Case) -> dict[str, int]:
    """The seed the rules were tuned on, and the one they are reported on."""
    return SEEDS["healthy" if case.finding is None else "fault"]


def folder_of(root: Path, case: Case, task: str) -> Path:
    """Where the records of a case lie."""
    return root / task / case.name.replace(" ", "_").replace(",", "").replace("=", "is")


def ended(path: Path) -> bool:
    """Whether a run is over; one that diverged is, too."""
    return (path / "summary.json").exists() or (path / "failure.json").exists()


def is_done(root: Path, case: Case, task: str, purpose: str) -> bool:
    """Whether every run of a case that is asked for is over."""
    asked = [seed for name, seed in seeds_of(case).items() if purpose in (name, "all")]
    return all(any(map(ended, folder_of(root, case, task).glob(f"*_s{seed}"))) for seed in asked)


def train_case(root: Path, case: Case, task: str, purpose: str) -> None:
    """Train the seeds of a case in this process, patched; those recorded already are left alone."""
    from dataclasses import replace

    from wellposed import serialise
    from wellposed.config import override
    from wellposed.errors import UserError
    from wellposed.recipes import default_config
    from wellposed.runs.store import run_name
    from wellposed.training import train

    base = replace(
        default_config(task, case.algo), total_steps=BUDGETS[task], eval_every=BUDGETS[task] // EVALUATIONS[task],
        eval_episodes=EPISODES,
    )  # fmt: skip
    config, folder = override(base, case.settings), folder_of(root, case, task)
    with case.patch():
        for name, seed in seeds_of(case).items():
            one = replace(config, seed=seed)
            if purpose not in (name, "all") or ended(folder / run_name(serialise.to_dict(one))):
                continue
            try:
                train(one, folder, threads=1, quiet=True)
            except UserError as error:  # a fault may make a run diverge; its record says so
                print(f"{case.name}, {task}, seed {seed}: {error}", flush=True)


def train_all(root: Path, only: list[str], tasks: list[str], purpose: str, workers: int) -> None:
    """Each case in a process of its own: a patch must be there before anything is compiled, and gone afterwards."""
    root.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(root / "compiled")}
    todo = [(c.name, task) for some in (FAULTS, HEALTHY) for task in tasks for c in some if not only or c.name in only]
    todo = [(name, task) for name, task in todo if not is_done(root, cases()[name], task, purpose)]
    running: list[subprocess.Popen] = []
    for name, task in todo:
        while len(running) >= workers:
            running.pop(0).wait()
        command = [sys.executable, "-m", "benchmarks.faults", "one", str(root)]
        command += ["--only", name, "--tasks", task, "--seeds", purpose]
        running.append(subprocess.Popen(command, env=environment))
        print(f"{task}  {name}", flush=True)
    for process in running:
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["train", "one", "table"])
    parser.add_argument("root", type=Path, metavar="DIR", help="where the records lie")
    parser.add_argument("--only", nargs="*", default=[], help="cases by name")
    parser.add_argument("--tasks", nargs="*", choices=TASKS, default=list(TASKS))
    parser.add_argument("--seeds", choices=["tune", "report", "all"], default="all")
    parser.add_argument("--workers", type=int, default=1, help="processes at a time")
    parser.add_argument("--json", type=Path, help="write every run's findings here")
    args = parser.parse_args()
    if args.command == "one":
        for name in args.only:
            for task in args.tasks:
                train_case(args.root, cases()[name], task, args.seeds)
    elif args.command == "train":
        train_all(args.root, args.only, args.tasks, args.seeds, args.workers)
    else:
        from benchmarks.fault_table import print_table

        rows = print_table(args.root, args.tasks, args.seeds)
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
