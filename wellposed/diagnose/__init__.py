"""Why is it not learning: rules over a run's record, each with its evidence, why it matters, and one change to try."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Any

from wellposed.agents import find
from wellposed.diagnose import outcome_rules as outcome
from wellposed.diagnose import rules
from wellposed.diagnose.evidence import Evidence, Seen, read_evidence
from wellposed.diagnose.phases import Phase, find_phase
from wellposed.findings import KINDS, Finding

__all__ = ["Diagnosis", "Evidence", "diagnose", "lines", "read_evidence", "tell"]

RULES = (  # of runs with a replay
    rules.wrong_rewards, rules.wrong_terminations, rules.foreign_goals, rules.past_goals,
    rules.relabelling_without_effect, rules.goal_blind, rules.reward_scale, rules.unanswered_actions,
    rules.clipped_actions, rules.unobserved_motion, rules.stale_samples, rules.hindsight_off, rules.small_replay,
    rules.frozen_actor, rules.frozen_critic, rules.no_target_network, rules.frozen_targets, rules.frozen_normaliser,
    rules.dead_units, rules.long_horizon, rules.large_steps, rules.few_updates, rules.temperature_collapse,
    rules.entropy_over_goal,
    rules.critic_divergence, rules.values_at_bound, rules.actor_saturation, rules.clipped_inputs,
    rules.collapsed_features, rules.falling_loss, rules.blind_encoder, outcome.not_finite, outcome.starved_hindsight,
    outcome.evaluation_gap, outcome.forgetting, outcome.half_learnt,
)  # fmt: skip

# Of runs without a replay: rules on relabelled goals, a replay, target networks or a temperature are left out.
ON_POLICY_RULES = (
    rules.wrong_terminations, rules.goal_blind, rules.unanswered_actions, rules.unobserved_motion, rules.frozen_actor,
    rules.frozen_critic, rules.frozen_normaliser, rules.dead_units, rules.large_policy_steps, rules.critic_divergence,
    rules.ignorant_critic, rules.lost_noise, rules.clipped_inputs, outcome.not_finite, outcome.evaluation_gap,
    outcome.forgetting, outcome.half_learnt,
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
    asked = ON_POLICY_RULES if find(evidence.config.algo).on_policy else RULES
    found = [_finding(rule, seen, evidence) for rule in asked if (seen := rule(evidence)) is not None]
    found.sort(key=lambda finding: (KINDS.index(finding.kind or "symptom"), -finding.sure))
    return Diagnosis(evidence.step, find_phase(evidence.evaluations, evidence.missed), found)


def _finding(rule: Callable[[Evidence], Seen | None], seen: Seen, evidence: Evidence) -> Finding:
    """What a rule saw, in the sentences of `rules.toml`."""
    words = _words()[rule.__name__]
    kind, known = seen.kind or words["kind"], {"step": seen.step} | seen.numbers
    say = lambda text: _say(text, known | {"config": evidence.config})  # noqa: E731
    return Finding(
        name=rule.__name__,
        status="warns" if kind == "symptom" else "fails",
        evidence=say(words["evidence"]),
        numbers=known,
        why=words["why"],
        advice=say(words["advice"]),
        kind=kind,
        sure=words["sure"] if seen.sure is None else seen.sure,
        step=seen.step,
    )


@cache
def _words() -> dict[str, dict[str, Any]]:
    """What each rule says, by the name of the rule."""
    return tomllib.loads((files("wellposed.diagnose") / "rules.toml").read_text())


class _Sentences(Formatter):
    """`str.format` with shares as people read them, `14.6 %`."""

    def format_field(self, value: Any, format_spec: str) -> str:
        said = super().format_field(value, format_spec)
        return f"{said[:-1]} %" if format_spec.endswith("%") else said


def _say(parts: str | list[str], numbers: dict[str, Any]) -> str:
    """The text, or its parts, with the numbers in it; a part with a number that is None is left out."""
    write = _Sentences()
    parts = [parts] if isinstance(parts, str) else parts
    names = [[name for _, name, _, _ in write.parse(part) if name] for part in parts]
    known = [part for part, of in zip(parts, names, strict=True) if all(numbers.get(n, n) is not None for n in of)]
    return write.format("".join(known), **numbers)


def tell(finding: Finding) -> str:
    """A finding as one line."""
    name = finding.name.replace("_", " ")
    return (
        f"{name} ({finding.kind}, {finding.how_sure}, {100 * finding.sure:.0f} %): {finding.evidence} {finding.why} "
        f"Next: {finding.advice}"
    )


def lines(diagnosis: Diagnosis) -> list[str]:
    """The diagnosis as sentences: the phase, then each finding with its evidence, why it matters and what to change."""
    if diagnosis.healthy:
        return [diagnosis.phase.sentence, "No rule finds anything wrong with it."]
    spite = ["It learns in spite of what follows."] if diagnosis.phase.name == "convergence" else []
    return [diagnosis.phase.sentence, *spite, *map(tell, diagnosis.findings)]
