"""Conditions on episodes: a seed says how they begin, nothing else reaches into them, and their limit is no failure."""

import random
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.check.findings import Condition, Outcome, fails, holds, unseen, warns
from wellposed.check.interface import POSED
from wellposed.check.reward import CALLABLE, FINITE, SURE
from wellposed.envs import explore
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import follow, joined

SEEDED = "seeded resets"
REPEATABLE = "repeatable steps"
STEPS = 40
FAINT = 0.01  # share of what a quantity varies by, below which a trace of the episode before is only warned of
NO_END = "limit is no end"
DISCOUNTED = 0.01  # of a reward: what is left of it, discounted, below which nobody learns from it


def _start(env: gym.Env, seed: int | None) -> np.ndarray:
    """The first observation of an episode as one vector."""
    return joined(env.reset(seed=seed)[0])


def _equal(left: np.ndarray, right: np.ndarray) -> bool:
    """Bit for bit, a NaN being like another: whether there are any is asked elsewhere."""
    return np.array_equal(left, right, equal_nan=True)


def _scale(ev: Evidence) -> np.ndarray:
    """By how much each number of an observation varies, at least a thousandth of the most variable one."""
    seen = np.hstack([ev.all.next_observation, ev.all.next_achieved, ev.all.next_desired])
    reach = np.ptp(seen, axis=0)
    return np.maximum(reach, 1e-3 * max(reach.max(), 1e-9))


def _difference(ev: Evidence, left: np.ndarray, right: np.ndarray) -> float:
    """The largest difference between two episodes, as a share of what each quantity varies by."""
    if left.shape != right.shape:
        return float("inf")
    return float((np.abs(left - right) / _scale(ev)).max())


def seeded(ev: Evidence) -> Outcome:
    """A seed says how an episode begins."""
    env, other = ev.fresh(), ev.fresh()
    first, second, third = _start(env, 5), _start(env, 5), _start(other, 5)
    if not _equal(first, second):
        return fails(f"two resets with one seed begin differently, by up to {np.abs(first - second).max():.3g}")
    if not _equal(first, third):
        return fails(
            f"the same seed begins differently in another instance, by up to {np.abs(first - third).max():.3g}"
        )
    return holds("one seed gives one beginning, in the same instance and in another")


def varied(ev: Evidence) -> Outcome:
    """Other seeds give other episodes, and so do resets without one."""
    starts = np.hstack([ev.resets.observation, ev.resets.achieved, ev.resets.desired])
    distinct = len(np.unique(starts, axis=0))
    if distinct == 1:
        return fails(f"{len(starts)} seeds gave one and the same beginning")
    env = ev.fresh()
    _start(env, 5)
    later = [_start(env, None) for _ in range(4)]
    if all(np.array_equal(later[0], start) for start in later[1:]):
        return fails("resets without a seed repeat one beginning")
    return holds(f"{len(starts)} seeds gave {distinct} beginnings, and resets without a seed go on to others")


def repeatable(ev: Evidence) -> Outcome:
    """Same seed and same actions, same episode."""
    actions = ev.random_actions(40, STEPS)
    first, second = (follow(ev.fresh(), actions, 6) for _ in range(2))
    if not _equal(first, second):
        n = min(len(first), len(second))
        where = int(np.argmax((first[:n] != second[:n]).any(axis=1)))
        worst = np.abs(first[:n] - second[:n]).max()
        return fails(f"two instances with one seed and the same actions part at step {where}, by up to {worst:.3g}")
    return holds(f"{len(first) - 1} steps with one seed and the same actions are bit-equal in two instances")


def clean(ev: Evidence) -> Outcome:
    """Nothing of the episode before is left after a reset."""
    actions, used, fresh = ev.random_actions(41, STEPS), ev.fresh(), ev.fresh()
    follow(used, ev.random_actions(42, 3 * STEPS), 7)
    after, expected = follow(used, actions, 6), follow(fresh, actions, 6)
    if _equal(after, expected):
        return holds(f"after {3 * STEPS} steps of other episodes, {len(expected) - 1} steps are as in a new instance")
    worst = _difference(ev, after, expected)
    begins = _difference(ev, after[:1], expected[:1])
    told = f"after other episodes one differs from itself in a new instance by {worst:.2g} of what a quantity varies by"
    numbers = {"difference": worst, "at_reset": begins}
    if begins <= 1e-9 and _apart_in_goals(ev, after, expected) < FAINT:
        return warns(f"{told}; its first observation not, achieved goals at the median step by < {FAINT:g}", **numbers)
    return fails(f"{told}, in its first observation by {begins:.2g}", **numbers)


