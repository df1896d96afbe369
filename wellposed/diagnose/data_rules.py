"""Rules on what the learner gets: goals, rewards, terminations, actions, observations, samples.

Each is a function of the evidence that returns a finding or None. docs/diagnose.md compares the bounds with what sound
runs measured. A reading that is missing proves nothing.
"""

from wellposed.diagnose.evidence import Evidence, fault, percent
from wellposed.findings import Finding
from wellposed.units import return_range

HER = "Andrychowicz et al. (2017), arXiv 1707.01495"


def rewards_seen(e: Evidence) -> tuple[int, float, float] | None:
    """The newest step, and the lowest and the highest reward that any minibatch held."""
    (steps, low), (_, high) = e.series("probe/reward_min"), e.series("probe/reward_max")
    return (int(steps[-1]), float(low.min()), float(high.max()) + 0.0) if len(low) and len(high) else None


def is_sparse(low: float, high: float) -> bool:
    """Whether the lowest and the highest reward ever seen are those of a sparse reward: whole numbers, as -1 and 0.

    A distance as reward hardly ever is a whole number, neither at its lowest nor at its highest.
    """
    return low.is_integer() and high.is_integer()


def wrong_rewards(e: Evidence) -> Finding | None:
    """Rewards in the minibatches are not what the environment gives for their goals."""
    wrong = e.recent("probe/reward_wrong")
    if wrong is None or wrong.value < 0.005:
        return None
    return fault(
        "wrong_rewards", "mechanism", 0.98, wrong.step,
        f"{percent(wrong.value, 1)} of the transitions handed to the learner by step {wrong.step:,} have another "
        "reward than the environment computes for their achieved and desired goal; 0 % is right.",
        f"A new goal is worth nothing while the reward still speaks of the old one ({HER}, algorithm 1, line 12).",
        "Recompute the reward with the environment's own `compute_reward` whenever a transition's goal changes.",
    )  # fmt: skip


def wrong_terminations(e: Evidence) -> Finding | None:
    """Transitions are stored as terminated where the environment does not terminate, or the reverse."""
    _, values = e.series("probe/terminated_wrong")
    wrong = e.recent("probe/terminated_wrong")
    if wrong is None or values.mean() < 2e-4:
        return None
    return fault(
        "wrong_terminations", "mechanism", 0.97, wrong.step,
        f"{percent(values.mean(), 2)} of the transitions handed to the learner by step {wrong.step:,} end an episode "
        "where the environment does not, or the reverse; 0 % is right.",
        "A time limit is not a termination: the state after it has value, and a target without it is wrong "
        "(Pardo et al. 2018, arXiv 1712.00378).",
        "Store `terminated` alone, never `terminated or truncated`, and recompute it for a relabelled goal.",
    )  # fmt: skip


def foreign_goals(e: Evidence) -> Finding | None:
    """Hindsight goals that the transition's own episode never achieved."""
    foreign = e.recent("probe/goals_foreign")
    if foreign is None or foreign.value < 0.02:
        return None
    return fault(
        "foreign_goals", "mechanism", 0.98 if foreign.value > 0.2 else 0.9, foreign.step,
        f"{percent(foreign.value)} of the goals handed to the learner by step {foreign.step:,} were neither pursued "
        "nor achieved in their transition's own episode; 0 % is right.",
        f"Hindsight teaches because the episode leads to its new goal; it does not lead to another's ({HER}, 3.2).",
        "Check the indices of the relabelling: row of the goal = row of the transition - t + time of the goal.",
    )  # fmt: skip


def past_goals(e: Evidence) -> Finding | None:
    """Under `future`, goals that were achieved only before the transition."""
    past = e.recent("probe/goals_past")
    if past is None or e.config.replay.strategy == "episode" or past.value < 0.02:
        return None
    return fault(
        "past_goals", "mechanism", 0.9, past.step,
        f"{percent(past.value)} of the goals handed to the learner by step {past.step:,} were achieved before their "
        f"transition and not after it, although the strategy is {e.config.replay.strategy}.",
        f"An action does not cause what came before it ({HER}, 4.5: `future` does best).",
        "Draw the time of the goal strictly later than that of the transition.",
    )  # fmt: skip


