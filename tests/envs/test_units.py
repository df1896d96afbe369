"""Scales of an environment: floors that are ratios, and the range of returns."""

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest

from tests.check.point import Point
from wellposed.check.subject import find_subject
from wellposed.envs.evidence import Evidence
from wellposed.envs.rules import Subject
from wellposed.envs.units import Units, observation_floors, return_range

SPARSE = Units(-1.0, 0.0, True, 0.05, (0.1, 0.1), ())


def units(name: str, kind: type | None = None) -> Units:
    with closing(Evidence(find_subject(name) if kind is None else Subject(name, kind))) as evidence:
        return evidence.units


def test_the_ratios_give_on_fetch_what_was_found_good_there():
    found = units("FetchPush-v4")
    assert (found.radius, found.reward_low, found.reward_high, found.sparse) == (0.05, -1.0, 0.0, True)
    assert (found.goal_floor, found.moved, found.still) == (1e-3, 0.01, 1e-3)  # to the last bit


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


def test_every_scale_follows_the_unit_of_goals_and_none_of_the_observation_does():
    metres, small = units("Point", Point), units("Scaled", Scaled)
    assert (small.reward_low, small.reward_high, small.sparse) == (2.0, 5.0, True)
    assert (metres.radius, small.radius) == (0.1, 1e-6)
    assert small.goal_floor == pytest.approx(Scaled.unit * metres.goal_floor)
    assert small.goal_spread == pytest.approx([Scaled.unit * s for s in metres.goal_spread])
    assert small.observation_floor == pytest.approx(metres.observation_floor, rel=1e-5)


def test_observation_floors_are_to_their_spread_what_the_floor_of_goals_is_to_theirs():
    floors = observation_floors(1e-3, np.array([0.1, 0.1]), np.array([0.1, 1.0, 0.01, 0.0, 1e-12]))
    assert floors[:3] == pytest.approx([1e-3, 1e-2, 1e-4])
    assert floors[3] == floors[4] > 1e-12  # what is constant but for its last bits is not blown up
    assert observation_floors(1e-3, np.array([0.1]), np.zeros(3)) == (1e-3,) * 3


def test_without_a_radius_the_spread_of_goals_takes_its_place_as_on_fetch():
    unknown = replace(SPARSE, radius=None, goal_spread=(0.09, 0.12))
    assert unknown.length == pytest.approx(0.05)
    assert unknown.goal_floor == pytest.approx(0.15 / 150)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.95, 0.98, 0.99])
def test_the_range_of_returns_is_reached_by_constant_rewards_and_left_by_none(gamma):
    assert return_range(SPARSE, gamma) == (-1 / (1 - gamma), 0.0)  # to the last bit
    assert np.signbit(return_range(SPARSE, gamma)).tolist() == [True, False]
    for low, high in ((0.0, 1.0), (2.0, 5.0), (-3.0, 4.0)):
        assert return_range(replace(SPARSE, reward_low=low, reward_high=high), gamma) == pytest.approx(
            (low / (1 - gamma), high / (1 - gamma))
        )


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.0), (0.0, 1.0), (2.0, 5.0), (-3.0, 4.0), (-5.0, -2.0)])
def test_where_episodes_end_at_the_goal_no_number_of_steps_to_it_leaves_the_range(low, high):
    gamma = 0.9
    sparse = replace(SPARSE, reward_low=low, reward_high=high)
    returns = [sum(low * gamma**t for t in range(k)) + high * gamma**k for k in range(400)]
    assert return_range(sparse, gamma, ends_at_goal=True) == pytest.approx((min(returns), max(returns)))
    rng, dense = np.random.default_rng(0), replace(sparse, sparse=False)
    least, greatest = return_range(dense, gamma, ends_at_goal=True)
    for k in (1, 2, 50):
        for rewards in (np.full(k, low), np.full(k, high), rng.uniform(low, high, k)):
            assert least - 1e-9 <= (rewards * gamma ** np.arange(k)).sum() <= greatest + 1e-9
