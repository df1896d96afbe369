"""Encoders that learn: their gradient is the loss's, and what they see or remember is what success hangs on."""

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.agents.data import batches, first, spec_of
from wellposed.agents import SAC, SACConfig
from wellposed.agents.sac import critic_loss
from wellposed.errors import UserError
from wellposed.nn.encoders import ENCODERS, Convolutions, make_encoder, spatial_softmax
from wellposed.nn.inputs import InputConfig, InputStats
from wellposed.types import Batch, Field, Spec

SIZE, CALLS, ROWS = 8, 40, 32
IMAGE = Spec((Field("pixels", (SIZE, SIZE, 1), "image", "uint8"),), 2, 1, reward_range=(-1.0, 0.0))
CUE = Spec((Field("cue", (1,)), Field("asked", (1,))), 1, 2, reward_range=(-1.0, 0.0))
NEAR = 0.5  # from the place that the image shows; the space of actions is [-1, 1]^2


def agent_of(spec: Spec, **inputs: Any) -> SAC:
    """Nothing of the future counts in these tasks: each has one action that matters."""
    config = SACConfig((64,), gamma=0.0, temperature=1e-3, inputs=InputConfig(**inputs))
    return SAC(config, spec, seed=0)


def transitions(obs: dict[str, np.ndarray], action: np.ndarray, reward: np.ndarray) -> Batch:
    return Batch(
        obs, action.astype(np.float32), reward.astype(np.float32), obs, np.ones_like(reward, np.float32), {}, {}
    )


def images(rng: np.random.Generator, *lead: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """A bright square of 4 x 4 pixels somewhere on a dark ground, and where it is, in [-1, 1]^2."""
    corner = rng.integers(SIZE - 3, size=(*lead, 2))
    at = np.arange(SIZE)
    inside = [(at >= corner[..., i, None]) & (at < corner[..., i, None] + 4) for i in range(2)]
    pixels = 255 * (inside[0][..., :, None] & inside[1][..., None, :])
    return {"pixels": pixels[..., None].astype(np.uint8)}, corner / ((SIZE - 4) / 2) - 1


def learn_to_point(agent: SAC, calls: int, freeze: bool = False, start: int = 0) -> SAC:
    """Point at the square: the reward is minus the distance. Frozen, each encoder is set back after every call."""
    for call in range(start, start + calls):
        rng = np.random.default_rng(call)
        obs, place = images(rng, 32, ROWS)
        action = rng.uniform(-1, 1, place.shape)
        agent.update(transitions(obs, action, -np.linalg.norm(action - place, axis=-1) / np.sqrt(8)))
        if freeze:
            nets, was = agent.learner.nets, agent.first
            back = {
                name: eqx.tree_at(lambda one: one.encoder, getattr(nets, name), getattr(was, name).encoder)
                for name in ("actor", "critics", "target_critics")
            }
            agent.learner = agent.learner._replace(nets=nets._replace(**back))
    return agent


def pointing(agent: SAC) -> float:
    obs, place = images(np.random.default_rng(10**6), 500)
    return float(np.mean(np.linalg.norm(agent.act(obs)[0] - place, axis=1) < NEAR))


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
def test_pixels_are_learnt_through_two_numbers_because_the_gradient_reaches_the_encoder():
    learnt = pointing(learn_to_point(agent_of(IMAGE, encoder="cnn", width=2), CALLS))
    frozen = pointing(learn_to_point(agent_of(IMAGE, encoder="cnn", width=2), CALLS, freeze=True))
    assert learnt > 0.8, (learnt, frozen)
    assert frozen <= 0.6 * learnt, (learnt, frozen)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["cnn", "gru"])
