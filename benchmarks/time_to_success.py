"""Seconds of training until a sparse Fetch task is solved: ours, and Stable-Baselines3 and SBX beside it.

The greedy policy plays its episodes on seeds that training never sees, through the same evaluation loop for all; solved
means at or above the bar twice in a row, and the time is that of the second. Every run is a process of its own, so
imports, compilation and saving checkpoints count; evaluation does not. Ours is the default recipe throughout, a peer
has the one measured best for it (see `peer`). A peer is evaluated at the intervals `peer_every`, which are longer
where it needs millions of steps: at most that much of its time is the rule's.

    python -m benchmarks.time_to_success FetchPush-v4 --seeds 0-4
    python -m benchmarks.time_to_success FetchPush-v4 --seeds 0 --peers sb3 --give-up 1500
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

BEGAN = time.perf_counter()  # before the heavy imports, which count

from wellposed import seeding  # noqa: E402
from wellposed.seeding import parse_seeds  # noqa: E402

PEERS = ("sb3", "sbx")


@dataclass(frozen=True)
class Task:
    """How a task is judged. `bars`: success rates whose times are told; the run stops at the last."""

    bars: tuple[float, ...]
    budget: int  # environment steps
    every: int  # steps between evaluations
    peer_every: int
    episodes: int = 200


TASKS = {
    "FetchReach-v4": Task((0.98,), 20_000, 500, 500),
    "FetchPush-v4": Task((0.95, 0.99), 400_000, 2_000, 10_000),
    "FetchPickAndPlace-v4": Task((0.95,), 1_000_000, 10_000, 20_000),
    "FetchSlide-v4": Task((0.75,), 320_000, 20_000, 20_000),
}


def first_time(rows: list, bar: float):
    """The second of the first two evaluations in a row at or above the bar, or None."""
    reached = (b for a, b in pairwise(rows) if min(a.success_rate, b.success_rate) >= bar)
    return next(reached, None)


def ours(env: str, seed: int) -> dict:
    """The default recipe, evaluated by this benchmark's rule; the trained agent then plays 200 held-out episodes."""
    from wellposed.recipes import default_config
    from wellposed.runs.store import RunReader
    from wellposed.training import train
    from wellposed.verdict import assess

    task = TASKS[env]
    config = replace(
        default_config(env), seed=seed, until_success=task.bars[-1], eval_every=task.every, eval_episodes=task.episodes,
        total_steps=task.budget, stop_rule="twice",
    )  # fmt: skip
    imports = time.perf_counter() - BEGAN
    with tempfile.TemporaryDirectory() as folder:
        path, summary = train(config, Path(folder), quiet=True)
        rows, held_out = RunReader(path).evaluations, assess(path, episodes=task.episodes).trained
    times = {}
    for bar in task.bars:
        row = first_time(rows, bar)
        times[str(bar)] = None if row is None else [row.seconds + imports, row.step, row.updates]
    kinds = {kind: rate.value for kind, rate in held_out.success_by_kind.items()}
    return {
        "times": times, "seconds": summary.seconds + imports, "steps": summary.step, "updates": summary.updates,
        "curve": [[row.step, row.seconds + imports, row.success_rate] for row in rows],
        "held_out": held_out.success_rate, "kinds": kinds,
    }  # fmt: skip


def peer(name: str, env: str, seed: int, give_up: float) -> dict:
    """A peer: the small recipe that is best for it on Reach, the published one (robotics_series' sweep) elsewhere."""
    import gymnasium as gym
    import gymnasium_robotics
    from stable_baselines3 import HerReplayBuffer
    from stable_baselines3.common.env_util import make_vec_env

    gym.register_envs(gymnasium_robotics)
    if name == "sb3":
        from stable_baselines3 import SAC
    else:
        from sbx import SAC
    small = env == "FetchReach-v4"
    model = SAC(
        "MultiInputPolicy",
        gym.make(env) if small else make_vec_env(env, 8, seed=seed),  # type: ignore[arg-type]
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={"n_sampled_goal": 4, "goal_selection_strategy": "future"},
        policy_kwargs={"net_arch": [64, 64] if small else [256, 256, 256]},
        batch_size=256,
        learning_rate=1e-3 if small else 3e-4,
        ent_coef=0.05,
        gamma=0.95,
        tau=0.05,
        learning_starts=100 if small else 1_000,
        seed=seed,
    )
    watcher = _watcher(env, seed, give_up)
    model.learn(TASKS[env].budget if small else 10_000_000, callback=watcher)
    bar = str(TASKS[env].bars[0])
    seconds, steps, updates = watcher.training_seconds(), model.num_timesteps, int(model._n_updates)
    times = {bar: [seconds, steps, updates] if watcher.solved else None}
    return {"times": times, "seconds": seconds, "steps": steps, "updates": updates, "last": watcher.last}


