"""Found geometry: which numbers of an observation are positions in the frame of goals, and which symmetries hold.

A number is a position if it moves with what it names. What achieves the goal stands where numbers equal the achieved
goal; a goal of more numbers than space has axes is several points if the observation holds them point by point. The
effector stands where steady actions move numbers that stay moved; its frame is that of goals if the way from it to what
achieves them is observed too, or if it touches what it is steered to.

A shift or a mirror image g is a symmetry if g(step(s, a)) = step(g(s), g(a)) for states s and actions a, and rewards
are the same. Pairs of rollouts from s and g(s) are compared (`symmetry`): from states that were written where that is
possible (`states`), from resets and places that fit together where it is not (`pairs`).
"""

import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import permutations
from math import factorial
from typing import Any

import numpy as np

from wellposed.arrays import turned
from wellposed.check.mirrors import reflection, turned_pairs
from wellposed.check.pairs import FALL, FAR, STEER, Bench, EndedError, Stage, falls, response
from wellposed.check.states import Handles, State, any_of, handles, state_of
from wellposed.check.subject import OneEnv, find_subject
from wellposed.check.symmetry import (
    AT_LEAST,
    TOLERANCE,
    WITHIN,
    WITHIN_STEERED,
    Symmetry,
    Tried,
    Twins,
    image_of,
    try_symmetry,
)
from wellposed.envs.evidence import Evidence
from wellposed.envs.geometry import require_one_vector, same_as, with_differences
from wellposed.envs.rules import rewards, same
from wellposed.types import Geometry, Mirror, Turn

BEGINNINGS = range(3)  # seeds of episodes on which is looked how points are moved
SPACE = 3  # axes that space has
SEEDS = 300, 2_000  # of resets among which fitting ones are chosen: of one thing, of several
STEADY = (5, 20)  # steps for which an action is held to see what it moves: the fewest that move anything
STAYS = 0.7  # share of a motion that is left when actions end, by which a position is told from a velocity
TURNED = np.radians(5)  # angle from which actions count as acting along other axes than those of goals
GUESSES = 120  # ways to name numbers the effector's position, up to which all are tried
ALIKE = 1e-3  # of what a number varies by: of mirror images that fit better than this the first is taken
SLIGHTLY = 1e-3  # of what a number of the state varies by: how far it is moved to see what it moves
TOUCHES = 6, 24  # episodes in which an effector is steered to what achieves goals; if these do not tell, more
MOVED = 0.2  # success radii by which that is touched


@dataclass(frozen=True)
class Found:
    """The geometry of an environment, as measured."""

    env: str
    geometry: Geometry | None
    why: str  # there is none; "" if there is one
    by_state: bool  # whether points were put where they should begin; else resets were matched
    radius: float  # of success
    tried: tuple[Tried, ...]
    seconds: float


@dataclass(frozen=True)
class Seen:
    """What is known before anything is tried."""

    observation: np.ndarray  # [n, obs_dim], of resets and random episodes
    achieved: np.ndarray  # [n, g]
    desired: np.ndarray  # [resets, g]
    resets: int  # how many of the first rows are resets
    radius: float  # of success

    @cached_property
    def held(self) -> np.ndarray:
        """Where the observation holds each number of the achieved goal [g], side by side if possible; -1 if nowhere."""
        found: list[int] = []
        for goal in self.achieved.T:
            alike = np.flatnonzero(same_as(self.observation, goal)).tolist()
            follows = found[-1] + 1 if found else -1
            found.append(follows if follows in alike else alike[0] if alike else -1)
        return np.array(found)

    @cached_property
    def parts(self) -> np.ndarray:
        """Where a goal holds its points [points, d]. Of more numbers than space has axes, it holds several where the
        observation holds its numbers in several equal runs."""
        whole = np.arange(len(self.held))
        runs = np.split(whole, np.flatnonzero(np.diff(self.held) != 1) + 1)
        several = len(whole) > SPACE >= len(runs[0]) and {*map(len, runs)} == {len(runs[0])} and (self.held >= 0).all()
        return np.array(runs if several else [whole])

    @property
    def goal_places(self) -> np.ndarray:
        """Where [observation, achieved, desired] has the points of both goals, [2, points, d]."""
        size, goals = self.observation.shape[1], self.achieved.shape[1]
        return size + np.array([self.parts, goals + self.parts])


