"""All rules over one run, causes before symptoms, and the lines that tell a person."""

from dataclasses import dataclass

from wellposed.config import OnPolicyRunConfig
from wellposed.diagnose.data_rules import DATA_RULES
from wellposed.diagnose.evidence import Evidence
from wellposed.diagnose.finding import KINDS, Finding, percent
from wellposed.diagnose.learning_rules import LEARNING_RULES
from wellposed.diagnose.on_policy_rules import ON_POLICY_RULES
from wellposed.diagnose.outcome_rules import OUTCOME_RULES
from wellposed.diagnose.phases import Phase, find_phase

RULES = (*DATA_RULES, *LEARNING_RULES, *OUTCOME_RULES)  # of runs with a replay; those without have `ON_POLICY_RULES`


@dataclass(frozen=True)
class Diagnosis:
    """What is known of a run: its phase, and what is wrong, the likeliest cause first."""

    step: int
    phase: Phase
    findings: list[Finding]

    @property
    def healthy(self) -> bool:
        """Whether no rule found anything."""
        return not self.findings


def diagnose(evidence: Evidence) -> Diagnosis:
    """Apply every rule there is for this kind of run.

    Mechanisms come before settings, these before symptoms; within a kind the surer one first.
    """
    rules = ON_POLICY_RULES if isinstance(evidence.config, OnPolicyRunConfig) else RULES
    found = [finding for rule in rules if (finding := rule(evidence)) is not None]
    found.sort(key=lambda finding: (KINDS.index(finding.kind), -finding.sure))
    return Diagnosis(evidence.step, find_phase(evidence.evaluations), found)


def tell(finding: Finding) -> str:
    """A finding as one line."""
    name = finding.rule.replace("_", " ")
    return (
        f"{name} ({finding.kind}, {finding.how_sure}, {percent(finding.sure)}): {finding.evidence} {finding.lesson} "
        f"Next: {finding.change}"
    )


def lines(diagnosis: Diagnosis) -> list[str]:
    """The diagnosis as sentences: the phase, then each finding with its evidence, its lesson and what to change."""
    if diagnosis.healthy:
        told = ["No rule finds anything wrong with it."]
    else:
        spite = ["It learns in spite of what follows."] if diagnosis.phase.name == "convergence" else []
        told = spite + [tell(finding) for finding in diagnosis.findings]
    return [diagnosis.phase.sentence, *told]
