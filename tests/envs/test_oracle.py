"""Controllers written by hand: that a solution exists is shown by one."""

import pytest

from wellposed import envs, seeding
from wellposed.envs import EnvConfig, make_env
from wellposed.envs.suites.fetch.oracle import ORACLES

EPISODES = 25


@pytest.mark.parametrize("env_id", ["FetchReach-v4", "FetchPush-v4", "FetchPickAndPlace-v4"])
def test_the_controller_of_a_task_solves_it(env_id):
    """At most one failure of 25; chapter 5 states how many of 100 it solves."""
    env, oracle = make_env(EnvConfig(env_id), EPISODES, "evaluation"), envs.find(env_id).oracle
    assert oracle is not None
    policy, begun = oracle(), env.reset(seeding.evaluation_env_seeds(0, EPISODES, "held-out")).truth
    solved_at_reset = env.is_success(begun["achieved_goal"], begun["desired_goal"])
    for _ in range(env.spec.max_episode_steps):
        step = env.step(policy.act(env.now.obs)[0])
    assert step.success.sum() >= EPISODES - 1
    assert solved_at_reset.sum() < EPISODES / 4


def test_an_object_that_slipped_aside_is_approached_anew():
    """Pushed past the goal's line at the start, by a blow from the side, the object still gets there."""
    env = envs.make_vec("FetchPush-v4", 5, max_episode_steps=80)
    obs, _ = env.reset(seed=list(range(5)))
    policy = ORACLES["Push"]()
    for _ in range(15):
        obs, *_ = env.step(policy.act(obs)[0])
    for i in range(5):
        env.simulations[i].data.qpos[env.task.scene.object_qpos][1] += 0.04  # where nobody expects it
        env.simulations[i].read()
    for _ in range(65):
        obs, _, _, _, info = env.step(policy.act(obs)[0])
    assert info["is_success"].sum() >= 4
