"""Rules on the learner itself: weights that move, values that hold, units that answer, steps that are not too large.

Each is a function of the evidence that returns a finding or None. What an untrained network shows is no evidence, so
most of them look at rows after the first update only.
"""

import numpy as np

from wellposed.agents import find
from wellposed.diagnose.evidence import Evidence, fault, percent
from wellposed.diagnose.phases import CONVERGED
from wellposed.findings import Finding
from wellposed.recipe import against_divergence

BEGUN = 50  # updates from which on weights must have moved
CRITIC_BEGUN = 500  # updates before which a critic without a replay is not expected to know anything


def frozen_actor(e: Evidence) -> Finding | None:
    """The actor's weights are those it was made with, or have not changed between two rows with updates between."""
    return _frozen(e, "actor", "probe/actor_travel", "its loss must be differentiated with respect to its weights")


def frozen_critics(e: Evidence) -> Finding | None:
    """The same of the critics."""
    return _frozen(
        e, "critic", "probe/critic_travel", "their loss must be differentiated with respect to their weights"
    )


def _frozen(e: Evidence, name: str, metric: str, check: str) -> Finding | None:
    steps, travel = e.series(metric, learning=True)
    if not len(steps) or e.updates < BEGUN:
        return None
    never, halted = travel[-1] < 1e-6, len(travel) > 2 and travel[-1] == travel[-2] == travel[-3]
    if not (never or halted):
        return None
    since = "since they were made" if never else f"since step {steps[-3]:,}"
    gradient = e.recent(f"probe/{name}_gradient", learning=True)
    size = f"; the typical norm of its gradient is {gradient.value:.2g}" if gradient else ""
    return fault(
        f"frozen_{name}", "mechanism", 0.98, int(steps[-1]),
        f"The weights of the {name} have not moved {since}, over {e.updates:,} updates (step {steps[-1]:,}){size}.",
        "A loss that is logged is not yet a loss that is descended: a detached graph looks like training.",
        f"Check the {name}'s update: {check}, and the result kept.",
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
        "A critic that chases itself feeds its own errors back (Mnih et al. 2015, Nature 518).",
        "Let the targets follow slowly: --agent.tau 0.05, applied to the targets and to nothing else.",
    )  # fmt: skip


def frozen_targets(e: Evidence) -> Finding | None:
    """The target critics never follow."""
    travel, critics = e.recent("probe/target_travel", learning=True), e.recent("probe/critic_travel", learning=True)
    if travel is None or critics is None or critics.value < 1e-2 or travel.value > 1e-6:
        return None
    return fault(
        "frozen_targets", "mechanism", 0.97, travel.step,
        f"The target critics are where they began (step {travel.step:,}); the critics moved by "
        f"{percent(critics.value)}.",
        "Values grow backwards from the goal, one step of the targets at a time; targets that stand still stop them.",
        "Move the targets after each update of the critics: target <- (1 - tau) target + tau critic.",
    )  # fmt: skip


def frozen_normaliser(e: Evidence) -> Finding | None:
    """Input statistics that no longer take in what is observed."""
    count = e.recent("probe/normaliser_count")
    steps, counts = e.series("probe/normaliser_count")
    if count is None or not e.config.agent.inputs.normalise or counts[-1] > 0.5 * steps[-1]:
        return None
    clipped = e.recent("probe/inputs_clipped")
    share = f"; {percent(clipped.value, 1)} of the network inputs are at their bound" if clipped else ""
    return fault(
        "frozen_normaliser", "mechanism", 0.95, int(steps[-1]),
        f"At step {steps[-1]:,} the input statistics rest on {counts[-1]:,.0f} observations{share}.",
        "Statistics of the first few states misplace and stretch everything that is seen later.",
        "Hand every collected observation to the normaliser (`agent.observe`).",
    )  # fmt: skip


