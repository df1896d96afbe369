"""A peg's forces in each state of contact, against statics."""

import pytest

from course.measure import MEASUREMENTS
from course.measure.contact import ContactSettings
from course.measure.kinds import Context
from wellposed import serialise
from wellposed.envs.suites.peg import model
from wellposed.errors import UserError


def measured(clearance=3e-4):
    return MEASUREMENTS["contact"].measure(ContactSettings(clearance, [0.002], [0.2]), Context(1, {}))


@pytest.mark.slow
def test_forces_are_those_of_statics():
    found = measured()
    assert found.furthest < 0.15
    due = {row.state: row.predicted for row in found.rows}
    assert due["on the plate"] == pytest.approx(3.0)  # 1.5 mm of 2 N/mm
    assert due["2 mm off the hole along an axis"] == pytest.approx(8 + 0.3 / 4 - 2 / 2)  # w/2 + c/4 - e/2
    assert due["at one wall, 12 mm deep"] == pytest.approx(88.0)
    assert due["at both walls, 19.5 mm deep"] == pytest.approx(40 * 3e-4 / (0.0195 * 0.0805))
    assert due["2 mm off the hole along the diagonal"] is None
    assert serialise.from_dict(type(found), serialise.to_dict(found), "here") == found


@pytest.mark.slow
def test_another_wrist_than_statics_was_told_of_is_found(monkeypatch):
    """The model was compiled before, with the wrist's own stiffness."""
    measured()
    monkeypatch.setattr(model, "TURNING_STIFFNESS", 20.0)
    assert measured().furthest > 0.5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"clearance": 2e-3}, "clearance must be"),
        ({"off": [1e-4]}, "off lengths"),
        ({"friction": [0.0]}, "friction must be"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, told):
    with pytest.raises(UserError, match=told):
        ContactSettings(**({"clearance": 3e-4, "off": [1e-3], "friction": [0.2]} | change))
