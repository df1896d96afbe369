"""Rules on results: success over time, in training, and by kind of goal; and whether anything moves."""

import numpy as np

from wellposed.config import against_divergence
from wellposed.diagnose.evidence import Evidence, Seen, is_sparse
from wellposed.runs.record import EvaluationRow
from wellposed.stats import describe_rate

WINDOW = 4  # evaluations that are averaged where kinds of goals are told apart: each kind has few episodes


def not_finite(e: Evidence) -> Seen | None:
    """A run that ended at a NaN or an infinity."""
    if e.failure is None:
        return None
    numbers = {"updates": e.failure.updates, "detail": e.failure.detail}
    return Seen(e.failure.step, numbers | {"against_divergence": against_divergence(e.config)})


def starved_hindsight(e: Evidence) -> Seen | None:
    """Nothing moves, so every relabelled goal was reached before the action."""
    gained, moved = e.recent("probe/success_gained"), e.value("rollout/moved_rate")
    before, motion = e.value("probe/success_before"), e.value("probe/goal_moved")
    if moved is None or gained is None or before is None or motion is None or e.updates < 5000:
        return None
    if moved > 0.05 or gained.value > 0.002:
        return None
    return Seen(gained.step, {"moved": moved, "motion": motion, "before": before, "gained": gained.value})


def evaluation_gap(e: Evidence) -> Seen | None:
    """The noisy policy succeeds much more often than the greedy one."""
    training, last = e.value("rollout/success_rate", learning=True), e.evaluations[-3:]
    if training is None or len(last) < 3:
        return None
    greedy = max(row.success_ci95[1] for row in last)
    return None if training < greedy + 0.3 else Seen(last[-1].step, {"training": training, "greedy": greedy})


def forgetting(e: Evidence) -> Seen | None:
    """Success that held for two evaluations in a row and has been lost for two."""
    if len(e.evaluations) < 5:
        return None
    pairs = [min(a.success_rate, b.success_rate) for a, b in zip(e.evaluations, e.evaluations[1:], strict=False)]
    best, (one, two) = max(pairs[:-1]), e.evaluations[-2:]
    if best < 0.5 or max(one.success_ci95[1], two.success_ci95[1]) > best - 0.1:
        return None
    at, now = e.evaluations[pairs.index(best)].step, describe_rate(two.success_rate, two.success_ci95)
    return Seen(two.step, {"best": best, "at": at, "now": now})


def half_learnt(e: Evidence) -> Seen | None:
    """One kind of goal is learnt, and another makes no progress."""
    if len(e.evaluations) < 3 * WINDOW:
        return None
    before, last = e.evaluations[-2 * WINDOW : -WINDOW], e.evaluations[-WINDOW:]
    now, then, rewards = _success_of_kinds(last), _success_of_kinds(before), e.rewards
    if len(now) < 2 or now.keys() != then.keys():
        return None
    best, worst = max(now, key=lambda kind: now[kind]), min(now, key=lambda kind: now[kind])
    if now[best] < 0.8 or now[worst] > 0.4 or now[worst] > then[worst] + 0.1:
        return None
    change = (
        "Let goals start near and grow: --env.curriculum.kind success."
        if rewards is None or is_sparse(*rewards[1:])
        else "Train on the sparse reward with hindsight: a distance as reward makes stopping half-way an optimum."
    )
    rates = {"best_rate": now[best], "worst_rate": now[worst], "before": then[worst]}
    return Seen(last[-1].step, {"best": best, "worst": worst, "window": WINDOW, "change": change} | rates)


def _success_of_kinds(rows: list[EvaluationRow]) -> dict[str, float]:
    """Mean success of each kind of goal over some evaluations; of those that all of them have."""
    kinds = set.intersection(*(set(row.success_by_kind) for row in rows))
    return {kind: float(np.mean([row.success_by_kind[kind].value for row in rows])) for kind in sorted(kinds)}