def dead_units(e: Evidence) -> Finding | None:
    """Hidden units that answer to nothing."""
    actor, critic = e.recent("probe/actor_dead"), e.recent("probe/critic_dead")
    if actor is None or critic is None or max(actor.value, critic.value) < 0.6:
        return None
    return fault(
        "dead_units", "mechanism" if min(actor.value, critic.value) > 0.95 else "symptom", 0.9, actor.step,
        f"{percent(actor.value)} of the actor's and {percent(critic.value)} of the critic's hidden units answer to "
        f"nothing in the batch (step {actor.step:,}); sound runs have under 20 %.",
        "A ReLU closed to every input has no gradient and never opens again (Sokar et al. 2023, arXiv 2302.12902).",
        "Lower --agent.learning-rate, and check that biases begin near 0.",
    )  # fmt: skip


def long_horizon(e: Evidence) -> Finding | None:
    """A discount that looks far beyond the end of an episode."""
    length, horizon = e.recent("probe/episode_length"), 1 / (1 - e.config.agent.gamma)
    if length is None or horizon < 5 * length.value:
        return None
    bound = e.recent("probe/target_at_bound", learning=True)
    share = f"; {percent(bound.value)} of the targets are at the lowest possible return" if bound else ""
    return fault(
        "long_horizon", "setting", 0.9, length.step,
        f"A discount of {e.config.agent.gamma:g} looks {horizon:,.0f} steps ahead, {horizon / length.value:.0f} times "
        f"an episode of {length.value:.0f} steps{share} (step {length.step:,}).",
        "Values then lie near -1/(1 - gamma) for long, and the few steps between good and bad drown in them.",
        f"Lower the discount: --agent.gamma {1 - 1 / max(2.0, 0.4 * length.value):.2f}.",
    )  # fmt: skip


def large_steps(e: Evidence) -> Finding | None:
    """Steps of the optimiser that are many times those of the recipe, as set or as measured."""
    usual = find(e.config.algo)[0]().learning_rate
    step, factor = e.recent("probe/critic_step", learning=True), e.config.agent.learning_rate / usual
    if step is None or (factor < 8 and step.value < 0.03):
        return None
    q_low, q_high = e.recent("probe/q_min", learning=True), e.recent("probe/q_max", learning=True)
    values = f"; the critics' values lie between {q_low.value:.3g} and {q_high.value:.3g}" if q_low and q_high else ""
    return fault(
        "large_steps", "setting", 0.9 if factor >= 8 else 0.7, step.step,
        f"One update changes the critics' weights by {percent(step.value, 2)} of their size (step {step.step:,}); the "
        f"step size is {e.config.agent.learning_rate:g}, {factor:.3g} times the recipe's{values}.",
        "An optimiser that leaps past the minimum forgets with each minibatch what the last one taught.",
        f"Lower --agent.learning-rate to {usual:g}.",
    )  # fmt: skip


def few_updates(e: Evidence) -> Finding | None:
    """Too little learning for what is collected."""
    steps, ratio = e.series("time/updates_per_step")
    if not len(steps):
        return None
    # Updates wait for the first random steps and the first episode; what was skipped is caught up at once.
    measured = ratio[-1] if steps[-1] >= 2 * e.config.random_steps else e.config.updates_per_step
    if min(measured, e.config.updates_per_step) >= 0.08:
        return None
    return fault(
        "few_updates", "setting", 0.9, int(steps[-1]),
        f"{e.updates:,} gradient updates in {steps[-1]:,} steps are {ratio[-1]:.3f} a step; set are "
        f"{e.config.updates_per_step:g}.",
        "Several copies and one gradient step a round are a fraction of an update a step: the data is hardly used.",
        "Raise --updates-per-step to 0.5.",
    )  # fmt: skip


