"""Rules on what the learner gets, and on the learner itself: functions that return what they saw, or None.

The sentences that go with each are in `rules.toml`. docs/diagnose.md compares the bounds with what sound runs measured.
A metric that was not logged is no evidence, and neither is an untrained network: most rules on the learner look only at
rows after the first update.
"""

import numpy as np

from wellposed.agents import SACConfig, find
from wellposed.config import against_divergence
from wellposed.diagnose.evidence import Evidence, Seen, is_sparse
from wellposed.diagnose.phases import CONVERGED, above_floor
from wellposed.units import goal_worth, return_range

MOVED_BY = 50  # updates after which weights must have moved
PREDICTS_BY = 500  # updates after which a critic of on-policy returns must predict something
SEES_BY = 5000  # updates after which an encoder of pictures must see better than at first
LOSSES = "train/estimate_loss", "train/imitation_loss", "probe/td_error"  # that train such an encoder
BLIND = 0.95  # share of what it missed by at first, from which on it does not


# What the learner gets: goals, rewards, terminations, actions, observations, samples.


def wrong_rewards(e: Evidence) -> Seen | None:
    """Rewards in the minibatches are not what the environment gives for their goals."""
    wrong = e.recent("probe/reward_wrong")
    return None if wrong is None or wrong.value < 0.005 else Seen(wrong.step, {"share": wrong.value})


def wrong_terminations(e: Evidence) -> Seen | None:
    """Transitions are stored as terminated where the environment does not terminate, or the reverse."""
    steps, wrong = e.series("probe/terminated_wrong")
    return None if not len(steps) or wrong.mean() < 2e-4 else Seen(int(steps[-1]), {"share": float(wrong.mean())})


def foreign_goals(e: Evidence) -> Seen | None:
    """Hindsight goals that the transition's own episode never achieved."""
    foreign = e.recent("probe/goals_foreign")
    if foreign is None or foreign.value < 0.02:
        return None
    return Seen(foreign.step, {"share": foreign.value}, sure=0.98 if foreign.value > 0.2 else 0.9)


def past_goals(e: Evidence) -> Seen | None:
    """Under `future`, goals that were achieved only before the transition."""
    past = e.recent("probe/goals_past")
    if past is None or e.config.replay.strategy == "episode" or past.value < 0.02:
        return None
    return Seen(past.step, {"share": past.value})


def relabelling_without_effect(e: Evidence) -> Seen | None:
    """Hindsight is on, but the goals are still the original ones."""
    original, k = e.recent("probe/goals_original"), e.config.replay.k
    if original is None or k == 0 or original.value < 1 / (k + 1) + 0.3:
        return None
    return Seen(original.step, {"share": original.value, "expected": 1 / (k + 1)})


def goal_blind(e: Evidence) -> Seen | None:
    """The networks' inputs do not depend on the desired goal."""
    changed = e.recent("probe/goal_in_inputs")
    return None if changed is None or changed.value > 0.2 else Seen(changed.step, {"share": changed.value})


def reward_scale(e: Evidence) -> Seen | None:
    """Rewards outside of the range that the environment names, to whose returns targets are bounded."""
    rewards, least, most = e.rewards, e.value("probe/reward_least"), e.value("probe/reward_greatest")
    if rewards is None or least is None or most is None or not e.config.agent.bound_targets:
        return None
    (step, low, high), (worst, best) = rewards, return_range((least, most), e.config.agent.gamma)
    slack = 0.01 * (most - least)
    if low > least - slack and high < most + slack and (low == high or low < least + slack):
        return None
    numbers = {"low": low, "high": high, "least": least, "most": most, "worst": worst, "best": best}
    return Seen(step, numbers)


def unanswered_actions(e: Evidence) -> Seen | None:
    """What arrived of the stored actions does not explain the motion that follows."""
    answered = e.recent("probe/action_answered")
    return None if answered is None or answered.value > 0.1 else Seen(answered.step, {"share": answered.value})


def clipped_actions(e: Evidence) -> Seen | None:
    """No action that reaches the simulator is large, although uniform ones are mixed in."""
    steps, largest = e.series("rollout/action_max")
    if not len(steps) or not (e.config.random_share or e.config.random_steps):
        return None
    if largest.max() > 0.8 * e.config.env.control.spread:  # a filter leaves less of independent actions
        return None
    return Seen(int(steps[-1]), {"largest": float(largest.max())})


def unobserved_motion(e: Evidence) -> Seen | None:
    """The observation does not contain how the effector just moved."""
    observed, constant = e.recent("probe/motion_observed"), e.value("probe/observation_constant")
    # Velocities at the end of a step (Panda) tell about half of the motion in it; without any hardly a tenth is told.
    if observed is None or observed.value > 0.3:
        return None
    return Seen(observed.step, {"share": observed.value, "constant": constant or None})


