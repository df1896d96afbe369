"""Conditions on reward and termination: what hindsight computes again for goals that nobody had asked for."""

from typing import Any

import numpy as np

from wellposed.check.findings import Condition, Outcome, fails, holds, unseen, warns
from wellposed.check.interface import POSED
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import follow
from wellposed.envs.rules import Rules, rewards, rules_of, same
from wellposed.errors import UserError

CALLABLE = "reward for any goal"
NEXT = "reward of what came out"
SURE = "reward without chance"
SAME = "reward recomputable"
FINITE = "finite numbers"
LARGE = 1_000.0
SOME = 0.1  # share of goals, or of pairs of them, above which a rule that fails for them is no quirk


def callable_reward(ev: Evidence) -> Outcome:
    """There is a `compute_reward(achieved_goal, desired_goal, info)` that gives a number."""
    if ev.rules.reward is None:
        return fails("there is no method compute_reward(achieved_goal, desired_goal, info)")
    first = ev.all
    try:
        value = ev.rules.reward(first.next_achieved[0], first.desired[0], first.infos[0])
    except UserError:  # a sentence already
        raise
    except Exception as error:  # whatever a stranger's code raises is the finding
        return fails(f"compute_reward raised {type(error).__name__}: {error}")
    return holds(f"compute_reward answers with one number, {value + 0.0:.4g} for the first transition")


def without_info(ev: Evidence) -> Outcome:
    """The reward needs nothing but the two goals."""
    if ev.info_fault is None:
        return unseen("with one and the same info, rewards are not the same twice")
    return fails(ev.info_fault) if ev.info_fault else holds("rewards are the same with the step's info and without")


def without_chance(ev: Evidence) -> Outcome:
    """The same question has the same answer."""
    first, second, third = (rewards(ev.rules, *ev.pairs) for _ in range(3))
    if (differ := ~(same(first, second) & same(first, third))).any():
        return fails(f"asked three times, {differ.sum()} of {len(first)} pairs of goals got different rewards")
    return holds(f"{len(first)} pairs of goals, asked three times, got the same reward")


def without_state(ev: Evidence) -> Outcome:
    """Other instances, other episodes and other moments give the same reward."""
    expected, env = ev.pair_rewards, ev.fresh()
    told: list[tuple[str, np.ndarray]] = []
    rules = rules_of(env, ev.goal_type)
    env.reset(seed=7)
    told.append(("another instance", rewards(rules, *ev.pairs)))
    for action in ev.random_actions(21, 30):
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            break
    told.append(("after 30 more steps", rewards(rules, *ev.pairs)))
    env.reset(seed=8)
    told.append(("in another episode", rewards(rules, *ev.pairs)))
    for where, values in told:
        if (differ := ~same(values, expected)).any():
            return fails(f"{where}, {differ.sum()} of {len(values)} pairs of goals got another reward")
    return holds(f"{len(expected)} pairs of goals got the same reward in other instances, moments and episodes")


def pure(ev: Evidence) -> Outcome:
    """Asking changes neither the goals nor the episode under way."""
    left, right = ev.pairs
    actions, asked = ev.random_actions(22, 30), ev.fresh()
    ask = rules_of(asked, ev.goal_type).together["reward"]
    a, d = left[0].copy(), right[0].copy()
    expected = follow(ev.fresh(), actions, 4)
    if not np.array_equal(follow(asked, actions, 4, lambda _: ask(a, d, {})), expected):
        return fails("an episode went on differently where compute_reward was asked between its steps")
    if not (np.array_equal(a, left[0]) and np.array_equal(d, right[0])):
        return fails("compute_reward wrote into the goals that it was given")
    return holds("compute_reward leaves its goals and the episode under way as they are")


def recomputable(ev: Evidence) -> Outcome:
    """compute_reward gives a step its own reward."""
    seen = ev.all
    again = rewards(ev.rules, seen.next_achieved, seen.desired, seen.infos)
    changed = (seen.desired != seen.next_desired).any(axis=1)
    steady = ~(changed | np.append(False, changed[:-1]))  # where the goal changes, steps may mean the old or the new
    differ = steady & ~same(again, seen.reward)
    if not differ.any():
        return holds(f"{steady.sum():,} transitions: compute_reward gives the step's own reward", n=int(steady.sum()))
    worst = np.abs(again - seen.reward)[differ].max()
    return fails(
        f"{differ.sum():,} of {steady.sum():,} transitions have another reward than compute_reward says, by up to "
        f"{worst:.4g}", differ=int(differ.sum()),
    )  # fmt: skip


