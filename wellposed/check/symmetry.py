"""Is a shift or a mirror image a symmetry? What pairs of rollouts from a beginning and from its image say.

Pure arithmetic on positions, but for `try_symmetry`, which plays the pairs.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np

from wellposed.check.pairs import DisturbedError, EndedError, Stage, wander

TOLERANCE = 0.1  # success radii by which a point may be off the image of its twin
ROUGHLY = 0.2  # share of the effector's way by which it may be off besides, where the effector was steered
WITHIN = 0.995  # share of steps on which it must not be off by more
# Where the effector was steered: of the share of twins that begin a hair apart, but at least so much altogether.
WITHIN_STEERED, AT_LEAST = 0.88, 0.6
TESTED = 0.5  # share of steps on which it must have been possible to ask
PAIRS, LENGTH = 32, 25  # pairs of rollouts for each symmetry, and their steps
FEW, GIVEN_UP = 8, 0.75  # pairs after which one is given up that agrees on less than this part of the needed share
EDGE = 2.0  # success radii beyond the goals up to which a shift must hold
HAIR = 0.02  # success radii by which twins begin apart for comparison
DRAWS = 2_000  # of places, of which those are taken whose images lie where they may
FAR = 0.2, 0.6  # shares of the region's width that shifts take
ALONG, ACROSS = 0.9, 0.35  # cosine from which an action moves the effector along an axis, or up to which it does not


@dataclass(frozen=True)
class Image:
    """A shift or a mirror image of positions and actions: p -> sign * p + offset, a -> action_sign * a."""

    sign: np.ndarray  # [g]
    offset: np.ndarray  # [g]
    action_sign: np.ndarray  # [action_dim]

    def of(self, positions: np.ndarray) -> np.ndarray:
        """The image of positions [..., g]."""
        return self.sign * positions + self.offset


@dataclass(frozen=True)
class Symmetry:
    """What is asked about: shifts along an axis, or the mirror image on it with `offset` = coordinate + its image.

    Or whether twins that begin a hair apart agree, for comparison: contact makes of a hair what it likes.
    """

    kind: Literal["shift", "mirror", "hair"]
    axis: int  # of goals, as they are shown
    offset: float = 0.0


@dataclass(frozen=True)
class Tried:
    """A symmetry, and what pairs of rollouts say of it."""

    symmetry: Symmetry
    tested: float  # share of the steps asked for on which it could be tested
    steps: int  # how many these were
    within: float  # share of them on which the twins agree within the tolerance
    error: float  # the largest distance between a point and the image of its twin, in the unit of goals
    typical: float  # the median of that
    needed: float  # what `within` must be
    rewarded: bool = True  # whether goals get the same reward as their images

    @property
    def holds(self) -> bool:
        """Whether it is a symmetry, as far as was seen."""
        return self.rewarded and self.tested >= TESTED and self.within >= self.needed


@dataclass(frozen=True)
class Twins:
    """All that is seen on the steps of two rollouts from twin beginnings, [n, m] each; n = 0 where none could begin."""

    here: np.ndarray
    there: np.ndarray
    lone: bool = False  # whether only one of them could begin where it should


def image_of(symmetry: Symmetry, stage: Stage, shift: float = 0.0) -> Image | None:
    """The image under a symmetry, of a shift by `shift`; None if the box of actions does not have that symmetry.

    A mirror image turns those components of an action round that move the effector along its axis. Each must move it
    along it or across it.
    """
    goals, axis = stage.effect.shape[1], symmetry.axis
    unit = np.eye(goals)[axis]
    action_sign = np.ones(len(stage.effect))
    if symmetry.kind != "mirror":
        return Image(np.ones(goals), shift * unit, action_sign)
    size = np.linalg.norm(stage.effect, axis=1)
    along = np.abs(stage.effect[:, axis]) / np.where(size > 0, size, 1)
    if ((along > ACROSS) & (along < ALONG)).any():
        return None
    return Image(1 - 2 * unit, symmetry.offset * unit, np.where(along >= ALONG, -1.0, 1.0))


def beginnings(
    symmetry: Symmetry, stage: Stage, rng: np.random.Generator
) -> Iterator[tuple[int, np.ndarray, int, Image]]:
    """Seed and places [points, g] of a rollout, its twin's seed, and the image that leads from one to the other.

    Shifts are asked for wherever goals lie; mirror images, where something else than the effector achieves them, only
    where episodes begin.
    """
    low, high = stage.region
    if symmetry.kind != "shift" and len(stage.at) > 1:
        low, high = stage.resets.min(axis=(0, 1)), stage.resets.max(axis=(0, 1))
    gaps = _separations(stage.resets).min(axis=0)
    free = np.ix_(stage.puts | (np.arange(len(stage.at)) == 0), stage.axes)
    for seed, other, shift in _matching(symmetry, stage) if stage.matched else _anywhere(symmetry, stage, rng):
        if (image := image_of(symmetry, stage, shift)) is None:
            return
        places = stage.resets[seed].copy()
        places[free] = rng.uniform(low, high, places.shape)[free]
        inside = (image.of(places) >= low) & (image.of(places) <= high)
        if inside[free].all() and (_separations(places) >= gaps).all():
            yield seed, places, other, image


def _separations(points: np.ndarray) -> np.ndarray:
    """How far each two of points [..., points, d] are apart, [..., pairs]."""
    one, other = np.triu_indices(points.shape[-2], 1)
    return np.linalg.norm(points[..., one, :] - points[..., other, :], axis=-1)


def _anywhere(symmetry: Symmetry, stage: Stage, rng: np.random.Generator) -> Iterator[tuple[int, int, float]]:
    """The same seed twice, and a shift."""
    width = np.ptp(stage.region, axis=0)[symmetry.axis]
    for _ in range(DRAWS):
        seed, far = int(rng.integers(len(stage.resets))), rng.uniform(*FAR) * width
        yield seed, seed, float(rng.choice([-1, 1]) * (HAIR * stage.radius if symmetry.kind == "hair" else far))


def _matching(symmetry: Symmetry, stage: Stage) -> Iterator[tuple[int, int, float]]:
    """Seeds whose resets put what achieves goals at places that are each other's image, the best fitting first."""
    begun, image = stage.resets[:, 1:], stage.resets[:, 1:].copy()  # [seed, point, d]
    if symmetry.kind == "mirror":
        image[..., symmetry.axis] = symmetry.offset - image[..., symmetry.axis]
    away = lambda point, axis: begun[:, point, axis] - image[:, None, point, axis]  # noqa: E731  [seed, other]
    shift = away(0, symmetry.axis) if symmetry.kind != "hair" else np.zeros((len(begun), len(begun)))
    misfit = np.zeros_like(shift)
    for point in range(begun.shape[1]):
        for axis in map(int, stage.axes):
            moved = shift if symmetry.kind == "shift" and axis == symmetry.axis else 0.0
            misfit = np.maximum(misfit, np.abs(away(point, axis) - moved))
    if symmetry.kind == "shift":
        share = np.abs(shift) / np.ptp(stage.region, axis=0)[symmetry.axis]
        misfit[(share < FAR[0]) | (share > FAR[1])] = np.inf
    if symmetry.kind == "hair":
        np.fill_diagonal(misfit, np.inf)
    for flat in np.argsort(misfit, axis=None)[: np.isfinite(misfit).sum()]:
        seed, other = np.unravel_index(flat, misfit.shape)
        yield int(seed), int(other), float(shift[seed, other])


