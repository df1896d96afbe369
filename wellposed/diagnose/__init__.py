"""Why is it not learning: rules over a run's record, each with its evidence, why it matters, and one change to try."""

from dataclasses import dataclass

from wellposed.agents import find
from wellposed.diagnose import data_rules as data
from wellposed.diagnose import learning_rules as learning
from wellposed.diagnose import outcome_rules as outcome
from wellposed.diagnose.evidence import Evidence, percent, read_evidence
from wellposed.diagnose.phases import Phase, find_phase
from wellposed.findings import KINDS, Finding

__all__ = ["Diagnosis", "Evidence", "diagnose", "lines", "read_evidence", "tell"]

RULES = (*data.DATA_RULES, *learning.LEARNING_RULES, *outcome.OUTCOME_RULES)  # of runs with a replay

# Of runs without a replay: what is about relabelled goals, a replay, target networks or a temperature is left out.
ON_POLICY_RULES = (
    data.wrong_terminations, data.goal_blind, data.unanswered_actions, data.unobserved_motion, learning.frozen_actor,
    learning.frozen_critics, learning.frozen_normaliser, learning.dead_units, learning.large_policy_steps,
    learning.critic_divergence, learning.ignorant_critic, learning.lost_noise, learning.clipped_inputs,
    outcome.not_finite, outcome.evaluation_gap, outcome.forgetting, outcome.half_learnt,
)  # fmt: skip


@dataclass(frozen=True)
class Diagnosis:
    """The phase a run is in, and what is wrong with it, the likeliest cause first."""

    step: int
    phase: Phase
    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """Whether no rule found anything."""
        return not self.findings


def diagnose(evidence: Evidence) -> Diagnosis:
    """Apply every rule there is for a run of this algorithm.

    Mechanisms come before settings, and settings before symptoms; within a kind the surer one comes first.
    """
    rules = ON_POLICY_RULES if find(evidence.config.algo).on_policy else RULES
    found = [finding for rule in rules if (finding := rule(evidence)) is not None]
    found.sort(key=lambda finding: (KINDS.index(finding.kind or "symptom"), -finding.sure))
    return Diagnosis(evidence.step, find_phase(evidence.evaluations), found)


def tell(finding: Finding) -> str:
    """A finding as one line."""
    name = finding.name.replace("_", " ")
    return (
        f"{name} ({finding.kind}, {finding.how_sure}, {percent(finding.sure)}): {finding.evidence} {finding.why} "
        f"Next: {finding.advice}"
    )


def lines(diagnosis: Diagnosis) -> list[str]:
    """The diagnosis as sentences: the phase, then each finding with its evidence, why it matters and what to change."""
    if diagnosis.healthy:
        return [diagnosis.phase.sentence, "No rule finds anything wrong with it."]
    spite = ["It learns in spite of what follows."] if diagnosis.phase.name == "convergence" else []
    return [diagnosis.phase.sentence, *spite, *map(tell, diagnosis.findings)]
