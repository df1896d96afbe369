"""A filter of the readings is the one of the textbook, keeps what belongs together, and stays in evaluation."""

from typing import Any

import numpy as np
import pytest

from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.filter import Filter
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.errors import UserError
from wellposed.robustness import undisturbed


def made(num_envs: int = 3, env_id: str = "FetchPush-v4", **settings: Any) -> Any:
    return make_env(EnvConfig(env_id, **settings), num_envs, "training", seed=1)


def test_what_is_shown_is_the_recursion_of_what_was_read_and_begins_anew_with_each_episode():
    s, length = 0.7, 5
    plain, env = (made(sensors=Sensors(0.01), filter=f, max_episode_steps=length) for f in (Filter(), Filter(s)))
    read, shown = plain.reset(seed=0).obs["observation"], env.reset(seed=0).obs["observation"]
    assert np.array_equal(read, shown)
    action = np.full((3, 4), 0.3, np.float32)
    for t in range(1, 2 * length + 1):
        there, here = plain.step(action), env.step(action)
        assert np.array_equal(here.obs["observation"], shown)
        expected = (1 - s) * there.next_obs["observation"] + s * shown
        assert np.allclose(here.next_obs["observation"], expected, rtol=0, atol=1e-12)
        assert np.array_equal(here.next_truth["observation"], there.next_truth["observation"])
        assert np.array_equal(here.reward, there.reward)
        shown = env.now.obs["observation"]
        at_start = np.array_equal(shown, plain.now.obs["observation"])
        assert at_start == (t % length == 0)


@pytest.mark.slow
def test_white_noise_keeps_the_share_of_its_variance_that_the_docstring_says():
    s, sigma = 0.7, 0.01
    env = made(400, "FetchReach-v4", sensors=Sensors(sigma), filter=Filter(s))
    env.reset(seed=0)
    for _ in range(15):
        env.step(np.zeros((400, 4), np.float32))
    off = env.now.obs["achieved_goal"] - env.now.truth["achieved_goal"]
    assert abs(off.var() / (sigma**2 * (1 - s) / (1 + s)) - 1) < 0.15  # without the filter: 5.7 times as much


def test_two_looks_at_one_place_stay_one_look():
    env = made(5, sensors=Sensors(0.01), filter=Filter(0.5))
    env.reset(seed=0)
    for _ in range(6):
        seen = env.step(np.full((5, 4), 0.5, np.float32)).next_obs
    assert np.array_equal(seen["observation"][:, 3:6], seen["achieved_goal"])
    way = seen["observation"][:, 3:6] - seen["observation"][:, :3]
    assert np.allclose(seen["observation"][:, 6:9], way, rtol=0, atol=1e-12)
    assert np.array_equal(seen["desired_goal"], env.now.truth["desired_goal"])


def test_a_part_of_the_envs_is_reset_and_the_others_go_on():
    env = made(3, filter=Filter(0.5))
    env.reset(seed=0)
    env.step(np.ones((3, 4), np.float32))
    before = env.now.obs["observation"].copy()
    after = env.reset(seed=5, mask=np.array([False, True, False])).obs["observation"]
    assert np.array_equal(after[[0, 2]], before[[0, 2]])
    assert np.array_equal(after[1], env.now.truth["observation"][1])


def test_it_belongs_to_the_policy_and_stays_where_sensors_are_others():
    config = EnvConfig("FetchPush-v4", sensors=Sensors(0.02), filter=Filter(0.7))
    assert undisturbed(config) == EnvConfig("FetchPush-v4", filter=Filter(0.7))


@pytest.mark.parametrize("share", [1.0, -0.1, float("nan")])
def test_senseless_shares_are_refused(share):
    with pytest.raises(UserError, match=r"--env.filter.smoothing is a share"):
        Filter(share)
