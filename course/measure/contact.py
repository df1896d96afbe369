"""Forces that a peg feels in each state of contact, in the simulator and by statics."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from course.measure.kinds import Context
from wellposed.envs.suites.peg import model
from wellposed.envs.suites.peg.model import PegSimulation, peg_model
from wellposed.envs.suites.peg.oracle import lever_arm
from wellposed.errors import UserError

ASIDE = 0.018  # metres from the hole's middle, where the plate carries the whole peg
PRESS = 0.0015  # metres below the plate to which the hand is drawn: 3 N
PUSH = 0.0045  # metres beside the middle to which it is drawn in the hole
SLOW = 1e-4  # metres that a slide advances in an environment step, so that hardly any force is inertia
SETTLE, SLIDE = 20, 40  # environment steps
HALFWAY, DEEP = 0.012, 0.0195  # metres of the tip below the plate
NUDGE, HARDEST = 0.1, 40.0  # N by which a push grows until both walls are met, and where that is given up
STEEP = np.pi / 4  # direction of a diagonal


@dataclass(frozen=True)
class ContactSettings:
    """The square hole's clearance, how far the peg lies off its middle on the plate, and the frictions of slides."""

    clearance: float  # metres
    off: list[float]  # metres
    friction: list[float]

    def __post_init__(self) -> None:
        if not 1e-4 <= self.clearance <= 1e-3 or not all(1e-3 <= off <= 5e-3 for off in self.off):
            raise UserError(
                "clearance must be a length in metres from 1e-4 to 1e-3, and off lengths from 1e-3 to 5e-3."
            )
        if not all(0 < one <= 1 for one in self.friction):
            raise UserError(f"friction must be coefficients above 0 and at most 1, got {self.friction}.")


@dataclass(frozen=True)
class ContactRow:
    """One number that a state shows. Where statics alone leaves it open, it is measured only."""

    state: str
    quantity: str  # with its unit
    predicted: float | None
    measured: float
    off: float | None  # share by which the measured one is larger; None without a prediction above 0


@dataclass(frozen=True)
class Contact:
    """All states."""

    clearance: float
    rows: list[ContactRow]
    furthest: float  # largest size of `off`


def measure_contact(settings: ContactSettings, context: Context) -> Contact:
    """Bring a peg into each state and read the wrench at its wrist."""
    clearance, half = settings.clearance, model.WIDTH / 2
    rows = [
        _row("in the air", "force, N", 0.0, np.linalg.norm(_held(clearance, (0.002, 0, 0.01))[model.FORCE])),
        _row("on the plate", "force, N", model.STIFFNESS * PRESS, _held(clearance, (ASIDE, 0, -PRESS))[14]),
    ]
    for off in context.over(settings.off, "places"):
        middle = (half + (model.WIDTH + clearance) / 2 - off) / 2  # of the strip that is still on the plate
        for name, angle, due in (("an axis", 0.0, 1000 * middle), ("the diagonal", STEEP, None)):
            seen = _held(clearance, (off * np.cos(angle), off * np.sin(angle), -PRESS))
            lever = 1000 * np.linalg.norm(lever_arm(seen[None, model.SEEN])[0])
            rows.append(_row(f"{1000 * off:g} mm off the hole along {name}", "lever at the tip, mm", due, lever))
    for friction in context.over(settings.friction, "frictions"):
        told = f", friction {friction:g}"
        sideways, down = _slid(clearance, friction, (ASIDE, 0, -PRESS), (1, 0, 0))
        rows.append(_row(f"slid over the plate{told}", "force sideways over force down", friction, sideways / down))
        sideways, down = _slid(clearance, friction, (PUSH, 0, -HALFWAY / 2), (0, 0, -1))
        rows.append(_row(f"slid down one wall{told}", "force upwards over force sideways", friction, down / sideways))
    seen = _held(clearance, (PUSH, 0, -HALFWAY), (0, 0, -HALFWAY))
    lever = 1000 * float(seen[16] / -seen[12])
    rows.append(_row("at one wall, 12 mm deep", "lever at the wrist, mm", 1000 * (model.LENGTH - HALFWAY), lever))
    needed = model.TURNING_STIFFNESS * clearance / (DEEP * (model.LENGTH - DEEP))
    rows.append(_row("at both walls, 19.5 mm deep", "least force sideways, N", needed, _both_walls(clearance)))
    return Contact(clearance, rows, max(abs(row.off) for row in rows if row.off is not None))


def _row(state: str, quantity: str, predicted: float | None, measured: Any) -> ContactRow:
    off = float(measured) / predicted - 1 if predicted else None
    return ContactRow(state, quantity, predicted, float(measured), off)


def _begun(clearance: float, friction: float, at: tuple[float, float, float]) -> PegSimulation:
    """A hand at rest at a place, the hole in the middle."""
    simulation = PegSimulation(mujoco.MjData(peg_model("square", clearance)), np.zeros(model.READINGS))
    simulation.begin(np.array(at), np.zeros(2), np.zeros(3), friction)
    return simulation


def _held(clearance: float, target: Any, begin: Any = None) -> np.ndarray:
    """The readings of a hand that was drawn to a target until it rests; it begins above the plate."""
    simulation = _begun(clearance, 0.2, begin or (*target[:2], max(target[2], 2e-4)))
    for _ in range(SETTLE):
        simulation.advance(np.array(target))
    return simulation.readings


def _slid(clearance: float, friction: float, target: Any, way: Any) -> tuple[float, float]:
    """Forces sideways and upwards, in N, on a peg that presses and is then led slowly along a way."""
    x, y, z = target
    simulation = _begun(clearance, friction, (x, y, 2e-4) if way[0] else (0, y, z))
    for t in range(SETTLE + SLIDE):
        simulation.advance(np.array(target) + SLOW * max(0, t - SETTLE) * np.array(way))
    return float(-simulation.readings[12]), float(simulation.readings[14])


def _both_walls(clearance: float) -> float:
    """The least force sideways, in N, at which an upright peg that is deep in the hole touches the wall behind it."""
    simulation = _begun(clearance, 0.2, (0, 0, -DEEP))
    for force in np.arange(NUDGE, HARDEST, NUDGE):
        for _ in range(SETTLE // 4):
            place = simulation.readings[0]
            simulation.advance(np.array([place + force / model.STIFFNESS, 0, -DEEP]))
        if any(one.pos[0] < 0 for one in simulation.data.contact):
            return float(-simulation.readings[12])
    raise UserError(f"Up to {HARDEST:g} N sideways the peg touched one wall only; lower the clearance.")
