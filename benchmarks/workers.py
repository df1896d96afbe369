"""An environment that holds Python's lock, in worker processes against one process: environment steps per second.

    make setup EXTRAS=dev,panda
    python -m benchmarks.workers --env panda_gym:PandaPush-v3 --workers 2

The two take turns with as many processes that do the same work and never wait for one another: what this machine gives
at most, as two cores may share one. On a machine that is busy with something else the clock says little, so seconds of
processors are printed too: what a step costs in all, and the factor that idle cores would give, from the seconds of
this process and of the worker that took longest.
"""

import argparse
import contextlib
import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.machine import print_header
from wellposed import plugin
from wellposed.envs import gym as foreign
from wellposed.envs.make import EnvConfig, make_env

STEPS, ASKED = 50, 1.8  # of all envs in a round; how many times the steps per second of one process
TICK = os.sysconf("SC_CLK_TCK")


class Round(NamedTuple):
    """Seconds that a share of work took."""

    wall: float
    processors: float  # together
    path: float  # of processors: of this process and, beside it, of the worker that took longest


def work(name: str, envs: int, threads: int) -> Callable[[], Round]:
    """A function that takes `STEPS` steps of all envs."""
    env: Any = make_env(EnvConfig(name), envs, "training", threads=threads)
    print(f"{threads}: {env.stepping}", flush=True)
    env.reset(seed=0)
    rng = np.random.default_rng(0)

    def measured() -> Round:
        actions = rng.uniform(-1, 1, (STEPS, envs, env.spec.action_dim)).astype(np.float32)
        processes = env._group.processes if env.workers else []
        own, there, began = time.process_time(), np.array([_seconds(pid) for pid in processes]), time.perf_counter()
        for action in actions:
            env.step(action)
        wall, own = time.perf_counter() - began, time.process_time() - own
        others = np.array([_seconds(pid) for pid in processes]) - there
        return Round(wall, own + others.sum(), own + others.max(initial=0.0))

    return measured


def work_apart(name: str, envs: int, processes: int) -> Callable[[], Round]:
    """A function that takes `STEPS` steps of all envs in processes that do not wait for one another."""
    context, links = multiprocessing.get_context("spawn"), []
    for share in np.array_split(np.arange(envs), processes):
        ours, theirs = context.Pipe()
        context.Process(target=_work_when_told, args=(name, len(share), theirs), daemon=True).start()
        links.append(ours)

    def measured() -> Round:
        for link in links:
            link.send("go")
        wall, processors, path = np.array([link.recv() for link in links]).T
        return Round(wall.max(), processors.sum(), path.max())

    return measured


def _work_when_told(name: str, envs: int, link: Connection) -> None:
    """A process of `work_apart`."""
    plugin.allow_import(name)
    measured = work(name, envs, 1)
    with contextlib.suppress(EOFError):  # the benchmark is over
        while link.recv():
            link.send(measured())


def _seconds(pid: int) -> float:
    """Seconds of processors that a process has used."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / TICK


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env", default="panda_gym:PandaPush-v3")
    parser.add_argument("--envs", type=int, default=16)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="rounds that count")
    args = parser.parse_args()
    plugin.allow_import(args.env)
    foreign.WORTH_A_PROCESS = 0.0
    print_header(
        f"Workers: {args.env}, {args.envs} envs, {args.workers} worker processes against one process", "gymnasium"
    )
    compare(args.env, args.envs, args.workers, args.rounds)


def compare(name: str, envs: int, workers: int, rounds: int) -> None:
    """Measure all in turns and print ratios; the first round is thrown away."""
    kinds = {
        "one process": work(name, envs, 1),
        "workers": work(name, envs, workers),
        "apart": work_apart(name, envs, workers),
    }
    rows = np.array([[measured() for measured in kinds.values()] for _ in range(rounds + 1)][1:])  # [rounds, 3, 3]
    one, many, apart = rows.swapaxes(0, 1)
    for kind, values in zip(kinds, (one, many, apart), strict=True):
        rate, cost = STEPS * envs / np.median(values[:, 0]), 1e3 * np.median(values[:, 1]) / STEPS / envs
        print(f"{kind}: {rate:,.0f} steps/s, {cost:.3f} ms of processors a step")
    told = {
        f"workers / one process (asked {ASKED})": one[:, 0] / many[:, 0],
        "workers / one process on idle cores, by seconds of processors": one[:, 1] / many[:, 2],
        "apart / one process": one[:, 0] / apart[:, 0],
        "workers / apart": apart[:, 0] / many[:, 0],
    }
    for what, ratio in told.items():
        print(f"{what}: {np.median(ratio):.2f}  ({ratio.min():.2f} to {ratio.max():.2f})")


if __name__ == "__main__":
    main()