def find_geometry(name: str, kwargs: dict[str, Any] | None = None, *, seed: int = 0) -> Found:
    """Measure the geometry of an environment.

    Args:
        name: as of `certify`.
        kwargs: the environment's arguments.
        seed: of all that is random.

    Raises:
        UserError: if there is no such environment, or training cannot be done on it.
    """
    began, kwargs = time.perf_counter(), kwargs or {}
    with closing(Evidence(find_subject(name, kwargs), seed)) as evidence:
        radius = evidence.measured().units.radius
        require_one_vector(evidence.fields)
        resets, moves = evidence.resets, evidence.random
        seen = Seen(
            np.concatenate([resets.observation, moves.after.observation]),
            np.concatenate([resets.achieved, moves.after.achieved]),
            resets.desired,
            len(resets.desired),
            radius,
        )
        ours = isinstance(evidence.env.unwrapped, OneEnv)
        with closing(find_subject(name, kwargs | ({"max_episode_steps": FAR} if ours else {})).make()) as env:
            stage, why = find_stage(Bench(env), seen)
            tried, twins = _try_all(stage, seen, evidence) if stage else ((), {})
    geometry = assemble(stage, tried, twins, seen) if stage else None
    by_state = stage is not None and not stage.matched
    return Found(name, geometry, why, by_state, radius, tried, time.perf_counter() - began)


# --- positions


def find_stage(bench: Bench, seen: Seen) -> tuple[Stage | None, str]:
    """Where the points are and how they are moved; None, and why, where there is no effector."""
    bench.settle = FALL if falls(bench, seen.goal_places[0], BEGINNINGS, seen.radius) else 0
    moved, achieved = _moved(bench, seen), seen.held[seen.parts]
    if (driven := moved[:, seen.goal_places[0]].any(axis=(0, 2))).any():
        if (achieved < 0).any():
            return None, "actions move the achieved goal, and the observation does not hold it"
        return _ready(bench, achieved[np.argsort(~driven, kind="stable")], moved, seen), ""
    if (effector := _effector(bench, moved[:, : seen.observation.shape[1]], seen)) is None:
        return None, "no numbers of the observation are known to be the effector's position in the frame of goals"
    at = achieved if (achieved >= 0).all() else seen.goal_places[0]
    return _ready(bench, np.array([effector, *at]), moved, seen), ""


def _moved(bench: Bench, seen: Seen) -> np.ndarray:
    """How far a unit action moves each number in one step, [action_dim, m]; 0 for those that do not stay moved."""
    moved = np.zeros((0, 0))
    for steps in STEADY:
        during, after = response(bench, BEGINNINGS, steps)
        stays = (np.abs(after) > TOLERANCE * seen.radius) & (np.abs(after) >= STAYS * np.abs(during))
        moved = np.where(stays, after, 0.0) / steps
        if moved.any():
            break
    return moved


def _effector(bench: Bench, moved: np.ndarray, seen: Seen) -> np.ndarray | None:
    """Where the observation holds the effector's position [d]: as ways to it say, else touch; None if neither does."""
    begun, goals = seen.observation[: seen.resets], seen.achieved[: seen.resets]
    varies = goals.std(axis=0) > TOLERANCE * seen.radius
    apart = goals - goals.mean(axis=0)
    slopes = np.abs(apart.T @ (begun - begun.mean(axis=0))) / np.maximum((apart**2).sum(axis=0), 1e-12)[:, None]
    follows = (slopes[varies] > 0.5).any(axis=0)  # the way to what achieves goals begins where that does
    free = [int(j) for j in np.flatnonzero(moved.any(axis=0) & ~follows) if j not in seen.held]
    named: dict[int, int] = {}
    axes = range(seen.parts.shape[1])
    for axis in axes:
        ends = seen.achieved[:, seen.parts[:, axis]].T
        ways = [j for j in free if any(same_as(seen.observation, end - seen.observation[:, j]).any() for end in ends)]
        if len(ways) == 1:
            named[axis] = ways[0]
    rest = [axis for axis in axes if axis not in named]
    free = [j for j in free if j not in named.values()]
    if len(free) < len(rest) or factorial(len(free)) // factorial(len(free) - len(rest)) > GUESSES:
        return None
    guesses = [
        np.array([(named | dict(zip(rest, chosen, strict=True)))[axis] for axis in axes])
        for chosen in permutations(free, len(rest))
    ]
    if not rest:
        return guesses[0]
    for episodes in TOUCHES:
        away = np.array([_touches(bench, guess, moved, seen, episodes) for guess in guesses])
        best, *others = np.sort(away)
        if best < min([np.inf, *others]) / 2:
            return guesses[int(away.argmin())]
    return None


def _touches(bench: Bench, effector: np.ndarray, moved: np.ndarray, seen: Seen, episodes: int) -> float:
    """How near these numbers are, on the average, to the point that they are steered to when it moves.

    Infinite where it does not in at least half of the episodes.
    """
    at, away = np.array([effector, *seen.goal_places[0]]), []
    stage = Stage(bench, at, _effects(moved[:, effector]), np.zeros((2, at.shape[1])), seen.radius)
    for seed in range(episodes):
        bench.reset(seed)
        to = 1 + seed % len(seen.parts)
        before = stage.points()[to].copy()
        with suppress(EndedError):
            for _ in range(STEER):
                bench.step(stage.gain @ (before - stage.points()[0]))
                if np.linalg.norm(stage.points()[to] - before) > MOVED * seen.radius:
                    away.append(np.linalg.norm(stage.points()[to] - stage.points()[0]))
                    break
    return float(np.mean(away)) if len(away) >= episodes / 2 else np.inf