def of_next(ev: Evidence) -> Outcome:
    """The reward of a step is of the goal achieved by it, not of the one before."""
    seen = ev.all
    after = rewards(ev.rules, seen.next_achieved, seen.desired, seen.infos)
    before = rewards(ev.rules, seen.achieved, seen.desired, seen.infos)
    telling = ~same(after, before)
    if not telling.any():
        return unseen("no step changed the reward, so nothing tells the goal before it from the one after it")
    if same(before, seen.reward).all():
        return fails(
            f"all rewards are those of the goal achieved before the action; {telling.sum()} steps tell the difference"
        )
    if not same(after, seen.reward)[telling].all():
        return unseen("the rewards of steps are neither those of the goal before nor those of the goal after them")
    return holds(f"{telling.sum():,} steps changed the reward, which is that of the goal achieved by the step")


def batched(ev: Evidence) -> Outcome:
    """Many pairs at once get the rewards that they get one by one."""
    fault = ev.batch_fault("reward")
    return warns(fault) if fault else holds(f"{len(ev.pairs[0])} pairs of goals get the same rewards together")


def telling(ev: Evidence) -> Outcome:
    """Rewards differ, and are of a size that a network can learn."""
    low, high = ev.reward_range
    if low == high:
        return fails(f"all rewards that were seen are {low:.4g}", low=low, high=high)
    kind = f"two values, {low:.4g} and {high:.4g}" if ev.sparse else f"between {low:.4g} and {high:.4g}"
    numbers = {"low": low, "high": high, "sparse": ev.sparse}
    if max(abs(low), abs(high)) > LARGE:
        return warns(f"rewards are {kind}; the values of policies are {1 / (1 - ev.gamma):.0f} times that", **numbers)
    return holds(f"{'sparse' if ev.sparse else 'dense'}: {kind}", **numbers)


def best_at_goal(ev: Evidence) -> Outcome:
    """Nothing is rewarded more than the goal itself."""
    left, right = ev.pairs
    at_goal = rewards(ev.rules, right, right)
    better = ev.pair_rewards > at_goal + 1e-5 * np.maximum(1, np.abs(at_goal))
    if better.any():
        told = f"{better.sum()} of {len(left)} places are rewarded more than the goal itself"
        return (fails if better.mean() > SOME else warns)(told, better=int(better.sum()))
    return holds(f"none of {len(left)} places is rewarded more than the goal itself")


def terminated(ev: Evidence) -> Outcome:
    """Where episodes terminate, it can be said of any goal whether they would."""
    seen, count = ev.all, int(ev.all.terminated.sum())
    if ev.endings == "said":
        return _as_said(ev, ev.rules)
    if ev.endings == "never":
        return holds(f"no episode terminated in {len(seen):,} steps, and nothing says that one would")
    if ev.endings == "at the goal" and count:
        return holds(f"{count} episodes terminated, each at the step that reached its goal, and no other did")
    if ev.endings == "at the goal":
        return holds("episodes terminated where their goal was put to where they stood, and no others did")
    return fails(f"{count} of {len(seen):,} steps terminated, and no compute_terminated says so of another goal")


def _as_said(ev: Evidence, rules: Rules) -> Outcome:
    """Compare the steps' `terminated` with what compute_terminated says."""
    seen, ask = ev.all, rules.terminated
    assert ask is not None
    try:
        said = np.array([ask(a, d, {}) for a, d in zip(seen.next_achieved, seen.desired, strict=True)], bool)
    except Exception as error:  # as above
        return fails(f"compute_terminated raised {type(error).__name__}: {error}")
    if (differ := said != seen.terminated).any():
        return fails(f"compute_terminated contradicts {differ.sum()} of {len(seen):,} steps")
    return holds(f"compute_terminated agrees with {len(seen):,} steps, of which {seen.terminated.sum()} terminated")


