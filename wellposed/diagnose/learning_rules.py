"""Rules on the learner: weights, values, hidden units, policy noise, and the size of its updates.

Each is a function of the evidence that returns a finding or None. An untrained network is no evidence, so most of them
look only at rows after the first update.
"""

import numpy as np

from wellposed.agents import find
from wellposed.config import against_divergence
from wellposed.diagnose.data_rules import rewards_seen
from wellposed.diagnose.evidence import Evidence, fault, percent
from wellposed.diagnose.phases import CONVERGED
from wellposed.findings import Finding

MOVED_BY = 50  # updates after which weights must have moved
PREDICTS_BY = 500  # updates after which a critic of on-policy returns must predict something


def frozen_actor(e: Evidence) -> Finding | None:
    """The actor's weights are still the initial ones, or have not changed over three rows with updates between."""
    return _frozen(e, "actor", "probe/actor_travel", "differentiate its loss with respect to its weights")


def frozen_critics(e: Evidence) -> Finding | None:
    """The same of the critics."""
    return _frozen(e, "critic", "probe/critic_travel", "differentiate its loss with respect to its weights")


def _frozen(e: Evidence, name: str, metric: str, check: str) -> Finding | None:
    steps, travel = e.series(metric, learning=True)
    if not len(steps) or e.updates < MOVED_BY:
        return None
    never, halted = travel[-1] < 1e-6, len(travel) > 2 and travel[-1] == travel[-2] == travel[-3]
    if not (never or halted):
        return None
    since = "since initialisation" if never else f"since step {steps[-3]:,}"
    gradient = e.recent(f"probe/{name}_gradient", learning=True)
    size = f"; the typical norm of its gradient is {gradient.value:.2g}" if gradient else ""
    return fault(
        f"frozen_{name}", "mechanism", 0.98, int(steps[-1]),
        f"The weights of the {name} have not moved {since}, over {e.updates:,} updates (step {steps[-1]:,}){size}.",
        "A loss that is logged is not always minimised: a detached graph looks like training.",
        f"Check the {name}'s update: {check}, and keep the new weights.",
    )  # fmt: skip


def no_target_network(e: Evidence) -> Finding | None:
    """The target critics are the critics."""
    lag, travel = e.recent("probe/target_lag", learning=True), e.recent("probe/critic_travel", learning=True)
    if lag is None or travel is None or travel.value < 1e-4 or lag.value > 1e-6:
        return None
    return fault(
        "no_target_network", "mechanism", 0.97, lag.step,
        f"The target critics equal the critics (relative distance {lag.value:.1e} at step {lag.step:,}, tau "
        f"{e.config.agent.tau:g}).",
        "A critic that bootstraps from itself feeds its errors back (Mnih et al. 2015, Nature 518).",
        "Let the targets follow slowly: --agent.tau 0.05, applied to the targets alone.",
    )  # fmt: skip


def frozen_targets(e: Evidence) -> Finding | None:
    """The target critics never follow."""
    travel, critics = e.recent("probe/target_travel", learning=True), e.recent("probe/critic_travel", learning=True)
    if travel is None or critics is None or critics.value < 1e-2 or travel.value > 1e-6:
        return None
    return fault(
        "frozen_targets", "mechanism", 0.97, travel.step,
        f"The target critics have not moved (step {travel.step:,}); the critics have moved by "
        f"{percent(critics.value)}.",
        "Values spread backwards from the goal through the targets; fixed targets stop them.",
        "Move the targets after each update of the critics: target <- (1 - tau) target + tau critic.",
    )  # fmt: skip


def frozen_normaliser(e: Evidence) -> Finding | None:
    """Input statistics that no longer take in new observations."""
    count = e.recent("probe/normaliser_count")
    steps, counts = e.series("probe/normaliser_count")
    if count is None or not e.config.agent.inputs.normalise or counts[-1] > 0.5 * steps[-1]:
        return None
    clipped = e.recent("probe/inputs_clipped")
    share = f"; {percent(clipped.value, 1)} of the network inputs are at their bound" if clipped else ""
    return fault(
        "frozen_normaliser", "mechanism", 0.95, int(steps[-1]),
        f"At step {steps[-1]:,} the input statistics rest on {counts[-1]:,.0f} observations{share}.",
        "Statistics of the first few states shift and scale everything that is seen later wrongly.",
        "Pass every collected observation to the normaliser (`agent.observe`).",
    )  # fmt: skip


