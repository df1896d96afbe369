"""Evaluation on the Fetch tasks."""

import numpy as np

from wellposed.envs import make_vec
from wellposed.envs.suites.fetch.oracle import ProportionalReach
from wellposed.rollout.evaluate import play_episodes


def test_goals_on_the_table_and_in_the_air_are_told_apart_in_pick_and_place_alone():
    env = make_vec("FetchPickAndPlace-v4", 40).inner
    goals = env.reset(seed=0).truth["desired_goal"]
    kinds = np.array(env.goal_kinds(goals))
    assert np.ptp(goals[kinds == "table", 2]) < 1e-9
    assert goals[kinds == "air", 2].min() > goals[kinds == "table", 2].max()
    assert 10 < (kinds == "air").sum() < 30
    assert set(make_vec("FetchPush-v4", 3).inner.goal_kinds(goals[:3])) == {""}


def test_the_result_does_not_depend_on_how_many_play_at_once():
    policy = ProportionalReach(gain=0.3)
    seeds = [5, 6, 7, 8, 9, 10, 11]
    alone, together = (play_episodes(policy, make_vec("FetchReach-v4", n), seeds) for n in (1, 7))
    assert alone == together
    assert all(row.success for row in alone)