def test_the_encoders_gradient_is_the_slope_of_the_loss(encoder):
    """Along one random direction in all of the encoder's parameters, in double precision."""
    with jax.enable_x64(True):
        fields = (*spec_of(3, 2, 2).obs, Field("pixels", (8, 8, 2), "image", "uint8"))
        spec = spec_of(3, 2, 2)._replace(obs=fields)
        window = 3 if encoder == "gru" else 1
        agent = agent_of(spec, encoder=encoder, width=3, memory=window)
        batch, target = first(batches(1, 8, spec=spec, window=window)), jnp.arange(8.0)
        wide = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, "float64") if x.dtype == "float32" else x, tree)  # noqa: E731
        critics, batch, stats = wide(agent.learner.nets.critics), wide(batch), wide(agent.scaler.stats)

        @jax.jit
        def loss(encoder: Any) -> Any:
            return critic_loss(eqx.tree_at(lambda one: one.encoder, critics, encoder), stats, batch, target)[0]

        leaves, tree = jax.tree.flatten(critics.encoder)
        keys = jax.random.split(jax.random.key(1), len(leaves))
        direction = tree.unflatten([jax.random.normal(k, x.shape) for k, x in zip(keys, leaves, strict=True)])
        step = lambda size: jax.tree.map(lambda x, d: x + size * d, critics.encoder, direction)  # noqa: E731
        slope = (loss(step(1e-6)) - loss(step(-1e-6))) / 2e-6
        gradient = jax.tree.leaves(jax.grad(loss)(critics.encoder))
        assert all(np.any(leaf) for leaf in gradient), "every parameter of the encoder must be reached"
        found = sum(jnp.vdot(g, d) for g, d in zip(gradient, jax.tree.leaves(direction), strict=True))
        assert float(found) == pytest.approx(float(slope), rel=1e-5)


def remembered(rng: np.random.Generator, n: int) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """A cue of -1 or 1 that is shown first and not when the action is asked for: cues [n], the two observations."""
    cue, zeros = rng.choice([-1.0, 1.0], (n, 1)), np.zeros((n, 1))
    return cue, [{"cue": cue, "asked": zeros}, {"cue": zeros, "asked": zeros + 1}]


def learn_to_remember(agent: SAC, calls: int, start: int = 0) -> SAC:
    """The action's sign must be the cue's; windows of two moments, or the last one alone."""
    for call in range(start, start + calls):
        rng = np.random.default_rng(call)
        cue, moments = remembered(rng, 16 * ROWS)
        action = rng.uniform(-1, 1, cue.shape)
        obs = {name: np.stack([one[name] for one in moments], 1).astype(np.float32) for name in ("cue", "asked")}
        obs |= {"valid": np.ones((16 * ROWS, 2), bool)}
        if agent.window == 1:
            obs = {name: obs[name][:, -1] for name in ("cue", "asked")}
        whole = transitions(obs, action, -(np.sign(action) != cue)[:, 0].astype(float))
        agent.update(jax.tree.map(lambda array: array.reshape(16, ROWS, *array.shape[1:]), whole))
    return agent


def remembering(agent: SAC) -> float:
    """The share of episodes that end with an action of the cue's sign."""
    cue, moments = remembered(np.random.default_rng(10**6), 1000)
    carry, action = agent.initial_carry(1000), np.zeros((1000, 1))
    for obs in moments:
        action, carry = agent.act(obs, carry)
    return float(np.mean(np.sign(action) == cue))


@pytest.mark.slow
def test_what_is_no_longer_seen_is_remembered_and_without_a_memory_left_to_chance():
    """When asked, both cues look alike: a memoryless policy acts alike, and is right where the cue happens to fit."""
    for inputs in ({"encoder": "gru", "width": 8}, {"encoder": "history"}):
        assert remembering(learn_to_remember(agent_of(CUE, memory=2, **inputs), 20)) > 0.95
    cue, _ = remembered(np.random.default_rng(10**6), 1000)
    more = max(np.mean(cue > 0), np.mean(cue < 0))
    assert remembering(learn_to_remember(agent_of(CUE), 20)) <= more < 0.55


