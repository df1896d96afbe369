"""Scores [runs x tasks] in one number: against rliable's stored answers, and resampling that its seed decides."""

import json
from pathlib import Path

import numpy as np
import pytest

from wellposed import stats
from wellposed.analysis.aggregate import iqm, probability_of_improvement, stratified_bootstrap

RLIABLE = json.loads((Path(__file__).parents[1] / "reference" / "rliable.json").read_text())
X, Y = np.array(RLIABLE["x"]), np.array(RLIABLE["y"])
MEASURES = {"iqm": (iqm, (X,)), "probability_of_improvement": (probability_of_improvement, (X, Y))}


@pytest.mark.parametrize("name", MEASURES)
def test_measures_and_intervals_are_rliables(name):
    measure, scores = MEASURES[name]
    value, low, high = RLIABLE[name]
    found = stratified_bootstrap(measure, *scores, resamples=3000)
    assert found.estimate == pytest.approx(value, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.015), "both are simulations"


def test_the_interquartile_mean_leaves_out_a_quarter_at_each_end():
    assert iqm(np.array([[100.0, 2.0], [3.0, -50.0], [4.0, 5.0], [6.0, 7.0]])) == np.mean([3, 4, 5, 6])
    assert iqm(np.array([[1.0], [2.0], [6.0]])) == 3, "of three scores nothing is left out"


def test_probability_of_improvement_in_closed_form():
    one, other = np.array([[1.0, 5.0], [2.0, 5.0]]), np.array([[0.0, 5.0], [1.0, 9.0], [3.0, 5.0]])
    first = (2 * 1 + 1 * 1 + 0.5) / 6  # 1 > 0; 1 = 1; 2 > 0; 2 > 1
    second = (4 * 0.5) / 6
    assert probability_of_improvement(one, other) == pytest.approx((first + second) / 2)
    assert probability_of_improvement(other, one) == pytest.approx(1 - (first + second) / 2)
    with pytest.raises(ValueError, match="same tasks"):
        probability_of_improvement(one, other[:, :1])


def test_resampling_is_what_its_seed_says_and_heeds_no_global_state():
    """The wrong variant is rliable's: there the state that it is given is ignored."""
    np.random.seed(1)
    first = stratified_bootstrap(iqm, X, seed=3, resamples=200)
    np.random.seed(2)
    before = repr(np.random.get_state())
    assert stratified_bootstrap(iqm, X, seed=3, resamples=200) == first
    assert repr(np.random.get_state()) == before, "nor does it touch it"
    assert stratified_bootstrap(iqm, X, seed=4, resamples=200)[1:] != first[1:]


def test_each_task_keeps_its_own_scores():
    """The strata: drawn across tasks, the mean of tasks that lie far apart would vary."""
    scores = np.array([[0.0, 100.0]] * 5)
    found = stratified_bootstrap(lambda s: float(s.mean()), scores, resamples=50)
    assert found == (50.0, 50.0, 50.0)
    across = stats.bootstrap_mean(scores.reshape(-1))
    assert across.high - across.low > 20
