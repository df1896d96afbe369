"""Conditions on success: that somebody says so, and that it is a matter of distance."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wellposed.check.evidence import Evidence
from wellposed.check.findings import Condition, Outcome, fails, holds, unseen, warns
from wellposed.check.interface import POSED
from wellposed.check.reward import CALLABLE, FINITE, SURE
from wellposed.check.rules import rewards

STATED = "success stated"
GEOMETRIC = "success geometric"
CENTRES, DIRECTIONS = 6, 16  # goals that rays start from, and rays from each
FAR = 8.0  # spreads of goals after which a ray ends
HALVINGS = 30
SOME = 0.1  # share of goals above which it is no quirk that they are no success when achieved
UNKNOWN = unseen("nothing says of any pair of goals whether one is success for the other")
FITS = 0.02  # relative scatter of the boundary's norm below which a norm is said to fit


def stated(ev: Evidence) -> Outcome:
    """There is a test for any pair of goals."""
    test, source = ev.success_test
    if test is not None:
        return holds(f"success is known of any pair of goals, from {source}")
    if np.isfinite(ev.all.told).any():
        return unseen("only info tells of success, and too few were seen to learn at which distance")
    return fails("nothing says which achieved goals count as success: no _is_success, no two rewards, nothing in info")


def agrees(ev: Evidence) -> Outcome:
    """What info tells of a step is what its goals say."""
    if ev.success is None:
        return UNKNOWN
    seen = ev.all
    told = np.flatnonzero(np.isfinite(seen.told))
    if not told.size:
        return holds("info tells nothing of success, so nothing can disagree")
    said = ev.reached(seen.next_achieved[told], seen.desired[told])
    if (differ := said != (seen.told[told] > 0.5)).any():
        return fails(f"info contradicts the goals in {differ.sum():,} of {len(told):,} steps")
    return holds(f"info agrees with the goals in {len(told):,} steps, of which {said.sum():,} were successes")


def at_goal(ev: Evidence) -> Outcome:
    """A goal that is achieved exactly is a success, and not everything is one."""
    if ev.success is None:
        return UNKNOWN
    goals = np.concatenate([ev.resets.desired, ev.all.next_achieved[:: max(1, len(ev.all) // 100)]]).astype(
        ev.goal_type
    )
    missed = ~ev.reached(goals, goals)
    left, right = ev.pairs
    if ev.reached(left, right).all():
        return fails(f"all {len(left)} pairs of goals count as success, however far apart")
    if missed.any():
        told = f"{missed.sum()} of {len(goals)} goals are no success when they are achieved exactly"
        return fails(told) if missed.mean() > SOME else warns(told)
    return holds(f"all {len(goals)} goals are a success when they are achieved exactly, and not everything is one")


@dataclass(frozen=True)
class Rays:
    """Where success ends along rays from goals: leading axis n, one row for each ray that leaves it."""

    centre: np.ndarray  # [n], which goal
    offset: np.ndarray  # [n, g], from the goal to where success ends
    broken: int  # rays along which success came back
    endless: int  # rays along which success never ended


def quaternions(goals: np.ndarray) -> list[slice]:
    """Groups of four coordinates whose length is 1 in all goals [n, g]: rotations, which rays must not leave."""
    found, at = [], 0
    while at + 4 <= goals.shape[1]:
        unit = np.abs(np.linalg.norm(goals[:, at : at + 4], axis=1) - 1) < 1e-4
        if unit.all():
            found.append(slice(at, at + 4))
        at += 4 if unit.all() else 1
    return found


def cast_rays(ev: Evidence) -> Rays:
    """Follow rays from goals until success ends, and find the end by bisection."""
    rng, seen = ev.generator(30), np.unique(ev.all.next_achieved, axis=0)
    centres = seen[rng.integers(len(seen), size=CENTRES)]
    turning = quaternions(seen)
    scale = np.where(ev.spread > 0, ev.spread, ev.spread.max() or 1.0)
    straight = [i for i in range(ev.goal_size) if not any(part.start <= i < part.stop for part in turning)]
    numbers, offsets, broken, endless = [], [], 0, 0
    for number, centre in enumerate(centres):
        for ray in range(DIRECTIONS):
            direction = np.zeros(ev.goal_size)
            if straight and (ray % 2 == 0 or not turning):
                one = straight[ray // 2 % len(straight)]
                direction[straight] = rng.normal(size=len(straight)) if ray % 4 else np.eye(ev.goal_size)[one][straight]
            else:
                part = turning[ray // 2 % len(turning)]
                direction[part] = rng.normal(size=4)
            way = direction / np.linalg.norm(direction) * scale

            def reached(t: float, centre: np.ndarray = centre, way: np.ndarray = way) -> bool:
                place = centre + t * way
                for part in turning:
                    place[part] /= np.linalg.norm(place[part])
                assert ev.success is not None
                return ev.success(place.astype(ev.goal_type), centre.astype(ev.goal_type))

            end, back = _boundary(reached, rng.uniform(0.8, 1.2))
            broken += back
            if end is None:
                endless += 1
            else:
                numbers.append(number)
                offsets.append(end * way)
    return Rays(np.array(numbers, int), np.array(offsets).reshape(-1, ev.goal_size), broken, endless)


def _boundary(reached: Callable[[float], bool], jitter: float) -> tuple[float | None, bool]:
    """Where along a ray success ends (None: nowhere), and whether it comes back after that.

    `jitter` stretches the places that are tried, so that many rays together leave none out.
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
    jumps = bool(inside[last:].any() or again[finer > high * 1.001].any() or not again[finer < high * 0.999].all())
    return float(high), jumps