def stale_samples(e: Evidence) -> Seen | None:
    """Minibatches are drawn from only a part of the replay."""
    age = e.recent("probe/replay_age", learning=True)
    return None if age is None or abs(age.value - 0.5) < 0.12 else Seen(age.step, {"age": age.value})


def hindsight_off(e: Evidence) -> Seen | None:
    """A sparse reward without relabelling; of no use where the policy sees no goal, of which no reading tells."""
    rewards, sees_goal = e.rewards, e.recent("probe/goal_in_inputs") is not None
    if e.config.replay.k or rewards is None or not is_sparse(*rewards[1:]) or not sees_goal:
        return None
    step, low, high = rewards
    values = f"{low:g} and {high:g}" if low < high else f"{low:g} in all transitions seen"
    return Seen(step, {"values": values, "gained": e.value("probe/success_gained")})


def small_replay(e: Evidence) -> Seen | None:
    """A replay that holds too few episodes."""
    length, held = e.value("probe/episode_length"), e.recent("probe/replay_transitions")
    if length is None or held is None:
        return None
    episodes, share = e.config.replay.capacity / (length + 1), held.value / max(held.step, 1)
    if episodes >= 200 or e.config.total_steps < episodes * length / 2:
        return None
    numbers = {"episodes": episodes, "share": share, "enough": 2_000 * length}
    return Seen(held.step, numbers, sure=0.9 if share < 0.8 else 0.75)


# The learner: weights, values, hidden units, noise, and the size of its updates.


def frozen_actor(e: Evidence) -> Seen | None:
    """The actor's weights are still the initial ones, or have not changed over three rows with updates between."""
    return _frozen(e, "actor")


def frozen_critic(e: Evidence) -> Seen | None:
    """The same of the critics."""
    return _frozen(e, "critic")


def _frozen(e: Evidence, name: str) -> Seen | None:
    steps, travel = e.series(f"probe/{name}_travel", learning=True)
    if not len(steps) or e.updates < MOVED_BY + getattr(e.config.agent, "head_start", 0):
        return None
    never, halted = travel[-1] < 1e-6, len(travel) > 2 and travel[-1] == travel[-2] == travel[-3]
    if not (never or halted):
        return None
    since = "since initialisation" if never else f"since step {steps[-3]:,}"
    gradient = e.value(f"probe/{name}_gradient", learning=True)
    return Seen(int(steps[-1]), {"since": since, "updates": e.updates, "gradient": gradient})


def no_target_network(e: Evidence) -> Seen | None:
    """The target critics are the critics."""
    lag, travel = e.recent("probe/target_lag", learning=True), e.value("probe/critic_travel", learning=True)
    if lag is None or travel is None or travel < 1e-4 or lag.value > 1e-6:
        return None
    return Seen(lag.step, {"lag": lag.value})


def frozen_targets(e: Evidence) -> Seen | None:
    """The target critics never follow."""
    targets, critics = e.recent("probe/target_travel", learning=True), e.value("probe/critic_travel", learning=True)
    if targets is None or critics is None or critics < 1e-2 or targets.value > 1e-6:
        return None
    return Seen(targets.step, {"critics": critics})


def frozen_normaliser(e: Evidence) -> Seen | None:
    """Input statistics that no longer take in new observations."""
    steps, counts = e.series("probe/normaliser_count")
    if not len(steps) or not e.config.agent.inputs.normalise or counts[-1] > 0.5 * steps[-1]:
        return None
    return Seen(int(steps[-1]), {"count": float(counts[-1]), "clipped": e.value("probe/inputs_clipped")})


def dead_units(e: Evidence) -> Seen | None:
    """Hidden units that are 0 for every input."""
    actor, critic = e.recent("probe/actor_dead"), e.value("probe/critic_dead")
    if actor is None or critic is None or max(actor.value, critic) < 0.6:
        return None
    kind = "mechanism" if min(actor.value, critic) > 0.95 else "symptom"
    return Seen(actor.step, {"actor": actor.value, "critic": critic}, kind=kind)


def long_horizon(e: Evidence) -> Seen | None:
    """A discount whose horizon is much longer than an episode."""
    length, horizon = e.recent("probe/episode_length"), 1 / (1 - e.config.agent.gamma)
    if length is None or horizon < 5 * length.value:
        return None
    numbers = {"length": length.value, "horizon": horizon, "times": horizon / length.value}
    shorter, at_bound = 1 - 1 / max(2.0, 0.4 * length.value), e.value("probe/target_at_bound", learning=True)
    return Seen(length.step, numbers | {"shorter": shorter, "at_bound": at_bound})


