"""What the critics' targets of all off-policy algorithms have in common."""

from dataclasses import replace

import jax.numpy as jnp
import pytest
from wellposed.agents.off_policy import OffPolicyAgent, Transition

from tests.agents.data import DIMS
from wellposed.agents import ALGORITHMS
from wellposed.agents.sac import soft_target
from wellposed.agents.td3 import smoothed_target

every_target = pytest.mark.parametrize(("algo", "target_of"), [("sac", soft_target), ("td3", smoothed_target)])


def agent_of(algo: str, **settings: object) -> OffPolicyAgent:
    entry = ALGORITHMS[algo]
    agent = entry.make(entry.config(hidden=(8,), **settings), DIMS, 0)
    assert isinstance(agent, OffPolicyAgent)
    return agent


@every_target
def test_targets_stop_at_the_bounds_of_the_return(algo, target_of):
    agent = agent_of(algo, gamma=0.9)
    batch = Transition(
        jnp.ones((4, 8)), jnp.zeros((4, 2)), jnp.array([-50.0, 50, -1, -1]), jnp.ones((4, 8)), jnp.zeros(4)
    )
    bounded = target_of(agent.config, agent.learner.nets, batch, jnp.zeros((4, 2)))
    assert bounded[0] == pytest.approx(-10)
    assert bounded[1] == 0
    free = target_of(replace(agent.config, bound_targets=False), agent.learner.nets, batch, jnp.zeros((4, 2)))
    assert free[0] < -40
    assert free[1] > 40


@every_target
def test_a_terminal_successor_has_no_value(algo, target_of):
    agent = agent_of(algo, bound_targets=False)
    batch = Transition(jnp.ones((2, 8)), jnp.zeros((2, 2)), jnp.full(2, -1.0), jnp.ones((2, 8)), jnp.array([1.0, 0.0]))
    target = target_of(agent.config, agent.learner.nets, batch, jnp.zeros((2, 2)))
    assert target[0] == -1
    assert target[1] != -1
