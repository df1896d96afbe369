"""Behaviour cloning: it fits what it is shown, changes nothing but the actor, and cannot fit what is not there."""

from typing import Any

import jax
import numpy as np
import pytest

from tests.agents.data import ON_STATES, SPEC
from wellposed.agents import ALGORITHMS, make_agent
from wellposed.agents.bc import imitate
from wellposed.errors import UserError
from wellposed.nn.inputs import InputConfig
from wellposed.types import Moment

every_algorithm = pytest.mark.parametrize("algo", ON_STATES)


def fresh(algo: str) -> Any:
    config: Any = ALGORITHMS[algo].config
    return make_agent(algo, config(hidden=(32, 32), batch_size=64, learning_rate=1e-3), SPEC, 0)


def moments(n: int = 512) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Observations, and a known function of them: tanh of the way to the goal."""
    rng = np.random.default_rng(0)
    obs = {
        "observation": rng.standard_normal((n, 3)),
        "achieved_goal": rng.standard_normal((n, 2)),
        "desired_goal": rng.standard_normal((n, 2)),
    }
    return obs, np.tanh(obs["desired_goal"] - obs["achieved_goal"])


def error(agent: Any, obs: dict[str, np.ndarray], labels: np.ndarray) -> float:
    return float(np.mean(np.sum((agent.act(obs)[0] - labels) ** 2, axis=1)))


@every_algorithm
def test_it_fits_a_known_function_and_not_the_wrong_labels(algo):
    obs, labels = moments()
    shuffled = np.random.default_rng(1).permutation(labels)
    found = {}
    for name, shown in (("right", labels), ("wrong", shuffled)):
        agent = fresh(algo)
        agent.observe(Moment(obs, obs))
        imitate(agent, obs, shown, 400, np.random.default_rng(2))
        found[name] = error(agent, obs, labels)
    spread = float(np.sum(labels.var(axis=0)))
    assert found["right"] < 0.02 * spread
    assert found["wrong"] > 0.5 * spread


@every_algorithm
def test_the_first_loss_is_the_squared_error_of_the_greedy_actions(algo):
    obs, labels = moments(8)
    agent = fresh(algo)
    rows = np.random.default_rng(3).integers(8, size=(1, 64))[0]
    expected = np.mean(np.sum((agent.act(obs)[0][rows] - labels[rows]) ** 2, axis=1))
    losses = imitate(agent, obs, labels, 1, np.random.default_rng(3))
    assert losses.shape == (1,)
    assert float(losses[0]) == pytest.approx(expected, rel=1e-4)


@every_algorithm
def test_no_updates_change_nothing_and_updates_change_the_actor_alone(algo):
    obs, labels = moments(8)
    agent = fresh(algo)
    before = agent.learner
    assert imitate(agent, obs, labels, 0, np.random.default_rng(0)).shape == (0,)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before.nets, agent.learner.nets))
    imitate(agent, obs, labels, 1, np.random.default_rng(0))
    unmoved = jax.tree.map(lambda a, b: bool((a == b).all()), before.nets.actor, agent.learner.nets.actor)
    assert not jax.tree.all(unmoved)
    rest = lambda learner: learner.nets._replace(actor=None)  # noqa: E731
    same = jax.tree.map(lambda a, b: bool((a == b).all()), rest(before), rest(agent.learner))
    assert jax.tree.all(same)


def test_single_moments_cannot_teach_a_policy_with_memory():
    config = ALGORITHMS["sac"].config(hidden=(8,), inputs=InputConfig(encoder="gru", memory=2))
    with pytest.raises(UserError, match="cannot be cloned"):
        imitate(make_agent("sac", config, SPEC, 0), *moments(8), 1, np.random.default_rng(0))