def _effects(moved: np.ndarray) -> np.ndarray:
    """The effect of unit actions on the effector [action_dim, g], without components that hardly have one."""
    size = np.linalg.norm(moved, axis=1, keepdims=True)
    return np.where(size > TOLERANCE * size.max(), moved, 0.0)


def _ready(bench: Bench, at: np.ndarray, moved: np.ndarray, seen: Seen) -> Stage:
    """The bench with these points [points, d], in the frame in which actions act along the axes."""
    effect, desired = _effects(moved[:, at[0]]), seen.desired[:, seen.parts].reshape(-1, at.shape[1])
    if (turn := turn_of(effect)) is not None:
        (i, j), angle = turn
        pairs = dict.fromkeys((int(place[i]), int(place[j])) for place in (*at, *np.concatenate(seen.goal_places)))
        bench.turn = tuple(pairs), angle
        effect, desired = turned(effect, [(i, j)], angle), turned(desired, [(i, j)], angle)
    stage = Stage(bench, at, effect, np.array([desired.min(axis=0), desired.max(axis=0)]), seen.radius)
    if (state := state_of(bench.env)) is not None:
        stage = replace(stage, state=state, handles=_handles(bench, state, at))
    seeds = SEEDS[len(seen.parts) > 1] if stage.matched else seen.resets
    return replace(stage, resets=np.array([bench.reset(seed)[at] for seed in range(seeds)]))


def _handles(bench: Bench, state: State, at: np.ndarray) -> Handles:
    """Which numbers of the state move the points [points, g], as far as some beginnings show."""
    rows = []
    for seed in BEGINNINGS:
        bench.reset(seed)
        rows.append(state.read())
        bench.step(np.ones(bench.action_dim))
        rows.append(state.read())
    by, found = SLIGHTLY * np.ptp(rows, axis=0), []
    for seed in BEGINNINGS:
        bench.reset(seed)
        found.append(handles(state, lambda: bench.rest()[at], by))
    return any_of(found)


def turn_of(effect: np.ndarray) -> tuple[tuple[int, int], float] | None:
    """The plane of goals, and the angle in it, in which actions act along other axes than those of goals.

    None where they act along those, or not at right angles to each other.

    Args:
        effect: of unit actions on the effector [action_dim, g].
    """
    directions = effect[effect.any(axis=1)]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    for i in range(effect.shape[1]):
        for j in range(i + 1, effect.shape[1]):
            inside = directions[np.linalg.norm(directions[:, [i, j]], axis=1) > 0.9]
            if not len(inside):
                continue
            quarters = np.exp(
                4j * np.arctan2(inside[:, j], inside[:, i])
            )  # the same for all four directions of a cross
            angle = float(np.angle(quarters.mean()) / 4)
            if abs(angle) > TURNED and np.abs(np.angle(quarters * np.exp(-4j * angle))).max() / 4 < TURNED:
                return (i, j), angle
    return None


# --- symmetries


def _try_all(stage: Stage, seen: Seen, evidence: Evidence) -> tuple[tuple[Tried, ...], dict[Symmetry, Twins]]:
    """All shifts and mirror images, and of mirror images the pairs of moments."""
    tried, twins, rng, needed = [], {}, evidence.generator(50), WITHIN
    if stage.matched and stage.drifts():
        return (), {}  # by the time that the effector has been steered, nothing is where its twin is
    if not stage.exact:
        alike, _ = try_symmetry(Symmetry("hair", int(stage.axes[0])), stage, rng, 0.0)
        needed = max(AT_LEAST, WITHIN_STEERED * alike.within)
    for axis in map(int, stage.axes):
        asked = [Symmetry("shift", axis), *(Symmetry("mirror", axis, 2 * middle) for middle in _middles(stage, axis))]
        for symmetry in asked:
            if image_of(symmetry, stage) is None:
                continue
            one, twins[symmetry] = try_symmetry(symmetry, stage, rng, needed)
            tried.append(replace(one, rewarded=_rewarded(symmetry, stage, seen, evidence)))
            if symmetry.kind == "mirror" and tried[-1].holds:
                break
    return tuple(tried), twins


