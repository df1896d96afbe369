"""What the numbers of an environment are: the name, the unit and the frame of each. A suite says them of its tasks."""

from dataclasses import dataclass

AXES = ("x", "y", "z")
WORLD = "world"  # x away from the robot, y to its left, z up; the origin on the floor


@dataclass(frozen=True)
class Quantity:
    """One number."""

    name: str
    unit: str
    frame: str  # what it is measured in and from


@dataclass(frozen=True)
class Quantities:
    """All numbers of an environment, in the order in which they come."""

    observation: tuple[Quantity, ...]
    goal: tuple[Quantity, ...]
    action: tuple[Quantity, ...]

    @property
    def goal_unit(self) -> str:
        """The unit of goals; "" where their numbers have several."""
        units = {quantity.unit for quantity in self.goal}
        return units.pop() if len(units) == 1 else ""

    def find(self, part: str, name: str) -> int:
        """Where a part ("observation", "goal" or "action") holds the number of that name."""
        return [quantity.name for quantity in getattr(self, part)].index(name)


def vector(name: str, unit: str, frame: str) -> tuple[Quantity, ...]:
    """The three components of a vector."""
    return tuple(Quantity(f"{name} {axis}", unit, frame) for axis in AXES)
