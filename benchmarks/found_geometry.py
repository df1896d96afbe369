"""PandaPush trained with a geometry that was found and with one that a person declared: environment steps to the bar.

    make setup EXTRAS=dev,panda
    python -m benchmarks.found_geometry --seeds 0-2

Each seed is trained with both, in turns. The bar is 95 % of 100 monitoring episodes, looked at every 4,000 steps, twice
in a row; the trained policy then plays 200 held-out episodes. Asked: found within 1.25 times the steps of declared.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import wellposed as wp
from benchmarks.machine import print_header
from benchmarks.time_to_success import first_time
from wellposed.runs.store import RunReader
from wellposed.seeding import parse_seeds
from wellposed.stats import describe_rate
from wellposed.types import Geometry, Mirror

ENV, BAR, EPISODES, EVERY, HELD_OUT, ASKED = "panda_gym:PandaPush-v3", 0.95, 100, 4_000, 200, 1.25
VECTOR, ROTATION = (1, -1, 1), (-1, 1, -1)  # how they look in a mirror across y
# 0-2 hand, 3-5 its velocity, 6-8 block, 9-11 angles, 12-14 velocity, 15-17 angular velocity
SIGNS = VECTOR * 3 + ROTATION + VECTOR + ROTATION
DECLARED = Geometry(
    effector=(0, 1, 2),
    points=((0, 1, 2), (6, 7, 8)),
    shift_axes=(0, 1),
    mirror=Mirror(tuple(range(18)), SIGNS, (0.0,) * 18, VECTOR, (0.0,) * 3, VECTOR),
    differences=((0, 1),),  # from hand to block, which the observation lacks
)


def steps_to_bar(geometry: Geometry, seed: int) -> float:
    """Train once and print the run as a line; infinite if the bar was not reached."""
    config = wp.default_config(ENV)
    config = replace(
        config, env=replace(config.env, geometry=geometry), seed=seed, until_success=BAR, stop_rule="twice",
        eval_every=EVERY, eval_episodes=EPISODES,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path, summary = wp.train(config, Path(folder), quiet=True)
        row = first_time(RunReader(path).evaluations, BAR)
        held_out = wp.assess(path, episodes=HELD_OUT).trained
    steps = np.inf if row is None else row.step
    rate = describe_rate(held_out.success_rate, held_out.success_ci95)
    print(f"{steps:>10,} steps, {summary.seconds:5.0f} s; held out {rate}")
    return steps


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-2", help="as 0-2 or 0,2,5")
    seeds = parse_seeds(parser.parse_args().seeds)
    print_header("Found geometry against a declared one", "panda-gym", "pybullet", "jax")
    began = time.perf_counter()
    found = wp.find_geometry(ENV).geometry
    print(f"found in {time.perf_counter() - began:.0f} s: {found}")
    if found is None:
        return 1
    steps: dict[str, list[float]] = {"declared": [], "found": []}
    for seed in seeds:
        for name, geometry in (("declared", DECLARED), ("found", found)):
            print(f"seed {seed}  {name:<9}", end="", flush=True)
            if name == "found" and found == DECLARED:
                print("the same geometry, and so the same run")
                steps[name].append(steps["declared"][-1])
            else:
                steps[name].append(steps_to_bar(geometry, seed))
    declared, by_itself = (float(np.median(steps[name])) for name in ("declared", "found"))
    ratio = by_itself / declared
    print(f"median steps to {BAR:.0%}: declared {declared:,.0f}, found {by_itself:,.0f}, ratio {ratio:.2f}")
    return int(not ratio <= ASKED)


if __name__ == "__main__":
    sys.exit(main())