@pytest.mark.slow
@pytest.mark.usefixtures("optimised")
@pytest.mark.parametrize(
    ("spec", "inputs", "learn"),
    [
        (IMAGE, {"encoder": "cnn", "width": 2}, learn_to_point),
        (CUE, {"encoder": "gru", "width": 8, "memory": 2}, learn_to_remember),
    ],
)
def test_saved_in_the_middle_learning_goes_on_bit_for_bit(spec, inputs, learn):
    one, other = learn(agent_of(spec, **inputs), 2), agent_of(spec, **inputs)
    other.load_state({name: array.copy() for name, array in one.state().items()})
    a, b = (learn(agent, 1, start=2).state() for agent in (one, other))
    assert a.keys() == b.keys()
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)
    assert a["updates"] == one.updates > 32


@pytest.mark.parametrize("name", ["gru", "history"])
def test_a_window_is_read_as_it_was_acted_in(name):
    """Step by step from the start of an episode, an encoder with memory makes of it what it makes of its window."""
    encoder = make_encoder(InputConfig(encoder=name, width=4, memory=4), CUE.obs, CUE, jax.random.key(0))
    scales = agent_of(CUE).scaler.stats.obs
    window = first(batches(1, 5, spec=CUE, window=4)).obs | {
        "valid": np.arange(4) >= np.array([[0], [1], [2], [3], [0]])
    }
    carry: Any = encoder.initial_carry(5)
    for t in range(4):
        features, carry = encoder.step({key: window[key][:, t] for key in ("cue", "asked")}, scales, carry)
        carry = carry * window["valid"][:, t].reshape(5, *[1] * (carry.ndim - 1))  # not begun yet
    assert np.allclose(features, encoder(window, scales), atol=1e-6)
    changed = window | {"cue": np.where(window["valid"][..., None], window["cue"], 9.0)}
    assert np.allclose(encoder(changed, scales), encoder(window, scales)), "what lies before an episode must not matter"
    assert not np.allclose(encoder(window | {"cue": window["cue"] + 1}, scales), encoder(window, scales))


def test_frames_are_read_together_in_the_order_in_which_they_were_seen():
    spec = IMAGE._replace(obs=(*IMAGE.obs, Field("own", (2,))))
    encoder = make_encoder(InputConfig(encoder="frames", width=4, memory=3), spec.obs, spec, jax.random.key(0))
    scales, rng = agent_of(spec, encoder="cnn").scaler.stats.obs, np.random.default_rng(0)
    window = {"pixels": images(rng, 3, 3)[0]["pixels"], "own": rng.normal(size=(3, 3, 2)).astype(np.float32)}
    window |= {"valid": np.arange(3) >= np.array([[0], [1], [2]])}
    carry: Any = encoder.initial_carry(3)
    for t in range(3):
        moment = {key: window[key][:, t] for key in ("pixels", "own")}
        features, carry = encoder.step(moment, scales, carry)
        begun = window["valid"][:, t].reshape(3, 1, 1, 1, 1)
        carry = tuple(np.where(begun, frames, 0) for frames in carry)
    read = encoder(window, scales)
    assert np.allclose(features, read, atol=1e-6)
    swapped = window | {"pixels": window["pixels"][:, [1, 0, 2]]}
    assert not np.allclose(encoder(swapped, scales)[0], read[0])  # the order counts where both are of the episode
    assert np.array_equal(encoder(window | {"own": window["own"] * [[[9], [9], [1]]]}, scales), read)
    with pytest.raises(ValueError, match="has a memory"):
        encoder.step({key: window[key][:, 0] for key in ("pixels", "own")}, scales, ())


def test_an_encoder_that_cannot_read_an_image_and_a_second_of_a_name_are_refused():
    with pytest.raises(UserError, match=r"cannot read the image 'pixels'; use --agent\.inputs\.encoder cnn"):
        agent_of(IMAGE)
    with pytest.raises(ValueError, match="encoder 'cnn' is registered already"):
        ENCODERS.register("cnn", ENCODERS["state"])


