"""Budgets known beforehand: what `wellposed plan` says of a training, against that training.

Each configuration is planned, then trained, with the same options, each in a process of its own. Peak memory is what
the system counted for the largest process that trained, time is from the start to the end. Asked for: memory within
10 % and time within 25 % of what was measured. Beside it stands the arithmetic by which `wellposed train` refuses what
would not fit.

    python -m benchmarks.plan

Exit code 1 if a figure is missed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MEMORY, TIME = 0.10, 0.25
CONFIGURATIONS: dict[str, list[str]] = {
    "Reach, default recipe": ["FetchReach-v4"],
    "Push, default recipe, 30,000 steps": ["FetchPush-v4", "--total-steps", "30000"],
    "Slide, default recipe, 15,000 steps": ["FetchSlide-v4", "--total-steps", "15000"],
    "Push, wide: [256]*3, batch 512, 4,000 steps": [
        "FetchPush-v4", "--total-steps", "4000", "--agent.hidden", "256", "256", "256", "--agent.batch-size", "512",
    ],
    "Reach, a replay that fills: 400,000 steps, 64 envs, few updates": [
        "FetchReach-v4", "--total-steps", "400000", "--num-envs", "64", "--updates-per-step", "0.01",
        "--eval-every", "100000",
    ],
    "Reach, two seeds side by side": ["FetchReach-v4", "--seeds", "0-1"],
}  # fmt: skip


def trained(options: list[str], threads: int) -> tuple[float, int]:
    """Seconds of training, and peak memory in bytes of the largest process."""
    with tempfile.TemporaryDirectory() as folder, open(os.devnull, "wb") as nowhere:
        command = [sys.executable, "-m", "wellposed", "train", *options, "--quiet", "--runs-dir", folder]
        began = time.perf_counter()
        process = subprocess.Popen([*command, "--threads", str(threads)], stdout=nowhere)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"training {' '.join(options)} ended with exit code {process.returncode}")
    return seconds, used.ru_maxrss * 1024


def planned(options: list[str], threads: int) -> tuple[dict, float]:
    """The plan as JSON data, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "plan.json"
        command = [sys.executable, "-m", "wellposed", "plan", *options, "--runs-dir", folder, "--json", str(file)]
        began = time.perf_counter()
        subprocess.run([*command, "--threads", str(threads)], check=True, stdout=subprocess.DEVNULL)
        return json.loads(file.read_text()), time.perf_counter() - began


def compare(name: str, options: list[str], threads: int) -> bool:
    """Plan and train one configuration, print a row; whether both figures are met."""
    plan, took = planned(options, threads)
    seconds, peak = trained(options, threads)
    plan["peak"] //= plan["side_by_side"]  # of each process
    plan["arithmetic"] //= plan["side_by_side"]
    memory, duration = plan["peak"] / peak, plan["seconds"]["total"] / seconds
    within = abs(memory - 1) <= MEMORY and abs(duration - 1) <= TIME
    mib = lambda size: f"{size / 2**20:,.0f}"  # noqa: E731
    memory_row = f"{mib(plan['arithmetic'])} | {mib(plan['peak'])} | {mib(peak)} | {memory:.2f}"
    time_row = f"{plan['seconds']['total']:,.0f} | {seconds:,.0f} | {duration:.2f} | {took:.0f}"
    print(f"| {name} | {memory_row} | {time_row} | {'yes' if within else 'NO'} |", flush=True)
    return within


def refusal_milliseconds() -> float:
    """What it costs a training to be checked against what is free, the first time in a process."""
    code = (
        "import time; from pathlib import Path; from wellposed import memory; "
        "from wellposed.envs.make import make_env; from wellposed.recipes import default_config; "
        "run = default_config('FetchPush-v4'); make_env(run.env, 1, 'training').close(); "
        "began = time.perf_counter(); memory.require_fit([run], 1, [Path('runs')]); print(time.perf_counter() - began)"
    )
    return 1000 * float(subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the configurations, from 0")
    args = parser.parse_args()
    from benchmarks.machine import print_header

    print_header("Budgets known beforehand: planned against trained", "jax", "mujoco")
    print(f"checking a training against what is free takes {refusal_milliseconds():.0f} ms, environment built\n")
    print(
        "| configuration | arithmetic, MiB | planned, MiB | measured, MiB | ratio | planned, s | measured, s | ratio | "
        f"planning, s | within {MEMORY:.0%} and {TIME:.0%} |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    chosen = [item for i, item in enumerate(CONFIGURATIONS.items()) if args.only is None or i in args.only]
    met = [compare(name, options, args.threads) for name, options in chosen]  # all of them, whatever the first says
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