def temperature_collapse(e: Evidence) -> Finding | None:
    """The policy has lost its randomness while the temperature went to nothing."""
    steps, temperature = e.series("train/temperature", learning=True)
    entropy = e.recent("train/entropy", learning=True)
    noise = e.recent("probe/exploration", learning=True)
    if not len(steps) or entropy is None or noise is None:
        return None
    # A temperature that is learnt settles where noise is 0.07 or more: SAC's target of -1 nat an action component.
    if temperature[-1] > 0.003 or noise.value > 0.06:
        return None
    return fault(
        "temperature_collapse", "symptom", 0.85, int(steps[-1]),
        f"The temperature is {temperature[-1]:.2g} at step {steps[-1]:,} (it began at {e.config.agent.temperature:g}), "
        f"the policy's own noise {noise.value:.3f} an action component and its entropy {entropy.value:.1f} nats.",
        "SAC explores by its entropy; once that is gone nothing new is tried (Haarnoja et al. 2018, arXiv 1812.05905).",
        "Fix the temperature: --agent.no-learn-temperature, or check the sign of the target entropy.",
    )  # fmt: skip


def critic_divergence(e: Evidence) -> Finding | None:
    """Values far outside what any sequence of rewards, and of the entropy that is paid for, can return."""
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
        "Bootstrapped errors can feed on themselves (van Hasselt et al. 2018, arXiv 1812.02648).",
        against_divergence(e.config),
    )  # fmt: skip


def _entropy_paid(e: Evidence) -> list[float]:
    """Temperature times entropy at each row, 0 among them: soft values hold what is paid for noise from then on."""
    if getattr(e.config.agent, "bound_targets", True):  # PPO's values hold no entropy; a bounded target has none left
        return [0.0]
    rows = [row.metrics for row in e.rows if {"train/temperature", "train/entropy"} <= row.metrics.keys()]
    return [0.0, *(row["train/temperature"] * row["train/entropy"] for row in rows)]


def _and_paid(most: float) -> str:
    return f", with up to {most:.2g} a step for entropy," if most else ""


def values_at_bound(e: Evidence) -> Finding | None:
    """Every target is the return of failing for ever."""
    bound = e.recent("probe/target_at_bound", learning=True)
    if bound is None or bound.value < 0.9 or e.updates < 1000:
        return None
    return fault(
        "values_at_bound", "symptom", 0.7, bound.step,
        f"{percent(bound.value)} of the Bellman targets are at the lowest possible return, -1/(1 - gamma) = "
        f"{-1 / (1 - e.config.agent.gamma):.3g} (step {bound.step:,}).",
        "Where everything is equally hopeless no action is better than another, and the actor has no gradient.",
        "Look at the rewards in the minibatches: hindsight must put successes among them (--replay.k 4).",
    )  # fmt: skip


def actor_saturation(e: Evidence) -> Finding | None:
    """A greedy policy that knows full speed only."""
    share = e.recent("probe/greedy_saturation", learning=True)
    if share is None or share.value < 0.9 or last_success(e) >= CONVERGED:
        return None
    gradient = e.recent("probe/actor_gradient", learning=True)
    size = f", and a gradient of norm {gradient.value:.2g}" if gradient else ""
    return fault(
        "actor_saturation", "symptom", 0.6, share.step,
        f"{percent(share.value)} of the greedy policy's action components are beyond 0.99 in size (step "
        f"{share.step:,}), at {percent(last_success(e))} success{size}.",
        "In the flat ends of tanh the gradient is gone, so an actor that got there stays.",
        "Lower --agent.learning-rate.",
    )  # fmt: skip


def last_success(e: Evidence) -> float:
    """The last evaluation's success; 0 before the first."""
    return e.evaluations[-1].success_rate if e.evaluations else 0.0


def falling_loss(e: Evidence) -> Finding | None:
    """A critic that agrees with itself ever better at flat success: one curve read alone would look like learning."""
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
        f"success stayed at {percent(last.success_rate)}; over the batch their values differ by {spread.value:.3f} "
        "only.",
        "A falling critic loss at high success is convergence. At flat success it says that all states look alike.",
        "Look at the rewards in the minibatches before the networks: --replay.k 4 puts successes among them.",
    )  # fmt: skip