def dead_units(e: Evidence) -> Finding | None:
    """Hidden units that are 0 for every input."""
    actor, critic = e.recent("probe/actor_dead"), e.recent("probe/critic_dead")
    if actor is None or critic is None or max(actor.value, critic.value) < 0.6:
        return None
    return fault(
        "dead_units", "mechanism" if min(actor.value, critic.value) > 0.95 else "symptom", 0.9, actor.step,
        f"{percent(actor.value)} of the actor's and {percent(critic.value)} of the critic's hidden units are 0 "
        f"on the whole batch (step {actor.step:,}); sound runs have under 20 %.",
        "A ReLU that is 0 for every input has no gradient and stays so (Sokar et al. 2023, arXiv 2302.12902).",
        "Lower --agent.learning-rate, and check that biases begin near 0.",
    )  # fmt: skip


def long_horizon(e: Evidence) -> Finding | None:
    """A discount whose horizon is much longer than an episode."""
    length, horizon = e.recent("probe/episode_length"), 1 / (1 - e.config.agent.gamma)
    if length is None or horizon < 5 * length.value:
        return None
    bound = e.recent("probe/target_at_bound", learning=True)
    share = f"; {percent(bound.value)} of the targets are at the lowest possible return" if bound else ""
    return fault(
        "long_horizon", "setting", 0.9, length.step,
        f"A discount of {e.config.agent.gamma:g} looks {horizon:,.0f} steps ahead, {horizon / length.value:.0f} times "
        f"an episode of {length.value:.0f} steps{share} (step {length.step:,}).",
        "Values then stay near the lowest reward / (1 - gamma) for long, and the small differences that matter drown.",
        f"Lower the discount: --agent.gamma {1 - 1 / max(2.0, 0.4 * length.value):.2f}.",
    )  # fmt: skip


def large_steps(e: Evidence) -> Finding | None:
    """Updates that are many times as large as the recipe's, as set or as measured."""
    usual = find(e.config.algo)[0]().learning_rate
    step, factor = e.recent("probe/critic_step", learning=True), e.config.agent.learning_rate / usual
    if step is None or (factor < 8 and step.value < 0.03):
        return None
    q_low, q_high = e.recent("probe/q_min", learning=True), e.recent("probe/q_max", learning=True)
    values = f"; the critics' values lie between {q_low.value:.3g} and {q_high.value:.3g}" if q_low and q_high else ""
    return fault(
        "large_steps", "setting", 0.9 if factor >= 8 else 0.7, step.step,
        f"One update changes the critics' weights by {percent(step.value, 2)} of their size (step {step.step:,}); the "
        f"learning rate is {e.config.agent.learning_rate:g}, {factor:.3g} times the recipe's{values}.",
        "An optimiser that overshoots the minimum loses with each minibatch what the last one taught.",
        f"Lower --agent.learning-rate to {usual:g}.",
    )  # fmt: skip


def few_updates(e: Evidence) -> Finding | None:
    """Too few gradient updates for the steps that are collected."""
    steps, ratio = e.series("time/updates_per_step")
    if not len(steps):
        return None
    # Updates start after the random steps and the first episode; those that were due are caught up at once.
    measured = ratio[-1] if steps[-1] >= 2 * e.config.random_steps else e.config.updates_per_step
    wished = e.config.updates_per_step
    if min(measured, wished) >= 0.08:
        return None
    waiting = "No episode has ended that could be learnt from: lower --num-envs, or raise --total-steps."
    return fault(
        "few_updates", "setting", 0.9, int(steps[-1]),
        f"{e.updates:,} gradient updates in {steps[-1]:,} steps are {ratio[-1]:.3f} a step; the "
        f"setting is {wished:g}.",
        "One gradient update for a step of many environments is a small fraction of one a step: data is hardly used.",
        "Raise --updates-per-step to 0.5." if wished < 0.08 else waiting,
    )  # fmt: skip


def temperature_collapse(e: Evidence) -> Finding | None:
    """The policy has lost its noise because the temperature is near 0."""
    steps, temperature = e.series("train/temperature", learning=True)
    entropy = e.recent("train/entropy", learning=True)
    noise, rewards = e.recent("probe/exploration", learning=True), rewards_seen(e)
    if not len(steps) or entropy is None or noise is None:
        return None
    # A temperature is a price in rewards. The bound was set on rewards of size 1 and less (Fetch, sparse and dense).
    size = max(1.0, *(abs(reward) for reward in rewards[1:])) if rewards else 1.0
    # A learnt temperature settles where noise is 0.07 or more: SAC's target of -1 nat per action component.
    if temperature[-1] > 0.003 * size or noise.value > 0.06:
        return None
    return fault(
        "temperature_collapse", "symptom", 0.85, int(steps[-1]),
        f"The temperature is {temperature[-1]:.2g} at step {steps[-1]:,} (initially {e.config.agent.temperature:g}), "
        f"the policy's own noise {noise.value:.3f} per action component and its entropy {entropy.value:.1f} nats.",
        "SAC explores through its entropy; without it nothing new is tried (Haarnoja et al. 2018, arXiv 1812.05905).",
        "Fix the temperature: --agent.no-learn-temperature, or check the sign of the target entropy.",
    )  # fmt: skip


