"""Records of the same run, held against each other."""

from pathlib import Path

from wellposed.runs.compare import differences
from wellposed.runs.store import RunReader


def unequal(one: Path, other: Path) -> set[str]:
    """The names of what differs between two finished records, seconds left out."""
    configs = {"config"} if RunReader(one).config != RunReader(other).config else set()
    return configs | {difference.quantity for difference in differences(RunReader(one), RunReader(other))}
