"""How often intervals over seeds cover the truth, and how often a difference is claimed where there is none.

python -m benchmarks.coverage
"""

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

from wellposed import stats
from wellposed.analysis.differences import better_share, difference, ratio_of_times
from wellposed.analysis.survival import Times
from wellposed.runs.provenance import git_state

SEEDS, EPISODES, TRIALS = 5, 100, 2000
Z = NormalDist().inv_cdf(0.975)

# Success of a seed in an episode: the logit of its mean, how much seeds differ (standard deviation of the logit), the
# share of episodes that no seed can solve, and the share of seeds that solve none.
RATES = {
    "95 %, seeds alike": (np.log(0.95 / 0.05), 0.0, 0.0, 0.0),
    "99 %, seeds alike": (np.log(0.99 / 0.01), 0.0, 0.0, 0.0),
    "95 %, seeds differ": (np.log(0.95 / 0.05), 0.7, 0.0, 0.0),
    "99 %, seeds differ": (np.log(0.99 / 0.01), 0.7, 0.0, 0.0),
    "99 % of those that are not out of reach, 2 % are": (np.log(0.99 / 0.01), 0.0, 0.02, 0.0),
    "all but the 1 % that are out of reach": (np.inf, 0.0, 0.01, 0.0),
    "99 %, but one seed of twenty solves none": (np.log(0.99 / 0.01), 0.0, 0.0, 0.05),
}
Simulation = Callable[[np.random.Generator], np.ndarray]


def z_interval(values: np.ndarray) -> stats.Interval:
    """The wrong one: as if the spread were known."""
    mean, half = values.mean(), Z * values.std(ddof=1) / np.sqrt(values.size)
    return stats.Interval(mean, mean - half, mean + half)


def rates(mean: float, spread: float, unreachable: float, failing: float) -> tuple[Simulation, float]:
    """A simulation of the success rates of all seeds [seeds] on the same episodes, and their true mean."""

    def solved(rng: np.random.Generator, seeds: int) -> np.ndarray:
        logits = rng.normal(0, spread, seeds) + mean
        return np.where(rng.random(seeds) < failing, 0.0, 1 / (1 + np.exp(-logits)))

    def simulate(rng: np.random.Generator) -> np.ndarray:
        reachable = rng.random(EPISODES) >= unreachable
        return ((rng.random((SEEDS, EPISODES)) < solved(rng, SEEDS)[:, None]) & reachable).mean(axis=1)

    exact = solved(np.random.default_rng(1), 1_000_000) if spread else solved(np.random.default_rng(1), 1)
    alike = 1 / (1 + np.exp(-mean)) if not spread else exact.mean()
    return simulate, float(alike * (1 - unreachable) * (1 - failing))


def covered(
    simulate: Simulation, truth: float, interval: Callable[[np.ndarray], stats.Interval]
) -> tuple[float, float]:
    """How often an interval covers, and how wide it is on average."""
    rng, hits, width = np.random.default_rng(0), 0, 0.0
    for _ in range(TRIALS):
        _, low, high = interval(simulate(rng))
        hits += low <= truth <= high
        width += high - low
    return hits / TRIALS, width / TRIALS


def claimed(simulate: Simulation, excludes: Callable[[np.ndarray, np.ndarray], bool]) -> float:
    """How often two groups that are alike are told apart."""
    rng = np.random.default_rng(0)
    return sum(excludes(simulate(rng), simulate(rng)) for _ in range(TRIALS)) / TRIALS


def apart(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether the difference of two success rates is shown."""
    _, low, high = difference(*(stats.over_seeds(values, EPISODES) for values in (one, other)))
    return not low <= 0 <= high


def main() -> None:
    """Print both tables."""
    commit, dirty = git_state()
    print(f"# Coverage of intervals over seeds\ncommit {commit}{' with uncommitted changes' if dirty else ''}, seed 0")
    print(f"{SEEDS} seeds, the same {EPISODES} held-out episodes, {TRIALS} simulations: covers / mean width, in %")
    kinds = {"z": z_interval, "bootstrap": stats.bootstrap_mean, "t": stats.student}
    kinds["over_seeds"] = lambda values: stats.over_seeds(values, EPISODES)
    print(f"{'success rate':50}" + "".join(f"{name:>14}" for name in kinds) + f"{'told apart':>14}")
    for name, shape in RATES.items():
        simulate, truth = rates(*shape)
        cells = [covered(simulate, truth, interval) for interval in kinds.values()]
        shown = "".join(f"{f'{100 * hit:.1f} / {100 * width:.1f}':>14}" for hit, width in cells)
        print(f"{name:50}{shown}{100 * claimed(simulate, apart):>14.1f}")

    print(f"\n{SEEDS} seeds, steps to the bar, {TRIALS} simulations: covers the mean, in %")
    kinds["over_seeds"] = stats.over_seeds
    everyone = np.ones(SEEDS, bool)
    print(f"{'log-normal, standard deviation of the logarithm':50}" + "".join(f"{name:>14}" for name in kinds))
    for spread in (0.1, 0.3, 0.6):

        def steps(rng: np.random.Generator, spread: float = spread) -> np.ndarray:
            return np.exp(rng.normal(0, spread, SEEDS))

        cells = [covered(steps, np.exp(spread**2 / 2), interval) for interval in kinds.values()]
        print(f"{spread:<50}" + "".join(f"{100 * hit:>14.1f}" for hit, _ in cells))
    told = claimed(steps, lambda a, b: ratio_of_times(Times(a, everyone), Times(b, everyone)).decided)
    print(f"ratio_of_times tells {100 * told:.1f} % of groups apart that are alike")
    share = claimed(steps, lambda a, b: not better_share(a, b).low <= 0.5 <= better_share(a, b).high)
    print(f"better_share leaves 1/2 out in {100 * share:.1f} % of groups that are alike")


if __name__ == "__main__":
    main()
