"""Noise covers all that the policy is shown, one measurement for one quantity, and the truth judges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from wellposed.envs.sensors import NoisySensors

from wellposed import envs
from wellposed.envs.suites.fetch.oracle import ScriptedPickAndPlace
from wellposed.errors import UserError
from wellposed.rollout.evaluate import play_episodes
from wellposed.types import Obs

NOISE = 0.01
DRAWS = 400
SHARE = np.sqrt(2)
# Standard deviation of the error of each number, in units of NOISE: hand, object, the way between, fingers, angles,
# velocity relative to the hand's, angular velocity, velocities of hand and fingers.
OBJECT = np.repeat([1, 1, SHARE, 1, 40, 2, 40 * SHARE, SHARE, SHARE], [3, 3, 3, 2, 3, 3, 3, 3, 2])
HAND = np.repeat([1, 1, SHARE, SHARE], [3, 2, 3, 2])


def sensors(env, noise: float = NOISE, seed: int = 0, policy: Any = None) -> NoisySensors:
    return NoisySensors(policy, env, noise, seed)


def clean(env_id: str) -> tuple[Any, Obs]:
    """An environment, and what its sensors would give of one moment without noise, DRAWS times."""
    env = envs.make_vec(env_id)
    return env, {key: np.repeat(value, DRAWS, axis=0) for key, value in env.reset(seed=0)[0].items()}


def leaks(env_id: str, sense: Callable[[Any, Obs], Obs]) -> list[str]:
    """What a policy could read off the measurements of one moment although the noise should hide it."""
    env, obs = clean(env_id)
    seen = sense(env, obs)
    hand, *rest = env.geometry.points
    error = (seen["observation"] - obs["observation"]) / (NOISE * (OBJECT if rest else HAND))
    found = [f"number {i} has {s:.2f} of its noise" for i, s in enumerate(error.std(axis=0)) if abs(s - 1) > 0.2]
    # Three ways to know where the achieved goal is; if they differ, their mean knows better than the sensor.
    looks = [seen["achieved_goal"], seen["observation"][:, rest[0] if rest else hand]]
    if rest:
        looks.append(seen["observation"][:, hand] + seen["observation"][:, 6:9])
    if np.ptp(looks, axis=0).max() > 1e-12:
        found.append("the looks at the achieved goal differ")
    if np.abs(np.std(looks, axis=1) / NOISE - 1).max() > 0.2:
        found.append("a look at the achieved goal is sharper or duller than the sensor")
    return found


@pytest.mark.parametrize("env_id", ["FetchReach-v4", "FetchPush-v4", "FetchPickAndPlace-v4"])
def test_no_clean_coordinate_reaches_the_policy(env_id):
    assert leaks(env_id, lambda env, obs: sensors(env).sense(obs)) == []


def test_noise_that_spares_the_achieved_goal_is_noticed():
    def spared(env, obs):
        return sensors(env).sense(obs) | {"achieved_goal": obs["achieved_goal"]}

    assert len(leaks("FetchPush-v4", spared)) == 2


def test_a_second_measurement_of_the_same_position_is_noticed():
    def twice(env, obs):
        return sensors(env).sense(obs) | {"achieved_goal": sensors(env, seed=1).sense(obs)["achieved_goal"]}

    assert leaks("FetchPush-v4", twice) == ["the looks at the achieved goal differ"]


def test_noise_that_spares_the_way_from_hand_to_object_is_noticed():
    def spared(env, obs):
        seen = sensors(env).sense(obs)
        seen["observation"][:, 6:9] = obs["observation"][:, 6:9]
        return seen

    assert [found.split()[1] for found in leaks("FetchPush-v4", spared)[:3]] == ["6", "7", "8"]


def test_no_noise_changes_no_bit_and_noise_repeats_with_its_seed():
    env, obs = clean("FetchPush-v4")
    assert sensors(env, 0.0).sense(obs) is obs
    one, same, other = (sensors(env, seed=seed).sense(obs)["observation"] for seed in (0, 0, 1))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert np.array_equal(sensors(env).sense(obs)["desired_goal"], obs["desired_goal"])


def test_the_truth_judges():
    """A blind policy that never moves: what it is shown changes nothing about where the object was."""

    class Still:
        def act(self, obs: Obs, deterministic: bool = True) -> np.ndarray:
            return np.zeros((len(obs["observation"]), 4), np.float32)

    env = envs.make_vec("FetchPickAndPlace-v4", 4, max_episode_steps=3)
    plain, noisy = (play_episodes(policy, env, [1, 2, 3, 4]) for policy in (Still(), sensors(env, 0.5, policy=Still())))
    assert plain == noisy


def test_much_noise_makes_a_controller_fail_and_a_little_does_not():
    env, seeds = envs.make_vec("FetchPickAndPlace-v4", 6), list(range(6))
    rates = [
        np.mean([row.success for row in play_episodes(sensors(env, noise, policy=ScriptedPickAndPlace()), env, seeds)])
        for noise in (0.0, 0.05)
    ]
    assert rates[0] == 1.0
    assert rates[1] < 0.5


@pytest.mark.parametrize("noise", [-0.01, float("nan"), float("inf")])
def test_senseless_noise_is_refused(noise):
    with pytest.raises(UserError, match="--noise is a length in metres"):
        sensors(envs.make_vec("FetchReach-v4"), noise)


def test_other_environments_are_refused():
    with pytest.raises(UserError, match="--noise is for the Fetch tasks"):
        sensors(envs.make_vec("PointMaze_UMaze-v3"))
