"""Estimate, then act: what is hidden is read off pictures, acting sees none of it, errors are those that are made."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from tests.agents.data import ONES, PICTURES, SPEC, batches, first
from wellposed.agents import ALGORITHMS, EstimateConfig, EstimateThenAct, make_agent
from wellposed.agents.estimate import as_state, disturbed, drawing_loss, hidden_numbers, in_deviations, weights_of
from wellposed.errors import UserError
from wellposed.start import warm_start
from wellposed.types import Batch, Geometry, Moment

FRAMES = np.arange(4 * 8 * 8 * 3).reshape(4, 8, 8, 3).astype(np.uint8)
MOMENT = Moment({"camera": FRAMES, "own": np.ones((4, 1)), "desired_goal": np.ones((4, 2))}, ONES)


DTYPES = {one.name: one.dtype for one in (*PICTURES.obs, *PICTURES.truth)}


def fresh(seed: int = 0, **settings: Any) -> EstimateThenAct:
    small: Any = {"hidden": (16,), "features": 8, "looks": 3}
    return make_agent("estimate", EstimateConfig(**(small | settings)), PICTURES, seed)


def shown(agent: EstimateThenAct, u: int = 3, b: int = 32, seed: int = 0) -> Batch:
    return batches(u, b, seed, PICTURES, agent.window, agent.looks)


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"frames": 1}, {"frames": 2}, {"autoencode": 4, "frozen": True}])
def test_it_repeats_bit_for_bit_and_goes_on_from_what_was_saved(settings):
    one, same, other = fresh(**settings), fresh(**settings), fresh(1, **settings)
    for agent in (one, same, other):
        agent.observe(MOMENT)
        metrics = agent.update(shown(agent))
        assert metrics.keys() == ALGORITHMS["estimate"].metrics.keys()
        assert np.isfinite(list(metrics.values())).all()
        assert agent.updates == 3
    saved = {name: array.copy() for name, array in one.state().items()}
    assert all(np.array_equal(saved[name], array) for name, array in same.state().items())
    other.load_state(saved)
    assert one.update(shown(one, seed=1)) == other.update(shown(other, seed=1))
    for agent in (one, other):
        action, carry = agent.act(MOMENT.obs, agent.initial_carry(4), np.random.default_rng(0))
        assert action.shape == (4, 2)
        assert np.abs(action).max() <= 1
    assert all(np.array_equal(one.state()[name], array) for name, array in other.state().items())
    with pytest.raises(UserError, match="does not fit"):
        fresh(**settings, features=9).load_state(saved)


def test_a_policy_of_sac_on_states_is_taken_over_under_its_own_names():
    names = make_agent(
        "sac", ALGORITHMS["sac"].config(hidden=(16,), critic_sees="truth"), SPEC._replace(truth=SPEC.obs), 0
    ).state()
    agent = fresh()
    assert {name for name in names if name.startswith(("learner.nets", "inputs."))} <= agent.state().keys()


def test_what_a_run_on_states_learnt_is_taken_over_and_stays_for_the_head_start():
    teacher, agent = make_agent("sac", ALGORITHMS["sac"].config(hidden=(16,)), SPEC, 1), fresh(head_start=6)
    teacher.observe(Moment(ONES, ONES))
    teacher.update(batches(1, 32))
    warm_start(agent, teacher.state())
    for stats in (agent.sac.scaler.stats.obs, agent.sac.scaler.stats.truth):
        assert all(np.array_equal(stats[name].mean, one.mean) for name, one in teacher.scaler.stats.obs.items())
    same = lambda: np.array_equal(weight(agent.sac), weight(teacher))  # noqa: E731
    weight = lambda sac: sac.state()["learner.nets.actor.head.weights[0]"]  # noqa: E731
    sight = agent.eye.net
    for updates, logged, taught in ((3, False, True), (6, False, True), (9, True, False)):
        assert ("train/actor_loss" in agent.update(shown(agent))) == logged
        assert (agent.updates, agent.sac.updates, same()) == (updates, updates, taught)
        assert not np.array_equal(agent.eye.net.head.weights[0], sight.head.weights[0])
        sight = agent.eye.net
    other = fresh(2)
    warm_start(other, agent.state())
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (other.eye[:2], agent.eye[:2])), strict=True))
    assert other.updates == 0


def parts(agent: Any) -> list[bytes]:
    """The weights of the encoder, of what reads its features, and of what draws them."""
    net, drawing = agent.eye.net, agent.eye.drawing
    trees = net.encoder, net.head, drawing.nets if drawing else ()
    return [b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)) for tree in trees]


@pytest.mark.slow
@pytest.mark.parametrize("algo", ["estimate", "distil"])
@pytest.mark.parametrize(
    ("settings", "moved"),  # of the three parts, in the first and in the second update of three
    [
        ({}, [(True, True, False), (True, True, False)]),
        ({"frozen": True}, [(False, True, False), (False, True, False)]),
        ({"autoencode": 3}, [(True, False, True), (True, True, False)]),
        ({"autoencode": 3, "frozen": True}, [(True, False, True), (False, True, False)]),
    ],
)
def test_an_encoder_is_learnt_or_frozen_at_random_or_as_an_autoencoder_left_it(algo, settings, moved):
    small: Any = {"hidden": (4,), "features": 4, "looks": 1, "frames": 1}
    agent = make_agent(algo, EstimateConfig(**(small | settings)), PICTURES, 0)
    for seed, due in enumerate(moved):
        before = parts(agent)
        agent.update(shown(agent, b=4, seed=seed))
        assert tuple(a != b for a, b in zip(before, parts(agent), strict=True)) == due


def test_what_is_drawn_is_each_frame_of_the_episode_in_shares_of_full_brightness():
    """Drawn as 1/2 everywhere, a black frame is off by 1/2, as a white one is; what lies before an episode is black."""
    agent = fresh(autoencode=1)
    assert agent.eye.drawing is not None
    nets = jax.tree.map(lambda x: 0 * x, agent.eye.drawing.nets)
    half = jax.tree.map(lambda x: x + 0.5, nets["camera"].biases[-1])
    nets = {"camera": eqx.tree_at(lambda one: one.biases[-1], nets["camera"], half)}
    for value, valid, due in ((255, True, 0.25), (0, True, 0.25), (51, True, 0.09), (51, False, (0.09 + 0.25) / 2)):
        window = {"camera": np.full((3, 2, 8, 8, 3), value, np.uint8), "valid": np.array([[valid, True]] * 3)}
        window |= {"own": np.zeros((3, 2, 1))}
        assert float(drawing_loss((agent.eye.net.encoder, nets), window)) == pytest.approx(due)


@pytest.mark.slow
def test_what_is_hidden_is_read_off_the_picture():
    """The brightness of a picture tells the one number that the state hides; after some updates the estimate has it."""
    agent = fresh(frames=1, looks=32, features=16, steady=0.2, estimator_rate=3e-3)
    rng = np.random.default_rng(0)

    def moment(n: int) -> Moment:
        state = rng.uniform(-1, 1, (n, 3))
        truth = {"observation": state, "achieved_goal": state[:, 1:], "desired_goal": np.zeros((n, 2))}
        camera = np.zeros((n, 8, 8, 3), np.uint8)
        camera[..., 0], camera[..., 1] = (((state[:, i] + 1) * 127)[:, None, None] for i in (1, 2))
        return Moment({"camera": camera, "own": state[:, :1], "desired_goal": truth["desired_goal"]}, truth)

    for _ in range(3):
        agent.observe(moment(100))
    errors = []
    for _ in range(150):
        now = moment(32)
        seen, true = ({name: one[None].astype(DTYPES[name]) for name, one in part.items()} for part in now)
        zeros = np.zeros((1, 32), np.float32)
        batch = Batch(seen, np.zeros((1, 32, 2), np.float32), zeros, {}, zeros, true, true)
        errors.append(agent.update(batch)["train/estimate_error"])
    assert np.mean(errors[-10:]) < 0.2 < 0.7 < np.mean(errors[:3])


def test_a_state_of_an_exact_estimate_is_the_state():
    states = fresh().sac.scaler.stats.truth
    truth = first(batches(1, 6, spec=PICTURES)).truth
    obs = {"own": truth["observation"][:, :1], "desired_goal": truth["desired_goal"]}
    found = as_state(PICTURES, in_deviations(PICTURES, truth, states), obs, states)
    assert {name: np.allclose(found[name], truth[name], atol=1e-6) for name in truth} == dict.fromkeys(truth, True)
    assert hidden_numbers(PICTURES).tolist() == [1, 2]


def test_errors_of_a_moment_stay_together_and_own_numbers_have_none():
    states, truth = fresh().sac.scaler.stats.truth, batches(2, 50, spec=PICTURES).truth
    truth = jax.tree.map(jax.numpy.asarray, truth)
    errors = np.arange(5)[:, None] * np.array([1.0, 10.0, 100.0, 1000.0])
    found = disturbed(PICTURES, truth, jax.numpy.asarray(errors), states, jax.random.key(0))
    off = {name: np.asarray(found[name] - truth[name]) for name in truth}
    assert not off["observation"][..., 0].any()
    assert not off["desired_goal"].any()
    drawn = np.round(off["observation"][..., 1]).astype(int)
    assert {*drawn.ravel().tolist()} == {0, 1, 2, 3, 4}
    assert np.allclose(off["achieved_goal"], drawn[..., None] * [100.0, 1000.0], rtol=1e-3, atol=1e-3)


def test_places_weigh_most_where_the_geometry_names_them():
    geometry = Geometry(effector=(0,), points=((0,), (1,)), shift_axes=(), mirror=None)
    assert weights_of(PICTURES._replace(geometry=geometry)).tolist() == [1.0, 0.1, 1.0, 1.0]
    assert weights_of(PICTURES).tolist() == [1.0, 1.0, 1.0, 1.0]


def test_without_pictures_it_is_refused_with_the_setting():
    with pytest.raises(UserError, match=r"reads pictures; ask for them, for example --env\.pixels\.size 48"):
        make_agent("estimate", EstimateConfig(), SPEC, 0)
    with pytest.raises(UserError, match=r"--agent\.looks must be 1 to the batch size"):
        EstimateConfig(looks=300)
    with pytest.raises(UserError, match=r"--agent\.shift must be 0"):
        EstimateConfig(shift=4)
    with pytest.raises(UserError, match=r"--agent\.steady lies in \(0, 1\]"):
        EstimateConfig(steady=0.0)
