"""What training episodes come to, by hand."""

import numpy as np
import pytest

from tests.rollout.corridor import SPEC, Corridor
from wellposed.arrays import same_bits
from wellposed.errors import UserError
from wellposed.rollout.collector import EpisodeStatistics
from wellposed.units import moved


def played(radius: float | None = 5.0, bias: float = 0.0, actions=(1.0, 1.0, 1.0, 0.0), steps: int = 4):
    """Env 0 wants to 3 and is cut after four steps, env 1 to 100 and ends after three."""
    env = Corridor(bias)
    env.spec = env.spec._replace(radius=radius)
    statistics = EpisodeStatistics(env.spec, env.reset(seed=[3, 100]))
    for t in range(steps):
        step = env.step(np.full((2, 1), actions[t % len(actions)]))
        statistics.add(step, env.now)
    return statistics


@pytest.mark.parametrize("bias", [0.0, 50.0])
def test_means_of_ended_episodes(bias):
    found = played(bias=bias).drain()
    assert found == {
        "rollout/success_rate": 0.5,
        "rollout/return": -2.5,
        "rollout/moved_rate": 1.0,
        "rollout/action_max": 1.0,
    }


def test_only_episodes_that_ended_count_and_only_once():
    statistics = played(steps=2)
    assert statistics.drain() == {}
    statistics = played(steps=3)
    assert statistics.drain()["rollout/return"] == -3
    assert statistics.drain() == {}


def test_to_have_moved_is_a_fifth_of_the_radius_from_the_start_of_the_own_episode():
    """In four steps of 0.4 the point moves 1.6."""
    assert played(radius=7.99, actions=(0.4,)).drain()["rollout/moved_rate"] == 1.0
    assert played(radius=8.01, actions=(0.4,)).drain()["rollout/moved_rate"] == 0.0
    assert moved(0.05) == 0.01
    moves_in_the_first_of_two = (1.0, 0, 0, 0, 0, 0, 0, 0)
    assert played(radius=4, actions=moves_in_the_first_of_two, steps=8).drain()["rollout/moved_rate"] == 0.5


def test_without_a_radius_nothing_is_said_to_have_moved():
    assert played(radius=None).drain().keys() == {"rollout/success_rate", "rollout/return", "rollout/action_max"}


def test_the_largest_action_is_that_of_the_simulator_since_the_last_row():
    """Asked for 3 the corridor moves by 1; in the steps after that, by 0.25."""
    statistics = played(actions=(3.0, 0.25, 0.25, 0.25))
    assert statistics.drain()["rollout/action_max"] == 1
    assert played(actions=(0.25, -0.5, 0, 0)).drain()["rollout/action_max"] == 0.5


def test_it_goes_on_from_where_it_was_saved():
    one = played(steps=3)
    other = EpisodeStatistics(SPEC._replace(radius=5.0), Corridor().reset(seed=[1, 1]))
    other.load_state({name: array.copy() for name, array in one.state().items()})
    assert same_bits(one.state(), other.state())
    assert one.drain() == other.drain()
    with pytest.raises(UserError, match="does not fit"):
        other.load_state(one.state() | {"start": np.zeros((3, 1))})