def _watcher(env: str, seed: int, give_up: float):
    """A Stable-Baselines3 callback that evaluates through our loop, off the clock, and stops when solved or late."""
    from stable_baselines3.common.callbacks import BaseCallback

    from wellposed.envs import make_vec
    from wellposed.rollout.evaluate import play_episodes

    task = TASKS[env]

    class Watcher(BaseCallback):
        evaluating, solved, last, due = 0.0, False, 0.0, task.peer_every

        def training_seconds(self) -> float:
            return time.perf_counter() - BEGAN - self.evaluating

        def _on_training_start(self) -> None:
            self.env = make_vec(env, 25, threads=2)
            self.seeds = seeding.evaluation_env_seeds(seed, task.episodes, "monitoring")

        def initial_carry(self, n):
            return ()

        def act(self, obs, carry=(), rng=None):
            return self.model.predict({k: v.astype(np.float32) for k, v in obs.items()}, deterministic=True)[0], ()

        def _on_step(self) -> bool:
            if self.num_timesteps < self.due:
                return True
            self.due += task.peer_every
            began = time.perf_counter()
            rate = float(np.mean([row.success for row in play_episodes(self, self.env, self.seeds)]))
            self.evaluating += time.perf_counter() - began
            self.solved, self.last = rate >= task.bars[0] and self.last >= task.bars[0], rate
            return not self.solved and self.training_seconds() < give_up

    return Watcher()


def describe(row: dict, bars: tuple[float, ...]) -> str:
    """One run as a line."""
    times = [(bar, row["times"].get(str(bar))) for bar in bars]
    parts = [f"{bar:.0%}: {t[0]:6.1f} s {t[1]:>8,} steps {t[2]:>8,} updates" for bar, t in times if t]
    parts = parts or [f"not solved within {row['seconds']:,.0f} s, {row['steps']:,} steps, {row['updates']:,} updates"]
    kinds = "".join(f", {kind} {rate:.1%}" for kind, rate in row.get("kinds", {}).items())
    end = f"held out {row['held_out']:.1%}{kinds}" if "held_out" in row else f"last evaluation {row['last']:.1%}"
    return "; ".join(parts) + f"; {end}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", choices=list(TASKS))
    parser.add_argument("--seeds", default="0-4", help="as 0-4 or 0,2,5")
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=[], help="run these beside ours")
    parser.add_argument("--give-up", type=float, default=float("inf"), help="seconds after which a peer is stopped")
    parser.add_argument("--json", type=Path, help="write all results here")
    parser.add_argument("--one", choices=["ours", *PEERS], help="run one candidate in this process, print JSON")
    args = parser.parse_args()
    seeds, bars = parse_seeds(args.seeds), TASKS[args.env].bars
    if args.one:
        mine = args.one == "ours"
        print(json.dumps(ours(args.env, seeds[0]) if mine else peer(args.one, args.env, seeds[0], args.give_up)))
        return
    from benchmarks.machine import print_header

    installed = ["stable-baselines3", "sbx-rl"] if args.peers else []
    title = f"{args.env}, seconds of training to {' and '.join(f'{bar:.0%}' for bar in bars)} twice in a row"
    print_header(title, "jax", "mujoco", *installed)
    results: dict[str, list[dict]] = {name: [] for name in ("ours", *args.peers)}
    for seed in seeds:
        for name, rows in results.items():
            command = [sys.executable, "-m", "benchmarks.time_to_success", args.env, "--one", name]
            command += ["--seeds", str(seed), "--give-up", str(args.give_up)]
            rows.append(json.loads(subprocess.check_output(command, text=True).splitlines()[-1]))
            print(f"seed {seed}  {name:<5} {describe(rows[-1], bars)}", flush=True)
    if args.json:
        args.json.write_text(json.dumps({"env": args.env, "seeds": seeds, "bars": bars, "results": results}))
    report(results, bars)


def report(results: dict[str, list[dict]], bars: tuple[float, ...]) -> None:
    """Medians, worst cases, and how many times longer the peers took; a peer that gave up counts with what it spent."""
    for bar in bars:
        times = [row["times"][str(bar)] for row in results["ours"]]
        seconds = np.array([np.inf if t is None else t[0] for t in times])
        print(
            f"ours to {bar:.0%}: median {np.median(seconds):.1f} s, worst {seconds.max():.1f} s, {len(seconds)} seeds"
        )
    mine = np.array([(row["times"][str(bars[0])] or [np.inf])[0] for row in results["ours"]])
    for name in results.keys() - {"ours"}:
        theirs = np.array([(row["times"][str(bars[0])] or [row["seconds"]])[0] for row in results[name]])
        open_ended = any(row["times"][str(bars[0])] is None for row in results[name])
        ratio = theirs / mine
        least = " at least, for it had not solved it" if open_ended else ""
        print(f"{name} / ours: median {np.median(ratio):.1f}  ({ratio.min():.1f} to {ratio.max():.1f}){least}")


if __name__ == "__main__":
    main()
