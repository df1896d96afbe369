"""A policy written for the bare simulator makes the same happen through an interface, as far as that can be."""

import numpy as np
import pytest

from wellposed import envs, seeding
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.policies import Memoryless
from wellposed.envs.through import ThroughControl, through
from wellposed.envs.wrappers.control import Control
from wellposed.rollout.evaluate import play_episodes


class Fixed(Memoryless):
    """Small actions that follow from the observation, so that nothing saturates."""

    def act(self, obs, carry=(), rng=None):
        return 0.2 * np.cos(40 * obs["desired_goal"][:, [0, 1, 2, 0]]) * (1 + obs["observation"][:, :1]), ()


def made(env_id: str, control: Control, num_envs: int = 2):
    return make_env(EnvConfig(env_id, control=control), num_envs, "evaluation")


@pytest.mark.parametrize(
    "control",
    [
        Control(scale=0.7),
        Control(0.4),
        Control(0.3, scale=1.5),
        Control(target="relative", reach=0.1, gain=0.6),
        Control(target="absolute", reach=0.3),
    ],
    ids=str,
)
def test_what_can_be_undone_is_undone(control):
    """The action that arrives is the one that the policy wished for, at each step."""
    env = made("FetchReach-v4", control)
    policy, now = through(Fixed(), env), env.reset(0)
    carry = policy.initial_carry(2)
    for _ in range(12):
        wish = Fixed().act(now.obs)[0]
        action, carry = policy.act(now.obs, carry)
        assert env.step(action).applied_action == pytest.approx(wish, abs=1e-5)
        now = env.now


def success(env_id: str, control: Control, adapted: bool) -> float:
    env = made(env_id, control, 25)
    oracle = envs.find(env_id).oracle
    assert oracle is not None
    policy = through(oracle(), env) if adapted else oracle()
    rows = play_episodes(policy, env, seeding.evaluation_env_seeds(0, 25, "held-out"))
    return float(np.mean([row.success for row in rows]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env_id", "control", "least", "most"),
    [
        ("FetchReach-v4", Control(delay=4), 0.95, 0.4),  # it reckons with the actions under way
        ("FetchPush-v4", Control(scale=0.5), 0.7, 0.5),
        ("FetchPush-v4", Control(target="absolute", reach=0.3), 0.95, 0.2),
        ("FetchPickAndPlace-v4", Control(hold=4), 0.8, 0.3),
    ],
)
def test_controllers_take_the_interface_into_account(env_id, control, least, most):
    assert success(env_id, control, adapted=True) >= least
    assert success(env_id, control, adapted=False) <= most


def test_without_a_control_the_policy_stays_what_it_is():
    policy = Fixed()
    assert through(policy, made("FetchReach-v4", Control())) is policy
    assert isinstance(through(policy, made("FetchReach-v4", Control(0.5))), ThroughControl)
