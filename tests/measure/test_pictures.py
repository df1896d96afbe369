"""Goals that are pictures: how well a distance tells pairs apart, in closed form and on frames."""

import numpy as np
import pytest

from course.measure import pictures
from course.measure.kinds import Context
from course.measure.pictures import GoalPicturesSettings, measure_goal_pictures
from wellposed.errors import UserError


def test_distances_of_all_pairs():
    one, other = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 4.0], [3.0, 0.0]])
    assert pictures._distances(one, other) == pytest.approx([0, 4, 3, 5, 3, 4])


def test_a_distance_that_tells_all_apart_and_one_that_tells_nothing():
    reached = np.arange(1000) < 100
    assert pictures._separated(np.where(reached, 1.0, 2.0), reached) == (0.1, 1.0, 1.0)
    assert pictures._separated(np.where(reached, 2.0, 1.0), reached) == (0.1, 0.0, 0.0)
    share, ordered, found = pictures._separated(np.random.default_rng(0).random(1000), reached)
    assert share == 0.1
    assert ordered == pytest.approx(0.5, abs=0.08)
    assert found <= 0.05


def test_two_normal_distances_are_ordered_as_often_as_their_formula_says():
    rng = np.random.default_rng(0)
    distance = np.concatenate([rng.normal(0, 1, 4000), rng.normal(1, 1, 4000)])
    _, ordered, found = pictures._separated(distance, np.arange(8000) < 4000)
    assert ordered == pytest.approx(0.7602, abs=0.02)  # the normal distribution function at 1 / sqrt(2)
    assert found == pytest.approx(0.0924, abs=0.02)  # and at 1 - 2.326


def test_pairs_of_one_kind_tell_nothing():
    assert np.isnan(pictures._separated(np.ones(5), np.zeros(5, bool))[1:]).all()


@pytest.mark.parametrize(
    "wrong", [{"moments": 399}, {"moments": 20_001}, {"seed": -1}, {"error": 0.0}, {"error": np.nan}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(UserError, match="must be"):
        GoalPicturesSettings("FetchPush-v4", **wrong)


@pytest.mark.slow
def test_pictures_of_push_say_less_of_the_goal_than_places_that_are_read_from_them():
    found = measure_goal_pictures(GoalPicturesSettings("FetchPush-v4", 16, moments=480), Context(2, {}))
    rows = {row.compared: row for row in found.rows}
    assert found.moments == 480
    assert rows["pictures"].ordered.ci95[1] < 0.8 < 0.98 < rows["places read from pictures"].ordered.ci95[0]
    assert rows["pictures"].found.ci95[1] < 0.3 < 0.7 < rows["places read from pictures"].found.ci95[0]
    assert all(0.03 < row.reached.value < 0.2 for row in found.rows)
