"""Running mean and standard deviation of what an agent sees, in float64, outside the compiled update."""

from typing import Literal

import numpy as np

from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig, InputStats, Scale, Scales, scale_name
from wellposed.types import Moment, Spec

# Without a floor of its own, a number whose standard deviation is below this share of its root mean square is constant.
# It is about a hundred times the precision of float32.
RELATIVE_FLOOR = 1e-5


class RunningNormaliser:
    """Mean and standard deviation of all rows seen so far.

    Updated by merging moments, which is exact and stable. Source: Chan, Golub & LeVeque (1979),
    "Updating formulae and a pairwise algorithm for computing sample variances".
    """

    def __init__(self, size: int, floor: tuple[float, ...] = ()):
        """`floor`: least standard deviation, for each number or one for all; () for `RELATIVE_FLOOR`."""
        self.count, self.mean, self.m2, self.floor = 0.0, np.zeros(size), np.zeros(size), np.array(floor)

    def update(self, rows: np.ndarray) -> None:
        """Take in rows [n, size]."""
        n, mean = len(rows), rows.mean(axis=0)
        delta, total = mean - self.mean, self.count + n
        self.m2 += ((rows - mean) ** 2).sum(axis=0) + delta**2 * self.count * n / total
        self.mean += delta * n / total
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Standard deviation [size], at least the floor; 1 before anything was seen, 0 where all numbers were 0."""
        if not self.count:
            return np.ones_like(self.mean)
        variance = self.m2 / self.count
        floor = self.floor if self.floor.size else RELATIVE_FLOOR * np.sqrt(self.mean**2 + variance)
        return np.maximum(np.sqrt(variance), floor)

    def state(self, name: str) -> dict[str, np.ndarray]:
        """Count, mean and sum of squares, as arrays whose names begin with `name`."""
        return {f"{name}.count": np.array(self.count), f"{name}.mean": self.mean, f"{name}.m2": self.m2}

    def load_state(self, state: dict[str, np.ndarray], name: str) -> None:
        """Take over what `state` returned. Raises UserError if a number is invalid."""
        count, mean, m2 = (state[f"{name}.{part}"] for part in ("count", "mean", "m2"))
        if not (np.isfinite([count, *mean, *m2]).all() and count >= 0 and (m2 >= 0).all()):
            raise UserError(f"The saved statistics {name} are not valid; they were edited by hand or are damaged.")
        self.count, self.mean, self.m2 = float(count), mean.copy(), m2.copy()


class InputScaler:
    """Running statistics of what is seen, and of the truth where the critics see it.

    The points in space that goals hold share one scale on all axes. Source: HER, appendix A.
    """

    def __init__(self, config: InputConfig, spec: Spec, critic_sees: Literal["obs", "truth"]):
        self.config, self.spec = config, spec
        self._fields = {"obs": spec.obs}
        if critic_sees == "truth" and spec.truth:
            self._fields["truth"] = spec.truth
        self._running: dict[tuple[str, str], RunningNormaliser] = {}
        for part, fields in self._fields.items():
            for one in fields:
                if one.kind != "image":
                    fresh = RunningNormaliser(spec.size(one.name), one.floor)
                    self._running.setdefault((part, scale_name(one)), fresh)
        self.stats = self._collect()

    def observe(self, moment: Moment) -> None:
        """Take in one moment of all envs."""
        if not self.config.normalise:
            return
        for (part, name), running in self._running.items():
            obs = getattr(moment, part)
            fields = [one for one in self._fields[part] if one.kind != "image" and scale_name(one) == name]
            rows = [obs[one.name].reshape(len(obs[one.name]), -1) for one in fields]
            running.update(np.concatenate(rows, dtype=np.float64))
        self.stats = self._collect()

    @property
    def count(self) -> float:
        """How many observations were taken in."""
        return min((running.count for running in self._running.values()), default=0.0)

    def state(self) -> dict[str, np.ndarray]:
        """The statistics as named arrays, e.g. `inputs.obs.goal.mean`."""
        states = [running.state(f"inputs.{part}.{name}") for (part, name), running in self._running.items()]
        return {name: array for state in states for name, array in state.items()}

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned."""
        for (part, name), running in self._running.items():
            running.load_state(state, f"inputs.{part}.{name}")
        self.stats = self._collect()

    def _collect(self) -> InputStats:
        parts: dict[str, Scales] = {part: {} for part in self._fields}
        for (part, name), running in self._running.items():
            std = running.std
            if name == "goal" and self.spec.geometry is not None:
                points = np.concatenate(self.spec.geometry.targets)
                std[points] = np.sqrt(np.mean(std[points] ** 2))
            std[std == 0] = 1.0  # what is always 0 stays 0
            parts[part][name] = Scale(running.mean.astype(np.float32), std.astype(np.float32))
        return InputStats(parts["obs"], parts.get("truth", {}))
