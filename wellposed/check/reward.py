"""Conditions on reward and termination: what hindsight computes again for goals that nobody had asked for."""

import numpy as np

from wellposed.check.episodes import last_observation, limit_is_no_end, repeatable_steps
from wellposed.check.findings import Outcome, answer, condition, unseen
from wellposed.check.interface import finite_numbers
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import follow, rows
from wellposed.envs.rules import rewards, rules_of, same

LARGE, SMALL = 1_000.0, 1e-3  # size of rewards that settings made for about 1 do not fit
SOME = 0.1  # share of goals, or of pairs of them, above which a rule that fails for them is no quirk


@condition(
    "Hindsight gives a transition another goal, and has to know its reward under it.",
    "Add compute_reward(self, achieved_goal, desired_goal, info), and let step use it.",
    needs=(finite_numbers,),
)
def reward_for_any_goal(ev: Evidence) -> Outcome:
    """The reward can be asked for any pair of goals."""
    if ev.rules.reward is None:
        return answer(ev.reward_fault, fails=True)
    (achieved, *_), (desired, *_) = ev.all.goals
    value = ev.rules.reward(achieved, desired, ev.all.infos[0]) + 0.0  # no minus zero
    return answer(f"compute_reward answers with one number, {value:.4g} for the first transition")


@condition(
    "A relabelled transition has another goal, but the info of the step it was: the reward would be of neither.",
    "Compute the reward from the goals; put what else it depends on into the achieved goal, or drop it.",
    needs=(reward_for_any_goal,),
)
def reward_of_goals_alone(ev: Evidence) -> Outcome:
    """The reward needs nothing but the two goals."""
    if ev.info_fault is None:
        return unseen("with one and the same info, rewards are not the same twice")
    return answer(ev.info_fault or "rewards are the same with the step's info and without", fails=ev.info_fault)


@condition(
    "Noise in the reward is learnt as if it were the task.",
    "Take randomness out of compute_reward.",
    needs=(reward_of_goals_alone,),
)
def reward_without_chance(ev: Evidence) -> Outcome:
    """The same goals get the same reward."""
    first, second, third = (rewards(ev.rules, *ev.pairs) for _ in range(3))
    differ = ~(same(first, second) & same(first, third))
    told = f"asked three times, {differ.sum()} of {len(first)} pairs of goals got different rewards"
    return answer(told, fails=differ.any())


@condition(
    "Relabelling asks one instance about transitions of all others, long after they happened.",
    "Let compute_reward read nothing but its arguments (and constants of the task).",
    needs=(reward_without_chance,),
)
def reward_without_memory(ev: Evidence) -> Outcome:
    """The reward depends on no instance, no moment and no episode."""
    env = ev.fresh()
    other, differ = rules_of(env, ev.goal_type), []
    for steps, seed in ((0, 7), (30, 7), (0, 8)):
        follow(env, ev.random_actions(21, steps), seed)
        differ.append(int((~same(rewards(other, *ev.pairs), ev.pair_rewards)).sum()))
    told = "{} of another instance, {} after 30 steps, {} in another episode".format(*differ)
    return answer(f"pairs of goals with another reward, of {len(ev.pair_rewards)}: {told}", fails=any(differ))


@condition(
    "Relabelling asks millions of times: it would drag the goals or the simulation along.",
    "Let compute_reward work on copies and leave the simulation alone.",
    needs=(repeatable_steps, reward_of_goals_alone),
)
def reward_without_effect(ev: Evidence) -> Outcome:
    """Asking for a reward changes nothing."""
    asked, actions, goals = ev.fresh(), ev.random_actions(22, 30), [part[0].copy() for part in ev.pairs]
    ask, met = rules_of(asked, ev.goal_type).together["reward"], []
    for row in rows(asked, actions, 4):
        met.append(row)
        ask(*goals, {})
    if not np.array_equal(met, follow(ev.fresh(), actions, 4)):
        told = "an episode went on differently where compute_reward was asked between its steps"
        return answer(told, fails=True)
    if not all(np.array_equal(goal, part[0]) for goal, part in zip(goals, ev.pairs, strict=True)):
        return answer("compute_reward wrote into the goals that it was given", fails=True)
    return answer("compute_reward leaves its goals and the episode under way as they are")


@condition(
    "Hindsight rewards the next achieved goal; half of the data would be one step late.",
    "Compute the reward after the simulation was stepped and the observation was read.",
    needs=(reward_without_chance, last_observation),
)
def reward_of_what_came_out(ev: Evidence) -> Outcome:
    """The reward of a step is that of the goal achieved by it."""
    seen = ev.all
    after = rewards(ev.rules, *seen.goals, seen.infos)
    before = rewards(ev.rules, seen.before.achieved, seen.before.desired, seen.infos)
    telling = ~same(after, before)
    if not telling.any():
        return unseen("no step changed the reward, so nothing tells the goal before it from the one after it")
    if same(before, seen.reward).all():
        told = f"all rewards are those of the goal achieved before the action; {telling.sum()} steps tell them apart"
        return answer(told, fails=True)
    if not same(after, seen.reward)[telling].all():
        return unseen("the rewards of steps are neither those of the goal before nor those of the goal after them")
    return answer(f"{telling.sum():,} steps changed the reward, which is that of the goal achieved by the step")


