"""What panda-gym's package can make, and what it cannot."""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wellposed import envs, plugin
from wellposed.envs.gym import make_one
from wellposed.envs.suites import panda
from wellposed.errors import UserError
from wellposed.probe import probe_motion
from wellposed.types import Batch

assets = pytest.importorskip("panda_gym.assets", reason="needs the extra panda")


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    monkeypatch.setattr(plugin, "ALLOWED", ["panda_gym:PandaStack-v3", "panda_gym:PandaFlip-v3"])


def test_two_blocks_can_be_stacked():
    """Its goal is two places, and success one distance over both."""
    env = make_one("panda_gym:PandaStack-v3")
    obs, _ = env.reset(seed=0)
    assert obs["achieved_goal"].shape == (6,)
    goal = obs["desired_goal"]
    assert env.get_wrapper_attr("compute_reward")(goal, goal, {}) == 0
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("pairs", ["sorted", "as they come"])
def test_an_episode_of_two_blocks_is_the_same_whatever_was_played_before(pairs):
    found: dict[int, np.ndarray] = {}
    differ = 0
    for order in (range(12), np.random.default_rng(0).permutation(12).tolist()):
        env: Any = make_one("panda_gym:PandaStack-v3")
        if pairs != "sorted":
            env.unwrapped.sim.physics_client.setPhysicsEngineParameter(deterministicOverlappingPairs=0)
        for seed in order:
            rng, seen = np.random.default_rng(seed), [env.reset(seed=seed)[0]["observation"]]
            for _ in range(100):
                seen.append(env.step(rng.uniform(-1, 1, 4).astype(np.float32))[0]["observation"])
            differ += not np.array_equal(found.setdefault(seed, np.stack(seen)), np.stack(seen))
        env.close()
    assert differ == 0 if pairs == "sorted" else differ > 0


def test_bullet_prints_nothing_and_what_others_print_is_there(capfd):
    with closing(envs.make_vec("PandaReach-v3", 1)) as env:
        env.reset(seed=0)
    print("ours")
    assert capfd.readouterr().out == "ours\n"


def test_threads_that_silence_at_once_leave_standard_output_as_it_was(capfd):
    def once(_: int) -> None:
        with panda._silent():
            time.sleep(0.01)
            os.write(1, b"lost")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(once, range(8)))
    os.write(1, b"there")
    assert capfd.readouterr().out == "there"


def test_episodes_end_where_it_says():
    env: Any = panda.made("Reach", control_type="ee")
    for seed in range(3):
        obs, terminated = env.reset(seed=seed)[0], False
        while not terminated:  # the hand heads for its goal
            obs, _, terminated, _, _ = env.step(10 * (obs["desired_goal"] - obs["achieved_goal"]))
            assert env.compute_terminated(obs["achieved_goal"], obs["desired_goal"], {}) == terminated
    env.close()


def test_flip_cannot_be_made_for_a_picture_is_missing():
    """panda-gym issue 71."""
    assert not (Path(assets.get_data_path()) / "colored_cube.png").exists()
    with pytest.raises(UserError, match=r"PandaFlip-v3 could not be made: .*texture"):
        make_one("panda_gym:PandaFlip-v3")


@pytest.mark.slow
def test_its_velocities_tell_less_of_a_step_than_fetchs_and_far_more_than_none():
    """They are those of the step's end. `unobserved_motion` fires below 0.3."""
    env = envs.make_vec("PandaReach-v3", 8).inner
    rng, now, found = np.random.default_rng(0), env.reset(seed=0), []
    for _ in range(100):
        step = env.step(rng.uniform(-1, 1, (8, env.spec.action_dim)))
        found.append((now.obs["observation"], step.next_obs["observation"], step.action))
        now = env.now
    env.close()
    before, after, action = map(np.concatenate, zip(*found, strict=True))

    def observed(shown: np.ndarray) -> float:
        nothing, told = np.zeros(len(action)), lambda seen: {"observation": seen * shown}
        rows = Batch({"observation": before}, action, nothing, {"observation": after}, nothing, {}, {})
        rows = rows._replace(truth=rows.obs, next_truth=rows.next_obs, obs=told(before), next_obs=told(after))
        return probe_motion(rows, env.spec)["probe/motion_observed"]

    assert observed(np.ones(6)) > 0.4
    assert observed(np.array([1, 1, 1, 0, 0, 0])) < 0.2