def geometric(ev: Evidence) -> Outcome:
    """Success ends once along every ray, at one distance."""
    if ev.success is None:
        return UNKNOWN
    rays = cast_rays(ev)
    n = CENTRES * DIRECTIONS
    if rays.broken:
        return fails(f"along {rays.broken} of {n} rays from a goal success ended and came back farther out")
    if not len(rays.offset):
        return fails(f"along none of {n} rays from a goal success ended within {FAR:g} spreads of the goals")
    free = f"; {rays.endless} rays never left it" if rays.endless else ""
    turning = quaternions(ev.all.next_achieved)
    if turning:
        return holds(
            f"along {n} rays success ends once; goals hold rotations, so no one distance says where{free}", rays=n
        )
    name, radius, scatter = best_norm(rays)
    sizes = [np.median(np.linalg.norm(rays.offset[rays.centre == c], axis=1)) for c in np.unique(rays.centre)]
    numbers = {"rays": n, "norm": name, "threshold": radius, "scatter": scatter}
    if max(sizes) > 1.1 * min(sizes):
        return warns(
            f"success ends at a distance between {min(sizes):.4g} and {max(sizes):.4g}, depending on the goal",
            **numbers,
        )
    if scatter > FITS:
        near, far = (float(reduce(np.linalg.norm(rays.offset, axis=1))) for reduce in (np.min, np.max))
        return holds(
            f"along {n} rays success ends once, at distances from {near:.4g} to {far:.4g}; no common norm fits{free}",
            **numbers,
        )
    return holds(f"along {n} rays success ends once, at {radius:.4g} in the unit of goals, {name}{free}", **numbers)


def best_norm(rays: Rays) -> tuple[str, float, float]:
    """The norm in which the boundary is at one distance: its name, that distance, and the scatter that is left."""
    x = rays.offset
    norms = {
        "Euclidean distance": np.linalg.norm(x, axis=1),
        "largest difference on an axis": np.abs(x).max(axis=1),
        "sum of differences": np.abs(x).sum(axis=1),
    }
    weights = np.clip(np.linalg.lstsq(x**2, np.ones(len(x)), rcond=None)[0], 0, None)
    scatter = {name: float(v.std() / v.mean()) for name, v in norms.items()}
    name = min(scatter, key=lambda key: scatter[key])
    if scatter[name] > FITS and (own := np.sqrt(x**2 @ weights)).mean() > 0 and own.std() / own.mean() <= FITS:
        radii = [f"{1 / np.sqrt(w):.3g}" if w > 0 else "any" for w in weights]
        return (
            f"Euclidean distance with a radius for each axis ({', '.join(radii)})",
            1.0,
            float(own.std() / own.mean()),
        )
    return name, float(np.median(norms[name])), scatter[name]


def rewarded(ev: Evidence) -> Outcome:
    """A sparse reward takes its better value exactly where success is."""
    if not ev.sparse:
        return holds("the reward is dense; success is judged apart from it")
    left, right = ev.pairs
    best = ev.pair_rewards > rewards(ev.rules, right, right) - 1e-6
    if (differ := best != ev.reached(left, right)).any():
        return warns(f"reward and success contradict each other for {differ.sum()} of {len(left)} pairs of goals")
    return holds(f"the better reward and success coincide for {len(left)} pairs of goals")


_ANY = (*POSED, FINITE, CALLABLE, SURE, "reward of goals alone")
CONDITIONS = (
    Condition(
        STATED, "Somebody says which achieved goals count as success.",
        "Nobody could say whether the task was learnt.",
        "Give the environment a method _is_success(achieved_goal, desired_goal), or a reward of two values.",
        stated, needs=_ANY,
    ),
    Condition(
        "success told truly", "What info tells of success is what the goals say.",
        "A success that depends on more than the goals is none that hindsight could find out.",
        "Compute info['is_success'] from the next achieved and the desired goal alone.",
        agrees, needs=(*_ANY, STATED, "success at the goal", "last observation", "reward recomputable"),
    ),
    Condition(
        "success at the goal", "A goal that is achieved exactly is a success, and not everything is.",
        "Hindsight relabels with goals that were achieved: none of them would be a success, or all of them.",
        "Check comparison and threshold of the success test.",
        at_goal, needs=(*_ANY, STATED),
    ),
    Condition(
        GEOMETRIC, "Success ends once along every ray from a goal, everywhere at the same distance.",
        "Nearer must not be worse: values could not be continuous in the goal, and hindsight relies on that.",
        "Make success a distance between the goals below a threshold.",
        geometric, needs=(*_ANY, STATED, "success at the goal"),
    ),
    Condition(
        "success rewarded", "A sparse reward and success say the same.",
        "The agent learns what the reward says and is judged by the other.",
        "Derive both from one distance and one threshold.",
        rewarded, needs=(
            *_ANY, STATED, "success at the goal", "reward that tells", "best at the goal", "reward without memory",
        ),
    ),
)  # fmt: skip