@condition(
    "Original and relabelled transitions would speak of two different tasks in one batch.",
    "Let step call compute_reward(next achieved goal, desired goal, info) and return that, with no terms added.",
    needs=(reward_without_memory, reward_of_what_came_out),
)
def reward_recomputable(ev: Evidence) -> Outcome:
    """compute_reward gives every step its own reward."""
    seen, changed = ev.all, ev.all.new_goal
    again = rewards(ev.rules, *seen.goals, seen.infos)
    steady = ~(changed | np.append(False, changed[:-1]))  # where the goal changes, steps may mean the old or the new
    differ = steady & ~same(again, seen.reward)
    worst = np.abs(again - seen.reward)[differ].max(initial=0)
    told = f"{differ.sum():,} of {steady.sum():,} transitions have another reward than compute_reward says"
    return answer(f"{told}, by up to {worst:.4g}" if worst else told, fails=differ.any(), differ=int(differ.sum()))


@condition(
    "Other libraries ask in batches and would learn from wrong rewards; wellposed asks one by one, which is slow.",
    "Reduce over the last axis only: np.linalg.norm(a - d, axis=-1), x[..., 2] in place of x[2].",
    needs=(reward_without_chance,),
)
def reward_in_batches(ev: Evidence) -> Outcome:
    """Many pairs of goals at once get the rewards that they get one by one."""
    fault = ev.batch_fault("reward")
    return answer(fault or f"{len(ev.pairs[0])} pairs of goals get the same rewards together", warns=fault)


@condition(
    "One reward for everything teaches nothing; huge ones swamp the critics' other errors, tiny ones drown in entropy.",
    "Reward the goal more than its surroundings; scale to about one per step.",
    needs=(reward_without_chance,),
)
def reward_that_tells(ev: Evidence) -> Outcome:
    """Rewards differ, and are of a size that networks learn."""
    low, high = ev.reward_range
    numbers = {"low": low, "high": high, "sparse": ev.sparse}
    if low == high:
        return answer(f"all rewards that were seen are {low:.4g}", fails=True, **numbers)
    told = f"sparse: {low:.4g} and {high:.4g}" if ev.sparse else f"dense: between {low:.4g} and {high:.4g}"
    if high - low >= SMALL and max(abs(low), abs(high)) <= LARGE:
        return answer(told, **numbers)
    return answer(f"{told}; the values of policies are {1 / (1 - ev.gamma):.0f} times that", warns=True, **numbers)


@condition(
    "The agent would learn to be somewhere else, and hindsight to call that a success.",
    "Check the sign and the comparison in compute_reward: compute_reward(g, g, {}) must be the highest.",
    needs=(reward_that_tells,),
)
def best_at_the_goal(ev: Evidence) -> Outcome:
    """Nothing is rewarded more than the goal itself."""
    at_goal = rewards(ev.rules, ev.pairs[1], ev.pairs[1])
    better = (ev.pair_rewards > at_goal) & ~same(ev.pair_rewards, at_goal)
    told = f"{better.sum()} of {len(better)} places are rewarded more than the goal itself"
    return answer(told, fails=better.mean() > SOME, warns=better.any())


@condition(
    "A relabelled transition would bootstrap from a future that it does not have, or cut off one that it has.",
    "Add compute_terminated(self, achieved_goal, desired_goal, info) and let step use it, or never terminate.",
    needs=(reward_for_any_goal, limit_is_no_end, last_observation),
)
def termination_recomputable(ev: Evidence) -> Outcome:
    """Whether an episode terminates can be said of any goal, or none ever does."""
    seen, ended, ask = ev.all, ev.all.terminated, ev.rules.terminated
    if ask is None:
        sound = f"{ended.sum():,} of {len(seen):,} steps terminated; where episodes terminate: {ev.endings}"
        return answer(ev.endings_fault or sound, fails=ev.endings_fault)
    said = np.array([ask(a, d, {}) for a, d in zip(*seen.goals, strict=True)], bool)
    # Whoever fails has failed for every goal. Where an episode ends at its goal, compute_terminated has to say so.
    unsaid = ended & ~said
    at_goal = unsaid & ev.reached(*seen.goals) if ev.success is not None else unsaid
    differ = int(((said & ~ended) | at_goal).sum())
    told = f"compute_terminated contradicts {differ} of {len(seen):,} steps, of which {ended.sum():,} terminated"
    return answer(f"{told}, {unsaid.sum():,} by failure", fails=differ)


@condition(
    "The best policy stays away from the goal: by going on it collects more than the goal gives.",
    "Reward what is not the goal with 0 or less, give more for the goal, or let the episode go on there.",
    needs=(best_at_the_goal, termination_recomputable),
)
def goal_worth_reaching(ev: Evidence) -> Outcome:
    """Reaching the goal is worth more than going on without it."""
    worth = ev.worth(ev.gamma)
    if worth is None:
        return unseen("nobody says which goals are reached, or all are")
    where = "the goal, which ends the episode," if ev.ends_at_goal else "the goal"
    told = f"with the discount {ev.gamma:g} {where} is worth {worth:.3g} a step more than going on without it"
    return answer(told, fails=ev.ends_at_goal and worth <= 0, worth=worth)
