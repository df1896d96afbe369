"""Rules on a run without a replay: how far each rollout moves the policy, what its critic knows, what noise is left.

What other rules ask of goals in hindsight, of a replay, of target networks and of a temperature is not asked here:
there is none. Bounds stand beside what sound runs measured (docs/diagnose.md).
"""

from wellposed.diagnose.data_rules import goal_blind, unanswered_actions, unobserved_motion, wrong_terminations
from wellposed.diagnose.evidence import Evidence
from wellposed.diagnose.finding import Finding, percent
from wellposed.diagnose.learning_rules import (
    clipped_inputs,
    critic_divergence,
    dead_units,
    frozen_actor,
    frozen_critics,
    frozen_normaliser,
    last_success,
)
from wellposed.diagnose.outcome_rules import evaluation_gap, forgetting, half_learnt, not_finite
from wellposed.diagnose.phases import CONVERGED

BEGUN = 500  # updates before which a critic is not expected to know anything


def large_policy_steps(e: Evidence) -> Finding | None:
    """One rollout moves the policy so far that what it was learnt from no longer speaks of it."""
    moved = e.recent("train/kl", learning=True)
    if moved is None or moved.value < 0.3:
        return None
    clipped = e.recent("train/clip_fraction", learning=True)
    share = f", and {percent(clipped.value)} of the ratios were outside the clipping" if clipped else ""
    return Finding(
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
    if explained is None or explained.value > 0 or e.updates < BEGUN or last_success(e) >= CONVERGED:
        return None
    return Finding(
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
    return Finding(
        "lost_noise", "symptom", 0.75, noise.step,
        f"The policy's own noise is {noise.value:.3f} an action component (step {noise.step:,}), at "
        f"{percent(last_success(e))} success.",
        "The gradient of a policy comes from the actions it tries; one that repeats itself has none.",
        "Raise --agent.entropy-weight to 0.001, or begin with more noise: --agent.initial-std 1.",
    )  # fmt: skip


ON_POLICY_RULES = (
    wrong_terminations, goal_blind, unanswered_actions, unobserved_motion, frozen_actor, frozen_critics,
    frozen_normaliser, dead_units, large_policy_steps, critic_divergence, ignorant_critic, lost_noise, clipped_inputs,
    not_finite, evaluation_gap, forgetting, half_learnt,
)  # fmt: skip