def large_steps(e: Evidence) -> Seen | None:
    """Updates that are many times as large as the recipe's, as set or as measured."""
    usual = find(e.config.algo)[0]().learning_rate
    change, factor = e.recent("probe/critic_step", learning=True), e.config.agent.learning_rate / usual
    if change is None or (factor < 8 and change.value < 0.03):
        return None
    q_low, q_high = (e.value(f"probe/q_{end}", learning=True) for end in ("min", "max"))
    numbers = {"change": change.value, "factor": factor, "usual": usual, "q_low": q_low, "q_high": q_high}
    return Seen(change.step, numbers, sure=0.9 if factor >= 8 else 0.7)


def few_updates(e: Evidence) -> Seen | None:
    """Too few gradient updates for the steps that are collected."""
    steps, ratio = e.series("time/updates_per_step")
    if not len(steps):
        return None
    # Updates start after the random steps and the first episode; those that were due are caught up at once.
    asked = e.config.updates_per_step
    measured = ratio[-1] if steps[-1] >= 2 * e.config.random_steps else asked
    if min(measured, asked) >= 0.08:
        return None
    waiting = "No episode has ended that could be learnt from: lower --num-envs, or raise --total-steps."
    change = "Raise --updates-per-step to 0.5." if asked < 0.08 else waiting
    return Seen(int(steps[-1]), {"updates": e.updates, "ratio": float(ratio[-1]), "change": change})


def large_policy_steps(e: Evidence) -> Seen | None:
    """The updates on one rollout move the policy far from the one that collected it."""
    moved = e.recent("train/kl", learning=True)
    if moved is None or moved.value < 0.3:
        return None
    return Seen(moved.step, {"moved": moved.value, "clipped": e.value("train/clip_fraction", learning=True)})


def temperature_collapse(e: Evidence) -> Seen | None:
    """The policy has lost its noise because the temperature is near 0."""
    steps, temperature = e.series("train/temperature", learning=True)
    entropy, noise = (e.value(name, learning=True) for name in ("train/entropy", "probe/exploration"))
    if not len(steps) or entropy is None or noise is None:
        return None
    # A temperature is a price in rewards. The bound was set where a goal is worth 1, and on dense rewards up to 1.
    rewards, size = e.rewards, _worth(e)
    if size is None:
        size = max(1.0, *(abs(reward) for reward in rewards[1:])) if rewards else 1.0
    # A learnt temperature settles where noise is 0.07 or more: SAC's target of -1 nat per action component.
    if temperature[-1] > 0.003 * size or noise > 0.06:
        return None
    return Seen(int(steps[-1]), {"temperature": float(temperature[-1]), "noise": noise, "entropy": entropy})


def entropy_over_goal(e: Evidence) -> Seen | None:
    """Entropy pays as much for going on as the goal is worth."""
    temperature, entropy = (e.recent(f"train/{name}", learning=True) for name in ("temperature", "entropy"))
    worth = _worth(e)
    if temperature is None or entropy is None or worth is None or e.last_success >= CONVERGED:
        return None
    paid = temperature.value * entropy.value
    if worth <= 0 or paid < worth:
        return None
    numbers = {"temperature": temperature.value, "entropy": entropy.value, "paid": paid, "worth": worth}
    fits = SACConfig().temperature * worth  # found good where the goal is worth 1
    return Seen(entropy.step, numbers | {"ends": e.value("probe/ends_at_goal") or None, "fits": fits})


def _worth(e: Evidence) -> float | None:
    """How much more the goal is worth, by the two rewards of a sparse task; None where they or its ends are unknown."""
    least, most, ends = (e.value(f"probe/{name}") for name in ("reward_least", "reward_greatest", "ends_at_goal"))
    if least is None or most is None or ends is None:
        return None
    return goal_worth(most, least, ends > 0.5, e.config.agent.gamma)


def critic_divergence(e: Evidence) -> Seen | None:
    """Values far outside the returns that rewards, and the entropy bonus, make possible."""
    q_low = e.recent("probe/q_min", learning=True)
    q_high, low, high = (e.value(f"probe/{name}", learning=True) for name in ("q_max", "reward_min", "reward_max"))
    if q_low is None or q_high is None or low is None or high is None:
        return None
    horizon, paid = 1 / (1 - e.config.agent.gamma), _entropy_paid(e)
    floor, ceiling = (min(low + min(paid), 0.0) * horizon, max(high + max(paid), 0.0) * horizon)
    slack = 0.6 * max(ceiling - floor, 1e-9)
    if q_low.value > floor - slack and q_high < ceiling + slack:
        return None
    numbers = {"q_low": q_low.value, "q_high": q_high, "low": low, "high": high, "paid": max(paid) or None}
    possible = {"floor": floor, "ceiling": ceiling, "against_divergence": against_divergence(e.config)}
    return Seen(q_low.step, numbers | possible)