def relabelling_without_effect(e: Evidence) -> Finding | None:
    """Hindsight is on, but the goals are still the original ones."""
    original, k = e.recent("probe/goals_original"), e.config.replay.k
    if original is None or k == 0 or original.value < 1 / (k + 1) + 0.3:
        return None
    return fault(
        "relabelling_without_effect", "mechanism", 0.97, original.step,
        f"{percent(original.value)} of the goals handed to the learner by step {original.step:,} are those their "
        f"episodes pursued, where k = {k} should leave {percent(1 / (k + 1))}.",
        f"Without goals that were achieved, a sparse reward is the same everywhere and teaches nothing ({HER}).",
        "Check which key the relabelling reads: the new goal is the `achieved_goal` of a later moment.",
    )  # fmt: skip


def goal_blind(e: Evidence) -> Finding | None:
    """The networks' inputs do not depend on the desired goal."""
    seen = e.recent("probe/goal_in_inputs")
    if seen is None or seen.value > 0.2:
        return None
    return fault(
        "goal_blind", "mechanism", 0.97, seen.step,
        f"Swapping the desired goals changes the network inputs of {percent(seen.value)} of the transitions (step "
        f"{seen.step:,}); about 100 % is right.",
        "A policy that does not see its goal can only learn what is good on average over all goals.",
        "Check which key is concatenated to the observation: the networks need `desired_goal`.",
    )  # fmt: skip


def reward_scale(e: Evidence) -> Finding | None:
    """Rewards outside of the range that the environment names, to whose returns targets are bounded."""
    seen, bounds = rewards_seen(e), [e.recent(f"probe/reward_{end}") for end in ("least", "greatest")]
    if seen is None or None in bounds or not e.config.agent.bound_targets:
        return None
    (step, low, high), (least, most) = seen, (bound.value for bound in bounds if bound)
    slack, (worst, best) = 0.01 * (most - least), return_range((least, most), e.config.agent.gamma)
    if low > least - slack and high < most + slack and (low == high or low < least + slack):
        return None
    return fault(
        "reward_scale", "mechanism", 0.95, step,
        f"Rewards in the minibatches lie between {low:.3g} and {high:.3g} (step {step:,}), and targets "
        f"are clipped to [{worst:.3g}, {best:.3g}], the returns of rewards between {least:g} and {most:g}.",
        "Temperature, learning rate and bounds fit one size of the reward: scaling the reward changes all of them.",
        f"Let the reward lie between {least:g} and {most:g}, or pass --agent.no-bound-targets and scale the "
        "temperature with the reward.",
    )  # fmt: skip


def unanswered_actions(e: Evidence) -> Finding | None:
    """What arrived of the stored actions does not explain the motion that follows."""
    answered = e.recent("probe/action_answered")
    if answered is None or answered.value > 0.1:
        return None
    return fault(
        "unanswered_actions", "mechanism", 0.95, answered.step,
        f"The stored actions explain {percent(answered.value, 1)} of the motion that the state does not predict "
        f"(step {answered.step:,}); sound runs of Fetch have 90 % and more.",
        "The learner learns the effect of the stored action. If another one was sent there is nothing to learn.",
        "Check that the stored action is the one that was sent, and that each environment gets its own.",
    )  # fmt: skip


