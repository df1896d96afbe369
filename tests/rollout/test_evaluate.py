"""Every episode metric by hand, on a corridor whose numbers are known."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from wellposed import envs, stats
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.rollout.evaluate import play_episodes, summarise


class Corridor:
    """A point on a line, moved by its action. Copy i starts at 0 and wants to be at its seed; it ends after 4 steps,
    or at once (terminated) when the seed is 100 or more and the point has passed 2."""

    num_envs, max_episode_steps, geometry = 2, 4, None
    single_action_space = gym.spaces.Box(-1, 1, (1,))

    def reset(self, *, seed, options=None):
        self.position, self.t = np.zeros(2), np.zeros(2, int)
        self.goal = np.array(seed, float)
        return self.obs(), {}

    def obs(self):
        one = lambda x: x[:, None].copy()  # noqa: E731
        return {
            "observation": one(self.position), "achieved_goal": one(self.position), "desired_goal": one(self.goal)
        }  # fmt: skip

    def is_success(self, achieved, desired):
        return np.abs(achieved - desired)[:, 0] < 0.25

    def goal_kinds(self, desired):
        return ["far" if goal[0] > 5 else "near" for goal in desired]

    def step(self, actions):
        applied = np.clip(actions, -1, 1)
        self.position = self.position + applied[:, 0]
        self.t += 1
        last = self.obs()
        success = self.is_success(last["achieved_goal"], last["desired_goal"])
        terminated, truncated = (self.goal >= 100) & (self.position > 2), self.t >= 4
        info = {"is_success": success, "applied_action": applied}
        ended = terminated | truncated
        if ended.any():
            final = np.full(2, None, object)
            for i in np.flatnonzero(ended):
                final[i] = {key: value[i] for key, value in last.items()}
            info |= {"final_obs": final, "_final_obs": ended}
            self.position = np.where(ended, 0.0, self.position)  # same-step autoreset
            self.t = np.where(ended, 0, self.t)
        return self.obs(), np.where(success, 0.0, -1.0), terminated, truncated, info


def corridor() -> Any:
    """It has all of GoalVecEnv that evaluation uses, and no more."""
    return Corridor()


class Script:
    """Plays given actions, [steps]; the same in every copy."""

    def __init__(self, *actions: float):
        self.actions, self.t = actions, 0

    def act(self, obs, deterministic=True):
        self.t += 1
        return np.full((2, 1), self.actions[(self.t - 1) % len(self.actions)])


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


def test_only_the_first_episode_of_a_copy_counts():
    """The first copy terminates after 3 steps and is reset; what it does afterwards is not its episode's."""
    row, other = play_episodes(Script(1.0), corridor(), [100, 4])
    assert (row.length, other.length) == (3, 4)
    assert row.path_length == pytest.approx(3)
    assert row.final_distance == pytest.approx(97)
    assert row.episode_return == -3
    assert other.success


def test_more_seeds_than_copies_and_an_odd_one_out():
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


def test_goals_on_the_table_and_in_the_air_are_told_apart_in_pick_and_place_alone():
    env = envs.make_vec("FetchPickAndPlace-v4", 40)
    goals = env.reset(seed=0)[0]["desired_goal"]
    kinds = np.array(env.goal_kinds(goals))
    assert np.ptp(goals[kinds == "table", 2]) < 1e-9
    assert goals[kinds == "air", 2].min() > goals[kinds == "table", 2].max()
    assert 10 < (kinds == "air").sum() < 30
    assert set(envs.make_vec("FetchPush-v4", 3).goal_kinds(goals[:3])) == {""}


def test_a_mean_over_no_episode_is_left_out_not_zero():
    total = summarise(play_episodes(Script(0.0), corridor(), [7, 7]), step=0, updates=0, seconds=0.0)
    assert "time_to_success" not in total.means


def test_the_result_does_not_depend_on_how_many_play_at_once():
    policy = ProportionalReach(gain=0.3)
    seeds = [5, 6, 7, 8, 9, 10, 11]
    alone, together = (play_episodes(policy, envs.make_vec("FetchReach-v4", n), seeds) for n in (1, 7))
    assert alone == together
    assert all(row.success for row in alone)
