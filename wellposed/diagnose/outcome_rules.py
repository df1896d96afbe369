"""Rules on results: success over time, in training, and by kind of goal; and whether anything moves."""

import numpy as np

from wellposed.config import against_divergence
from wellposed.diagnose.data_rules import is_sparse, rewards_seen
from wellposed.diagnose.evidence import Evidence, fault, percent
from wellposed.findings import Finding
from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate

WINDOW = 4  # evaluations that are averaged where kinds of goals are told apart: each kind has few episodes


def not_finite(e: Evidence) -> Finding | None:
    """A run that ended at a number that is not finite."""
    if e.failure is None:
        return None
    return fault(
        "not_finite", "symptom", 0.95, e.failure.step,
        f"Training ended at step {e.failure.step:,}, update {e.failure.updates:,}: {e.failure.detail}",
        "Values or weights that grow without bound end as infinities and spread to every later number.",
        against_divergence(e.config),
    )  # fmt: skip


def starved_hindsight(e: Evidence) -> Finding | None:
    """Nothing moves, so every relabelled goal was reached before the action."""
    moved, gained = e.recent("rollout/moved_rate"), e.recent("probe/success_gained")
    before, motion = e.recent("probe/success_before"), e.recent("probe/goal_moved")
    if moved is None or gained is None or before is None or motion is None or e.updates < 5000:
        return None
    if moved.value > 0.05 or gained.value > 0.002:
        return None
    return fault(
        "starved_hindsight", "symptom", 0.7, gained.step,
        f"The achieved goal moved in {percent(moved.value)} of the training episodes and {percent(motion.value, 1)} "
        f"of the sampled transitions; {percent(before.value)} of these had reached their goal before the action, "
        f"{percent(gained.value, 2)} by it (step {gained.step:,}).",
        "Hindsight teaches from motion. Where the achieved goal stays, every relabelled goal is already reached.",
        "Explore more: raise --random-share, or start some episodes where actions move the achieved goal.",
    )  # fmt: skip


def evaluation_gap(e: Evidence) -> Finding | None:
    """The noisy policy succeeds much more often than the greedy one."""
    rollout = e.recent("rollout/success_rate", learning=True)
    if rollout is None or len(e.evaluations) < 3:
        return None
    last = e.evaluations[-3:]
    best = max(row.success_ci95[1] for row in last)
    if rollout.value < best + 0.3:
        return None
    return fault(
        "evaluation_gap", "mechanism", 0.8, last[-1].step,
        f"Training episodes end in success at {percent(rollout.value)}, with exploration noise; the greedy policy at "
        f"most at {percent(best)} in the last three evaluations (step {last[-1].step:,}).",
        "Noise costs success. Where the noisy policy is far ahead, another policy or another problem is evaluated.",
        "Compare what the policy gets in evaluation and in training: weights, input statistics, goals.",
    )  # fmt: skip


def forgetting(e: Evidence) -> Finding | None:
    """Success that held for two evaluations in a row and has been lost for two."""
    if len(e.evaluations) < 5:
        return None
    pairs = [min(a.success_rate, b.success_rate) for a, b in zip(e.evaluations, e.evaluations[1:], strict=False)]
    best, (one, two) = max(pairs[:-1]), e.evaluations[-2:]
    if best < 0.5 or max(one.success_ci95[1], two.success_ci95[1]) > best - 0.1:
        return None
    at = e.evaluations[pairs.index(best)].step
    return fault(
        "forgetting", "symptom", 0.75, two.step,
        f"Success was at {percent(best)} or above at step {at:,} and the evaluation after it, and is "
        f"{describe_rate(two.success_rate, two.success_ci95)} at step {two.step:,}.",
        "What is no longer sampled is forgotten, and a learning rate that helps early can undo it later.",
        "Lower the learning rate once learning has taken off: --agent.anneal BEGIN END, in updates.",
    )  # fmt: skip


def half_learnt(e: Evidence) -> Finding | None:
    """One kind of goal is learnt, and another makes no progress."""
    if len(e.evaluations) < 3 * WINDOW:
        return None
    before, last = e.evaluations[-2 * WINDOW : -WINDOW], e.evaluations[-WINDOW:]
    now, then = _success_of_kinds(last), _success_of_kinds(before)
    if len(now) < 2 or now.keys() != then.keys():
        return None
    best, worst = max(now, key=lambda kind: now[kind]), min(now, key=lambda kind: now[kind])
    if now[best] < 0.8 or now[worst] > 0.4 or now[worst] > then[worst] + 0.1:
        return None
    seen = rewards_seen(e)
    change = (
        "Let goals start near and grow: --env.curriculum.kind success."
        if seen is None or is_sparse(*seen[1:])
        else "Train on the sparse reward with hindsight: a distance as reward makes stopping half-way an optimum."
    )
    return fault(
        "half_learnt", "symptom", 0.8, last[-1].step,
        f"Goals of kind {best!r} are reached in {percent(now[best])}, {worst!r} in {percent(now[worst])}, after "
        f"{percent(then[worst])} in the {WINDOW} evaluations before (step {last[-1].step:,}).",
        "An average over kinds of goals hides which of them was learnt.",
        change,
    )  # fmt: skip


def _success_of_kinds(rows: list[EvaluationRow]) -> dict[str, float]:
    """Mean success of each kind of goal over some evaluations; of those that all of them have."""
    kinds = set.intersection(*(set(row.success_by_kind) for row in rows))
    return {kind: float(np.mean([row.success_by_kind[kind].value for row in rows])) for kind in sorted(kinds)}


OUTCOME_RULES = (not_finite, starved_hindsight, evaluation_gap, forgetting, half_learnt)
