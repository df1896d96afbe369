"""Conditions on time: episodes end, their limit is no failure, and the discount sees that far."""

import numpy as np

from wellposed.check.findings import Condition, Outcome, fails, holds, unseen, warns
from wellposed.check.interface import POSED
from wellposed.check.reward import CALLABLE, FINITE, SURE
from wellposed.envs import explore
from wellposed.envs.evidence import Evidence

NO_END = "limit is no end"
FAINT = 0.01  # of a reward: what is left of it, discounted, below which nobody learns from it


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
    return warns(evidence, **numbers) if gamma**needed < FAINT else holds(evidence, **numbers)


CONDITIONS = (
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