def _apart_in_goals(ev: Evidence, left: np.ndarray, right: np.ndarray) -> float:
    """The difference of achieved goals at the median step, as a share of how far desired ones lie apart.

    The largest would say how late a contact came: there any difference grows, the last bit of a number too.
    """
    if left.shape != right.shape:
        return float("inf")
    part = slice(-2 * ev.goal_size, -ev.goal_size)
    apart = np.abs(left[:, part] - right[:, part]).max(axis=1)
    return float(np.median(apart) / max(np.ptp(ev.resets.desired, axis=0).max(), 1e-9))


def apart(ev: Evidence) -> Outcome:
    """Instances do not reach into each other."""
    actions, alone, here, there = ev.random_actions(43, STEPS), ev.fresh(), ev.fresh(), ev.fresh()
    expected = follow(alone, actions, 8)
    other = ev.random_actions(44, STEPS)
    rows = [_start(here, 8)]
    _start(there, 9)
    over = False
    for action, disturbing in zip(actions, other, strict=True):
        obs, _, terminated, truncated, _ = here.step(action.copy())
        rows.append(joined(obs))
        if terminated or truncated:
            break
        if not over:
            _, _, *ends, _ = there.step(disturbing)
            over = any(ends)
    if not _equal(np.array(rows), expected):
        return fails("an episode went on differently while another instance was stepped")
    return holds(f"{len(expected) - 1} steps are bit-equal with and without another instance beside them")


def own_chance(ev: Evidence) -> Outcome:
    """Randomness comes from the environment's own generator."""
    before = np.random.get_state(), random.getstate()
    env = ev.fresh()
    follow(env, ev.random_actions(45, STEPS), 10)
    _start(env, None)
    after = np.random.get_state(), random.getstate()
    touched = [] if _equal_states(before[0], after[0]) else ["numpy.random"]
    touched += [] if before[1] == after[1] else ["random"]
    if touched:
        return warns(f"the global generator of {' and of '.join(touched)} was used")
    return holds("no global generator was touched")


def _equal_states(left: Any, right: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(left, right, strict=True))


def limited(ev: Evidence) -> Outcome:
    """Episodes end after a known number of steps."""
    seen, limit = ev.all, ev.limit
    lengths = np.diff(np.append(seen.starts, len(seen)))
    cut = seen.truncated[seen.ends]
    open_ended = ~(cut | seen.terminated[seen.ends])
    if limit is None and open_ended.any():
        return fails(
            f"no limit is declared; {open_ended.sum()} of {len(lengths)} episodes had no end after {explore.CAP} steps"
        )
    if limit is None and len(set(lengths[cut])) != 1:
        return fails(f"no limit is declared; episodes ended after {lengths.min()} to {lengths.max()} steps")
    if cut.any() and limit is not None and set(lengths[cut]) != {limit}:
        return fails(
            f"the declared limit is {limit} steps, but episodes were cut after {sorted({int(n) for n in lengths[cut]})}"
        )
    if open_ended.any():
        return unseen(
            f"the declared limit of {limit} steps was not played out: episodes are followed for {explore.CAP}"
        )
    return holds(f"episodes are cut after {limit or lengths[cut][0]} steps", limit=int(limit or lengths[cut][0]))


def no_end(ev: Evidence) -> Outcome:
    """The time limit truncates; it does not terminate."""
    seen = ev.all
    lengths = np.diff(np.append(seen.starts, len(seen)))
    longest = seen.ends[lengths == (ev.limit or lengths.max())]
    if not len(longest):
        return unseen("no episode reached its time limit")
    if seen.terminated[longest].all() and len(longest) > 1:
        return fails(f"all {len(longest)} episodes that reached the limit were reported as terminated")
    return holds(f"{seen.truncated[longest].sum()} of {len(longest)} episodes that reached the limit were truncated")


def last_state(ev: Evidence) -> Outcome:
    """The last observation of an episode is its own."""
    seen = ev.all
    changed = (seen.desired != seen.next_desired).any(axis=1)
    within = np.ones(len(seen), bool)
    within[seen.ends] = False
    over = seen.ends[(seen.terminated | seen.truncated)[seen.ends]]
    if not len(over):
        return unseen("no episode was played to its end")
    if changed[over].mean() > 0.5 and changed[within].mean() < 0.05:
        return fails(
            f"{changed[over].sum()} of {len(over)} episodes end with an observation of another goal: the next episode's"
        )
    if not within.any():
        return holds(f"{len(over)} episodes of one step keep their goals to the end")
    jump = np.abs(seen.next_observation - seen.observation)
    usual = jump[within].max(axis=0) + 1e-9
    jumps = (jump[over] > 5 * usual).any(axis=1)
    if jumps.mean() > 0.5:
        return fails(
            f"in {jumps.sum()} of {len(over)} episodes the last observation jumps, as if it were the next one's first"
        )
    return holds(f"{len(over)} episodes end with an observation of their own; resets are left to the caller")