def _entropy_paid(e: Evidence) -> list[float]:
    """Temperature times entropy at each row, and 0: the entropy bonus of a step, which soft values contain."""
    if getattr(e.config.agent, "bound_targets", True):  # PPO's values and bounded targets contain no entropy
        return [0.0]
    rows = [row.metrics for row in e.rows if {"train/temperature", "train/entropy"} <= row.metrics.keys()]
    return [0.0, *(row["train/temperature"] * row["train/entropy"] for row in rows)]


def values_at_bound(e: Evidence) -> Seen | None:
    """Nearly every target is the return of never succeeding."""
    bound, rewards = e.recent("probe/target_at_bound", learning=True), e.rewards
    if bound is None or rewards is None or bound.value < 0.9 or e.updates < 1000:
        return None
    lowest = rewards[1]
    lowest_return = lowest / (1 - e.config.agent.gamma)
    return Seen(bound.step, {"share": bound.value, "lowest": lowest, "lowest_return": lowest_return})


def actor_saturation(e: Evidence) -> Seen | None:
    """A greedy policy whose actions are nearly all at their limits."""
    share, success = e.recent("probe/greedy_saturation", learning=True), e.last_success
    if share is None or share.value < 0.9 or success >= CONVERGED:
        return None
    gradient = e.value("probe/actor_gradient", learning=True)
    return Seen(share.step, {"share": share.value, "success": success, "gradient": gradient})


def falling_loss(e: Evidence) -> Seen | None:
    """A critic loss that falls while success stays flat: read alone it would look like learning."""
    steps, error = e.series("probe/td_error", learning=True)
    if len(steps) < 6 or not e.evaluations:
        return None
    spread, last = e.value("probe/q_spread", learning=True), e.evaluations[-1]
    highest, now = float(np.max(error)), float(np.mean(error[-3:]))
    if spread is None or now >= 0.25 * highest or spread > 0.05 or last.success_ci95[0] > last.already_solved_ci95[1]:
        return None
    return Seen(int(steps[-1]), {"highest": highest, "error": now, "success": last.success_rate, "spread": spread})


def blind_encoder(e: Evidence) -> Seen | None:
    """A loss that fell while neither success rose nor the encoder of pictures learnt to see."""
    losses = [e.series(name, learning=True) for name in LOSSES]
    steps, loss = next((one for one in losses if len(one[0])), losses[-1])
    if e.missed is None or len(steps) < 6 or not e.evaluations or e.missed < BLIND or e.updates < SEES_BY:
        return None
    highest, now = float(np.max(loss)), float(np.mean(loss[-3:]))
    if now >= 0.5 * highest or above_floor(e.evaluations[-1]):
        return None
    return Seen(int(steps[-1]), {"highest": highest, "loss": now, "missed": e.missed, "success": e.last_success})


def clipped_inputs(e: Evidence) -> Seen | None:
    """Network inputs that are clipped at their bound."""
    share = e.recent("probe/inputs_clipped", learning=True)
    return None if share is None or share.value < 0.2 else Seen(share.step, {"share": share.value})


def collapsed_features(e: Evidence) -> Seen | None:
    """A critic whose features have collapsed to one direction, short of success."""
    rank, success = e.recent("probe/critic_rank", learning=True), e.last_success
    if rank is None or rank.value > 1.5 or e.updates < 1000 or success >= CONVERGED:
        return None
    return Seen(rank.step, {"rank": rank.value, "success": success})


def ignorant_critic(e: Evidence) -> Seen | None:
    """A critic that predicts returns no better than their mean does, short of success."""
    explained, success = e.recent("train/explained_variance", learning=True), e.last_success
    if explained is None or explained.value > 0 or e.updates < PREDICTS_BY or success >= CONVERGED:
        return None
    return Seen(explained.step, {"share": explained.value, "success": success})


def lost_noise(e: Evidence) -> Seen | None:
    """A policy that no longer explores, short of success."""
    noise, success = e.recent("probe/exploration", learning=True), e.last_success
    if noise is None or noise.value > 0.02 or success >= CONVERGED:
        return None
    return Seen(noise.step, {"noise": noise.value, "success": success})
