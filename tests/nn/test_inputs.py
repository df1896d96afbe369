"""What networks are shown: scales, differences, logarithms of distances, and the symmetries they respect."""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wellposed import envs
from wellposed.agents import make_agent
from wellposed.agents.sac import SACConfig
from wellposed.nn.inputs import (
    NEAREST,
    InputConfig,
    InputScaler,
    InputStats,
    input_width,
    log_distance,
    mirror_half,
    mirror_image,
    network_inputs,
)
from wellposed.nn.normaliser import RunningNormaliser
from wellposed.types import Batch, Dims, Geometry, Mirror

PLAIN = InputConfig(relative=False, distances=False)
LINE = Dims(1, 1, 1, 5)
GEOMETRY = Geometry(effector=(0, 1, 2), points=((0, 1, 2), (3, 4, 5)), shift_axes=(0, 1), mirror=None)
SPACE = Dims(7, 3, 2, 5, GEOMETRY)
UNSCALED = InputStats(np.zeros(7), np.ones(7), np.zeros(3), np.ones(3))
FETCH = [entry.id for entry in envs.registered() if "fetch" in entry.tags]


def scene(seed: int = 0, n: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations of hand, object and one thing that is no point; achieved and desired goals."""
    rng = np.random.default_rng(seed)
    observation, desired = rng.normal(size=(n, 7)), rng.normal(size=(n, 3))
    return observation, observation[:, 3:6].copy(), desired


def shown(config: InputConfig, dims: Dims, observation: Any, achieved: Any, desired: Any) -> np.ndarray:
    return np.asarray(network_inputs(config, dims, UNSCALED, observation, achieved, desired))


def test_inputs_hold_the_way_to_the_goal_in_standard_deviations():
    stats = InputStats(jnp.array([1.0]), jnp.array([2.0]), jnp.array([10.0]), jnp.array([4.0]))
    x = network_inputs(PLAIN, LINE, stats, jnp.array([5.0]), jnp.array([6.0]), jnp.array([14.0]))
    assert np.allclose(x, [(5 - 1) / 2, (14 - 10) / 4, (14 - 6) / 4])
    far = network_inputs(PLAIN, LINE, stats, jnp.array([50.0]), jnp.array([6.0]), jnp.array([14.0]))
    assert far[0] == PLAIN.clip


def test_the_logarithm_of_a_distance_by_hand():
    assert log_distance(jnp.array([3.0, 4.0, 0.0, 0.0]))[0] == pytest.approx(np.log(2.5 + NEAREST), rel=1e-6)
    assert log_distance(jnp.zeros(3))[0] == pytest.approx(np.log(NEAREST), rel=1e-6)
    assert np.isfinite(jax.grad(lambda way: log_distance(way)[0])(jnp.ones(3))).all()


def test_relative_inputs_do_not_see_a_shift_along_the_table_and_do_see_every_other_change():
    observation, achieved, desired = scene()
    before = shown(InputConfig(), SPACE, observation, achieved, desired)
    for axis in (0, 1, 2):
        moved = observation.copy()
        moved[:, [axis, 3 + axis]] += 0.7
        step = 0.7 * np.eye(3)[axis]
        after = shown(InputConfig(), SPACE, moved, achieved + step, desired + step)
        assert np.allclose(before, after, atol=1e-5) == (axis in GEOMETRY.shift_axes)
        assert not np.allclose(shown(InputConfig(), SPACE, observation, achieved, desired + step), before, atol=1e-5)
        absolute = shown(InputConfig(relative=False), SPACE, observation, achieved, desired)
        assert not np.allclose(
            shown(InputConfig(relative=False), SPACE, moved, achieved + step, desired + step), absolute
        )


def test_without_a_geometry_nothing_is_left_out():
    observation, achieved, desired = scene()
    dims = SPACE._replace(geometry=None)
    assert input_width(InputConfig(), dims) == 7 + 3 + 3 + 1
    assert input_width(InputConfig(), SPACE) == (7 - 4) + (3 - 2) + 3 + 2
    x = shown(InputConfig(), dims, observation, achieved, desired)
    assert np.allclose(x[:, :7], np.clip(observation, -5, 5))


def test_goals_that_are_points_share_one_scale():
    rng = np.random.default_rng(0)
    goals = rng.normal(size=(500, 3)) * [3.0, 1.0, 0.0]
    obs = {"observation": rng.normal(size=(500, 7)), "achieved_goal": goals, "desired_goal": goals}
    scaler, free = InputScaler(InputConfig(), SPACE), InputScaler(InputConfig(), SPACE._replace(geometry=None))
    scaler.observe(obs)
    free.observe(obs)
    assert np.allclose(scaler.stats.goal_std, np.sqrt(np.mean(goals.var(axis=0))), rtol=1e-3)
    assert np.allclose(free.stats.goal_std, np.maximum(goals.std(axis=0), 1e-3), rtol=1e-5)
    assert np.allclose(InputScaler(InputConfig(normalise=False), SPACE).stats.obs_std, 1)


def batch_of(env_id: str) -> tuple[Geometry, Mirror, Batch]:
    """A task's geometry and mirror, and a batch of real transitions."""
    env = envs.make_vec(env_id, 4)
    rng, rows = np.random.default_rng(0), []
    obs, _ = env.reset(seed=0)
    for _ in range(49):
        action = rng.uniform(-1, 1, (4, 4)).astype(np.float32)
        after, reward, terminated, *_ = env.step(action)
        here = obs["observation"], obs["achieved_goal"], action, reward
        rows.append((*here, after["observation"], after["achieved_goal"], obs["desired_goal"], terminated))
        obs = after
    geometry = env.geometry
    assert geometry.mirror is not None
    return (
        geometry,
        geometry.mirror,
        Batch(*(np.concatenate(field).astype(np.float32) for field in zip(*rows, strict=True))),
    )


@pytest.mark.parametrize("env_id", FETCH)
def test_the_mirror_image_of_a_mirror_image_is_the_batch_itself(env_id):
    _, mirror, batch = batch_of(env_id)
    once = mirror_image(mirror, batch)
    twice = mirror_image(mirror, once)
    for own, image, back in zip(batch, once, twice, strict=True):
        assert np.allclose(own, back, atol=1e-6)
        assert image.shape == own.shape
    assert not np.allclose(batch.observation, once.observation, atol=1e-3)


@pytest.mark.parametrize("env_id", FETCH)
def test_the_mirror_keeps_every_distance_and_so_every_reward(env_id):
    geometry, mirror, batch = batch_of(env_id)
    image, env = mirror_image(mirror, batch), envs.make_vec(env_id)
    for one in (batch, image):
        assert np.allclose(env.compute_reward(one.next_achieved_goal, one.desired_goal), batch.reward, atol=1e-6)
    for first in geometry.points:
        own, mirrored = (b.observation[:, first] - b.desired_goal for b in (batch, image))
        assert np.allclose(np.linalg.norm(own, axis=1), np.linalg.norm(mirrored, axis=1), atol=1e-5)


def test_about_half_of_a_batch_is_mirrored_and_each_transition_as_a_whole():
    _, mirror, batch = batch_of("FetchPush-v4")
    image = mirror_image(mirror, batch)
    mixed = mirror_half(mirror, batch, jax.random.key(0))
    chosen = np.all(np.isclose(mixed.observation, image.observation), axis=1)
    assert 0.35 < chosen.mean() < 0.65
    for got, own, other in zip(mixed, batch, image, strict=True):
        assert np.allclose(got[chosen], other[chosen])
        assert np.allclose(got[~chosen], own[~chosen])


def test_learning_from_mirror_images_can_be_left_out():
    dims, (_, _, batch) = envs.dims(envs.make_vec("FetchReach-v4")), batch_of("FetchReach-v4")
    config = SACConfig(hidden=(8,), batch_size=196)
    on, off = (make_agent("sac", replace(config, mirror=flag), dims, seed=0) for flag in (True, False))
    for agent in (on, off):
        agent.update(Batch(*(field[None] for field in batch)))
    name = "learner.nets.critics[0].weights[0]"
    assert not np.array_equal(on.state()[name], off.state()[name])


def test_the_normaliser_is_that_of_all_rows_together():
    rows = np.random.default_rng(0).normal(3, 2, (100, 4))
    rows[:, 3] = 7.0
    normaliser = RunningNormaliser(4, min_std=1e-3)
    for chunk in np.split(rows, [1, 2, 30, 64]):
        normaliser.update(chunk)
    assert np.allclose(normaliser.mean, rows.mean(axis=0))
    assert np.allclose(normaliser.std, np.maximum(rows.std(axis=0), 1e-3))