def far_sighted(ev: Evidence) -> Outcome:
    """The discount lets a reward be seen from where episodes begin."""
    seen, gamma = ev.all, ev.gamma
    pace = np.linalg.norm(seen.next_achieved - seen.achieved, axis=1)
    moving = pace[pace > 1e-3 * max(pace.max(), 1e-12)]
    way = float(np.median(np.linalg.norm(ev.resets.desired - ev.resets.achieved, axis=1)))
    needed = way / float(np.quantile(moving, 0.95)) if len(moving) else float("inf")
    low, high = float(seen.reward.min()), float(seen.reward.max())
    bounds = f"values lie between {min(low, 0) / (1 - gamma) + 0:.4g} and {max(high, 0) / (1 - gamma) + 0:.4g}"
    evidence = (
        f"discount {gamma:g} looks {1 / (1 - gamma):.0f} steps ahead; at the pace that was seen the typical goal is "
        f"{needed:.0f} steps away, where a reward still counts {gamma**needed:.1%}; {bounds}"
    )
    numbers = {"gamma": gamma, "steps": needed, "left": gamma**needed}
    if ev.limit is not None and needed > ev.limit:
        return warns(f"{evidence}; episodes have {ev.limit} steps", **numbers)
    return warns(evidence, **numbers) if gamma**needed < DISCOUNTED else holds(evidence, **numbers)


BEGINNINGS = (
    Condition(
        SEEDED, "A seed says how an episode begins.",
        "No result could be repeated, and no two methods compared on the same episodes.",
        "Draw everything from self.np_random after super().reset(seed=seed).",
        seeded, needs=POSED,
    ),
    Condition(
        "varied resets", "Other seeds give other episodes, and so do resets without one.",
        "An agent that has seen one episode has seen all; its success says nothing of any other.",
        "Draw state and goal anew at each reset; seed the generator only where a seed is given.",
        varied, needs=(*POSED, SEEDED),
    ),
    Condition(
        REPEATABLE, "The same seed and the same actions give the same episode.",
        "Chance that no seed governs makes runs unrepeatable, and resumed ones differ.",
        "Draw noise from self.np_random; give simulators their seed and a fixed number of threads.",
        repeatable, needs=(*POSED, SEEDED),
    ),
    Condition(
        "clean resets", "Nothing of the episode before is left after a reset.",
        "The same seed is another episode depending on what was done before, and evaluation depends on training.",
        "Reset the whole simulation state: for MuJoCo mj_resetData, then time, positions, velocities, controls.",
        clean, needs=(*POSED, REPEATABLE),
    ),
    Condition(
        "own randomness", "Randomness comes from the environment's own generator.",
        "Whoever else draws from the global one changes these episodes, and is changed by them.",
        "Use self.np_random in place of numpy.random and random.",
        own_chance, needs=(*POSED, SEEDED),
    ),
    Condition(
        "instances apart", "Instances do not reach into each other.",
        "Copies that are trained on side by side would steer one another.",
        "Keep state in self, not in the class or the module; copy shared arrays.",
        apart, needs=(*POSED, REPEATABLE), told_by=("own randomness",),
    ),
)  # fmt: skip
ENDINGS = (
    Condition(
        "limited episodes", "Episodes end after a known number of steps.",
        "An episode enters the replay when it ends; one without an end never does.",
        "Register with max_episode_steps, or wrap in gymnasium.wrappers.TimeLimit.",
        limited, needs=(*POSED, FINITE),
    ),
    Condition(
        NO_END, "The time limit truncates; it does not terminate.",
        "The critic would learn that the world ends there, in states from which the goal is one step away.",
        "Return terminated=False, truncated=True at the limit (TimeLimit does).",
        no_end, needs=(*POSED, FINITE),
    ),
    Condition(
        "last observation", "The last observation of an episode is its own.",
        "Hindsight would relabel with a goal that another episode begins with.",
        "Do not reset inside step; leave that to the caller.",
        last_state, needs=(*POSED, FINITE),
    ),
    Condition(
        "far-sighted discount", "The discount lets a reward be seen from where episodes begin.",
        "Beyond the discount's horizon all actions are worth the same.",
        "Raise --agent.gamma (and let episodes be longer), act with larger steps, or begin with nearer goals.",
        far_sighted, needs=(*POSED, FINITE, CALLABLE, SURE, "achieved goal moves"),
        told_by=("goals in reach", "unsolved at reset"),
    ),
)  # fmt: skip