def test_without_images_the_convolutional_encoder_shows_what_the_states_does():
    spec, stats = spec_of(3, 2, 2), SAC(SACConfig((8,)), spec_of(3, 2, 2), 0).scaler.stats
    obs = first(batches(1, 4)).obs
    state, cnn = (
        make_encoder(InputConfig(encoder=name), spec.obs, spec, jax.random.key(0)) for name in ("state", "cnn")
    )
    assert isinstance(stats, InputStats)
    assert np.array_equal(state(obs, stats.obs), cnn(obs, stats.obs))


def test_the_convolutions_of_nature_leave_of_an_image_what_the_paper_says():
    """7 x 7 x 64 numbers of 84 x 84 pixels; the small ones halve it three times."""
    nature, small = InputConfig(convolutions="nature"), InputConfig()
    for size, config, left in ((84, nature, 3136), (36, nature, 64), (84, small, 11 * 11 * 32)):
        read = Convolutions((size, size, 3), config, jax.random.key(0))
        assert read.bottleneck.weights[0].shape == (left, config.width)
    assert read(jnp.zeros((2, 84, 84, 3))).shape == (2, small.width)
    with pytest.raises(UserError, match=r"--agent\.inputs\.convolutions leaves nothing of an image of 35 x 84 pixels"):
        Convolutions((35, 84, 3), replace(nature, pooling="points"), jax.random.key(0))
    with pytest.raises(UserError, match=r"agent\.inputs\.convolutions is small or nature"):
        InputConfig(convolutions="large")  # type: ignore[arg-type]


def test_normalised_features_are_those_of_each_image_whatever_their_scale():
    normed, plain = (Convolutions((8, 8, 1), InputConfig(layer_norm=on), jax.random.key(0)) for on in (True, False))
    pixels = jnp.asarray(images(np.random.default_rng(0), 3)[0]["pixels"])
    found = np.asarray(normed(pixels))
    assert np.allclose(np.arctanh(found).mean(axis=1), 0, atol=1e-5)
    assert np.allclose(np.arctanh(found).std(axis=1), 1, atol=1e-2)
    assert np.abs(np.arctanh(plain(pixels)).std(axis=1) - 1).min() > 0.1
    assert np.allclose(normed(pixels.at[1:].set(0))[0], found[0], atol=1e-6)  # not by the others of a batch
    larger = eqx.tree_at(lambda one: one.bottleneck, normed, jax.tree.map(lambda x: 100 * x, normed.bottleneck))
    assert np.allclose(larger(pixels), found, atol=1e-2)
    assert len(jax.tree.leaves(plain)) == len(jax.tree.leaves(normed)) - 2  # those of older checkpoints


def test_points_of_a_softmax_tell_where_and_not_what():
    maps = np.zeros((2, 3, 5, 2), np.float32)
    maps[0, 2, 1, 0], maps[0, 0, 4, 1] = 50.0, 50.0
    maps[1, 1, 0, 0] = maps[1, 1, 4, 0] = 50.0
    found = np.asarray(spatial_softmax(jnp.asarray(maps)))
    np.testing.assert_allclose(found, [[[1, -0.5], [-1, 1]], [[0, 0], [0, 0]]], atol=1e-6)


def test_what_is_pooled_to_points_has_two_numbers_for_each_channel():
    def convolutions(pooling: Any) -> Any:
        encoder: Any = make_encoder(InputConfig(encoder="cnn", pooling=pooling), IMAGE.obs, IMAGE, jax.random.key(0))
        return encoder.images["pixels"]

    whole, points = convolutions("all"), convolutions("points")
    assert points.bottleneck.weights[0].shape[0] == 2 * len(points.biases[-1])
    obs = images(np.random.default_rng(0), 3)[0]["pixels"]
    assert points(obs).shape == whole(obs).shape == (3, InputConfig().width)
    assert not np.allclose(points(obs), whole(obs))
    with pytest.raises(UserError, match=r"agent\.inputs\.pooling is all or points"):
        InputConfig(pooling="mean")  # type: ignore[arg-type]
