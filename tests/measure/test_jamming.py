"""A peg at both walls: when it is held, by the theorem and in the simulator."""

import numpy as np
import pytest

from course.measure import MEASUREMENTS, jamming
from course.measure.jamming import JammingSettings
from course.measure.kinds import Context
from wellposed import serialise
from wellposed.envs.suites.peg import model
from wellposed.errors import UserError

SETTINGS = JammingSettings([0.4, 0.2], [0.015, 0.01], [0.5, 0.0])


def measured():
    return MEASUREMENTS["jamming"].measure(SETTINGS, Context(1, {}))


@pytest.mark.slow
def test_the_simulator_holds_a_peg_where_the_diagram_says():
    found = measured()
    assert found.furthest < 0.15
    lam = 0.01 / (0.2 * model.WIDTH)
    assert found.rows[1].moment == pytest.approx(1000 * lam * model.WIDTH / 2 * jamming.DOWN)
    assert serialise.from_dict(type(found), serialise.to_dict(found), "here") == found


@pytest.mark.slow
def test_another_friction_than_that_of_the_diagram_is_found(monkeypatch):
    own = jamming.holding_moment
    monkeypatch.setattr(jamming, "holding_moment", lambda depth, friction, x: own(depth, 1.5 * friction, x))
    assert measured().furthest > 0.3


def test_no_answer_of_two_walls_holds_what_lies_inside():
    """All normal forces and frictions in their cones, against the closed form."""
    depth, friction = 0.012, 0.3
    down, half = 1.0, model.WIDTH / 2
    for sideways in (-1.0, 0.0, 2.0):
        both = down / friction * np.geomspace(1, 100, 200)[:, None]  # N_1 + N_2
        left, right = (both - sideways) / 2, (both + sideways) / 2
        up = friction * left * np.linspace(-1, 1, 201)
        sound = np.abs(down - up) <= friction * right + 1e-12
        moments = (half * (2 * up - down) - depth * right)[sound]
        most = half * down * jamming.holding_moment(depth, friction, sideways)
        assert moments.max() == pytest.approx(most)


def test_a_peg_at_both_walls_has_its_width():
    """The left corner lies on the wall, the right side passes through the edge of the mouth, `width` apart."""
    width, gap, down = 11.0, 13.0, 12.0
    tilt = jamming.tilt_at_both_walls(width, gap, down)
    below = gap * np.sin(tilt) + down * np.cos(tilt)
    x, y = jamming.tip_below((gap / 2, 0.0), width, below, tilt)
    across = np.array([np.cos(tilt), -np.sin(tilt)])
    corner = np.array([x, y]) - width / 2 * across
    assert corner == pytest.approx([-gap / 2, -down], abs=1e-3)
    assert (np.array([gap / 2, 0.0]) - corner) @ across == pytest.approx(width)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (([0.4], [0.01, 0.02], [0.0]), "same length"),
        (([0.4], [0.005], [0.0]), "depth must lie"),
        (([0.4], [0.01], [3.0]), "sideways below"),
    ],
)
def test_loads_that_the_diagram_does_not_know_are_refused(given, told):
    with pytest.raises(UserError, match=told):
        JammingSettings(*given)