def clipped_actions(e: Evidence) -> Finding | None:
    """No action that reaches the simulator is large, although uniform ones are mixed in."""
    steps, values = e.series("rollout/action_max")
    if not len(values) or not (e.config.random_share or e.config.random_steps):
        return None
    if values.max() > 0.8 * e.config.env.control.spread:  # a filter leaves less of independent actions
        return None
    return fault(
        "clipped_actions", "mechanism", 0.95, int(steps[-1]),
        f"No component of the actions that reached the simulator was larger than {values.max():.2f} (step "
        f"{steps[-1]:,}), although uniform actions in [-1, 1] are mixed in.",
        "What a wrapper clips does not show in the policy's logs; the robot moves a fraction of what was asked.",
        "Find what clips the action between policy and simulator; rescale it instead of clipping.",
    )  # fmt: skip


def unobserved_motion(e: Evidence) -> Finding | None:
    """The observation does not contain how the effector just moved."""
    seen = e.recent("probe/motion_observed")
    if seen is None or seen.value > 0.6:
        return None
    constant = e.recent("probe/observation_constant")
    still = f" {constant.value:.0f} numbers of the observation are constant." if constant and constant.value else ""
    return fault(
        "unobserved_motion", "mechanism", 0.9, seen.step,
        f"Only {percent(seen.value)} of the effector's last motion follows from the observation after it (step "
        f"{seen.step:,}); the reference Fetch observation gives 90 % and more.{still}",
        "Without velocities the state is not Markov: the same observation leads to different futures.",
        "Compare the observation with the reference environment's, number by number, and restore the velocities.",
    )  # fmt: skip


def stale_samples(e: Evidence) -> Finding | None:
    """Minibatches are drawn from only a part of the replay."""
    age = e.recent("probe/replay_age", learning=True)
    if age is None or abs(age.value - 0.5) < 0.12:
        return None
    return fault(
        "stale_samples", "mechanism", 0.95, age.step,
        f"Sampled transitions have a mean age of {age.value:.2f} (0 the newest in the replay, 1 the oldest; step "
        f"{age.step:,}), where uniform sampling gives 0.50.",
        "A learner that never sees what its policy does cannot correct it.",
        "Sample uniformly from all stored rows; check which replay size the sampler uses.",
    )  # fmt: skip


def hindsight_off(e: Evidence) -> Finding | None:
    """A sparse reward without relabelling."""
    seen = rewards_seen(e)
    if e.config.replay.k or seen is None or not is_sparse(*seen[1:]):
        return None
    step, low, high = seen
    values = f"{low:g} and {high:g}" if low < high else f"{low:g} in all transitions seen"
    gained = e.recent("probe/success_gained")
    share = f"; {percent(gained.value, 2)} of the transitions in the minibatches reach their goal" if gained else ""
    return fault(
        "hindsight_off", "setting", 0.95, step,
        f"No goal is relabelled (k = 0) under a sparse reward, {values}{share} (step {step:,}).",
        f"Without hindsight the first success has to come by chance ({HER}, 4.1).",
        "Switch hindsight on: --replay.k 4.",
    )  # fmt: skip


def small_replay(e: Evidence) -> Finding | None:
    """A replay that holds too few episodes."""
    length, held = e.recent("probe/episode_length"), e.recent("probe/replay_transitions")
    if length is None or held is None:
        return None
    episodes = e.config.replay.capacity / (length.value + 1)
    if episodes >= 200 or e.config.total_steps < episodes * length.value / 2:
        return None
    share = held.value / held.step
    return fault(
        "small_replay", "setting", 0.9 if share < 0.8 else 0.75, held.step,
        f"The replay holds at most {episodes:.0f} episodes ({e.config.replay.capacity:,} rows) for a budget of "
        f"{e.config.total_steps:,} steps; at step {held.step:,} it holds {percent(share)} of what was collected.",
        "The critic forgets states that its newest policy no longer visits.",
        f"Raise --replay.capacity to {2_000 * length.value:,.0f} rows or more.",
    )  # fmt: skip


DATA_RULES = (
    wrong_rewards, wrong_terminations, foreign_goals, past_goals, relabelling_without_effect, goal_blind, reward_scale,
    unanswered_actions, clipped_actions, unobserved_motion, stale_samples, hindsight_off, small_replay,
)  # fmt: skip
