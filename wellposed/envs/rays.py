"""The shape of success: where it ends along rays from goals, by bisection, and the norm that fits the boundary."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Test = Callable[[np.ndarray, np.ndarray], bool]  # whether an achieved goal [g] is success for a desired one [g]
CENTRES, DIRECTIONS = 4, 24  # goals that rays start from, and rays from each, the same ones from all
FAR = 8.0  # spreads of goals after which a ray ends
HALVINGS = 30
FITS = 0.02  # relative scatter of the boundary's norm up to which a norm is said to fit
NO_WEIGHT = 1e-6  # of the heaviest axis: an axis that does not matter


@dataclass(frozen=True)
class Rays:
    """Where success ends."""

    offset: np.ndarray  # [centres, directions, g]: from the goal to where success ends, NaN where it never does
    broken: int  # rays along which success came back
    turning: list[slice]  # coordinates of goals that are rotations

    @property
    def ended(self) -> np.ndarray:
        """The offsets [n, g] of the rays that left success."""
        return self.offset[np.isfinite(self.offset).all(axis=2)]

    @property
    def radius(self) -> float | None:
        """The median distance at which success ends, to six digits; None if it ends on no ray."""
        return float(f"{np.median(np.linalg.norm(self.ended, axis=1)):.6g}") if len(self.ended) else None

    @property
    def unequal(self) -> float:
        """The largest ratio between two goals' distances in one direction."""
        size = np.linalg.norm(self.offset, axis=2)
        size = size[:, np.isfinite(size).all(axis=0)]
        return float((size.max(axis=0) / size.min(axis=0)).max()) if size.size else 1.0


def quaternions(goals: np.ndarray) -> list[slice]:
    """Groups of four coordinates with length 1 in all goals [n, g]: rotations, which rays must keep."""
    found, at = [], 0
    while at + 4 <= goals.shape[1]:
        unit = bool((np.abs(np.linalg.norm(goals[:, at : at + 4], axis=1) - 1) < 1e-4).all())
        if unit:
            found.append(slice(at, at + 4))
        at += 4 if unit else 1
    return found


def directions(size: int, turning: list[slice], rng: np.random.Generator) -> np.ndarray:
    """Unit vectors [DIRECTIONS, size]: along axes and between them, and of every rotation on its own."""
    straight = [i for i in range(size) if not any(part.start <= i < part.stop for part in turning)]
    found = np.zeros((DIRECTIONS, size))
    for number, direction in enumerate(found):
        if turning and (number % 2 or not straight):
            direction[turning[number // 2 % len(turning)]] = rng.normal(size=4)
        elif number % 4 == 0:
            direction[straight[number // 4 % len(straight)]] = 1.0
        else:
            direction[straight] = rng.normal(size=len(straight))
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def cast_rays(success: Test, seen: np.ndarray, spread: np.ndarray, dtype: Any, rng: np.random.Generator) -> Rays:
    """Follow rays from goals until success ends.

    Rays start at some of the achieved goals `seen` [n, g], in steps of `spread`, the spread of goals on each axis [g].
    `success` is asked of pairs of goals of type `dtype`; `rng` chooses goals and directions.
    """
    seen, size = np.unique(seen, axis=0), seen.shape[1]
    turning = quaternions(seen)
    ways = directions(size, turning, rng) * np.where(spread > 0, spread, spread.max() or 1.0)
    centres = seen[rng.integers(len(seen), size=CENTRES)]
    offset, broken = np.full((CENTRES, DIRECTIONS, size), np.nan), 0
    for i, centre in enumerate(centres):
        for j, way in enumerate(ways):

            def reached(t: float, centre: np.ndarray = centre, way: np.ndarray = way) -> bool:
                place = centre + t * way
                for part in turning:
                    place[part] /= np.linalg.norm(place[part])
                try:
                    return success(place.astype(dtype), centre.astype(dtype))
                except (ArithmeticError, LookupError, ValueError):  # a place that the rule does not accept
                    return False

            end, back = boundary(reached, rng.uniform(0.8, 1.2))
            broken += back
            if end:
                offset[i, j] = end * way
    return Rays(offset, broken, turning)


def boundary(reached: Callable[[float], bool], jitter: float) -> tuple[float | None, bool]:
    """Where along a ray success ends (None: nowhere), and whether it comes back after that.

    `jitter` stretches the places that are tried, so that many rays together leave no gap.
    """
    scan = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 9), np.linspace(1.0, FAR, 12)[1:]]) * jitter
    inside = np.array([reached(t) for t in scan])
    if inside.all():
        return None, False
    last = int(np.argmin(inside))  # the first outside
    low, high = (scan[last - 1] if last else 0.0), scan[last]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) else (low, middle)
    finer = np.linspace(0, 8 * high, 48)
    again = np.array([reached(t) for t in finer])
    back = inside[last:].any() or again[finer > high * 1.001].any() or not again[finer < high * 0.999].all()
    return float(high), bool(back)


def best_norm(x: np.ndarray) -> tuple[str, float, float]:
    """The norm in which a boundary x [n, g] is at one distance: its name, that distance, the relative scatter left."""
    norms = {
        "Euclidean distance": np.linalg.norm(x, axis=1),
        "largest difference on an axis": np.abs(x).max(axis=1),
        "sum of differences": np.abs(x).sum(axis=1),
    }
    scatter = {name: float(v.std() / v.mean()) for name, v in norms.items()}
    name = min(scatter, key=lambda key: scatter[key])
    if scatter[name] <= FITS:
        return name, float(np.median(norms[name])), scatter[name]
    weights = np.linalg.lstsq(x**2, np.ones(len(x)), rcond=None)[0]
    weights = np.where(weights > NO_WEIGHT * weights.max(), weights, 0.0)
    own = np.sqrt(x**2 @ weights)
    if own.std() <= FITS * own.mean():
        radii = ", ".join(f"{1 / np.sqrt(w):.3g}" if w else "any" for w in weights)
        return f"Euclidean distance with a radius for each axis ({radii})", 1.0, float(own.std() / own.mean())
    return name, float(np.median(norms[name])), scatter[name]
