"""Conditions on success: that somebody says so, and that it is a matter of distance."""

import numpy as np

from wellposed.check.findings import Condition, Outcome, fails, holds, unseen, warns
from wellposed.check.interface import POSED
from wellposed.check.reward import CALLABLE, FINITE, SOME, SURE
from wellposed.envs.evidence import Evidence
from wellposed.envs.rays import CENTRES, DIRECTIONS, FAR, FITS, best_norm
from wellposed.envs.rules import like_the_goal, rewards

STATED = "success stated"
SAME = 1.1  # ratio of two goals' thresholds up to which they are taken for one
UNKNOWN = unseen("nothing says of any pair of goals whether one is success for the other")


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
        "success geometric", "Success ends once along every ray from a goal, everywhere at the same distance.",
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
