"""Conditions on success and goals: success is told and is a distance; goals differ, are in reach, and things move."""

from typing import Any

import numpy as np

from wellposed.check.episodes import last_observation, varied_resets
from wellposed.check.findings import Outcome, answer, condition, unseen
from wellposed.check.interface import finite_numbers
from wellposed.check.reward import (
    SOME,
    best_at_the_goal,
    reward_recomputable,
    reward_without_chance,
    reward_without_memory,
)
from wellposed.envs.evidence import DISCOUNTED, Evidence
from wellposed.envs.explore import Transitions
from wellposed.envs.rays import CENTRES, DIRECTIONS, FAR, FITS, best_norm
from wellposed.envs.rules import like_the_goal, rewards
from wellposed.stats import describe_rate, wilson

SAME = 1.1  # ratio of two goals' thresholds up to which they are taken for one
OPEN = (0.3, 0.9)  # share of episodes solved at reset above which that is warned of, and fails
BEYOND = (1.0, 100.0)  # how far outside of what was achieved goals may lie, in widths of that
ROUNDING = 1e-9  # of the size of a number: a change that may be rounding
COARSE = (0.01, 0.1)  # of the success radius: a distance between numbers that is warned of, and that fails
NEARBY = 0.05  # of the spread of goals: what counts as one place where there is no success test
RARE = 0.3  # share of random episodes with motion below which hindsight starts slowly
UNKNOWN = unseen("nothing says of any pair of goals whether one is success for the other")


def share(chosen: np.ndarray) -> tuple[str, dict[str, Any]]:
    """How many of n are chosen: in words, and as numbers with an interval."""
    rate, low, high = wilson(int(chosen.sum()), len(chosen))
    return describe_rate(rate, (low, high)), {"rate": rate, "ci95": [low, high]}


# --- success


@condition(
    "Nobody could say whether the task was learnt.",
    "Give the environment a method _is_success(achieved_goal, desired_goal), or a reward of two values.",
    needs=(reward_without_chance,),
)
def success_stated(ev: Evidence) -> Outcome:
    """Somebody says which achieved goals count as success."""
    sound = f"success is known of any pair of goals, from {ev.success_test[1]}"
    return answer(ev.success_fault or sound, fails=ev.success_fault)


