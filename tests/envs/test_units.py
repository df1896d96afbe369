"""Scales of an environment: floors that are ratios, and the range of returns."""

from contextlib import closing

import numpy as np
import pytest

from tests.check.point import Point
from wellposed.check.subject import find_subject
from wellposed.envs.evidence import Evidence
from wellposed.envs.rules import Subject
from wellposed.units import (
    Units,
    goal_floor,
    goal_worth,
    moved,
    observation_floors,
    radius_like_fetch,
    return_range,
    still,
)


def units(name: str, kind: type | None = None) -> Units:
    with closing(Evidence(find_subject(name) if kind is None else Subject(name, kind))) as evidence:
        return evidence.units


@pytest.mark.slow
def test_the_ratios_give_on_fetch_what_was_found_good_there():
    found = units("FetchPush-v4")
    assert (found.radius, found.reward_range, found.sparse) == (0.05, (-1.0, 0.0), True)
    assert (goal_floor(found.radius), moved(found.radius), still(found.radius)) == (1e-3, 0.01, 1e-3)  # to the last bit


class Scaled(Point):
    """The same in another unit, rewarded otherwise."""

    unit, low, high = 1e-5, 2.0, 5.0

    def observe(self):
        obs = super().observe()
        return {"observation": obs["observation"], **{k: obs[k] * self.unit for k in ("achieved_goal", "desired_goal")}}

    def compute_reward(self, achieved, desired, info):
        there = self.distance(achieved, desired) < self.radius * self.unit
        return np.where(there, self.high, self.low)

    def told(self, obs):
        return {}


class SaysWhereItEnds(Point):
    def compute_terminated(self, achieved, desired, info):
        return np.zeros(np.shape(achieved)[:-1], bool)


def test_nothing_is_explored_to_find_out_what_the_environment_says():
    explored = {}
    for kind in (Point, SaysWhereItEnds):
        with closing(Evidence(Subject(kind.__name__, kind))) as evidence:
            evidence.measured()
            explored[kind] = {"random", "held", "directed"} & vars(evidence).keys()
    assert explored == {Point: {"random", "held", "directed"}, SaysWhereItEnds: {"random"}}


def test_every_scale_follows_the_unit_of_goals_and_none_of_the_observation_does():
    metres, small = units("Point", Point), units("Scaled", Scaled)
    assert (small.reward_range, small.sparse) == ((2.0, 5.0), True)
    assert (metres.radius, small.radius) == (0.1, 1e-6)
    assert small.goal_spread == pytest.approx([Scaled.unit * s for s in metres.goal_spread])
    assert small.observation_floor == pytest.approx(metres.observation_floor, rel=1e-5)


def test_observation_floors_are_to_their_spread_what_the_floor_of_goals_is_to_theirs():
    floors = observation_floors(0.05, np.array([0.1, 0.1]), np.array([0.1, 1.0, 0.01, 0.0, 1e-12]))
    assert floors[:3] == pytest.approx([1e-3, 1e-2, 1e-4])
    assert floors[3] == floors[4] > 1e-12  # what is constant but for its last bits is not blown up
    assert observation_floors(0.05, np.array([0.1]), np.zeros(3)) == (1e-3,) * 3


def test_without_a_radius_the_spread_of_goals_takes_its_place_as_on_fetch():
    assert radius_like_fetch(np.array([0.09, 0.12])) == pytest.approx(0.05)


def test_the_maze_of_the_readme_has_returns_from_0_to_20():
    assert return_range(units("PointMaze_UMaze-v3").reward_range, 0.95) == pytest.approx((0.0, 20.0))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.95, 0.98, 0.99])
def test_the_range_of_returns_is_that_of_constant_rewards(gamma):
    found = return_range((-1.0, 0.0), gamma)
    assert found == (-1 / (1 - gamma), 0.0)  # to the last bit
    assert np.signbit(found).tolist() == [True, False]
    for low, high in ((0.0, 1.0), (-3.0, 4.0)):
        assert return_range((low, high), gamma) == pytest.approx((low / (1 - gamma), high / (1 - gamma)))


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.0), (0.0, 1.0), (2.0, 5.0), (-3.0, 4.0), (-5.0, -2.0)])
def test_where_episodes_end_no_number_of_steps_leaves_the_range(low, high):
    gamma, rng = 0.9, np.random.default_rng(0)
    least, greatest = return_range((low, high), gamma)
    for k in (1, 2, 50):
        for rewards in (np.full(k, low), np.full(k, high), rng.uniform(low, high, k)):
            assert least - 1e-9 <= (rewards * gamma ** np.arange(k)).sum() <= greatest + 1e-9


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize(("at_goal", "elsewhere"), [(0.0, -1.0), (1.0, 0.0), (1.0, 0.04), (1.0, 0.06), (3.0, 2.0)])
@pytest.mark.parametrize("paid", [0.0, 0.02, 0.9])
def test_what_the_goal_is_worth_decides_whether_the_best_policy_goes_there(at_goal, elsewhere, ends, paid):
    """Going there now against never going, with an entropy bonus for that; returns are summed step by step."""
    gamma, steps = 0.95, 2_000
    discounts = gamma ** np.arange(steps)
    going = at_goal * (discounts[:1] if ends else discounts).sum()
    never = (elsewhere + paid) * discounts.sum()
    assert (going > never) == (goal_worth(at_goal, elsewhere, ends, gamma) > paid)
