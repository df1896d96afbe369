"""An algorithm from outside: one file, which owes what ours owe, and whose losses are what the paper says."""

import importlib.util
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agents.data import MOMENT, SPEC, batches, first
from wellposed import agents
from wellposed.agents import SACConfig
from wellposed.agents.probe import probe
from wellposed.nn.networks import Critics
from wellposed.registry import Registry

FILE = Path(__file__).parent.parent.parent / "examples" / "own_algorithm.py"


@pytest.fixture(scope="module")
def own() -> Any:
    """The file as it is loaded, with a registry of its own, so that other tests see ours alone."""
    registry: Any = Registry("algorithm", "none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agents, "ALGORITHMS", registry)
        place: Any = importlib.util.spec_from_file_location("own_algorithm", FILE)
        module = importlib.util.module_from_spec(place)
        patch.setitem(__import__("sys").modules, "own_algorithm", module)
        place.loader.exec_module(module)
        yield module


def fresh(own: Any, seed: int = 0, **settings: Any) -> Any:
    entry = own.ALGORITHMS.find("tqc")
    return entry.make(entry.config(hidden=(16,), quantiles=5, **settings), SPEC, seed)


def test_it_is_one_short_file():
    assert len(FILE.read_text().splitlines()) <= 90


@pytest.mark.slow
def test_it_learns_logs_what_it_declares_and_goes_on_bit_for_bit_where_it_was_saved(own):
    agent, other = fresh(own), fresh(own, seed=7)
    agent.observe(MOMENT)
    assert agent.update(batches(3, 32)).keys() == own.ALGORITHMS["tqc"].metrics.keys()
    other.load_state({name: array.copy() for name, array in agent.state().items()})
    assert agent.update(batches(3, 32, seed=1)) == other.update(batches(3, 32, seed=1))
    assert all(array.tobytes() == other.state()[name].tobytes() for name, array in agent.state().items())
    before = agent.state()
    assert np.isfinite(list(probe(agent, batches(4, 32, seed=2)).values())).all()
    assert all(array.tobytes() == before[name].tobytes() for name, array in agent.state().items())


def test_the_highest_quantiles_are_dropped_from_the_targets(own):
    """Heads that give 0..4 and 10..14: without the four highest, which are 11..14, six are left."""
    agent, batch = fresh(own, gamma=0.5, temperature=1e-9, bound_targets=False), first(batches(1, 4))
    still = jax.tree.map(jnp.zeros_like, agent.learner.nets.target_critics)
    for head, lowest in zip(still.heads, (0.0, 10.0), strict=True):
        head.biases[-1] = lowest + jnp.arange(5.0)
    nets = agent.learner.nets._replace(target_critics=still)
    noise = jnp.zeros((4, 2))
    found = own.truncated_target(agent.config, SPEC, nets, agent.scaler.stats, batch, noise)
    assert np.allclose(found, -1 + 0.5 * np.array([0, 1, 2, 3, 4, 10.0]), atol=1e-6)


@pytest.mark.slow
def test_quantiles_settle_where_the_stated_shares_of_targets_lie_below(own):
    """Descent on the loss puts 5 quantiles at the shares 0.1, 0.3, ... of the targets, up to what Huber smooths."""
    critics: Critics = fresh(own).learner.nets.critics
    batch, stats = first(batches(1, 64)), fresh(own).scaler.stats
    targets = jnp.tile(jnp.linspace(0.0, 100.0, 101), (64, 1))
    still = jax.tree.map(jnp.zeros_like, critics)
    bias = jnp.zeros(5)

    def loss(bias: Any) -> Any:
        heads = tuple(type(head)([1, 1], jax.random.key(0)) for head in still.heads)
        for head, own_head in zip(heads, still.heads, strict=True):
            head.weights[:], head.biases[:] = own_head.weights, [*own_head.biases[:-1], bias]
        return own.critic_loss(Critics(still.encoder, heads, "obs"), stats, batch, targets)[0]

    slope = jax.jit(jax.grad(loss))
    for _ in range(2000):
        bias = bias - 20.0 * slope(bias)
    assert np.allclose(bias, [10, 30, 50, 70, 90], atol=2.0)


def test_what_it_cannot_do_is_refused(own):
    with pytest.raises(Exception, match="learn-temperature"):
        own.TQCConfig(learn_temperature=True)
    with pytest.raises(Exception, match="must be less than quantiles"):
        own.TQCConfig(dropped=25)
    assert isinstance(own.TQCConfig(), SACConfig)
