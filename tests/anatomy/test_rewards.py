"""Reward and success as functions of two goals: the rule is found, and an environment that breaks it is found out."""

import gymnasium as gym
import numpy as np
import pytest

from tests.check.point import Point
from tests.check.sound import Dense, DenseWithInfoOnly, OwnTest
from wellposed.anatomy import Agreement, Rule
from wellposed.anatomy.rewards import agreement, distances, find_rule
from wellposed.envs import evidence
from wellposed.envs.evidence import Evidence
from wellposed.envs.rules import Subject


@pytest.fixture(autouse=True)
def _explored_briefly(monkeypatch):
    monkeypatch.setattr(evidence, "STEPS", 800)


def examined(env: type[gym.Env]) -> tuple[Rule, Agreement]:
    ev = Evidence(Subject(env.__name__, env), 0, 0.95)
    rule, formula = find_rule(ev, "m")
    return rule, agreement(ev, rule, formula)


class RewardOfTheGoalBefore(OwnTest):
    """One step late."""

    def step(self, action):
        before = self.observe()
        obs, _, *rest = super().step(action)
        return obs, self.reward_of(before, action), *rest


class PaysForForce(Dense):
    """What a step costs is in its reward, and in no function of goals."""

    def reward_of(self, obs, action):
        return super().reward_of(obs, action) - 1e-3 * float(np.abs(action).sum())


class GenerousNearOneGoal(OwnTest):
    """Sparse with 0.1 m, but 0.2 m for goals to the right."""

    def compute_reward(self, achieved, desired, info):
        radius = np.where(desired[..., 0] > 0.3, 2 * self.radius, self.radius)
        return -(self.distance(achieved, desired) >= radius).astype(np.float64)


def test_a_sparse_rule_is_found_with_its_threshold_and_holds_everywhere():
    rule, found = examined(OwnTest)
    assert (rule.kind, rule.lowest, rule.highest) == ("sparse", -1.0, 0.0)
    assert rule.threshold == pytest.approx(Point.radius, rel=1e-6)
    assert rule.formula == "-1 farther than 0.1 m from the goal, 0 otherwise"
    assert found.transitions >= 1_000
    assert found.goals >= 500
    assert found.telling > 0
    assert (found.recomputed_mismatches, found.formula_mismatches, found.goal_mismatches) == (0, 0, 0)
    assert (found.success_mismatches, found.largest_difference, found.goal_largest_difference) == (0, 0.0, 0.0)
    assert found.mismatches == 0


def test_a_dense_rule_is_minus_the_distance_to_the_last_bits():
    rule, found = examined(Dense)
    assert (rule.kind, rule.formula) == ("dense", "minus the distance")
    assert (found.recomputed_mismatches, found.formula_mismatches, found.goal_mismatches) == (0, 0, 0)
    assert found.largest_difference is not None
    assert found.largest_difference < 1e-15


def test_a_reward_that_is_one_step_late_is_found_out():
    _, found = examined(RewardOfTheGoalBefore)
    assert found.recomputed_mismatches == found.formula_mismatches == found.telling > 0
    assert found.goal_mismatches == 0


def test_a_reward_with_more_in_it_than_goals_is_found_out():
    _, found = examined(PaysForForce)
    assert found.recomputed_mismatches == found.formula_mismatches == found.transitions
    assert found.goal_mismatches == 0


def test_a_threshold_that_is_not_the_same_everywhere_is_found_out():
    _, found = examined(GenerousNearOneGoal)
    assert found.recomputed_mismatches == 0
    assert found.formula_mismatches
    assert found.goal_mismatches
    assert found.success_mismatches == 0  # it tells of success by the smaller one everywhere
    assert found.mismatches == found.formula_mismatches + found.goal_mismatches


def test_a_reward_of_another_shape_gets_no_formula():
    rule, found = examined(DenseWithInfoOnly)
    assert (rule.formula, found.formula_mismatches, found.goal_mismatches) == ("", None, None)
    assert found.recomputed_mismatches == 0


def test_distances_are_those_of_pythagoras():
    left = np.array([[3.0, 4.0, 0.0], [1.0, 1.0, 1.0]])
    assert distances(left, np.array([[0.0, 0.0, 12.0], [1.0, 1.0, 1.0]])).tolist() == [13.0, 0.0]