def critic_divergence(e: Evidence) -> Finding | None:
    """Values far outside the returns that rewards, and the entropy bonus, make possible."""
    readings = [e.recent(f"probe/{name}", learning=True) for name in ("q_min", "q_max", "reward_min", "reward_max")]
    q_low, q_high, low, high = readings
    if q_low is None or q_high is None or low is None or high is None:
        return None
    horizon, paid = 1 / (1 - e.config.agent.gamma), _entropy_paid(e)
    floor, ceiling = (min(low.value + min(paid), 0.0) * horizon, max(high.value + max(paid), 0.0) * horizon)
    slack = 0.6 * max(ceiling - floor, 1e-9)
    if q_low.value > floor - slack and q_high.value < ceiling + slack:
        return None
    return fault(
        "critic_divergence", "symptom", 0.8, q_low.step,
        f"The critics give values between {q_low.value:.3g} and {q_high.value:.3g} (step {q_low.step:,}); rewards "
        f"between {low.value:.3g} and {high.value:.3g}{_and_paid(max(paid))} return between {floor:.3g} and "
        f"{ceiling:.3g}.",
        "Bootstrapped errors can amplify themselves (van Hasselt et al. 2018, arXiv 1812.02648).",
        against_divergence(e.config),
    )  # fmt: skip


def _entropy_paid(e: Evidence) -> list[float]:
    """Temperature times entropy at each row, and 0: the entropy bonus of a step, which soft values contain."""
    if getattr(e.config.agent, "bound_targets", True):  # PPO's values and bounded targets contain no entropy
        return [0.0]
    rows = [row.metrics for row in e.rows if {"train/temperature", "train/entropy"} <= row.metrics.keys()]
    return [0.0, *(row["train/temperature"] * row["train/entropy"] for row in rows)]


def _and_paid(most: float) -> str:
    return f", with an entropy bonus of up to {most:.2g} a step," if most else ""


def values_at_bound(e: Evidence) -> Finding | None:
    """Nearly every target is the return of never succeeding."""
    bound, rewards = e.recent("probe/target_at_bound", learning=True), rewards_seen(e)
    if bound is None or rewards is None or bound.value < 0.9 or e.updates < 1000:
        return None
    lowest = rewards[1]
    return fault(
        "values_at_bound", "symptom", 0.7, bound.step,
        f"{percent(bound.value)} of the Bellman targets are at the lowest possible return, {lowest:.3g}/(1 - gamma) = "
        f"{lowest / (1 - e.config.agent.gamma):.3g} (step {bound.step:,}).",
        "Where all values are equal no action is better than another, and the actor has no gradient.",
        "Look at the rewards in the minibatches: hindsight must add successes to them (--replay.k 4).",
    )  # fmt: skip


def actor_saturation(e: Evidence) -> Finding | None:
    """A greedy policy whose actions are nearly all at their limits."""
    share = e.recent("probe/greedy_saturation", learning=True)
    if share is None or share.value < 0.9 or last_success(e) >= CONVERGED:
        return None
    gradient = e.recent("probe/actor_gradient", learning=True)
    size = f", and a gradient of norm {gradient.value:.2g}" if gradient else ""
    return fault(
        "actor_saturation", "symptom", 0.6, share.step,
        f"{percent(share.value)} of the greedy policy's action components are beyond +-0.99 (step "
        f"{share.step:,}), at {percent(last_success(e))} success{size}.",
        "Where tanh is flat the gradient vanishes, so the actor stays there.",
        "Lower --agent.learning-rate.",
    )  # fmt: skip


def last_success(e: Evidence) -> float:
    """The last evaluation's success; 0 before the first."""
    return e.evaluations[-1].success_rate if e.evaluations else 0.0


def falling_loss(e: Evidence) -> Finding | None:
    """A critic loss that falls while success stays flat: read alone it would look like learning."""
    steps, error = e.series("probe/td_error", learning=True)
    if len(steps) < 6 or not e.evaluations:
        return None
    spread, last = e.recent("probe/q_spread", learning=True), e.evaluations[-1]
    fell = np.mean(error[-3:]) < 0.25 * np.max(error)
    if spread is None or not fell or spread.value > 0.05 or last.success_ci95[0] > last.already_solved_ci95[1]:
        return None
    return fault(
        "falling_loss", "symptom", 0.65, int(steps[-1]),
        f"The critics' error fell from {np.max(error):.3g} to {np.mean(error[-3:]):.3g} by step {steps[-1]:,} while "
        f"success stayed at {percent(last.success_rate)}; their values have a standard deviation of {spread.value:.3f} "
        "over the batch.",
        "A falling critic loss at high success is convergence. At flat success it means that all values are equal.",
        "Look at the rewards in the minibatches before the networks: --replay.k 4 adds successes to them.",
    )  # fmt: skip


