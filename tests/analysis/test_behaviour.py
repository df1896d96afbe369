"""Paths are compared without their speeds; two known solutions are called two, and one is called one."""

from typing import Any

import numpy as np
import pytest

from tests.analysis.detour import DETOUR, Detour, Goes
from wellposed.analysis.behaviour import behaviours, frechet, grouped
from wellposed.study.uniqueness import paths_of


def test_a_path_walked_at_another_speed_is_the_same_and_one_beside_it_is_as_far_as_it_lies():
    t = np.linspace(0, 1, 20)
    line = np.stack([t, 0 * t], axis=1)
    late = line[np.minimum(np.arange(30), 19)]  # it waits at its end
    assert frechet(line, late) == 0
    assert frechet(line, line + np.array([0, 0.3])) == pytest.approx(0.3)
    assert frechet(line, line[::-1]) == pytest.approx(1.0)  # the same places in another order
    assert np.abs(line - line[::-1]).max() == pytest.approx(1.0)


def test_members_that_others_link_are_one_group():
    alike = np.eye(4, dtype=bool)
    alike[0, 2] = alike[2, 0] = alike[2, 3] = alike[3, 2] = True
    assert grouped(alike) == [[0, 2, 3], [1]]


def played(*sides: int) -> np.ndarray:
    env: Any = Detour()  # it has of `VecEnv` what a path needs
    return np.array([paths_of(Goes(side, seed), env, list(range(12))) for seed, side in enumerate(sides)])


def test_two_ways_around_an_obstacle_are_two_solutions():
    found = behaviours(played(1, -1, 1, 1, -1), [0, 1, 2, 3, 4], DETOUR.radius or 1.0)
    assert found.groups == [[0, 2, 3], [1, 4]]
    assert (found.count.value, *found.count.ci95) == (2, 2, 2)
    assert found.different[0][1] == 1.0
    assert found.different[0][2] == 0.0


def test_one_way_at_different_speeds_is_one_solution():
    found = behaviours(played(1, 1, 1, 1), [0, 1, 2, 3], DETOUR.radius or 1.0)
    assert found.groups == [[0, 1, 2, 3]]
    assert found.count.ci95 == (1, 1)


def test_seeds_that_differ_in_half_of_the_episodes_leave_the_number_open():
    paths = played(1, 1)
    paths[1, ::2] = played(1, -1)[1, ::2]
    found = behaviours(paths, [0, 1], DETOUR.radius or 1.0)
    assert found.different[0][1] == 0.5
    assert found.count.ci95 == (1, 2)
