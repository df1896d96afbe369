"""Behaviour while training draws what it always drew, remembers within episodes, and goes on from a checkpoint."""

import numpy as np
import pytest

from tests.rollout.corridor import Corridor, Script
from wellposed import seeding
from wellposed.arrays import leaves, map_leaves, reset_carry, same_bits, with_leaves
from wellposed.errors import UserError
from wellposed.rollout.collector import Explorer, pack_step, unpack_step

OBS = {"desired_goal": np.zeros((2, 1))}


class Noise:
    """A policy that only explores: standard normal numbers. It remembers how often it was asked."""

    def initial_carry(self, n):
        return {"asked": np.zeros(n), "layers": (np.zeros((n, 3)), [np.ones((n, 2, 2))])}

    def act(self, obs, carry=(), rng=None):
        assert rng is not None
        return rng.standard_normal((2, 1), np.float32), map_leaves(lambda leaf: leaf + 1, carry)


def explorer(**settings) -> Explorer:
    return Explorer(Noise(), 2, 1, seed=3, **settings)


def test_uniform_actions_come_first_and_are_mixed_in_afterwards():
    """Drawn in this order, from streams of their own: uniform actions, which of them to take, then exploration."""
    made = explorer(random_steps=10, random_share=0.5)
    random, noise = (seeding.generator(3, name) for name in ("random actions", "exploration"))
    for step in range(0, 40, 2):
        uniform = random.uniform(-1, 1, (2, 1)).astype(np.float32)
        found = made.act(OBS, step)
        if step < 10:
            assert np.array_equal(found, uniform)
            continue
        keep, own = random.random((2, 1)) >= 0.5, noise.standard_normal((2, 1), np.float32)
        assert np.array_equal(found, np.where(keep, own, uniform))
        assert found.dtype == np.float32


def test_without_uniform_actions_it_is_the_policys_own_exploration():
    made, noise = explorer(), seeding.generator(3, "exploration")
    assert all(np.array_equal(made.act(OBS, step), noise.standard_normal((2, 1), np.float32)) for step in range(9))


def test_it_remembers_within_an_episode_and_forgets_at_its_end():
    made = explorer()
    for step in range(3):
        made.act(OBS, step)
    made.forget(np.array([True, False]))
    found = leaves(made.carry)
    assert found.keys() == {"asked", "layers/0", "layers/1/0"}
    assert found["asked"].tolist() == [0, 3]
    assert found["layers/0"].tolist() == [[0] * 3, [3] * 3]
    assert found["layers/1/0"][:, 0, 0].tolist() == [1, 4], "begun afresh is what the policy begins with, not 0"


def test_a_policy_without_memory_has_nothing_to_forget():
    assert reset_carry((), (), np.array([True, False])) == ()
    assert leaves(()) == {}


def test_trees_keep_their_form():
    tree = {"a": (np.zeros(2), [np.ones(3)]), "b": np.arange(4)}
    again = with_leaves(tree, {name: array + 1 for name, array in leaves(tree).items()})
    assert isinstance(again["a"], tuple)
    assert isinstance(again["a"][1], list)
    assert again["b"].tolist() == [1, 2, 3, 4]
    assert leaves(np.ones(2)).keys() == {""}


def test_it_goes_on_from_where_it_was_saved():
    one, other = explorer(random_share=0.3), explorer(random_share=0.3)
    for step in range(5):
        one.act(OBS, step)
    other.load_state({name: array.copy() for name, array in one.state().items()})
    assert same_bits(one.state(), other.state())
    assert all(np.array_equal(one.act(OBS, step), other.act(OBS, step)) for step in range(5))
    assert same_bits(one.state(), other.state())
    with pytest.raises(UserError, match="does not fit"):
        Explorer(Script(1.0), 2, 1, seed=3).load_state(one.state())


@pytest.mark.parametrize("bias", [0.0, 5.0])
def test_a_step_that_was_saved_is_the_step(bias):
    env = Corridor(bias)
    env.reset(seed=[2, 100])
    for _ in range(3):
        step = env.step(np.full((2, 1), 2.0, np.float32))
    step = step._replace(applied_action=step.applied_action.astype(np.float32), warnings={"contact": 2})
    saved = pack_step(step)
    assert any(name.startswith("truth/") for name in saved) == (bias > 0), "nothing is saved twice"
    again = unpack_step(saved, env.now, 1)
    assert same_bits(pack_step(again), saved)
    assert (again.truth is again.obs) == (bias == 0)
    assert again.warnings == {"contact": 2}
    for wrong in ({"reward": np.zeros(3)}, {"obs/speed": np.zeros((2, 1))}, {"warnings/contact": np.zeros(2)}):
        with pytest.raises(UserError, match="What was saved"):
            unpack_step(saved | wrong, env.now, 1)
