"""What several recipes tolerate, on the same episodes: `wellposed robustness` as a measurement of a chapter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course.measure.kinds import Context
from wellposed.analysis.robustness import LevelCurve, WorstCase, apart, estimate, rate
from wellposed.errors import UserError
from wellposed.robustness import Request, asked, examine
from wellposed.runs.record import Estimate


@dataclass(frozen=True)
class RobustnessSettings:
    """The runs that are tested, and what they are tested with."""

    of: list[str]  # "experiment.variant"s; the first is the one that the others are compared with
    only: list[str]  # names of curves, challenges and sets of robustness.toml
    dynamics: list[str] = field(default_factory=list)  # a set in words, ["friction=0.5..1.5"]; it is named "yours"
    episodes: int = 100  # held-out episodes for each run and condition
    seed: int = 0  # of the episodes

    def __post_init__(self) -> None:
        if not self.of:
            raise UserError("of must name at least one EXPERIMENT.VARIANT.")
        if not self.only:
            raise UserError("only must name at least one curve, challenge or set of robustness.toml.")
        asked(Request(self.only, self.dynamics))


@dataclass(frozen=True)
class RobustnessComparison:
    """What each variant tolerates, over its seeds.

    A condition is a level of a curve ("noise 0.01"), a challenge ("easy"), or a set ("contact, worst" is played at the
    setting that is worst for this variant, "contact, average" over the set); "clean" is none.
    """

    episodes: int
    runs: dict[str, int]  # of each variant
    success: dict[str, dict[str, Estimate]]  # by condition, of each variant
    gained: dict[str, dict[str, Estimate]]  # by condition, of each variant less the first one, on the same episodes
    curves: dict[str, dict[str, LevelCurve]]  # by name, of each variant
    worst_cases: dict[str, dict[str, WorstCase]]  # by the name of the set, of each variant


def measure_robustness(settings: RobustnessSettings, context: Context) -> RobustnessComparison:
    """Play what is asked for with every run, on the same held-out episodes.

    Raises:
        UserError: if a run cannot be loaded, or its environment cannot vary what is asked for.
    """
    request = Request(settings.only, settings.dynamics, settings.episodes, settings.seed)
    found = {of: examine(context.runs[of], request, context.threads) for of in context.over(settings.of, "variants")}
    if left_out := [sentence for one in found.values() for sentence in one.result.left_out]:
        raise UserError(left_out[0])
    first = found[settings.of[0]]
    outcomes = {
        condition: {of: np.array([[row.success for row in rows] for rows in one.episodes[condition]])
                    for of, one in found.items()}
        for condition in first.episodes
    }  # fmt: skip
    return RobustnessComparison(
        episodes=settings.episodes,
        runs={of: len(one.result.runs) for of, one in found.items()},
        success={condition: {of: estimate(rate(one)) for of, one in by.items()} for condition, by in outcomes.items()},
        gained={
            condition: {of: estimate(apart(by[of], by[settings.of[0]])) for of in settings.of[1:]}
            for condition, by in outcomes.items()
        },
        curves=_by_name({of: one.result.curves for of, one in found.items()}),
        worst_cases=_by_name({of: one.result.worst_cases for of, one in found.items()}),
    )


def _by_name(of_variants: dict[str, Sequence[Any]]) -> dict[str, dict[str, Any]]:
    """The results of each variant, by the name of what was played first."""
    names = [one.name for one in next(iter(of_variants.values()))]
    return {
        name: {of: found[i] for of, found in of_variants.items()} for i, name in enumerate(names)
    }  # fmt: skip
