"""Our Fetch episodes against gymnasium-robotics' own, step by step, with the same seeds and actions."""

import gymnasium as gym
import gymnasium_robotics
import numpy as np
import pytest

from wellposed.envs import make_vec
from wellposed.envs.gymnasium_edge import successor
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.suites.fetch.oracle import ProportionalReach, ScriptedPickAndPlace, ScriptedPush

gym.register_envs(gymnasium_robotics)

ENVS, EPISODES = 5, 4  # of each of two policies: 40 episodes a task
TOLERANCE = 1e-12
ORACLES = {
    "Reach": ProportionalReach,
    "Push": ScriptedPush,
    "Slide": ScriptedPush,
    "PickAndPlace": ScriptedPickAndPlace,
}


class Difference:
    """The largest difference of any observation, and how many rewards and successes disagreed."""

    def __init__(self):
        self.observation, self.reward, self.flags, self.moved = 0.0, 0, 0, 0

    def observe(self, ours: dict, i: int, theirs: dict) -> None:
        for key in theirs:
            self.observation = max(self.observation, float(np.abs(ours[key][i] - theirs[key]).max()))


def play_side_by_side(env_id: str, policy, steps: int, dtype: type, seed: int = 11) -> Difference:
    """Play `steps` steps of our envs and as many original environments; the policy sees our observations."""
    found = Difference()
    ours = make_vec(env_id, ENVS, threads=2)
    theirs = [gym.make(env_id) for _ in range(ENVS)]
    obs, _ = ours.reset(seed=seed)
    for i, env in enumerate(theirs):
        found.observe(obs, i, env.reset(seed=seed + i)[0])
    for _ in range(steps):
        actions = policy.act(obs)[0].astype(dtype)
        before = obs
        obs, reward, terminated, truncated, info = ours.step(actions)
        after = successor(obs, info)
        found.moved += int((np.abs(after["achieved_goal"] - before["achieved_goal"]).max(axis=1) > 1e-3).sum())
        for i, env in enumerate(theirs):
            other, other_reward, other_terminated, other_truncated, other_info = env.step(actions[i])
            found.observe(after, i, other)
            found.reward += reward[i] != other_reward
            found.flags += info["is_success"][i] != other_info["is_success"]
            found.flags += (terminated[i], truncated[i]) != (other_terminated, other_truncated)
            if other_truncated:
                found.observe(obs, i, env.reset()[0])
    ours.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["", "Dense"])
@pytest.mark.parametrize("task", ORACLES)
def test_random_episodes_are_those_of_gymnasium_robotics(task, suffix):
    policy, episodes = RandomPolicy(4, np.random.default_rng(1)), 1 if suffix else EPISODES  # the same physics
    found = play_side_by_side(f"Fetch{task}{suffix}-v4", policy, 50 * episodes, np.float32)
    assert found.observation <= TOLERANCE
    assert found.reward == found.flags == 0


@pytest.mark.slow
@pytest.mark.parametrize("task", ORACLES)
def test_contact_episodes_are_those_of_gymnasium_robotics(task):
    found = play_side_by_side(f"Fetch{task}-v4", ORACLES[task](), 50 * EPISODES, np.float32)
    assert found.observation <= TOLERANCE
    assert found.reward == found.flags == 0
    assert found.moved > 50, "the oracle moved nothing, so no contact was compared"


def test_actions_in_double_precision_and_beyond_the_bounds_are_treated_alike():
    class Wild:
        def act(self, obs, rng=np.random.default_rng(2)):  # noqa: B008
            return rng.uniform(-2, 2, (ENVS, 4)), ()

    found = play_side_by_side("FetchPickAndPlace-v4", Wild(), 60, np.float64)
    assert found.observation <= TOLERANCE
    assert found.reward == found.flags == 0


@pytest.mark.parametrize("task", ORACLES)
def test_the_readings_belong_to_the_state(task):
    """They cannot be recomputed: a restored state whose hand is off by a micrometre goes another way."""
    env = make_vec(f"Fetch{task}-v4", 1)
    env.reset(seed=5)
    moves = np.random.default_rng(0).uniform(-1, 1, (40, 1, 4)).astype(np.float32)
    for move in moves[:20]:
        env.step(move)
    state, traces = env.get_state(), []
    for readings in (state["readings"], state["readings"], state["readings"] + 1e-6):
        env.set_state(state | {"readings": readings})
        traces.append([env.step(move)[0]["observation"] for move in moves[20:]])
    assert np.array_equal(traces[0], traces[1])
    assert not np.array_equal(traces[0], traces[2])
