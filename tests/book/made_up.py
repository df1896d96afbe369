"""Made-up results of a chapter: a task that is learnt with hindsight and is not without."""

import numpy as np

from wellposed.chapters.results import Curve, HeldOut, Results, RunResult, VariantResult
from wellposed.runs.record import MEANS, Estimate, Solved

BUDGET = 20_000


def run(seed: int, middle: float | None, gamma: float = 0.95) -> RunResult:
    """A run whose success rises around the step `middle`; None: never. It stops at its second evaluation of 95 %."""
    rng = np.random.default_rng(seed)
    step = np.arange(0, BUDGET + 1, 1000)
    rate = np.full(len(step), 0.04) if middle is None else 1 / (1 + np.exp(-(step - middle - 300 * seed) / 900))
    success = rng.binomial(50, np.clip(rate, 0.04, 1))
    high = success >= 48
    there = np.flatnonzero(high[1:] & high[:-1])
    end = there[0] + 2 if len(there) else len(step)
    step, success = step[:end].tolist(), success[:end].tolist()
    updates, seconds = [s // 2 for s in step], [s / 1000 for s in step]
    last = Solved(0.95, step[-1], updates[-1], seconds[-1]) if len(there) else None
    held_out = HeldOut(
        seed=0,
        checkpoint="0" * 64,
        success="".join("1" if rng.random() < (0.98 if last else 0.05) else "0" for _ in range(100)),
        already_solved="0" * 95 + "1" * 5,
        kinds={},
        random_success=Estimate(0.05, (0.02, 0.11)),
        means=dict.fromkeys(MEANS, 1.0),
    )
    falling = np.exp(-np.arange(end) / 6)
    series: dict[str, list[float | None]] = {
        "train/critic_loss": [None, *falling[1:].tolist()],
        "probe/q_mean": (-10 + falling).tolist(),
        "probe/q_min": (-14 + falling).tolist(),
        "probe/q_max": (-7 + falling).tolist(),
        "train/temperature": [0.1] * end,
    }
    return RunResult(
        run=f"FetchPush-v4_sac_abcdef_s{seed}", seed=seed, ended="solved" if last else "budget", step=step[-1],
        updates=updates[-1], seconds=seconds[-1], solved=last, held_out=held_out,
        curve=Curve(50, step, updates, seconds, success), series=series, command="wellposed chapter run 4",
        commit="0123456789abcdef", dirty=False, cpu="a processor", cores=2, started="2030-01-01T00:00:00+00:00",
    )  # fmt: skip


def variant(middle: float | None, gamma: float = 0.95, temperature: float = 0.1) -> VariantResult:
    """Five runs of one configuration."""
    agent = {"gamma": gamma, "temperature": temperature, "batch_size": 256}
    config = {"env": "FetchPush-v4", "total_steps": BUDGET, "updates_per_step": 0.5, "agent": agent}
    return VariantResult(config, [run(seed, middle) for seed in range(5)])


def results() -> Results:
    """An experiment with two variants, and one that varies two settings."""
    middles = {(0.95, 0.05): 6000, (0.95, 0.1): 7000, (0.98, 0.05): 12000, (0.98, 0.1): 8000}
    experiments = {
        "relabelling": {"future": variant(6000), "none": variant(None)},
        "grid": {f"{g} {t}": variant(middle, g, t) for (g, t), middle in middles.items()},
    }
    return Results(experiments, {}, {})
