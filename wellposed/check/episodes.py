"""Conditions on episodes: a seed says how they begin, nothing else reaches into them, and their limit is no failure."""

import random
from contextlib import closing
from itertools import zip_longest
from typing import Any

import numpy as np

from wellposed.check.findings import Outcome, answer, condition, unseen
from wellposed.check.interface import finite_numbers, steps
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import CAP, follow, observations, rows

STEPS = 40  # of an episode that is compared with itself
ROUNDING = 1e-9  # share of what a quantity varies by that may be rounding
FAINT = 0.01  # share of what a quantity varies by, below which a trace of the episode before is only warned of


def same(left: np.ndarray, right: np.ndarray) -> bool:
    """Bit for bit, a NaN being like another: whether there are any is asked elsewhere."""
    return np.array_equal(left, right, equal_nan=True)


def apart(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The difference of two episodes as far as both go, [steps, size]; infinite where their sizes differ."""
    n = min(len(left), len(right))
    return np.abs(left[:n] - right[:n]) if left.shape == right.shape else np.full((n, left.shape[1]), np.inf)


def _reach(ev: Evidence, size: int) -> np.ndarray:
    """By how much each number of a row [size] varies, at least a thousandth of the most variable one."""
    seen, reach = np.ptp(ev.all.after.numbers, axis=0), np.full(size, 255.0)  # of the pixels of images, which come last
    reach[: len(seen)] = np.maximum(seen, 1e-3 * (seen.max() or 1.0))
    return reach


def _words(state: Any) -> tuple[bytes, int]:
    """What NumPy's global generator stands on."""
    return state[1].tobytes(), state[2]


# --- how they begin


@condition(
    "No result could be repeated, and no two methods compared on the same episodes.",
    "Draw everything from self.np_random after super().reset(seed=seed).",
    needs=(steps,),
)
def seeded_resets(ev: Evidence) -> Outcome:
    """A seed says how an episode begins."""
    env = ev.fresh()
    first, second, third = (follow(one, [], 5) for one in (env, env, ev.fresh()))
    here, there = np.abs(first - second).max(), np.abs(first - third).max()
    told = f"two resets with one seed differ by up to {here:.3g}, and by up to {there:.3g} in another instance"
    return answer(told, fails=not (same(first, second) and same(first, third)))


@condition(
    "An agent that has seen one episode has seen all; its success says nothing of any other.",
    "Draw state and goal anew at each reset; seed the generator only where a seed is given.",
    needs=(seeded_resets,),
)
def varied_resets(ev: Evidence) -> Outcome:
    """Other seeds give other episodes, and so do resets without one."""
    env, starts = ev.fresh(), np.hstack(ev.resets)
    later = np.concatenate([follow(env, [], seed) for seed in (5, None, None, None, None)])[1:]
    distinct, going_on = len(np.unique(starts, axis=0)), len(np.unique(later, axis=0))
    told = f"{len(starts)} seeds gave {distinct} beginnings, and {len(later)} resets without a seed {going_on}"
    return answer(told, fails=distinct == 1 or going_on == 1)


@condition(
    "Chance that no seed governs makes runs unrepeatable, and resumed ones differ.",
    "Draw noise from self.np_random; give simulators their seed and a fixed number of threads.",
    needs=(seeded_resets,),
)
def repeatable_steps(ev: Evidence) -> Outcome:
    """The same seed and the same actions give the same episode."""
    first, second = (follow(ev.fresh(), ev.random_actions(40, STEPS), 6) for _ in range(2))
    if same(first, second):
        return answer(f"{len(first) - 1} steps with one seed and the same actions are bit-equal in two instances")
    differ = apart(first, second)
    where = f"part at step {np.argmax(differ.any(axis=1))}, by up to {differ.max():.3g}"
    return answer(f"two instances with one seed and the same actions {where}", fails=True)


@condition(
    "The same seed is another episode depending on what was done before, and evaluation depends on training.",
    "Reset the whole simulation state: for MuJoCo mj_resetData, then time, positions, velocities, controls.",
    needs=(repeatable_steps,),
)
def clean_resets(ev: Evidence) -> Outcome:
    """Nothing of the episode before is left after a reset."""
    actions, used = ev.random_actions(41, STEPS), ev.fresh()
    follow(used, ev.random_actions(42, 3 * STEPS), 7)
    after, expected = follow(used, actions, 6), follow(ev.fresh(), actions, 6)
    if same(after, expected):
        return answer(f"after other episodes, {len(expected) - 1} steps are as in a new instance")
    differ, reach = apart(after, expected), _reach(ev, after.shape[1])
    worst, begins = float((differ / reach).max()), float((differ / reach)[0].max())
    # Of achieved goals the median step: the largest difference would say how late a contact came, for there any
    # difference grows, the last bit of a number too.
    seen = ev.all.after
    begin = seen.observation.shape[1]
    goals = differ[:, begin : begin + seen.achieved.shape[1]].max(axis=1)
    faint = begins <= ROUNDING and np.median(goals) <= FAINT * np.ptp(ev.resets.desired, axis=0).max()
    told = f"after other episodes one differs from itself in a new instance by {worst:.2g} of what a quantity varies by"
    where = f"its first observation not, achieved goals at the median step by < {FAINT:g}"
    numbers = {"difference": worst, "at_reset": begins}
    if faint:
        return answer(f"{told}; {where}", warns=True, **numbers)
    return answer(f"{told}, in its first observation by {begins:.2g}", fails=True, **numbers)


@condition(
    "Whoever else draws from the global one changes these episodes, and is changed by them.",
    "Use self.np_random in place of numpy.random and random.",
    needs=(seeded_resets,),
)
def own_randomness(ev: Evidence) -> Outcome:
    """Randomness comes from the environment's own generator."""
    state = lambda: {"numpy.random": _words(np.random.get_state()), "random": random.getstate()}  # noqa: E731
    before, env = state(), ev.fresh()
    follow(env, ev.random_actions(45, STEPS), 10)
    follow(env, [], None)
    after = state()
    touched = [name for name in before if before[name] != after[name]]
    used = f"the global generator of {' and of '.join(touched)} was used"
    return answer(used if touched else "no global generator was touched", warns=touched)


@condition(
    "Envs that are trained on side by side would steer one another.",
    "Keep state in self, not in the class or the module; copy shared arrays.",
    needs=(repeatable_steps,),
    told_by=(own_randomness,),
)
def instances_apart(ev: Evidence) -> Outcome:
    """Instances do not reach into each other."""
    here, there = ev.fresh(), ev.fresh()
    actions, other = ev.random_actions(43, STEPS), ev.random_actions(44, STEPS)
    expected = follow(ev.fresh(), actions, 8)
    in_turns = zip_longest(rows(here, actions, 8), observations(there, other, 9))
    beside = np.array([row for row, _ in in_turns if row is not None])
    if not same(beside, expected):
        return answer("an episode went on differently while another instance was stepped", fails=True)
    return answer(f"{len(expected) - 1} steps are bit-equal with and without another instance beside them")


@condition(
    "A replay that keeps a reference then holds the present in place of the past, or rewrites the simulation.",
    "Return copies: obs = {key: value.copy() for ...}.",
    needs=(repeatable_steps,),
)
def own_arrays(ev: Evidence) -> Outcome:
    """Arrays that were handed out belong to whoever got them."""
    actions, met = ev.random_actions(12, STEPS), []
    kept = [(k, obs[k], np.array(obs[k])) for obs in observations(ev.fresh(), actions, 1) for k in ev.spaces]
    if changed := sorted({key for key, array, copy in kept if not same(array, copy)}):
        return answer(f"{', '.join(changed)} of earlier steps changed when the environment went on", fails=True)
    for obs in observations(ev.fresh(), actions, 1):
        met += [np.array(obs[key]) for key in ev.spaces]
        for key in ev.spaces:
            if obs[key].flags.writeable:
                obs[key][...] = 111
    if len(met) != len(kept) or not all(same(array, copy) for array, (_, _, copy) in zip(met, kept, strict=True)):
        return answer("writing into an observation that was handed out changed the environment's own state", fails=True)
    return answer(f"{len(kept)} arrays stayed what they were, and writing into them changed nothing")


@condition(
    "Where actions change nothing there is nothing to learn.",
    "See that step hands the action on to the simulation, with its scale.",
    needs=(repeatable_steps,),
)
def acting(ev: Evidence) -> Outcome:
    """Actions have an effect."""
    low, high = ev.actions.low, ev.actions.high
    middle = (low + high) / 2

    def after(component: int, bound: np.ndarray) -> np.ndarray:
        action = np.where(np.arange(len(middle)) == component, bound, middle).astype(ev.actions.dtype)
        with closing(ev.subject.make()) as env:
            return follow(env, [action] * 8, 3)[-1]

    ends = [(after(i, low), after(i, high)) for i in range(len(middle))]
    idle = [i for i, (one, other) in enumerate(ends) if (abs(one - other) <= ROUNDING * _reach(ev, len(one))).all()]
    told = f"{len(middle) - len(idle)} of {len(middle)} components of the action move something in eight steps"
    said = f"; components {idle} do nothing" if idle else ""
    return answer(told + said, fails=len(idle) == len(middle), idle=idle)


# --- how they end


@condition(
    "An episode enters the replay when it ends; one without an end never does.",
    "Register with max_episode_steps, or wrap in gymnasium.wrappers.TimeLimit.",
    needs=(finite_numbers,),
)
def limited_episodes(ev: Evidence) -> Outcome:
    """Episodes end after a known number of steps."""
    seen, limit = ev.all, ev.limit
    cut, ended = seen.truncated[seen.ends], seen.terminated[seen.ends]
    lengths, endless = seen.lengths[cut], int((~cut & ~ended).sum())
    after = ", ".join(map(str, np.unique(lengths))) or "none"
    if limit is None and endless:
        told = f"no limit is declared; {endless} of {len(cut)} episodes had no end after {CAP} steps"
        return answer(told, fails=True)
    if len(np.unique(np.append(lengths, limit or lengths))) != 1:
        told = "no limit is declared" if limit is None else f"the declared limit is {limit} steps"
        return answer(f"{told}, and the lengths of episodes that were cut are {after}", fails=True)
    if endless:
        return unseen(f"the declared limit of {limit} steps was not played out: episodes are followed for {CAP}")
    return answer(f"episodes are cut after {limit or after} steps", limit=ev.length)


@condition(
    "The critic would learn that the world ends there, in states from which the goal is one step away.",
    "Return terminated=False, truncated=True at the limit (TimeLimit does).",
    needs=(finite_numbers,),
)
def limit_is_no_end(ev: Evidence) -> Outcome:
    """The time limit truncates; it does not terminate."""
    seen = ev.all
    longest = seen.ends[seen.lengths == (ev.limit or seen.lengths.max())]
    if not len(longest):
        return unseen("no episode reached its time limit")
    told = f"{seen.terminated[longest].sum()} of {len(longest)} episodes that reached the limit were terminated by it"
    return answer(told, fails=seen.terminated[longest].all() and len(longest) > 1)


@condition(
    "Hindsight would relabel with a goal that another episode begins with.",
    "Do not reset inside step; leave that to the caller.",
    needs=(finite_numbers,),
)
def last_observation(ev: Evidence) -> Outcome:
    """The last observation of an episode is its own."""
    seen, changed = ev.all, ev.all.new_goal
    within = ~np.isin(np.arange(len(seen)), seen.ends)
    over = seen.ends[(seen.terminated | seen.truncated)[seen.ends]]
    if not len(over):
        return unseen("no episode was played to its end")
    if changed[over].mean() > 0.5 and not (within.any() and changed[within].mean() >= 0.05):
        told = f"{changed[over].sum()} of {len(over)} episodes end with an observation of another goal"
        return answer(f"{told}: the next episode's", fails=True)
    jump = np.abs(seen.after.observation - seen.before.observation)
    slack = ROUNDING * np.ptp(seen.after.observation, axis=0)
    usual = jump[within].max(axis=0, initial=0) + slack if within.any() else np.inf
    jumps = (jump[over] > 5 * usual).any(axis=1)
    told = f"in {jumps.sum()} of {len(over)} episodes the last observation jumps, as if it were the next one's first"
    return answer(told, fails=jumps.mean() > 0.5)