def try_symmetry(symmetry: Symmetry, stage: Stage, rng: np.random.Generator, needed: float) -> tuple[Tried, Twins]:
    """Play pairs of rollouts until there are enough, or until it is clear that less than the needed share agrees.

    Returns:
        What they say, and the twins of all steps on which both are where they should be.
    """
    asked, errors, good, kept = 0, [np.zeros(0)], [np.zeros(0, bool)], []
    for tries, (seed, places, other, image) in enumerate(beginnings(symmetry, stage, rng)):
        if asked == PAIRS or tries == 4 * PAIRS:
            break
        try:
            twins = _pair(stage, seed, places, other, image, rng)
        except (DisturbedError, EndedError):
            continue
        asked += 1
        if symmetry.kind == "shift" and not twins.lone:
            twins = _inside(stage, twins)
        apart, allowed = _apart(stage, image, twins)
        errors.append(apart)
        good.append(apart <= allowed)
        if not twins.lone:
            kept.append((twins.here[good[-1]], twins.there[good[-1]]))
        if asked == FEW and _share(good) < GIVEN_UP * needed:
            break
    every = np.concatenate(errors)
    tested = sum(len(one) > 0 for one in errors) / max(asked, 1)
    worst, typical = (float(f(every)) if len(every) else 0.0 for f in (np.max, np.median))
    tried = Tried(symmetry, tested, len(every), _share(good), worst, typical, needed)
    here, there = (np.concatenate([pair[i] for pair in kept]) if kept else np.zeros((0, 0)) for i in range(2))
    return tried, Twins(here, there)


