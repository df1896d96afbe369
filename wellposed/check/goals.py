"""Conditions on success and goals: success is told and is a distance; goals differ, are in reach, and things move."""

import numpy as np

from wellposed.check.findings import Condition, Outcome, fails, holds, unseen, warns
from wellposed.check.interface import POSED
from wellposed.check.reward import CALLABLE, FINITE, SOME, SURE
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import Transitions
from wellposed.envs.rays import CENTRES, DIRECTIONS, FAR, FITS, best_norm
from wellposed.envs.rules import like_the_goal, rewards
from wellposed.stats import describe_rate, wilson

STATED = "success stated"
SAME = 1.1  # ratio of two goals' thresholds up to which they are taken for one
UNKNOWN = unseen("nothing says of any pair of goals whether one is success for the other")
FIXED = "goals of episodes"
MOVES = "achieved goal moves"
OPEN = (0.3, 0.9)  # share of episodes solved at reset above which that is warned of, and fails
BEYOND = (1.0, 100.0)  # how far outside of what was achieved goals may lie, in widths of that
NEARBY = 0.05  # of the spread of goals: what counts as one place where there is no success test
RARE = 0.3  # share of random episodes with motion below which hindsight starts slowly


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


def geometric(ev: Evidence) -> Outcome:
    """Success ends once along every ray, at one distance."""
    if ev.success is None:
        return UNKNOWN
    rays = ev.rays
    ended, n = rays.ended, CENTRES * DIRECTIONS
    if rays.broken:
        return fails(f"along {rays.broken} of {n} rays from a goal success ended and came back farther out")
    if not len(ended):
        return fails(f"along none of {n} rays from a goal success ended within {FAR:g} spreads of the goals")
    free = f"; {n - len(ended)} rays never left it" if len(ended) < n else ""
    if rays.turning:
        told = f"along {n} rays success ends once; goals hold rotations, so no one distance says where{free}"
        return holds(told, rays=n)
    name, radius, scatter = best_norm(ended)
    size = np.linalg.norm(ended, axis=1)
    numbers = {"rays": n, "norm": name, "threshold": radius, "scatter": scatter}
    between = f"at distances from {size.min():.4g} to {size.max():.4g}"
    if rays.unequal > SAME:
        return warns(f"success ends {between}, in one direction up to {rays.unequal:.2g} times as far from one goal as "
                     "from another", **numbers)  # fmt: skip
    if scatter > FITS:
        return holds(f"along {n} rays success ends once, {between}; no common norm fits{free}", **numbers)
    return holds(f"along {n} rays success ends once, at {radius:.4g} in the unit of goals, {name}{free}", **numbers)


def rewarded(ev: Evidence) -> Outcome:
    """A sparse reward takes its better value exactly where success is."""
    if not ev.sparse:
        return holds("the reward is dense; success is judged apart from it")
    left, right = ev.pairs
    best = like_the_goal(ev.pair_rewards, rewards(ev.rules, right, right))
    if (differ := best != ev.reached(left, right)).any():
        return warns(f"reward and success contradict each other for {differ.sum()} of {len(left)} pairs of goals")
    return holds(f"the better reward and success coincide for {len(left)} pairs of goals")


def varied(ev: Evidence) -> Outcome:
    """Episodes have different goals."""
    distinct = len(np.unique(ev.resets.desired, axis=0))
    if distinct == 1:
        return warns(f"{len(ev.resets.desired)} episodes have one and the same goal")
    return holds(f"{len(ev.resets.desired)} episodes have {distinct} goals", distinct=distinct)


def kept(ev: Evidence) -> Outcome:
    """An episode keeps its goal."""
    seen = ev.all
    changed = (seen.desired != seen.next_desired).any(axis=1)
    changed[seen.ends] = False  # the last step is another condition's
    if changed.any():
        episodes = len(np.unique(seen.episode[changed]))
        return warns(f"the goal changed within {episodes} of {len(seen.ends)} episodes, {changed.sum()} times")
    return holds(f"{len(seen.ends)} episodes kept their goals")


def hidden(ev: Evidence) -> Outcome:
    """No number of the observation gives the desired goal away."""
    o, a, d = ev.resets.observation, ev.resets.achieved, ev.resets.desired
    varies = np.ptp(d, axis=0) > 0
    leaks = []
    for name, told in (("the desired goal", d), ("the way to it", d - a)):
        for axis in np.flatnonzero(varies):
            alike = _follows(o, told[:, axis]) & ~_follows(a, told[:, axis]).any()
            leaks += [f"number {i} is axis {axis} of {name}" for i in np.flatnonzero(alike)]
    away = np.linalg.norm(d - a, axis=1)
    leaks += [f"number {i} is the distance to it" for i in np.flatnonzero(_follows(o, away))]
    if leaks and varies.any():
        return fails(f"the observation tells the goal: {'; '.join(dict.fromkeys(leaks))}")
    return holds(f"no number of the observation follows the desired goal over {len(o)} episodes")