def clipped_inputs(e: Evidence) -> Finding | None:
    """Inputs that lie at their bound and tell nothing any more."""
    share = e.recent("probe/inputs_clipped", learning=True)
    if share is None or share.value < 0.2:
        return None
    return fault(
        "clipped_inputs", "symptom", 0.7, share.step,
        f"{percent(share.value)} of the network inputs are at their bound of {e.config.agent.inputs.clip:g} standard "
        f"deviations (step {share.step:,}); sound runs have 1 % at most.",
        "What is clipped cannot be told apart: states that differ look the same to the networks.",
        "Compare the input statistics with what is observed; or raise --agent.inputs.clip.",
    )  # fmt: skip


def collapsed_features(e: Evidence) -> Finding | None:
    """A critic whose last layer knows one direction only, at flat success."""
    rank = e.recent("probe/critic_rank", learning=True)
    if rank is None or rank.value > 1.5 or e.updates < 1000 or last_success(e) >= CONVERGED:
        return None
    return fault(
        "collapsed_features", "symptom", 0.6, rank.step,
        f"The critic's last hidden layer has an effective rank of {rank.value:.1f} (step {rank.step:,}), at "
        f"{percent(last_success(e))} success; sound runs have 3 and more.",
        "Features that all say the same cannot tell states apart (Kumar et al. 2021, arXiv 2010.14498).",
        "Look at the rewards in the minibatches first; then lower --agent.learning-rate.",
    )  # fmt: skip


def large_policy_steps(e: Evidence) -> Finding | None:
    """One rollout moves the policy so far that what it was learnt from no longer speaks of it."""
    moved = e.recent("train/kl", learning=True)
    if moved is None or moved.value < 0.3:
        return None
    clipped = e.recent("train/clip_fraction", learning=True)
    share = f", and {percent(clipped.value)} of the ratios were outside the clipping" if clipped else ""
    return fault(
        "large_policy_steps", "setting", 0.8, moved.step,
        f"The updates on one rollout move the policy by {moved.value:.2g} nats (step {moved.step:,}){share}; sound "
        "runs of the recipe stay below 0.1.",
        "The objective compares with the policy that collected the rollout; far from it, it promises what it does not "
        "keep (Schulman et al. 2015, arXiv 1502.05477).",
        "Lower --agent.learning-rate or --agent.epochs; keep --agent.clip at 0.2.",
    )  # fmt: skip


def ignorant_critic(e: Evidence) -> Finding | None:
    """A critic that foretells returns no better than their mean does, while there is something to foretell."""
    explained = e.recent("train/explained_variance", learning=True)
    if explained is None or explained.value > 0 or e.updates < CRITIC_BEGUN or last_success(e) >= CONVERGED:
        return None
    return fault(
        "ignorant_critic", "symptom", 0.7, explained.step,
        f"The critic explains {percent(explained.value)} of the variance of returns (step {explained.step:,}), at "
        f"{percent(last_success(e))} success; their mean alone explains 0 %.",
        "A baseline that foretells nothing leaves all the noise of the returns in the advantages.",
        "Raise --agent.learning-rate or --agent.epochs; lower --agent.gamma if returns reach far beyond an episode.",
    )  # fmt: skip


def lost_noise(e: Evidence) -> Finding | None:
    """A policy that tries nothing any more, short of success."""
    noise = e.recent("probe/exploration", learning=True)
    if noise is None or noise.value > 0.02 or last_success(e) >= CONVERGED:
        return None
    return fault(
        "lost_noise", "symptom", 0.75, noise.step,
        f"The policy's own noise is {noise.value:.3f} an action component (step {noise.step:,}), at "
        f"{percent(last_success(e))} success.",
        "The gradient of a policy comes from the actions it tries; one that repeats itself has none.",
        "Raise --agent.entropy-weight to 0.001, or begin with more noise: --agent.initial-std 1.",
    )  # fmt: skip


LEARNING_RULES = (
    frozen_actor, frozen_critics, no_target_network, frozen_targets, frozen_normaliser, dead_units, long_horizon,
    large_steps, few_updates, temperature_collapse, critic_divergence, values_at_bound, actor_saturation,
    clipped_inputs, collapsed_features, falling_loss,
)  # fmt: skip
