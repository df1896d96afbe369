"""Every episode metric by hand, on a corridor whose numbers are known."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from tests.rollout.corridor import SPEC, Corridor, Script, corridor
from wellposed import stats
from wellposed.envs.gymnasium_edge import GymnasiumVecEnv
from wellposed.rollout.evaluate import play_episodes, summarise
from wellposed.types import Geometry, Moment


def test_each_metric_by_hand():
    """Actions 1, 3 (clipped to 1), 0, 0.5: the point goes to 1, 2, 2, 2.5; the goal is 2."""
    row, far = play_episodes(Script(1.0, 3.0, 0.0, 0.5), corridor(), [2, 7])
    assert (row.seed, row.length) == (2, 4)
    assert not row.success  # it was there, and left again
    assert row.any_success
    assert row.episode_return == -2
    assert row.final_distance == pytest.approx(0.5)
    assert row.time_to_success == 2
    assert row.action_change == pytest.approx((0 + 1 + 0.25) / 3)
    assert row.action_jerk == pytest.approx(((-1 - 0) ** 2 + (0.5 + 1) ** 2) / 2)
    assert row.action_energy == pytest.approx(1 + 1 + 0 + 0.25)
    assert row.peak_action == 1  # what reached the simulator, not the 3 that was asked for
    assert row.path_length == pytest.approx(2.5)
    assert not row.already_solved
    assert far.time_to_success is None
    assert not far.any_success


def test_a_goal_met_at_reset_is_told_apart():
    row, _ = play_episodes(Script(0.0), corridor(), [0, 7])
    assert row.already_solved
    assert row.success
    assert row.time_to_success == 0


def test_only_the_first_episode_of_an_env_counts():
    """The first env terminates after 3 steps and is reset; what it does afterwards is not its episode's."""
    row, other = play_episodes(Script(1.0), corridor(), [100, 4])
    assert (row.length, other.length) == (3, 4)
    assert row.path_length == pytest.approx(3)
    assert (row.action_energy, other.action_energy) == (3, 4)
    assert row.final_distance == pytest.approx(97)
    assert row.episode_return == -3
    assert row.drawn == {"pull": 50.0}
    assert other.success


class Passing(Corridor):
    """A goal of 103 is at 3, and ends the episode."""

    def is_success(self, achieved, desired):
        return super().is_success(achieved, desired % 100)


@pytest.mark.parametrize(("last", "stays"), [(0.0, True), (1.0, False)])
def test_an_episode_that_is_kept_running_is_the_one_that_ended_and_then_goes_on_to_its_limit(last, stays):
    seeds, policy, made = [103, 7], Script(1.0, 1.0, 1.0, last), cast(Any, Passing)
    ended, missed = play_episodes(policy, made(), seeds)
    row, other = play_episodes(policy, made(kept=True), seeds)
    assert (ended.length, ended.success, ended.success_at_limit) == (3, True, None)
    assert row == replace(ended, success_at_limit=stays)
    assert other == replace(missed, success_at_limit=False)
    summed = [summarise(rows, step=0, updates=0, seconds=0.0) for rows in ([row, other], [ended, missed])]
    assert summed[1].success_at_limit is None
    assert summed[0].success_at_limit is not None
    assert summed[0].success_at_limit.value == stays / 2
    assert replace(summed[0], success_at_limit=None) == summed[1]


def test_what_is_seen_does_not_enter_what_is_measured():
    plain, biased = (play_episodes(Script(1.0, 0.5), corridor(bias), [2, 0, 100, 4]) for bias in (0.0, 50.0))
    assert plain == biased


def test_with_a_geometry_the_path_is_that_of_the_effector():
    """Its position stands in the observation; here that is where the point is, and the achieved goal stays behind."""
    env = corridor()
    env.spec = SPEC._replace(geometry=Geometry((0,), ((0,),), (), None))
    moment = env.moment
    env.moment = lambda: Moment(*({**m, "achieved_goal": 0 * m["achieved_goal"]} for m in moment()))
    row, _ = play_episodes(Script(1.0), env, [7, 7])
    assert row.path_length == pytest.approx(4)
    assert row.final_distance == pytest.approx(7)


def test_a_policy_begins_each_episode_with_a_fresh_carry():
    """Each episode goes three steps ahead and stops; a memory that went on into the next would stop sooner."""
    rows = play_episodes(Script(1.0, 1.0, 1.0, 0.0, 0.0), corridor(), [3, 100, 3, 3])
    assert [row.path_length for row in rows] == [3, 3, 3, 3]


def test_it_explores_with_a_generator_and_not_without():
    play = lambda rng: play_episodes(Script(0.5), corridor(), [2, 2], rng=rng)  # noqa: E731
    assert play(None)[0].path_length == 2
    assert play(np.random.default_rng(0)) == play(np.random.default_rng(0))
    assert play(np.random.default_rng(0)) != play(None)


def test_the_gymnasium_adapter_is_played_through_what_it_adapts():
    assert play_episodes(Script(1.0), GymnasiumVecEnv(corridor()), [4, 7]) == play_episodes(
        Script(1.0), corridor(), [4, 7]
    )


def test_every_step_is_told_of():
    steps = []
    play_episodes(Script(1.0), corridor(), [4, 7, 4], on_step=lambda: steps.append(1))
    assert len(steps) == 8


def test_more_seeds_than_envs_and_an_odd_one_out():
    rows = play_episodes(Script(1.0), corridor(), [4, 7, 4])
    assert [row.seed for row in rows] == [4, 7, 4]
    assert [row.success for row in rows] == [True, False, True]


def test_the_sum_of_episodes_carries_the_right_intervals():
    rows = play_episodes(Script(1.0), corridor(), [4, 7, 4, 0])
    total = summarise(rows, step=10, updates=5, seconds=1.5)
    assert total.success_rate == 0.5
    assert total.success_ci95 == tuple(stats.wilson(2, 4)[1:])
    assert total.already_solved_rate == 0.25
    assert total.any_success.value == 0.75
    assert total.means["time_to_success"].value == pytest.approx((4 + 4 + 0) / 3)
    assert total.means["episode_return"].value == pytest.approx(np.mean([row.episode_return for row in rows]))


def test_success_is_told_apart_by_the_kind_of_goal():
    total = summarise(play_episodes(Script(1.0), corridor(), [4, 7, 3, 4]), step=0, updates=0, seconds=0.0)
    assert {kind: e.value for kind, e in total.success_by_kind.items()} == {"far": 0.0, "near": pytest.approx(2 / 3)}
    assert total.success_by_kind["near"].ci95 == tuple(stats.wilson(2, 3)[1:])


def test_a_mean_over_no_episode_is_left_out_not_zero():
    total = summarise(play_episodes(Script(0.0), corridor(), [7, 7]), step=0, updates=0, seconds=0.0)
    assert "time_to_success" not in total.means