def clipped_inputs(e: Evidence) -> Finding | None:
    """Network inputs that are clipped at their bound."""
    share = e.recent("probe/inputs_clipped", learning=True)
    if share is None or share.value < 0.2:
        return None
    return fault(
        "clipped_inputs", "symptom", 0.7, share.step,
        f"{percent(share.value)} of the network inputs are at their bound of {e.config.agent.inputs.clip:g} standard "
        f"deviations (step {share.step:,}); sound runs have 1 % at most.",
        "States that differ beyond the bound look the same to the networks.",
        "Compare the input statistics with the observations; or raise --agent.inputs.clip.",
    )  # fmt: skip


def collapsed_features(e: Evidence) -> Finding | None:
    """A critic whose features have collapsed to one direction, short of success."""
    rank = e.recent("probe/critic_rank", learning=True)
    if rank is None or rank.value > 1.5 or e.updates < 1000 or last_success(e) >= CONVERGED:
        return None
    return fault(
        "collapsed_features", "symptom", 0.6, rank.step,
        f"The critic's last hidden layer has an effective rank of {rank.value:.1f} (step {rank.step:,}), at "
        f"{percent(last_success(e))} success; sound runs have 3 and more.",
        "Features that all vary together cannot tell states apart (Kumar et al. 2021, arXiv 2010.14498).",
        "Look at the rewards in the minibatches first; then lower --agent.learning-rate.",
    )  # fmt: skip


def large_policy_steps(e: Evidence) -> Finding | None:
    """The updates on one rollout move the policy far from the one that collected it."""
    moved = e.recent("train/kl", learning=True)
    if moved is None or moved.value < 0.3:
        return None
    clipped = e.recent("train/clip_fraction", learning=True)
    share = f", and {percent(clipped.value)} of the ratios were outside the clipping" if clipped else ""
    return fault(
        "large_policy_steps", "setting", 0.8, moved.step,
        f"The updates on one rollout move the policy by {moved.value:.2g} nats (step {moved.step:,}){share}; sound "
        "runs of the recipe stay below 0.1.",
        "The surrogate objective holds near the policy that collected the rollout; far from it, raising it can make "
        "the policy worse (Schulman et al. 2015, arXiv 1502.05477).",
        "Lower --agent.learning-rate or --agent.epochs; keep --agent.clip at 0.2.",
    )  # fmt: skip


def ignorant_critic(e: Evidence) -> Finding | None:
    """A critic that predicts returns no better than their mean does, short of success."""
    explained = e.recent("train/explained_variance", learning=True)
    if explained is None or explained.value > 0 or e.updates < PREDICTS_BY or last_success(e) >= CONVERGED:
        return None
    return fault(
        "ignorant_critic", "symptom", 0.7, explained.step,
        f"The critic explains {percent(explained.value)} of the variance of returns (step {explained.step:,}), at "
        f"{percent(last_success(e))} success; their mean alone explains 0 %.",
        "A baseline that predicts nothing leaves all the noise of the returns in the advantages.",
        "Raise --agent.learning-rate or --agent.epochs; lower --agent.gamma if its horizon exceeds an episode.",
    )  # fmt: skip


def lost_noise(e: Evidence) -> Finding | None:
    """A policy that no longer explores, short of success."""
    noise = e.recent("probe/exploration", learning=True)
    if noise is None or noise.value > 0.02 or last_success(e) >= CONVERGED:
        return None
    return fault(
        "lost_noise", "symptom", 0.75, noise.step,
        f"The policy's own noise is {noise.value:.3f} per action component (step {noise.step:,}), at "
        f"{percent(last_success(e))} success.",
        "The policy gradient comes from the actions that are tried; without noise there is none.",
        "Raise --agent.entropy-weight to 0.001, or start with more noise: --agent.initial-std 1.",
    )  # fmt: skip


LEARNING_RULES = (
    frozen_actor, frozen_critics, no_target_network, frozen_targets, frozen_normaliser, dead_units, long_horizon,
    large_steps, few_updates, temperature_collapse, critic_divergence, values_at_bound, actor_saturation,
    clipped_inputs, collapsed_features, falling_loss,
)  # fmt: skip
