"""Running mean and standard deviation of what an agent sees, in float64, outside the compiled update."""

import numpy as np

from wellposed.errors import UserError


class RunningNormaliser:
    """Mean and standard deviation of all rows seen so far.

    Updated by merging moments, which is exact and stable. Source: Chan, Golub & LeVeque (1979),
    "Updating formulae and a pairwise algorithm for computing sample variances".
    """

    def __init__(self, dim: int, min_std: float):
        """`min_std`: floor of the standard deviation, so that an input that never varies is not blown up."""
        self.count, self.mean, self.m2, self.min_std = 0.0, np.zeros(dim), np.zeros(dim), min_std

    def update(self, rows: np.ndarray) -> None:
        """Take in rows [n, dim]."""
        n, mean = len(rows), rows.mean(axis=0)
        delta, total = mean - self.mean, self.count + n
        self.m2 += ((rows - mean) ** 2).sum(axis=0) + delta**2 * self.count * n / total
        self.mean += delta * n / total
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Standard deviation [dim], at least `min_std`; 1 before anything was seen."""
        if not self.count:
            return np.ones_like(self.mean)
        return np.maximum(np.sqrt(self.m2 / self.count), self.min_std)

    def state(self, name: str) -> dict[str, np.ndarray]:
        """Count, mean and sum of squares, as arrays whose names begin with `name`."""
        return {f"{name}.count": np.array(self.count), f"{name}.mean": self.mean, f"{name}.m2": self.m2}

    def load_state(self, state: dict[str, np.ndarray], name: str) -> None:
        """Take over what `state` returned under the same name.

        Raises:
            UserError: if these are no moments.
        """
        count, mean, m2 = (state[f"{name}.{part}"] for part in ("count", "mean", "m2"))
        if not (np.isfinite([count, *mean, *m2]).all() and count >= 0 and (m2 >= 0).all()):
            raise UserError(f"The saved statistics {name} are none; they were edited by hand or are damaged.")
        self.count, self.mean, self.m2 = float(count), mean.copy(), m2.copy()
