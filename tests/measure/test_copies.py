"""Steps per second are those of all copies together, and the numbers of copies take turns."""

from types import SimpleNamespace

import numpy as np
import pytest

from course.measure import MEASUREMENTS, copies
from course.measure.copies import CopiesSettings
from course.measure.kinds import Context
from wellposed import serialise
from wellposed.errors import UserError

FIXED, EACH = 0.010, 0.001  # seconds of a call, and of each copy in it


@pytest.fixture
def clock(monkeypatch):
    """A clock that only steps of an environment move, and the numbers of copies as they were made."""
    told = SimpleNamespace(now=0.0, made=[])

    def make_env(_config, n, _role, **_):
        told.made.append(n)

        def step(action):
            assert action.shape == (n, 3)
            told.now += FIXED + EACH * n

        return SimpleNamespace(
            num_envs=n, spec=SimpleNamespace(action_dim=3), reset=lambda _: None, step=step, close=lambda: None
        )

    monkeypatch.setattr(copies, "make_env", make_env)
    monkeypatch.setattr(copies, "time", SimpleNamespace(perf_counter=lambda: told.now))
    return told


def test_the_rate_is_that_of_a_fixed_time_and_one_for_each_copy(clock):
    found = MEASUREMENTS["copies"].measure(CopiesSettings("Any-v0", [1, 10, 100]), Context(2, {}))
    rates = np.array([row.steps_per_second for row in found.rows])
    assert rates == pytest.approx([n / (FIXED + EACH * n) for n in (1, 10, 100)])
    assert [row.gain for row in found.rows] == pytest.approx(rates / rates[0])
    assert [row.milliseconds for row in found.rows] == pytest.approx([11, 20, 110])
    assert clock.made == [1, 10, 100] * copies.ROUNDS
    assert serialise.from_dict(type(found), serialise.to_dict(found), "here") == found


@pytest.mark.parametrize(("numbers", "seconds"), [([], 1.0), ([8, 1], 1.0), ([0, 1], 1.0), ([1], 0.0)])
def test_settings_that_make_no_sense_are_refused(numbers, seconds):
    with pytest.raises(UserError, match="must be"):
        CopiesSettings("PegProbe-v0", numbers, seconds)
