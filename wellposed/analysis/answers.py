"""The answers of an experiment as a table: what each variant needed, all seeds shown."""

from dataclasses import dataclass

import numpy as np

from wellposed import stats


@dataclass(frozen=True)
class Need:
    """What one variant's runs needed until they were solved; an infinity for each that was not within its budget."""

    variant: str
    steps: np.ndarray  # [seeds]
    seconds: np.ndarray  # [seeds]

    @property
    def solved(self) -> int:
        """How many runs were solved."""
        return int(np.isfinite(self.steps).sum())


def mean_with_interval(values: np.ndarray, digits: int) -> str:
    """`31,000 (28,000 to 34,000)`: mean and 95 % t interval over seeds; `-` where one never got there.

    Where seeds do not differ, or there is one, no interval is known: `31,000`. Below 0 there are no steps and no
    seconds.
    """
    if not np.isfinite(values).all():
        return "-"
    mean, low, high = stats.over_seeds(values)
    shown = [f"{round(v, digits):,.0f}" for v in (mean, max(low, 0.0), high) if np.isfinite(v)]
    return f"{shown[0]} ({shown[1]} to {shown[2]})" if np.isfinite(low) else shown[0]


def table(needs: list[Need]) -> str:
    """A Markdown table, one line for each variant in the order given."""
    means = "steps to it, mean (95 % CI, t over seeds) | seconds, mean (95 % CI)"
    lines = [f"| variant | solved | {means} | seconds of each seed |", "|---|---|---|---|---|"]
    for need in needs:
        each = ", ".join(f"{s:.0f}" if np.isfinite(s) else "not" for s in need.seconds)
        lines.append(
            f"| {need.variant} | {need.solved} of {len(need.steps)} | {mean_with_interval(need.steps, -2)} | "
            f"{mean_with_interval(need.seconds, 0)} | {each} |"
        )
    return "\n".join(lines) + "\n"
