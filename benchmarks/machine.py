"""What every benchmark prints first, how it repeats a measurement, and the code of another commit."""

import importlib.metadata
import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from wellposed.runs.provenance import cpu_name, git_state

ROOT = Path(__file__).resolve().parents[1]


def check_out(commit: str, tree: Path) -> None:
    """Unpack a commit into a folder."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tree, filter="data")


def print_header(title: str, *packages: str) -> None:
    """Title, commit, machine and versions: what a published number must carry."""
    commit, dirty = git_state()
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    print(f"# {title}")
    print(f"commit {commit}{' with uncommitted changes' if dirty else ''}")
    print(
        f"{cpu_name()}, {len(os.sched_getaffinity(0))} cores, matmul peak {matmul_peak():.0f} GFLOP/s; {versions}",
        flush=True,
    )


@cache
def matmul_peak() -> float:
    """GFLOP/s of float32 matrix products of 2048 x 2048 on all cores, the best of ten."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_cpu_enable_async_dispatch", False)  # as training does, which may follow in this process
    n, best = 2048, 0.0
    a = jnp.ones((n, n))
    product = jax.jit(lambda x: x @ x)
    product(a).block_until_ready()
    for _ in range(10):
        began = time.perf_counter()
        product(a).block_until_ready()
        best = max(best, 2 * n**3 / (time.perf_counter() - began) / 1e9)
    return best


def interleaved_rates(candidates: dict[str, Callable[[], int]], rounds: int) -> dict[str, np.ndarray]:
    """Units per second of each candidate in each round, [rounds]; the candidates take turns.

    A machine whose speed drifts slows them all alike, so ratios within a round can be trusted.
    Each candidate does a share of work and returns how many units it was; the first round is thrown away.
    """
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds + 1):
        for name, work in candidates.items():
            began = time.perf_counter()
            units = work()
            rates[name].append(units / (time.perf_counter() - began))
    return {name: np.array(values[1:]) for name, values in rates.items()}


def print_ratios(rates: dict[str, np.ndarray], ours: str, unit: str, asked: dict[str, float]) -> None:
    """Median and range of each rate, and of ours over each peer's, round by round."""
    for name, values in rates.items():
        print(f"{name:<34} {np.median(values):>10,.0f} {unit}/s  ({values.min():,.0f} to {values.max():,.0f})")
    for name, values in rates.items():
        if name != ours:
            ratio = rates[ours] / values
            wish = f"; asked at least {asked[name]}" if name in asked else ""
            print(f"ours / {name}: {np.median(ratio):.2f}  ({ratio.min():.2f} to {ratio.max():.2f}{wish})")
