"""Identification: what a linear model's data tell in closed form, what they cannot, and on simulations."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wellposed.cli import main
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.filter import Filter
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.identify import LIMIT, fit, half_widths, identify, table
from wellposed.plugin import allow_import
from wellposed.recorded import Recorder, Recording, read_recording, recorder_of, write_recording
from wellposed.rollout.evaluate import play_episodes


def recorded(where: EnvConfig, policy, episodes: int) -> Recording:
    recorder = Recorder(where)
    with closing(make_env(where, episodes, "evaluation", seed=3)) as env:
        play_episodes(policy, recorder.watch(env), list(range(1000, 1000 + episodes)))
    return recorder.recording


def test_the_half_width_of_one_parameter_is_that_of_a_mean():
    slopes = np.full((25, 1), 2.0)
    assert half_widths(slopes, 1.96, 1.0) == pytest.approx([1.96 / (2 * 5)])


def test_two_parameters_that_enter_as_a_product_are_not_told_and_a_third_one_is():
    """Slow pushes tell friction times mass, chapter 10; slides tell friction alone."""
    slow, slide = np.array([[19.62, 19.62, 0.0]] * 10), np.array([[-8.15, 0.0, 0.0]] * 10)
    other = np.array([[0.0, 0.0, 3.0]] * 10)
    both = half_widths(np.concatenate([slow, other]), 1.0, LIMIT)
    assert np.isinf(both[:2]).all()
    assert both[2] == pytest.approx(1 / (3 * np.sqrt(10)))
    told = half_widths(np.concatenate([slow, slide, other]), 1.0, LIMIT)
    friction, product = 1 / (8.15 * np.sqrt(10)), 1 / (19.62 * np.sqrt(10))
    assert told[:2] == pytest.approx([friction, np.hypot(friction, product)])


def linear(truth: np.ndarray, noise: float, alike: float = 0.0):
    """Errors of a linear model around a truth [2], 20 episodes of 30 readings of 3 numbers."""
    rng = np.random.default_rng(0)
    slopes, episodes = rng.standard_normal((600, 3, 2)), np.repeat(np.arange(20), 30)
    off = noise * rng.standard_normal((600, 3)) + alike * rng.standard_normal((20, 1))[episodes] * slopes[..., 0]
    return (lambda at: slopes @ (at - truth) + off), episodes


def test_a_linear_model_is_found_and_its_interval_is_the_closed_form():
    truth = np.array([0.4, -0.7])
    errors_of, episodes = linear(truth, 0.3)
    found = fit(errors_of, np.zeros(3), episodes, 2)
    assert np.abs(found.at - truth).max() < found.spread.max()
    assert found.known.all()
    assert found.spread == pytest.approx(2.093 * 0.3 / np.sqrt(1800), rel=0.4)  # t with 19 degrees of freedom
    assert found.scale == pytest.approx(0.3, rel=0.15)


def test_what_is_alike_within_an_episode_widens_the_interval():
    narrow, wide = (fit(*_for_fit(0.3, alike), 2).spread[0] for alike in (0.0, 0.5))
    assert wide > 5 * narrow


@pytest.mark.slow
@pytest.mark.parametrize(("episodes", "alike"), [(10, 1.0), (5, 0.5), (40, 1.0), (10, 0.0)])
def test_intervals_hold_the_truth_as_often_as_they_say(episodes, alike):
    """With the variance of sums over episodes, uncorrected, 82 to 88 of 100 did where errors are alike."""
    rng, held = np.random.default_rng(1), 0
    of = np.repeat(np.arange(episodes), 20)
    for _ in range(200):
        slopes, truth = rng.standard_normal((episodes, 2))[of], rng.uniform(-0.5, 0.5, 2)
        off = 0.3 * (rng.standard_normal(len(of)) + alike * rng.standard_normal(episodes)[of])
        found = fit(lambda at: (slopes @ (at - truth) + off)[:, None], np.zeros(1), of, 2)  # noqa: B023
        held += (np.abs(found.at - truth) <= found.spread).sum()
    assert 0.92 <= held / 400 <= 0.999


def test_one_episode_is_told_by_its_readings_alone():
    errors_of, _ = linear(np.zeros(2), 0.3)
    found = fit(errors_of, np.zeros(3), np.zeros(600, int), 2)
    assert found.spread == pytest.approx(12.7 * 0.3 / np.sqrt(1800), rel=0.4)  # t with one degree of freedom


def test_what_only_one_of_several_episodes_tells_is_not_known():
    rng, of = np.random.default_rng(0), np.repeat(np.arange(3), 100)
    slopes, off = np.where(of == 0, 1e4, 0.0), 0.3 * rng.standard_normal(300)
    found = fit(lambda at: (slopes * at[0] + off)[:, None], np.zeros(1), of, 1)
    assert not found.known.any()


def _for_fit(noise: float, alike: float):
    errors_of, episodes = linear(np.zeros(2), noise, alike)
    return errors_of, np.zeros(3), episodes


def test_a_parameter_that_changes_nothing_is_not_known():
    errors_of, episodes = linear(np.array([0.3, 0.0]), 0.1)
    found = fit(lambda at: errors_of(np.array([at[0], 0.0])), np.zeros(3), episodes, 2)
    assert list(found.known) == [True, False]
    assert found.at[1] == 0


def test_a_few_wild_readings_do_not_move_the_estimate():
    errors_of, episodes = linear(np.array([0.3, -0.3]), 0.05)
    wild = np.where(np.arange(600) % 50 == 7, 100.0, 0.0)[:, None]
    found = fit(lambda at: errors_of(at) + wild, np.zeros(3), episodes, 2)
    assert found.at == pytest.approx([0.3, -0.3], abs=0.02)


REACH = EnvConfig("FetchReach-v4", max_episode_steps=6, dynamics=Dynamics(gain="0.6"), sensors=Sensors(0.001, delay=1))


def test_a_late_reading_is_compared_with_what_it_is_of():
    exact = replace(REACH, sensors=Sensors(delay=2), control=Control(delay=1))
    found = recorded(exact, ProportionalReach(), 2)
    starts, outcomes, episodes = found.transitions(2)
    assert [list(starts[:3]), list(outcomes[:3])] == [[0, 1, 2], [4, 5, 6]]
    assert [list(starts[3:]), list(outcomes[3:]), list(episodes[3:])] == [[6, 7, 8], [11, 12, 13], [1, 1, 1]]
    assert np.all(found.applied[[0, 6]] == 0), "the first action is under way"
    told = identify(found, ["gain"])
    assert told.parameters[0].estimate == pytest.approx(0.6, rel=1e-3)
    hand = told.gap[0]
    assert (hand.quantity, hand.unit) == ("hand", "m")
    assert hand.identified < 1e-5 < 0.003 < hand.own == hand.without["gain"]


@pytest.mark.slow
def test_the_drive_of_an_arm_is_identified_from_noisy_readings():
    found = identify(recorded(REACH, ProportionalReach(), 6), ["gain"])
    (gain,) = found.parameters
    assert gain.low is not None
    assert gain.high is not None
    assert gain.low < 0.6 < gain.high
    assert gain.estimate == pytest.approx(0.6, rel=0.1)
    assert table(found)[1].startswith("gain       0.")


@pytest.mark.slow
def test_mass_drive_and_damping_of_a_ball_are_told_up_to_a_common_factor():
    """Their force law is mass times acceleration = gain times action - damping times velocity."""
    weaker = Dynamics(mass="0.8", gain="0.8", damping="0.8")
    where = EnvConfig("PointMaze_UMaze-v3", max_episode_steps=40, dynamics=weaker)
    policy = RandomPolicy(2, np.random.default_rng(0))
    found = recorded(where, policy, 4)
    all_three = identify(found, ["mass", "gain", "damping"])
    assert set(all_three.unknown) == {"mass", "gain", "damping"}
    powers = np.array(list(all_three.directions[-1].exponents.values()))
    assert np.abs(powers) == pytest.approx(1 / np.sqrt(3), abs=0.05)
    assert all_three.gap[0].own < 1e-6, "scaling all three changes nothing"
    assert "these data hardly change along" in table(all_three)[4]
    own_mass = replace(where, dynamics=Dynamics(gain="0.8", damping="1.5"))
    two = identify(recorded(own_mass, policy, 4), ["gain", "damping"])
    assert two.unknown == []
    assert [one.estimate for one in two.parameters] == pytest.approx([0.8, 1.5], rel=0.05)


def test_a_recording_is_read_as_it_was_written_and_is_a_file_of_demonstrations(tmp_path):
    found = recorded(REACH, ProportionalReach(), 3)
    write_recording(tmp_path / "r.npz", found)
    again = read_recording(tmp_path / "r.npz")
    assert again.about == found.about
    for one, other in ((found.obs, again.obs), (found.state, again.state)):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert np.array_equal(found.action, again.action)
    assert np.array_equal(found.applied, again.applied)
    with np.load(tmp_path / "r.npz") as file:
        assert len(file["action"]) == len(file["observation"]) == 3 * 7
        assert list(file["length"]) == [6, 6, 6]
    assert len(found.first(2).action) == 12


def test_a_delay_beyond_all_episodes_leaves_no_transition():
    found = recorded(REACH, ProportionalReach(), 2)
    late = replace(found, about=replace(found.about, delay=10**30))
    assert [len(rows) for rows in late.transitions()] == [0, 0, 0]
    with pytest.raises(UserError, match="no episode of more than"):
        identify(late, ["gain"])


def test_the_command_tells_it_and_refuses_what_it_cannot(tmp_path, capsys):
    file = tmp_path / "r.npz"
    write_recording(file, recorded(REACH, ProportionalReach(), 2))
    command = ["reality", "identify", str(file)]
    assert main([*command, "gain", "--episodes", "1"]) == 0
    assert "gain " in capsys.readouterr().out
    for words, said in ((["rate"], "not identified as a factor"), (["gain", "gain"], "each once"), (["mass"], "mass")):
        assert main([*command, *words]) == 1
        assert said in capsys.readouterr().err
    np.savez(tmp_path / "other.npz", observation=np.zeros(3))
    assert main(["reality", "identify", str(tmp_path / "other.npz"), "gain"]) == 1
    assert "is no recording: it lacks about" in capsys.readouterr().err


def test_what_cannot_be_recorded_is_refused_before_anything_is_spent():
    with pytest.raises(UserError, match=r"--env\.filter"):
        recorder_of(replace(REACH, filter=Filter(0.5)))
    allow_import(point := f"{Path(__file__).parent / 'check' / 'point.py'}:Point")
    with pytest.raises(UserError, match="MuJoCo model"):
        recorder_of(EnvConfig(point))
