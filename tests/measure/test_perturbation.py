"""Closed forms and what is measured: bounds hold and are reached; hindsight's bias is that of the replay."""

from dataclasses import replace

import pytest

from course.measure import MEASUREMENTS, perturbation
from course.measure.kinds import Context
from course.measure.perturbation import STEP, UNSTEADY, PerturbationSettings
from wellposed import serialise
from wellposed.analysis.perturbation import gaussian_total_variation
from wellposed.errors import UserError

SETTINGS = PerturbationSettings([0.9, 0.5], [0.01], [0.0, 0.02, 0.05], episodes=50_000)
LARGEST = 0.06  # of a few hundred transitions


def measured(settings: PerturbationSettings = SETTINGS):
    return MEASUREMENTS["perturbation"].measure(settings, Context(1, {}))


@pytest.fixture(scope="module")
def found():
    return measured()


@pytest.mark.slow
def test_a_change_of_return_keeps_its_bound_and_reaches_it_where_what_is_lost_is_lost_for_good(found):
    nearly, half, dropped = found.worlds
    assert [row.world for row in found.worlds] == ["gain 0.9", "gain 0.5", "drops 0.01"]
    for row, gain in ((nearly, 0.9), (half, 0.5)):
        assert row.variation == pytest.approx(gaussian_total_variation((1 - gain) * STEP, UNSTEADY), rel=0.01)
        assert 0 < row.change < 0.2 * row.bound
    assert half.change > nearly.change
    assert dropped.ratio == pytest.approx(1.0) == found.largest_ratio
    assert dropped.success_change == pytest.approx(dropped.success_bound) == pytest.approx(1 - 0.99**50)
    assert all(row.success_change <= row.success_bound + 1e-12 for row in found.worlds)


def test_hindsight_learns_what_the_formula_says_and_is_right_without_noise(found):
    assert found.furthest < LARGEST
    exact, beside, *noisy = found.hindsight
    assert (exact.chance, exact.predicted, exact.learnt.value) == (1.0, 1.0, 1.0)
    assert (beside.chance, beside.predicted, beside.learnt.value) == (0.0, 0.0, 0.0)
    assert all(row.predicted - row.chance > 0.1 for row in noisy if row.noise == 0.05)
    assert all(row.learnt.value > row.chance for row in noisy)


def test_the_formula_with_another_k_is_found_out(monkeypatch):
    right = perturbation.hindsight_bias
    monkeypatch.setattr(perturbation, "hindsight_bias", lambda _k, *rest: right(1, *rest))
    assert measured(replace(SETTINGS, gains=[], drops=[], noise=[0.02])).furthest > LARGEST


def test_it_is_data_and_what_makes_no_sense_is_refused(found):
    kind = MEASUREMENTS["perturbation"]
    assert serialise.from_dict(kind.result, serialise.to_dict(found), "here") == found
    for wrong in ({"gains": [0.0]}, {"drops": [1.0]}, {"noise": [-0.01]}, {"gamma": 1.0}, {"episodes": 9_999}):
        with pytest.raises(UserError, match="must"):
            replace(SETTINGS, **wrong)