def finite(ev: Evidence) -> Outcome:
    """No NaN and no infinity comes out."""
    parts: dict[str, Any] = {
        name: getattr(ev.all, name) for name in ("next_observation", "next_achieved", "next_desired", "reward")
    }
    parts |= {
        "observation at reset": ev.resets.observation,
        "achieved goal at reset": ev.resets.achieved,
        "desired goal at reset": ev.resets.desired,
    }
    bad = [
        f"{name.replace('_', ' ')} {(~np.isfinite(v)).sum()} times"
        for name, v in parts.items()
        if not np.isfinite(v).all()
    ]
    return (
        fails(f"not finite: {', '.join(bad)}")
        if bad
        else holds(f"{len(ev.all):,} steps and {len(ev.resets.desired)} resets are finite numbers")
    )


_ANY = (*POSED, FINITE, CALLABLE)
CONDITIONS = (
    Condition(
        FINITE, "Observations, goals and rewards are finite numbers.",
        "One NaN in the replay makes every weight a NaN.",
        "Find what is divided by zero or left uninitialised; end the episode where the simulation breaks.",
        finite, needs=POSED,
    ),
    Condition(
        CALLABLE, "The reward can be asked for any pair of goals.",
        "Hindsight gives a transition another goal, and has to know its reward under it.",
        "Add compute_reward(self, achieved_goal, desired_goal, info), and let step use it.",
        callable_reward, needs=(*POSED, FINITE),
    ),
    Condition(
        "reward of goals alone", "The reward needs nothing but the two goals.",
        "A relabelled transition has another goal, but the info of the step it was: the reward would be of neither.",
        "Compute the reward from the goals; put what else it depends on into the achieved goal, or drop it.",
        without_info, needs=_ANY,
    ),
    Condition(
        SURE, "The same goals get the same reward.",
        "Noise in the reward is learnt as if it were the task.",
        "Take randomness out of compute_reward.",
        without_chance, needs=(*_ANY, "reward of goals alone"),
    ),
    Condition(
        "reward without memory", "The reward depends on no instance, no moment and no episode.",
        "Relabelling asks one instance about transitions of all others, long after they happened.",
        "Let compute_reward read nothing but its arguments (and constants of the task).",
        without_state, needs=(*_ANY, SURE),
    ),
    Condition(
        "reward without effect", "Asking for a reward changes nothing.",
        "Relabelling asks millions of times: it would drag the goals or the simulation along.",
        "Let compute_reward work on copies and leave the simulation alone.",
        pure, needs=(*_ANY, "repeatable steps", "reward of goals alone"),
    ),
    Condition(
        NEXT, "The reward of a step is that of the goal achieved by it.",
        "Hindsight rewards the next achieved goal; half of the data would be one step late.",
        "Compute the reward after the simulation was stepped and the observation was read.",
        of_next, needs=(*_ANY, SURE, "last observation"),
    ),
    Condition(
        SAME, "compute_reward gives every step its own reward.",
        "Original and relabelled transitions would speak of two different tasks in one batch.",
        "Let step call compute_reward(next achieved goal, desired goal, info) and return that, with no terms added.",
        recomputable, needs=(*_ANY, SURE, NEXT, "reward without memory", "last observation"),
    ),
    Condition(
        "reward in batches", "Many pairs of goals at once get the rewards that they get one by one.",
        "Other libraries ask in batches and would learn from wrong rewards; wellposed asks one by one, which is slow.",
        "Reduce over the last axis only: np.linalg.norm(a - d, axis=-1), x[..., 2] in place of x[2].",
        batched, needs=(*_ANY, SURE, "reward of goals alone"),
    ),
    Condition(
        "reward that tells", "Rewards differ, and are of a size that networks learn.",
        "One reward for everything teaches nothing; huge ones swamp the critics' other errors.",
        "Reward the goal more than its surroundings; scale to about one per step.",
        telling, needs=(*_ANY, SURE),
    ),
    Condition(
        "best at the goal", "Nothing is rewarded more than the goal itself.",
        "The agent would learn to be somewhere else, and hindsight to call that a success.",
        "Check the sign and the comparison in compute_reward: compute_reward(g, g, {}) must be the highest.",
        best_at_goal, needs=(*_ANY, SURE, "reward that tells"),
    ),
    Condition(
        "termination recomputable", "Whether an episode terminates can be said of any goal, or none ever does.",
        "A relabelled transition would bootstrap from a future that it does not have, or cut off one that it has.",
        "Add compute_terminated(self, achieved_goal, desired_goal, info) and let step use it, or never terminate.",
        terminated, needs=(*_ANY, "limit is no end", "last observation"),
    ),
)  # fmt: skip