def _follows(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Which columns [n, k] are an exact linear function of the target [n]."""
    x, y = columns - columns.mean(axis=0), target - target.mean()
    size = np.linalg.norm(x, axis=0) * np.linalg.norm(y)
    varying = (np.linalg.norm(x, axis=0) > 1e-6 * (1 + np.abs(columns).max(axis=0))) & (np.linalg.norm(y) > 1e-9)
    correlation = np.abs(y @ x) / np.where(varying, size, 1.0)
    return varying & (correlation > 1 - 1e-6)


def moving(ev: Evidence) -> Outcome:
    """The achieved goal leaves the place where it began, and how often."""
    if (ev.all.achieved == ev.all.next_achieved).all():
        return fails(f"the achieved goal never changed in {len(ev.all):,} steps", rate=0.0)
    behaviours = {"random actions": ev.random, "actions held": ev.held, "heading for the goal": ev.directed}
    left = {name: _left_start(ev, seen) for name, seen in behaviours.items()}
    rate, trivial = wilson(int(left["random actions"].sum()), len(left["random actions"])), _trivial(ev)
    told = "; ".join(f"{name} {share.mean():.0%}" for name, share in list(left.items())[1:])
    evidence = (
        f"random actions move it out of the success region around where it began in "
        f"{describe_rate(rate.estimate, rate[1:])} of episodes ({told}); {trivial:.0%} of what hindsight would relabel "
        "in them is a success already before the action"
    )
    numbers = {"rate": rate.estimate, "ci95": list(rate[1:]), "trivial": trivial}
    return warns(evidence, **numbers) if rate.estimate < RARE else holds(evidence, **numbers)


def _near(ev: Evidence, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which goals [n, g] count as the same place: by the success test, or else within a share of their spread."""
    if ev.success is not None:
        return ev.reached(left.astype(ev.goal_type), right.astype(ev.goal_type))
    return np.linalg.norm(left - right, axis=1) < NEARBY * max(ev.spread.max(), 1e-12)


def _left_start(ev: Evidence, seen: Transitions) -> np.ndarray:
    """In which episodes the achieved goal left the place where it began."""
    begin = seen.achieved[seen.starts][seen.episode]
    return np.add.reduceat(~_near(ev, seen.next_achieved, begin), seen.starts) > 0


def _trivial(ev: Evidence) -> float:
    """Share of transitions of random episodes whose goal in hindsight, from their future, is achieved before them."""
    seen, rng = ev.random, ev.generator(50)
    t = rng.integers(len(seen), size=500)
    last = seen.ends[seen.episode[t]]
    future = t + (rng.random(len(t)) * (last - t + 1)).astype(int)
    return float(_near(ev, seen.achieved[t], seen.next_achieved[future]).mean())


def reachable(ev: Evidence) -> Outcome:
    """Desired goals lie where achieved ones do, when nobody heads for them."""
    achieved = np.concatenate([ev.resets.achieved, ev.random.next_achieved, ev.held.next_achieved])
    low, high, desired = achieved.min(axis=0), achieved.max(axis=0), ev.resets.desired
    outside = np.linalg.norm(np.maximum(np.maximum(low - desired, desired - high), 0), axis=1)
    width = max(float((high - low).max()), 1e-12)
    inside, typical = float((outside == 0).mean()), float(np.median(outside)) / width
    evidence = (
        f"{inside:.0%} of goals lie within what undirected exploration achieved, which is {width:.3g} wide; the "
        f"typical one lies {typical:.2g} times that outside"
    )
    numbers = {"inside": inside, "width": width, "beyond": typical}
    if typical > BEYOND[1]:
        return fails(evidence, **numbers)
    return warns(evidence, **numbers) if typical > BEYOND[0] else holds(evidence, **numbers)


def open_at_reset(ev: Evidence) -> Outcome:
    """Few episodes are solved before the first action."""
    if ev.success is None:
        return UNKNOWN
    solved = ev.reached(ev.resets.achieved.astype(ev.goal_type), ev.resets.desired.astype(ev.goal_type))
    rate = wilson(int(solved.sum()), len(solved))
    evidence = f"{describe_rate(rate.estimate, rate[1:])} of episodes are solved before the first action"
    numbers = {"rate": rate.estimate, "ci95": list(rate[1:])}
    if rate.estimate > OPEN[1]:
        return fails(evidence, **numbers)
    return (
        warns(evidence, **numbers)
        if rate.estimate > OPEN[0]
        else holds(f"{evidence}: the floor of every success rate", **numbers)
    )


def by_chance(ev: Evidence) -> Outcome:
    """Random actions seldom solve it."""
    if ev.success is None:
        return UNKNOWN
    seen = ev.random
    last = ev.reached(seen.next_achieved[seen.ends], seen.desired[seen.ends])
    rate = wilson(int(last.sum()), len(last))
    evidence = f"random actions end in success in {describe_rate(rate.estimate, rate[1:])} of {len(last)} episodes"
    numbers = {"rate": rate.estimate, "ci95": list(rate[1:])}
    return warns(evidence, **numbers) if rate.low > 0.5 else holds(evidence, **numbers)


_ASKED = (*POSED, FINITE, CALLABLE, SURE, "reward of goals alone")
_ANY = (*POSED, FINITE)
_JUDGED = (*_ANY, STATED, "success at the goal")
CONDITIONS = (
    Condition(
        STATED, "Somebody says which achieved goals count as success.",
        "Nobody could say whether the task was learnt.",
        "Give the environment a method _is_success(achieved_goal, desired_goal), or a reward of two values.",
        stated, needs=_ASKED,
    ),
    Condition(
        "success told truly", "What info tells of success is what the goals say.",
        "A success that depends on more than the goals is none that hindsight could find out.",
        "Compute info['is_success'] from the next achieved and the desired goal alone.",
        agrees, needs=(*_ASKED, STATED, "success at the goal", "last observation", "reward recomputable"),
    ),
    Condition(
        "success at the goal", "A goal that is achieved exactly is a success, and not everything is.",
        "Hindsight relabels with goals that were achieved: none of them would be a success, or all of them.",
        "Check comparison and threshold of the success test.",
        at_goal, needs=(*_ASKED, STATED),
    ),
    Condition(
        "success geometric", "Success ends once along every ray from a goal, everywhere at the same distance.",
        "Nearer must not be worse: values could not be continuous in the goal, and hindsight relies on that.",
        "Make success a distance between the goals below a threshold.",
        geometric, needs=(*_ASKED, STATED, "success at the goal"),
    ),
    Condition(
        "success rewarded", "A sparse reward and success say the same.",
        "The agent learns what the reward says and is judged by the other.",
        "Derive both from one distance and one threshold.",
        rewarded, needs=(
            *_ASKED, STATED, "success at the goal", "reward that tells", "best at the goal", "reward without memory",
        ),
    ),
    Condition(
        "varied goals", "Episodes have different goals.",
        "With one goal the policy need not look at it, and hindsight teaches goals that nobody asks for.",
        "Draw the goal anew at each reset; for one fixed goal learn without hindsight.",
        varied, needs=(*_ANY, "varied resets"),
    ),
    Condition(
        FIXED, "An episode keeps its goal.",
        "Success at the last step and the way to a goal lose their meaning, and returns mix several goals.",
        "Draw goals at reset only (mazes of Gymnasium-Robotics: reset_target=False).",
        kept, needs=_ANY,
    ),
    Condition(
        "goal hidden", "The observation does not tell the desired goal.",
        "Relabelling replaces the desired goal, not the observation: the network would learn to read the old one "
        "there.",
        "Take goal, way and distance to it out of observation; the networks are shown the goal anyway.",
        hidden, needs=(*_ANY, "varied goals"),
    ),
    Condition(
        MOVES, "The achieved goal moves.",
        "Where it does not move, every goal taken in hindsight is achieved already: relabelling teaches that doing "
        "nothing succeeds, and the first episodes that touch the object are lost among them.",
        "Start some episodes near or in contact, let exploration be directed, or draw episodes with motion more often.",
        moving, needs=(*_JUDGED, "varied resets"),
    ),
    Condition(
        "goals in reach", "Desired goals lie where achieved ones do.",
        "Hindsight generalises from goals that were achieved; nothing is learnt of those far from all of them.",
        "See that both goals have one unit and one frame; else begin with near goals, or give episodes more time.",
        reachable, needs=(*_ANY, MOVES),
    ),
    Condition(
        "unsolved at reset", "Few episodes are solved before the first action.",
        "A success rate below that share means that nothing was learnt, however high it looks.",
        "Draw goals farther away than the threshold, or lower the threshold.",
        open_at_reset, needs=_JUDGED,
    ),
    Condition(
        "seldom by chance", "Random actions seldom solve it.",
        "A task that chance solves tells no method from another.",
        "Make the threshold smaller or the goals wider.",
        by_chance, needs=(*_JUDGED, "unsolved at reset"),
    ),
)  # fmt: skip
