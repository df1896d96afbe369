"""Importance of settings against closed forms, and on noise."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from wellposed.analysis.importance import Importance, groups_of, importance
from wellposed.analysis.search import Trial
from wellposed.analysis.space import Range
from wellposed.launch.search import Search

SPACE = {
    "a": Range(low=1e-4, high=1e-2, log=True, points=3),
    "b": Range(low=-1.0, high=1.0, points=3),
    "c": Range(choice=["x", "y", "z"]),
}
Score = Callable[..., float]


def trials_of(settings: list[dict[str, Any]], score: Score, noise: float = 0.0, seeds: int = 3) -> list[Trial]:
    rng = np.random.default_rng(0)
    each = [score(**one) + noise * rng.standard_normal(seeds) for one in settings]
    return [
        Trial(n, one, [], "complete", [], [*map(float, of_one)])
        for n, (one, of_one) in enumerate(zip(settings, each, strict=True))
    ]


def grid(score: Score, **how: Any) -> list[Trial]:
    return trials_of(
        [dict(zip(SPACE, one, strict=True)) for one in product(*(r.grid for r in SPACE.values()))], score, **how
    )


def sobol(score: Score, n: int = 128, **how: Any) -> list[Trial]:
    search = Search("sobol", SPACE, n)
    return trials_of([search.settings(number) for number in range(n)], score, **how)


def shares(found: Importance | None) -> dict[str, float]:
    assert found is not None
    return {" ".join(sorted(one.settings)): one.share.estimate for one in [*found.single, *found.pairs]}


def mixed(a: float, b: float, c: str) -> float:
    """Linear in log a, quadratic in b, a product of b and c."""
    return (np.log10(a) + 3) + 2 * b**2 + {"x": -1, "y": 0, "z": 1}[c] * b


def test_on_a_grid_the_shares_are_those_of_the_analysis_of_variance():
    found = shares(importance(SPACE, grid(mixed), grid=True, resamples=10))
    # Over three levels the variances of log a, of 2 b**2 and of b times c are 2/3, 8/9 and 4/9.
    assert found == pytest.approx({"a": 6 / 18, "b": 8 / 18, "b c": 4 / 18, "c": 0, "a b": 0, "a c": 0}, abs=1e-9)


def test_on_points_of_sobol_the_shares_are_those_of_uniform_settings():
    found = importance(SPACE, sobol(mixed), resamples=10)
    # Uniform on [-1, 1] the variances of log a, of 2 b**2 and of b times c are 1/3, 16/45 and 2/9.
    total = 1 / 3 + 16 / 45 + 2 / 9
    assert shares(found) == pytest.approx(
        {"a": 1 / 3 / total, "b": 16 / 45 / total, "b c": 2 / 9 / total, "c": 0, "a b": 0, "a c": 0}, abs=0.02
    )
    assert found is not None
    assert found.unexplained < 0.01
    assert [one.settings for one in found.single] == [("b",), ("a",), ("c",)]


def test_without_products_an_interaction_would_be_missed():
    """Where only b times c matters, each of them alone explains nothing."""
    found = shares(importance(SPACE, sobol(lambda b, c, **_: {"x": -1, "y": 0, "z": 1}[c] * b), resamples=10))
    assert found["b c"] > 0.95
    assert max(found["b"], found["c"]) < 0.02


@pytest.mark.parametrize("design", [grid, sobol])
def test_what_matters_is_above_chance_its_interval_holds_the_truth_and_noise_is_not(design):
    found = importance(SPACE, design(lambda b, **_: b, noise=1.0), grid=design is grid)
    assert found is not None
    b, *rest = found.single
    assert b.settings == ("b",)
    assert b.share.estimate > found.chance
    signal = 2 / 3 if design is grid else 1 / 3  # variance of b; that of the mean of three seeds' noise is 1/3
    assert b.share.low < signal / (signal + 1 / 3) < b.share.high
    assert all(one.share.estimate < found.chance for one in [*rest, *found.pairs])
    for seeds in (2, 3, 4):
        found = importance(SPACE, design(lambda **_: 0.0, noise=1.0, seeds=seeds), grid=design is grid)
        assert found is not None
        assert max(one.share.estimate for one in [*found.single, *found.pairs]) < found.chance


def test_few_trials_or_equal_scores_have_no_importance_and_one_seed_of_a_grid_no_interval():
    assert importance(SPACE, sobol(mixed, 7)) is None
    assert importance(SPACE, sobol(lambda **_: 1.0)) is None
    found = importance(SPACE, grid(mixed, seeds=1, noise=0.1), grid=True, resamples=10)
    assert found is not None
    assert np.isnan([one.share.low for one in found.single]).all()


def test_trials_are_grouped_by_thirds_of_a_range_or_by_choices():
    trials = sobol(mixed, 32)
    by_choice = groups_of(SPACE["c"], trials, "c")
    assert list(by_choice) == ["x", "y", "z"]
    assert all(trial.settings["c"] == name for name, of_one in by_choice.items() for trial in of_one)
    by_third = groups_of(SPACE["b"], trials, "b")
    assert list(by_third) == ["-1 to -0.33", "-0.33 to 0.33", "0.33 to 1"]
    assert sum(map(len, by_third.values())) == 32
    assert all(-1 / 3 <= trial.settings["b"] <= 1 / 3 for trial in by_third["-0.33 to 0.33"])
