"""What an action does: the response of the hand and of the gripper, and that another response would be seen."""

import numpy as np
import pytest

from wellposed import envs
from wellposed.anatomy import Gripper, Motion, motion
from wellposed.anatomy.motion import displacement_per_action, measure_gripper, measure_motion
from wellposed.envs.suites.fetch.task import FetchTask


@pytest.fixture(autouse=True)
def _few_states(monkeypatch):
    monkeypatch.setattr(motion, "STATES", 3)
    monkeypatch.setattr(motion, "GRIP_STEPS", 10)


def moved(env_id: str = "FetchReach-v4") -> Motion:
    quantities = envs.find(env_id).quantities
    assert quantities is not None
    return measure_motion(env_id, quantities, 1, 0)


def gripped(env_id: str) -> Gripper:
    quantities = envs.find(env_id).quantities
    assert quantities is not None
    return measure_gripper(env_id, quantities, 1, 0)


def other_actions(monkeypatch, change) -> None:
    """Let the physics get other actions than those asked for."""
    original = FetchTask.control
    monkeypatch.setattr(FetchTask, "control", lambda self, readings, action: original(self, readings, change(action)))


def test_the_fit_is_least_squares_through_the_origin_each_axis_on_its_own():
    rng = np.random.default_rng(0)
    hand, action = rng.normal(size=(200, 3)), rng.uniform(-1, 1, (200, 4))
    next_hand = hand + action[:, :3] * [0.03, -0.02, 0.0] + 0.01 * rng.normal(size=(200, 3)) + 0.002
    fits = [np.linalg.lstsq(action[:, [i]], (next_hand - hand)[:, i], rcond=None)[0][0] for i in range(3)]
    assert displacement_per_action(hand, action, next_hand) == pytest.approx(fits, rel=1e-12)


def test_the_hand_goes_where_it_is_asked_to_but_not_as_far():
    """Asked for 5 cm by a unit of action, it goes about 3 in the step, in proportion, and along no other axis."""
    found = moved()
    assert [one.axis for one in found.responses] == ["x", "y", "z"]
    for one in found.responses:
        assert 0.02 < one.first_step < one.settled < 0.04
        assert one.first_step_spread < 0.1 * one.first_step
        assert one.half == pytest.approx(1, abs=0.01)
        assert one.cross_talk < 0.02
    assert found.others == 0  # Reach blocks its gripper
    sinking = 0.05 * 9.81 * 0.02**2 * weld(20) / 0.05  # a twentieth of its weight is not carried; chapter 1
    assert found.drift[2] == pytest.approx(-sinking, rel=0.2)
    assert np.abs(found.drift[:2]).max() < sinking / 2
    assert found.random_play == pytest.approx([one.first_step for one in found.responses], rel=0.1)


def weld(substeps: int) -> float:
    """Metres that MuJoCo's weld drags a free body in a number of substeps, towards a target 5 cm away.

    Its `solref` of 0.02 s and damping ratio 1 is a critically damped spring whatever it drags; the integrator takes
    velocities first. Chapter 1 derives it.
    """
    eta = 0.002 / 0.02
    middle, half = 1 - eta - eta**2 / 2, eta * np.sqrt(eta + eta**2 / 4)
    slow, fast = middle + half, middle - half
    share = (1 - eta**2 - fast) / (slow - fast)
    return 0.05 * (1 - share * slow**substeps - (1 - share) * fast**substeps)


def test_the_displacement_is_that_of_a_critically_damped_weld():
    """Sidewards, where the arm is in nobody's way; PickAndPlace reads its positions a substep early."""
    assert moved().responses[1].first_step == pytest.approx(weld(20), rel=1e-3)
    assert moved("FetchPickAndPlace-v4").responses[1].first_step == pytest.approx(weld(19), rel=2e-3)
    assert weld(20) == pytest.approx(0.030796, abs=1e-6)
    assert 0.05 * (1 - 3 * np.exp(-2)) == pytest.approx(0.0297, abs=1e-5)  # in continuous time: 4 % less


def test_axes_in_another_order_and_another_sign_are_seen(monkeypatch):
    other_actions(monkeypatch, lambda actions: actions[:, [1, 0, 2, 3]] * np.array([1, -1, 1, 1], np.float32))
    found = moved()
    assert [one.axis for one in found.responses] == ["y", "x", "z"]
    assert found.responses[0].first_step < -0.02 < 0.02 < found.responses[1].first_step


def test_an_action_that_saturates_and_one_that_leaks_are_seen(monkeypatch):
    leak = np.eye(4, dtype=np.float32)
    leak[0, 1] = 0.3  # a push along x goes along y too
    other_actions(monkeypatch, lambda actions: np.clip(actions, -0.6, 0.6) @ leak)
    found = moved()
    assert found.responses[0].cross_talk == pytest.approx(0.3, abs=0.05)
    assert found.responses[1].half == pytest.approx(1 / 0.6, abs=0.05)


def test_positive_actions_open_the_gripper_and_small_ones_already_do():
    found = gripped("FetchPickAndPlace-v4")
    assert found.opens == "positive"
    assert found.widest == pytest.approx(0.1, abs=1e-3)
    assert found.narrowest == pytest.approx(0, abs=1e-4)
    widths = {row.action: row for row in found.widths}
    assert widths[0.01].closed_first_step == pytest.approx(2 * widths[0.005].closed_first_step, rel=0.01)
    assert widths[1.0].closed_first_step == widths[0.2].closed_first_step  # the actuator's range ends there
    assert widths[-1.0].open_settled < 1e-4
    assert widths[0.0].open_settled == pytest.approx(0.1, abs=1e-3)


def test_a_gripper_of_the_other_sign_and_a_blocked_one_are_seen(monkeypatch):
    monkeypatch.setattr(motion, "GRIP_ACTIONS", (-1.0, 1.0))
    assert gripped("FetchReach-v4").opens == "neither"
    other_actions(monkeypatch, lambda actions: -actions)
    assert gripped("FetchPickAndPlace-v4").opens == "negative"