def _middles(stage: Stage, axis: int) -> list[float]:
    """Where a mirror may stand: at 0, where the effector always begins, in the middle of the goals."""
    begun = stage.resets[:, 0, axis]
    places = [0.0, *([float(begun.mean())] if np.ptp(begun) < TOLERANCE * stage.radius else [])]
    places.append(float(stage.region[:, axis].mean()))
    low, high = stage.region[:, axis]
    within = [place for place in places if low < place < high]
    return [p for i, p in enumerate(within) if all(abs(p - q) > TOLERANCE / 2 * stage.radius for q in within[:i])]


def _rewarded(symmetry: Symmetry, stage: Stage, seen: Seen, evidence: Evidence) -> bool:
    """Whether pairs of goals get the reward of their images, but for those at the very edge of success."""
    shift = float(np.ptp(stage.region[:, symmetry.axis])) / 3
    image = image_of(symmetry, stage, shift)
    assert image is not None
    plane, angle = _plane(stage, seen), stage.bench.turn[1]
    images = []
    for goals in evidence.pairs:
        shown = turned(goals, plane, angle)
        shown[:, seen.parts] = image.of(shown[:, seen.parts])
        images.append(turned(shown, plane, -angle).astype(evidence.goal_type))
    moved = rewards(evidence.rules, *images)
    if evidence.sparse:
        return bool(same(moved, evidence.pair_rewards).mean() > 0.98)
    return bool(np.allclose(moved, evidence.pair_rewards, rtol=1e-3, atol=1e-3 * np.ptp(evidence.pair_rewards)))


def _plane(stage: Stage, seen: Seen) -> list[tuple[int, int]]:
    """Which pairs of the numbers of a goal are shown turned."""
    size, goals = seen.observation.shape[1], seen.achieved.shape[1]
    return [(i - size, j - size) for i, j in stage.bench.turn[0] if size <= i < size + goals]


# --- the declaration


def assemble(stage: Stage, tried: tuple[Tried, ...], twins: dict[Symmetry, Twins], seen: Seen) -> Geometry:
    """The geometry that was found: of several mirror images the one that fits best."""
    size = seen.observation.shape[1]
    points = [tuple(map(int, place)) for place in stage.at if place.max() < size]
    shifts = tuple(one.symmetry.axis for one in tried if one.symmetry.kind == "shift" and one.holds)
    mirrors = [one for one in tried if one.symmetry.kind == "mirror" and one.holds]
    pairs = [pair for pair in stage.bench.turn[0] if max(pair) < size]
    mirror = None
    if mirrors:
        images = [_mirror(one.symmetry, stage, twins[one.symmetry], seen) for one in mirrors]
        mirror, more, _ = min(images, key=lambda image: max(image[2], ALIKE))
        pairs += more
    turn = Turn(_axes(stage, seen), round(stage.bench.turn[1], 6), tuple(pairs)) if stage.bench.turn[0] else None
    several = tuple(tuple(map(int, part)) for part in seen.parts) if len(seen.parts) > 1 else ()
    geometry = Geometry(points[0], tuple(points), shifts, mirror, turn=turn, goal_points=several)
    return with_differences(geometry, seen.observation)


def _axes(stage: Stage, seen: Seen) -> tuple[int, int]:
    """The axes of points that span the plane of the turn."""
    (i, j), first = _plane(stage, seen)[0], seen.parts[0].tolist()
    return first.index(i), first.index(j)


def _mirror(symmetry: Symmetry, stage: Stage, twins: Twins, seen: Seen) -> tuple[Mirror, list[tuple[int, int]], float]:
    """The mirror image of all numbers, pairs of them that turn with the frame beside points, and how well it fits."""
    image, size = image_of(symmetry, stage), seen.observation.shape[1]
    assert image is not None
    here, there, pairs = twins.here[:, :size], twins.there[:, :size], []
    known, angle = stage.bench.turn
    if known:
        axes = _axes(stage, seen)
        free = [k for k in range(size) if k not in stage.at]
        if symmetry.axis in axes:
            pairs = turned_pairs(here, there, free, angle, first=symmetry.axis == axes[0])
        here, there = turned(here, pairs, angle), turned(there, pairs, angle)
    offset = np.zeros(size)
    places = stage.at[:, symmetry.axis]
    offset[places[places < size]] = symmetry.offset
    found = reflection(here, there, offset)
    goal_sign, goal_offset = np.ones(seen.achieved.shape[1]), np.zeros(seen.achieved.shape[1])
    goal_sign[seen.parts], goal_offset[seen.parts] = image.sign, image.offset
    whole = lambda numbers: tuple(int(number) for number in numbers)  # noqa: E731
    rounded = lambda numbers: tuple(round(float(number), 6) for number in numbers)  # noqa: E731
    mirror = Mirror(
        whole(found.order),
        whole(found.sign),
        rounded(found.offset),
        whole(goal_sign),
        rounded(goal_offset),
        whole(image.action_sign),
    )
    return mirror, pairs, float(np.median(found.error))