@condition(
    "Hindsight relabels with goals that were achieved: none of them would be a success, or all of them.",
    "Check comparison and threshold of the success test.",
    needs=(success_stated,),
)
def success_at_the_goal(ev: Evidence) -> Outcome:
    """A goal that is achieved exactly is a success, and not everything is."""
    if ev.success is None:
        return UNKNOWN
    goals = np.concatenate([ev.resets.desired, ev.all.after.achieved[:: max(1, len(ev.all) // 100)]])
    missed, reached = ~ev.reached(goals, goals), ev.reached(*ev.pairs)
    told = f"{missed.sum()} of {len(goals)} goals are no success when they are achieved exactly, and {reached.sum()} "
    told += f"of {len(reached)} pairs of goals, near and far, are one"
    return answer(told, fails=reached.all() or missed.mean() > SOME, warns=missed.any())


@condition(
    "Two places of which one is a success and the other is not would be one and the same number.",
    "Declare float64, and tell goals relative to something near.",
    needs=(success_at_the_goal,),
)
def goals_resolved(ev: Evidence) -> Outcome:
    """The numbers of goals are fine enough to tell success from failure."""
    if ev.success is None or ev.rays.radius is None:
        return UNKNOWN
    goals, radius = np.concatenate([ev.resets.desired, ev.all.after.achieved]), ev.rays.radius
    size, width = float(np.abs(goals).max()), float(np.ptp(goals, axis=0).max())
    # As the environment has them, and as replay holds them, relative to an origin.
    step = max(np.finfo(ev.goal_type).eps * size, np.finfo(np.float32).eps * width)
    told = (
        f"goals reach {size:.4g} over {width:.4g}; neighbouring numbers there lie {step:.2g} apart ({ev.goal_type}, and"
    )
    told += f" float32 in replay); success ends at {radius:.4g}"
    return answer(
        told, fails=step > COARSE[1] * radius, warns=step > COARSE[0] * radius, step=float(step), radius=radius
    )


@condition(
    "A success that depends on more than the goals is none that hindsight could find out.",
    "Compute info['is_success'] from the next achieved and the desired goal alone.",
    needs=(success_at_the_goal, last_observation, reward_recomputable),
    told_by=(goals_resolved,),
)
def success_told_truly(ev: Evidence) -> Outcome:
    """What info tells of success is what the goals say."""
    if ev.success is None:
        return UNKNOWN
    told = np.isfinite(ev.all.told)
    said = ev.reached(*(part[told] for part in ev.all.goals))
    differ = int((said != (ev.all.told[told] > 0.5)).sum())
    return answer(f"info contradicts the goals in {differ:,} of {told.sum():,} steps that it tells of", fails=differ)


@condition(
    "Nearer must not be worse: values could not be continuous in the goal, and hindsight relies on that.",
    "Make success a distance between the goals below a threshold.",
    needs=(success_at_the_goal,),
    told_by=(goals_resolved,),
)
def success_geometric(ev: Evidence) -> Outcome:
    """Success ends once along every ray from a goal, everywhere at the same distance."""
    if ev.success is None:
        return UNKNOWN
    rays, n = ev.rays, CENTRES * DIRECTIONS
    ended = rays.ended
    if rays.broken:
        return answer(f"along {rays.broken} of {n} rays success ends and comes back farther out", fails=True)
    if not len(ended):
        return answer(f"along none of {n} rays from a goal success ends within {FAR:g} spreads of goals", fails=True)
    free = f"; {n - len(ended)} rays never left it" if len(ended) < n else ""
    if rays.turning:
        told = f"along {n} rays success ends once; goals hold rotations, so no one distance says where{free}"
        return answer(told, rays=n)
    name, radius, scatter = best_norm(ended)
    size = np.linalg.norm(ended, axis=1)
    numbers = {"rays": n, "norm": name, "threshold": radius, "scatter": scatter}
    between = f"at distances from {size.min():.4g} to {size.max():.4g}"
    if rays.unequal > SAME:
        more = f"in one direction up to {rays.unequal:.2g} times as far from one goal as from another"
        return answer(f"success ends {between}, {more}", warns=True, **numbers)
    where = f"{between}; no common norm fits" if scatter > FITS else f"at {radius:.4g} in the unit of goals, {name}"
    return answer(f"along {n} rays success ends once, {where}{free}", **numbers)


@condition(
    "The agent learns what the reward says and is judged by the other.",
    "Derive both from one distance and one threshold.",
    needs=(success_at_the_goal, best_at_the_goal, reward_without_memory),
    told_by=(goals_resolved,),
)
def success_rewarded(ev: Evidence) -> Outcome:
    """A sparse reward and success say the same."""
    if not ev.sparse:
        return answer("the reward is dense; success is judged apart from it")
    best = like_the_goal(ev.pair_rewards, rewards(ev.rules, ev.pairs[1], ev.pairs[1]), ev.reward_range)
    differ = best != ev.reached(*ev.pairs)
    told = f"reward and success contradict each other for {differ.sum()} of {len(differ)} pairs of goals"
    return answer(told, warns=differ.any())


# --- goals


@condition(
    "With one goal the policy need not look at it, and hindsight teaches goals that nobody asks for.",
    "Draw the goal anew at each reset; for one fixed goal learn without hindsight.",
    needs=(finite_numbers, varied_resets),
)
def varied_goals(ev: Evidence) -> Outcome:
    """Episodes have different goals."""
    distinct = len(np.unique(ev.resets.desired, axis=0))
    told = f"{len(ev.resets.desired)} episodes have {distinct} different goals"
    return answer(told, warns=distinct == 1, distinct=distinct)


@condition(
    "Success at the last step and the way to a goal lose their meaning, and returns mix several goals.",
    "Draw goals at reset only (mazes of Gymnasium-Robotics: reset_target=False).",
    needs=(finite_numbers,),
)
def goals_of_episodes(ev: Evidence) -> Outcome:
    """An episode keeps its goal."""
    seen = ev.all
    changed = np.setdiff1d(np.flatnonzero(seen.new_goal), seen.ends)  # the last step is another condition's
    episodes = len(np.unique(seen.episode[changed]))
    told = f"the goal changed within {episodes} of {len(seen.ends)} episodes, {len(changed)} times"
    return answer(told, warns=episodes)


_GOAL_SEEN = {
    "true": "the policy sees the one that reward is given for",
    "none": "the policy sees none, so relabelling tells it nothing of a goal that is hidden",
    "another": "the policy sees another than reward is given for, and relabelling would put the true one in its place",
}


@condition(
    "Relabelling replaces the desired goal, not the observation: the network would learn to read the old one there.",
    "Take goal, way and distance to it out of observation; the networks are shown the goal anyway.",
    needs=(varied_goals,),
)
def goal_hidden(ev: Evidence) -> Outcome:
    """The observation does not tell the desired goal."""
    observation, achieved, desired, _ = ev.resets
    leaks = []
    for name, told in (("the desired goal", desired), ("the way to it", desired - achieved)):
        for axis in np.flatnonzero(np.ptp(desired, axis=0)):
            alike = _follows(observation, told[:, axis]) & ~_follows(achieved, told[:, axis]).any()
            leaks += [f"number {i} is axis {axis} of {name}" for i in np.flatnonzero(alike)]
    away = np.linalg.norm(desired - achieved, axis=1)
    leaks += [f"number {i} is the distance to it" for i in np.flatnonzero(_follows(observation, away))]
    if bool(leaks) and len(np.unique(desired, axis=0)) > 1:
        return answer(f"the observation tells the goal: {'; '.join(leaks)}", fails=True)
    told = f"no number of the observation follows the desired goal over {len(observation)} episodes"
    return answer(f"{told}, and {_GOAL_SEEN[ev.goal_seen]}", fails=ev.goal_seen == "another")


def _follows(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Which columns [n, k] are an exact linear function of the target [n]."""
    x, y = columns - columns.mean(axis=0), target - target.mean()
    size = np.linalg.norm(x, axis=0) * np.linalg.norm(y)
    moves = lambda away, whole: np.linalg.norm(away, axis=0) > ROUNDING * np.abs(whole).max(axis=0)  # noqa: E731
    varying = moves(x, columns) & moves(y, target)
    correlation = np.abs(y @ x) / np.where(varying, size, 1.0)
    return varying & (correlation > 1 - 1e-6)


@condition(
    "Where it does not move, every goal taken in hindsight is achieved already: relabelling teaches that doing "
    "nothing succeeds, and the first episodes that touch the object are lost among them.",
    "Start some episodes near or in contact, let exploration be directed, or draw episodes with motion more often.",
    needs=(success_at_the_goal, varied_resets),
)
def achieved_goal_moves(ev: Evidence) -> Outcome:
    """The achieved goal moves."""
    if (ev.all.before.achieved == ev.all.after.achieved).all():
        return answer(f"the achieved goal never changed in {len(ev.all):,} steps", fails=True, rate=0.0)
    left, held, directed = (_left_start(ev, seen) for seen in (ev.random, ev.held, ev.directed))
    (rate, numbers), trivial = share(left), _trivial(ev)
    told = (
        f"random actions move it out of the success region around where it began in {rate} of episodes "
        f"(actions held {held.mean():.0%}; heading for the goal {directed.mean():.0%}); {trivial:.0%} of what "
        "hindsight would relabel in them is a success already before the action"
    )
    return answer(told, warns=numbers["rate"] < RARE, **numbers, trivial=trivial)


def _near(ev: Evidence, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Which goals [n, g] count as the same place: by the success test, or else within a share of their spread."""
    if ev.success is not None:
        return ev.reached(left, right)
    return np.linalg.norm(left - right, axis=1) <= NEARBY * ev.spread.max()


def _left_start(ev: Evidence, seen: Transitions) -> np.ndarray:
    """In which episodes the achieved goal left the place where it began."""
    begin = seen.before.achieved[seen.starts][seen.episode]
    return np.add.reduceat(~_near(ev, seen.after.achieved, begin), seen.starts) > 0


def _trivial(ev: Evidence) -> float:
    """Share of transitions of random episodes whose goal in hindsight, from their future, is achieved before them."""
    seen, rng = ev.random, ev.generator(50)
    t = rng.integers(len(seen), size=500)
    last = seen.ends[seen.episode[t]]
    future = t + (rng.random(len(t)) * (last - t + 1)).astype(int)
    return float(_near(ev, seen.before.achieved[t], seen.after.achieved[future]).mean())


@condition(
    "Hindsight generalises from goals that were achieved; nothing is learnt of those far from all of them.",
    "See that both goals have one unit and one frame; else begin with near goals, or give episodes more time.",
    needs=(achieved_goal_moves,),
)
def goals_in_reach(ev: Evidence) -> Outcome:
    """Desired goals lie where achieved ones do."""
    achieved = np.concatenate([ev.resets.achieved, ev.random.after.achieved, ev.held.after.achieved])
    low, high, desired = achieved.min(axis=0), achieved.max(axis=0), ev.resets.desired
    outside = np.linalg.norm(np.maximum(np.maximum(low - desired, desired - high), 0), axis=1)
    width = float((high - low).max()) or 1.0
    inside, typical = float((outside == 0).mean()), float(np.median(outside)) / width
    told = (
        f"{inside:.0%} of goals lie within what undirected exploration achieved, which is {width:.3g} wide; the "
        f"typical one lies {typical:.2g} times that outside"
    )
    numbers = {"inside": inside, "width": width, "beyond": typical}
    return answer(told, fails=typical > BEYOND[1], warns=typical > BEYOND[0], **numbers)


# --- what is left to learn


@condition(
    "A success rate below that share means that nothing was learnt, however high it looks.",
    "Draw goals farther away than the threshold, or lower the threshold.",
    needs=(success_at_the_goal,),
)
def unsolved_at_reset(ev: Evidence) -> Outcome:
    """Few episodes are solved before the first action."""
    if ev.success is None:
        return UNKNOWN
    rate, numbers = share(ev.reached(ev.resets.achieved, ev.resets.desired))
    told = f"{rate} of episodes are solved before the first action: the floor of every success rate"
    return answer(told, fails=numbers["rate"] > OPEN[1], warns=numbers["rate"] > OPEN[0], **numbers)


@condition(
    "A task that chance solves tells no method from another.",
    "Make the threshold smaller or the goals wider.",
    needs=(unsolved_at_reset,),
)
def seldom_by_chance(ev: Evidence) -> Outcome:
    """Random actions seldom solve it."""
    if ev.success is None:
        return UNKNOWN
    rate, numbers = share(ev.reached(*(part[ev.random.ends] for part in ev.random.goals)))
    told = f"random actions end in success in {rate} of {len(ev.random.ends)} episodes"
    return answer(told, warns=numbers["ci95"][0] > 0.5, **numbers)


@condition(
    "Beyond the discount's horizon all actions are worth the same.",
    "Raise --agent.gamma, as recipes do (and let episodes be longer), act with larger steps, or begin nearer to goals.",
    needs=(achieved_goal_moves,),
    told_by=(goals_in_reach, unsolved_at_reset),
    name="far-sighted discount",
)
def far_sighted(ev: Evidence) -> Outcome:
    """The discount lets a reward be seen from where episodes begin."""
    seen, gamma, needed = ev.all, ev.gamma, ev.steps_to_goal
    low, high = (end / (1 - gamma) for end in (min(seen.reward.min(), 0), max(seen.reward.max(), 0) + 0.0))
    told = (
        f"discount {gamma:g} looks {1 / (1 - gamma):.0f} steps ahead; at the pace that was seen the typical goal is "
        f"{needed:.0f} steps away, where a reward still counts {gamma**needed:.1%}; values lie between {low:.4g} and "
        f"{high:.4g}"
    )
    late = ev.limit is not None and needed > ev.limit
    numbers = {"gamma": gamma, "steps": needed, "left": gamma**needed}
    told += f"; episodes have {ev.limit} steps" if late else ""
    return answer(told, warns=late or gamma**needed < DISCOUNTED, **numbers)
