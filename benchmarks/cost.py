"""How cost grows: time and memory of training on Push against envs, batch, width, replay and updates per step.

One thing at a time is changed from the default recipe, each in a process of its own. `share` is the arithmetic of the
updates, as XLA counts it, over the seconds of the whole loop, as a share of this machine's measured matmul peak.

    python -m benchmarks.cost
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

ENV, WARM, MEASURED = "FetchPush-v4", 2_400, 6_400
CHANGES: dict[str, list[dict[str, Any]]] = {
    "default recipe": [{}],
    "envs": [{"num_envs": n} for n in (1, 4, 32, 64)],
    "batch": [{"agent.batch_size": n} for n in (64, 512, 1024)],
    "width": [{"agent.hidden": [n] * 3} for n in (32, 128, 256)],
    "replay": [{"replay.capacity": n} for n in (10_000, 100_000)],
    "updates per step": [{"updates_per_step": r} for r in (0.125, 1.0, 2.0)],
}


def measure(changes: dict[str, Any]) -> dict[str, float]:
    """One short training in this process."""
    from wellposed.config import override
    from wellposed.data import ReplayBuffer
    from wellposed.envs import make_vec
    from wellposed.recipes import default_config
    from wellposed.runs.store import RunReader
    from wellposed.training import train

    base = replace(default_config(ENV), total_steps=WARM + MEASURED, eval_every=WARM, eval_episodes=2)
    config = override(base, changes)
    with tempfile.TemporaryDirectory() as folder:
        path, _ = train(config, Path(folder), quiet=True)
        rows = RunReader(path).metrics
    peak_memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds, steps, updates = (getattr(rows[-1], k) - getattr(rows[0], k) for k in ("seconds", "step", "updates"))
    env = make_vec(ENV)
    replay = ReplayBuffer(config.replay, env.inner.spec, 1, env.compute_reward, env.compute_terminated)
    flops = flops_of_an_update(config.agent, env.inner.spec)
    return {
        "steps_per_second": steps / seconds, "updates_per_second": updates / seconds, "megaflop": flops / 1e6,
        "gflops": flops * updates / seconds / 1e9, "memory": peak_memory, "replay": replay.nbytes / 2**20,
    }  # fmt: skip


def flops_of_an_update(config: Any, spec: Any) -> float:
    """Floating-point operations of one gradient update, as XLA counts those of the compiled call."""
    import numpy as np

    from wellposed.agents import SAC
    from wellposed.agents.sac import update
    from wellposed.types import Batch

    agent, shape = SAC(config, spec, 0), (1, config.batch_size)
    obs = {field.name: np.zeros((*shape, *field.shape), field.dtype) for field in spec.obs}
    action, number = np.zeros((*shape, spec.action_dim), np.float32), np.zeros(shape, np.float32)
    batch = Batch(obs, action, number, obs, number, {}, {})
    compiled = update.lower(config, spec, agent.learner, agent.scaler.stats, batch).compile()
    analysis: Any = compiled.cost_analysis()
    return float(analysis["flops"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", help="changes as JSON: measure them in this process")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(json.loads(args.one))))
        return
    from benchmarks.machine import matmul_peak, print_header

    print_header(f"How cost grows: {ENV}, default recipe, one thing changed at a time", "jax", "mujoco")
    peak = matmul_peak()
    print()
    print(
        "| changed | steps/s | updates/s | MFLOP an update | share of peak | peak memory, MB | replay when full, MB |"
    )
    print("|---|---|---|---|---|---|---|")
    for group, variants in CHANGES.items():
        for changes in variants:
            command = [sys.executable, "-m", "benchmarks.cost", "--one", json.dumps(changes)]
            row = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
            value = next(iter(changes.values()), "")
            name = f"{group}: {value:,}" if isinstance(value, int) else f"{group} {value}".strip()
            speed = f"{row['steps_per_second']:,.0f} | {row['updates_per_second']:,.0f}"
            arithmetic = f"{row['megaflop']:.0f} | {row['gflops'] / peak:.0%}"
            print(f"| {name} | {speed} | {arithmetic} | {row['memory']:,.0f} | {row['replay']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
