"""The loop around the hand against closed forms, and against the recursion of the integrator itself."""

from dataclasses import replace

import numpy as np
import pytest

from wellposed.analysis.closed_loop import Hand, Loop, dragged, phase_cost
from wellposed.envs.suites.fetch.model import POSITION_SCALE
from wellposed.envs.suites.fetch.task import FetchTask

HAND = dragged(0.05)
LOOP = Loop(HAND, 0.05, 0.5)
INTEGRATOR = Hand(0.05, 0.0, 0.0, 0.0)  # goes where it is asked to, in one step


def integrated(actions: list[float], length: float = 0.05, eta: float = 0.1) -> np.ndarray:
    """Places after each step by chapter 1's recursion: w+ = (1 - 2 eta) w - eta e, e+ = e + eta w+."""
    place, w, found = 0.0, 0.0, []
    for action in actions:
        target = place + length * action
        for _ in range(20):
            w = (1 - 2 * eta) * w - eta * (place - target)
            place += eta * w
        found.append(place)
    return np.array(found)


def test_the_matrix_of_a_step_is_the_recursion_of_the_integrator():
    actions = [1.0, 0.0, -0.5, 0.3, 0.0, 0.0]
    place = speed = 0.0
    for action, expected in zip(actions, integrated(actions), strict=True):
        place, speed = place + HAND.first * action + HAND.coast * speed, HAND.kick * action + HAND.kept * speed
        assert place == pytest.approx(expected, rel=1e-12)


def test_the_hand_moves_as_chapter_1_derived_and_fetch_says():
    assert pytest.approx(30.80, abs=0.005) == 1000 * HAND.first
    assert pytest.approx(33.2, abs=0.05) == 1000 * HAND.response
    assert integrated([1.0] + [0.0] * 20)[-1] == pytest.approx(HAND.response)
    assert FetchTask.drive.length == POSITION_SCALE
    assert FetchTask.drive.response == pytest.approx(HAND.response / POSITION_SCALE, abs=1e-3)


@pytest.mark.parametrize("delay", [0, 1, 2, 5])
def test_the_largest_gain_around_an_integrator_has_a_closed_form(delay):
    """x' = x + g (r - x[t - d]) is stable up to g = 2 sin(pi / (2 (2 d + 1))): Levin & May (1976), theorem 1."""
    expected = 2 * np.sin(np.pi / (2 * (2 * delay + 1)))
    assert Loop(INTEGRATOR, 0.05, 0.1, 0.0, delay).largest_gain == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("smoothing", "delay"), [(0.0, 0), (0.7, 0), (0.0, 2), (0.5, 1)])
def test_an_error_dies_as_the_largest_pole_says_and_grows_beyond_the_largest_gain(smoothing, delay):
    loop = replace(LOOP, smoothing=smoothing, delay=delay)
    errors = np.abs(loop.errors(np.ones(120)))
    assert errors[80:].max() / errors[40:80].max() == pytest.approx(loop.radius**40, rel=0.5)
    for factor, dies in ((0.98, True), (1.02, False)):
        late = np.abs(replace(loop, gain=factor * loop.largest_gain).errors(np.ones(2000)))
        assert (late[-100:].max() < late[500:600].max()) == dies


@pytest.mark.parametrize(("smoothing", "delay"), [(0.0, 0), (0.8, 0), (0.3, 2)])
def test_no_target_of_that_speed_causes_a_larger_error_than_the_bound_and_one_attains_it(smoothing, delay):
    loop, rng = replace(LOOP, smoothing=smoothing, delay=delay), np.random.default_rng(0)
    bound = loop.error_bound(0.01)
    assert loop.errors(loop.worst_targets(0.01, 200))[-1] == pytest.approx(bound, rel=1e-6)
    for _ in range(20):
        assert np.abs(loop.errors(np.cumsum(rng.uniform(-0.01, 0.01, 100)))).max() <= bound
    assert np.abs(loop.errors(loop.worst_targets(0.011, 200))).max() > bound, "a faster target breaks it"


def test_a_target_that_goes_on_is_followed_at_a_distance_that_no_filter_and_no_delay_changes():
    """A loop with one integrator lags by speed / (gain response) behind a target at constant speed."""
    for smoothing, delay in ((0.0, 0), (0.7, 0), (0.0, 2)):
        errors = replace(LOOP, smoothing=smoothing, delay=delay).errors(0.002 * np.arange(1, 300))
        assert errors[-1] == pytest.approx(0.002 * 0.05 / (0.5 * HAND.response), rel=1e-6)


def test_the_phase_of_a_filter_is_that_of_its_frequency_response():
    for frequency in (0.01, 0.3, 1.0, 3.0):
        for smoothing, delay in ((0.5, 0), (0.9, 2)):
            z = np.exp(1j * frequency)
            answer = (1 - smoothing) / (1 - smoothing / z) * z**-delay
            assert np.exp(-1j * phase_cost(frequency, smoothing, delay)) == pytest.approx(answer / abs(answer))
    assert phase_cost(1e-4, 0.8) / 1e-4 == pytest.approx(4.0, rel=1e-3)


def test_a_loop_that_is_not_stable_has_no_bound():
    assert replace(LOOP, gain=4.0).error_bound(0.01) == np.inf
