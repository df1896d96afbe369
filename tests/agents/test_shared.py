"""What the critics' targets of all off-policy algorithms have in common, and what critics read."""

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from tests.agents.data import ON_STATES, PICTURES, SPEC, batches, first
from wellposed.agents import ALGORITHMS, sac, shared, td3
from wellposed.agents.sac import SACConfig, soft_target
from wellposed.agents.td3 import smoothed_target
from wellposed.nn.inputs import InputConfig
from wellposed.types import Moment, Spec

every_target = pytest.mark.parametrize(("algo", "target_of"), [("sac", soft_target), ("td3", smoothed_target)])
STILL = jnp.zeros((4, 2))


def agent_of(algo: str, **settings: Any) -> Any:
    entry = ALGORITHMS[algo]
    return entry.make(entry.config(hidden=(8,), **settings), SPEC, 0)


@every_target
def test_targets_stop_at_the_bounds_of_the_return(algo, target_of):
    agent = agent_of(algo, gamma=0.9)
    batch = first(batches(1, 4))._replace(reward=jnp.array([-50.0, 50, -1, -1]))
    given = agent.learner.nets, agent.scaler.stats, batch, STILL
    bounded = target_of(agent.config, SPEC, *given)
    assert bounded[0] == pytest.approx(-10)
    assert bounded[1] == 0
    free = target_of(replace(agent.config, bound_targets=False), SPEC, *given)
    assert free[0] < -40
    assert free[1] > 40
    assert np.array_equal(free, target_of(agent.config, SPEC._replace(reward_range=None), *given))


@pytest.mark.parametrize(
    ("rewards", "returns"),
    [((-1.0, 0.0), (-10, 0)), ((0.0, 1.0), (0, 10)), ((-2.0, -1.0), (-20, -1)), ((0.5, 1.0), (0.5, 10))],
)
def test_the_range_of_returns_holds_episodes_that_go_on_for_ever_and_those_that_end_at_once(rewards, returns):
    config, spec = SACConfig(gamma=0.9), SPEC._replace(reward_range=rewards)
    found = shared.bounded(config, spec, jnp.array([-1e6, 1e6]))
    assert np.allclose(found, returns)


@every_target
def test_a_terminal_successor_has_no_value(algo, target_of):
    agent = agent_of(algo, bound_targets=False)
    batch = first(batches(1, 4))._replace(terminated=jnp.array([1.0, 0, 0, 0]))
    target = target_of(agent.config, SPEC, agent.learner.nets, agent.scaler.stats, batch, STILL)
    assert target[0] == -1
    assert (target[1:] != -1).all()


@pytest.mark.parametrize("algo", ON_STATES)
@pytest.mark.parametrize("sees", ["obs", "truth"])
def test_the_critic_reads_what_it_says_and_the_actor_what_is_seen(algo, sees):
    """Garbage in what is not read changes nothing; in what is read it does."""
    entry, spec = ALGORITHMS[algo], SPEC._replace(truth=SPEC.obs)
    agent: Any = entry.make(entry.config(hidden=(8,), critic_sees=sees), spec, 0)
    obs = first(batches(1, 4)).obs
    garbage = {name: array + 7 for name, array in obs.items()}
    agent.observe(Moment(obs, {name: 3 * array for name, array in obs.items()}))
    parts = {name.split(".")[1] for name in agent.state() if name.startswith("inputs.")}
    assert parts == ({"obs"} if sees == "obs" else {"obs", "truth"})
    batch = first(batches(1, 4))._replace(truth=obs, next_truth=obs)
    looks = [agent.look(batch._replace(**{part: garbage})) for part in ("obs", "truth")]
    plain = agent.look(batch)
    changed = [not np.array_equal(look.q, plain.q) for look in looks]
    assert changed == [sees == "obs", sees == "truth"]
    assert not np.array_equal(looks[0].greedy, plain.greedy)
    assert np.array_equal(looks[1].greedy, plain.greedy)


@pytest.mark.parametrize("module", [sac, td3])
def test_updates_are_a_loop_but_where_there_are_images(module):
    algo = module.__name__.split(".")[-1]

    def loops(spec: Spec, encoder: str) -> int:
        """Loops of a program of three updates."""
        config = ALGORITHMS[algo].config(hidden=(8,), inputs=InputConfig(encoder=encoder))
        agent: Any = ALGORITHMS[algo].make(config, spec, 0)
        arguments = agent.config, spec, agent.learner, agent.scaler.stats, batches(3, 4, spec=spec)
        return module.update.lower(*arguments).as_text().count("stablehlo.while")

    assert loops(SPEC, "state") == loops(PICTURES, "cnn") + 1
