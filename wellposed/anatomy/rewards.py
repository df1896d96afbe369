"""Reward and success as functions of two goals: measured, then compared with every step and with arbitrary goals.

The transitions and pairs of goals are those of `wellposed check`.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np

from wellposed.anatomy import Agreement, Rule
from wellposed.check import goals
from wellposed.envs.evidence import Evidence
from wellposed.envs.rules import rewards

EUCLIDEAN = "Euclidean distance"  # the name in `envs.rays.best_norm`
ROUNDING = 1e-12  # goal units: difference allowed for another order of summation
MIN_FIT = 0.5  # share of pairs of goals that a formula has to fit to be reported
Formula = Callable[[np.ndarray], np.ndarray]  # distances [n] to rewards [n]


def distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Euclidean distances [n] of goals [n, g], correctly rounded; computed independently of the environment."""
    return np.array([math.dist(one, other) for one, other in zip(left, right, strict=True)])


def find_rule(ev: Evidence, unit: str) -> tuple[Rule, Formula | None]:
    """The rule of reward and success, and the formula of the reward if one fits.

    The threshold of success is found by bisection along rays. The formula of a sparse reward is a step at that
    threshold, that of a dense reward minus the distance.
    """
    seen = np.concatenate([ev.pair_rewards, ev.all.reward])
    found = goals.success_geometric.ask(ev).numbers
    norm, threshold = found.get("norm", ""), found.get("threshold")
    kind: Literal["sparse", "dense"] = "sparse" if ev.sparse else "dense"
    words, formula = "", None
    if norm == EUCLIDEAN and threshold is not None:
        words, formula = _formula(kind, float(threshold), float(seen.min()), float(seen.max()), unit)
        fits = np.abs(formula(distances(*ev.pairs)) - ev.pair_rewards) <= ROUNDING
        words, formula = (words, formula) if fits.mean() > MIN_FIT else ("", None)
    rule = Rule(
        kind=kind,
        formula=words,
        lowest=float(seen.min()),
        highest=float(seen.max()) + 0.0,  # no minus zero
        threshold=threshold,
        unit=unit,
        norm=norm,
        scatter=found.get("scatter"),
    )
    return rule, formula


def _formula(kind: str, threshold: float, low: float, high: float, unit: str) -> tuple[str, Formula]:
    """The formula in words and as a function of the distance."""
    if kind == "dense":
        return "minus the distance", lambda d: -d
    words = f"{low:g} farther than {threshold:.6g} {unit} from the goal, {high + 0.0:g} otherwise".replace("  ", " ")
    return words, lambda d: np.where(d > threshold, low, high)


def agreement(ev: Evidence, rule: Rule, formula: Formula | None) -> Agreement:
    """Compare step reward, `compute_reward`, formula and success over every step and every pair of goals."""
    seen, (left, right) = ev.all, ev.pairs
    again = rewards(ev.rules, *seen.goals, seen.infos)
    before = rewards(ev.rules, seen.before.achieved, seen.before.desired, seen.infos)
    apart = np.abs(again - seen.reward)
    by_goals, of_success, of_formula = None, None, None
    if formula is not None:
        steps, pairs = distances(*seen.goals), distances(left, right)
        of_formula = np.abs(formula(steps) - seen.reward)
        apart = np.maximum(np.maximum(apart, of_formula), np.abs(formula(steps) - again))
        by_goals = np.abs(formula(pairs) - ev.pair_rewards)
        reached = np.concatenate([ev.reached(*seen.goals), ev.reached(left, right)])
        of_success = reached != (np.concatenate([steps, pairs]) < rule.threshold)
    recomputed, kinds = int((again != seen.reward).sum()), (_wrong(of_formula), _wrong(by_goals), _wrong(of_success))
    return Agreement(
        transitions=len(seen),
        telling=int((before != again).sum()),
        recomputed_mismatches=recomputed,
        formula_mismatches=kinds[0],
        largest_difference=None if formula is None else float(apart.max()),
        goals=len(left),
        goal_mismatches=kinds[1],
        goal_largest_difference=None if by_goals is None else float(by_goals.max()),
        success_mismatches=kinds[2],
        mismatches=recomputed + sum(kind or 0 for kind in kinds),
    )


def _wrong(differences: np.ndarray | None) -> int | None:
    """How many differences exceed rounding."""
    return None if differences is None else int((differences > ROUNDING).sum())