def _share(good: list[np.ndarray]) -> float:
    """The share of steps that are good; 0 where there are none."""
    every = np.concatenate(good)
    return float(every.mean()) if len(every) else 0.0


def _inside(stage: Stage, twins: Twins) -> Twins:
    """Twins up to where a point of one of them leaves the places of goals: beyond, a shift may end at a wall."""
    low, high = stage.region - EDGE * stage.radius * np.array([[1], [-1]])
    points = np.concatenate([twins.here[:, stage.at], twins.there[:, stage.at]], axis=1)[..., stage.axes]
    left = ((points < low[stage.axes]) | (points > high[stage.axes])).any(axis=(1, 2))
    steps = int(np.argmax(left)) if left.any() else len(left)
    return Twins(twins.here[:steps], twins.there[:steps])


def _apart(stage: Stage, image: Image, twins: Twins) -> tuple[np.ndarray, np.ndarray]:
    """How far points are from the image of their twins on every step, and how far they may be, [steps] each.

    Where the effector had to be steered the twins do not begin quite alike, and an arm is never quite the same
    elsewhere: panda-gym's goes a tenth less far for the same action at the far end of its table.
    """
    if twins.lone:
        return np.full(LENGTH, np.inf), np.zeros(LENGTH)
    here, there = twins.here[:, stage.at], twins.there[:, stage.at]
    apart = np.abs(image.of(here) - there).max(axis=(1, 2), initial=0.0)
    gone = np.maximum.accumulate(np.linalg.norm(here[:, 0] - here[:1, 0], axis=1))
    return apart, TOLERANCE * stage.radius + (0.0 if stage.exact else ROUGHLY) * gone


def _pair(stage: Stage, seed: int, places: np.ndarray, other: int, image: Image, rng: np.random.Generator) -> Twins:
    """One pair of rollouts.

    Raises:
        DisturbedError, EndedError: if a beginning fails for another reason than that the effector cannot be there.
    """
    bench = stage.bench
    begun = stage.begin(seed, places)
    here, actions = [bench.now], []
    if begun is not None:
        act = wander(stage, rng)
        with suppress(EndedError):
            for t in range(LENGTH):
                actions.append(act(t))
                here.append(bench.step(actions[-1]))
    twin = image.of(places if begun is None else begun)
    if stage.matched:  # its effector is as far off as what it is to touch: so little a shift is one anywhere
        twin[0] += (stage.resets[other, 1:] - image.of(stage.resets[seed, 1:])).mean(axis=0)
    also = stage.begin(other, twin)
    there = [bench.now]
    if begun is not None and also is not None:
        with suppress(EndedError):
            there += [bench.step(image.action_sign * action) for action in actions]
    steps = 0 if begun is None and also is None else min(len(here), len(there))
    return Twins(np.array(here)[:steps], np.array(there)[:steps], (begun is None) != (also is None))
