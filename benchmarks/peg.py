"""The policies that were written by hand for the peg tasks, on held-out episodes, and steps per second of both tasks.

python -m benchmarks.peg --episodes 200
"""

import argparse
from contextlib import closing
from typing import Any

import numpy as np

from benchmarks.machine import interleaved_rates, print_header
from benchmarks.stepping import ENVS, STEPS, stepping
from wellposed import seeding
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.suites.peg.guarded import memoryless_bound
from wellposed.envs.suites.peg.oracle import AnyProbe, EachProbe, OneProbe, SpiralSearch
from wellposed.rollout.evaluate import EVALUATION_ENVS, play_episodes
from wellposed.stats import describe_rate, wilson
from wellposed.types import Policy

CLEARANCES = (0.002, 0.001, 0.0005, 0.0003)  # metres
PITCH = 0.6  # of the clearance, between turns of the spiral
CELLS = 5  # and as many probes


def judged(env_id: str, kwargs: dict[str, Any], policy: Policy, episodes: int, threads: int) -> str:
    """Success of a policy, with its interval, and the median steps to it."""
    with closing(make_env(EnvConfig(env_id, kwargs), EVALUATION_ENVS, "evaluation", threads=threads)) as env:
        rows = play_episodes(policy, env, seeding.evaluation_env_seeds(0, episodes, "held-out"))
    rate, low, high = wilson(sum(row.success for row in rows), len(rows))
    steps = np.median([row.time_to_success for row in rows if row.time_to_success is not None])
    return f"{describe_rate(rate, (low, high))}, median of {steps:.0f} steps where it gets there"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of stepping that count")
    args = parser.parse_args()
    print_header(f"Peg tasks: {args.episodes} held-out episodes of seed 0, {args.threads} threads", "mujoco")
    for kwargs in ({"shape": shape, "clearance": c} for shape in ("square", "round") for c in CLEARANCES):
        search = SpiralSearch(PITCH * kwargs["clearance"])
        told = judged("PegInsert-v0", kwargs, search, args.episodes, args.threads)
        print(f"spiral search, {kwargs['shape']}, {1000 * kwargs['clearance']:g} mm: {told}", flush=True)
    bounds = {"one cell": 1 / CELLS, "any cell": memoryless_bound(CELLS, CELLS), "each cell": 1.0}
    probes: list[Policy] = [OneProbe(), AnyProbe(np.random.default_rng(0)), EachProbe(CELLS)]
    for (name, bound), policy in zip(bounds.items(), probes, strict=True):
        told = judged("PegProbe-v0", {"cells": CELLS}, policy, args.episodes, args.threads)
        print(f"guarded moves, {name}: {told}; at most {100 * bound:.1f} % in the mean")
    kinds = {"PegInsert-v0": {}, "PegInsert-v0, round": {"shape": "round"}, "PegProbe-v0": {}}
    work = {}
    for name, kwargs in kinds.items():
        env: Any = make_env(EnvConfig(name.partition(",")[0], kwargs), ENVS, "training", threads=args.threads)
        env.reset(seed=0)
        moves = np.random.default_rng(0).uniform(-1, 1, (STEPS, ENVS, env.spec.action_dim))
        work[name] = stepping(env, moves.astype(np.float32))
    for name, rates in interleaved_rates(work, args.rounds).items():
        told = f"{np.median(rates):,.0f} ({rates.min():,.0f} to {rates.max():,.0f})"
        print(f"{name}, uniform actions, {ENVS} envs: {told} steps/s", flush=True)


if __name__ == "__main__":
    main()
