"""Augmentation: a mirror image is as true as what it is of, and a shifted image shows the same."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from tests.agents.data import SPEC, batches, first
from wellposed.agents import SACConfig, make_agent
from wellposed.nn.augment import augment, augmentations, mirror_half, mirror_image, shifted
from wellposed.types import Batch, Field, Geometry, Mirror

# The second axis of a point at (0, 1) and of the goals, about 0.7; the third number is a velocity along it.
MIRROR = Mirror((0, 1, 2), (1, -1, -1), (0.0, 1.4, 0.0), (1, -1), (0.0, 1.4), (1, -1))
FLAT = SPEC._replace(geometry=Geometry((0, 1), ((0, 1),), (), MIRROR))
IMAGES = SPEC._replace(obs=(*SPEC.obs, Field("pixels", (6, 6, 1), "image", "uint8")))


def same(one: Any, other: Any) -> bool:
    return all(np.allclose(a, b, atol=1e-6) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True))


def with_truth(batch: Batch) -> Batch:
    return batch._replace(truth={"observation": batch.obs["observation"] + 1}, next_truth=batch.next_obs)


def test_the_mirror_image_of_a_mirror_image_is_the_batch_itself():
    batch = with_truth(first(batches(1, 8)))
    once = mirror_image(MIRROR, batch)
    assert same(mirror_image(MIRROR, once), batch)
    for name in ("obs", "next_obs", "truth", "next_truth", "action"):
        assert not same(getattr(once, name), getattr(batch, name)), name
    assert same((once.reward, once.terminated), (batch.reward, batch.terminated))


def test_the_mirror_keeps_distances_and_a_wrong_one_would_not():
    batch = first(batches(1, 8))
    way = lambda one: np.linalg.norm(one.obs["observation"][:, :2] - one.obs["desired_goal"], axis=1)  # noqa: E731
    assert np.allclose(way(mirror_image(MIRROR, batch)), way(batch), atol=1e-5)
    wrong = replace(MIRROR, goal_offset=(0.0, 1.0))
    assert not np.allclose(way(mirror_image(wrong, batch)), way(batch), atol=1e-2)


def test_about_half_of_a_batch_is_mirrored_and_each_transition_as_a_whole():
    for window in (1, 3):
        batch = first(batches(1, 400, window=window))
        image, mixed = mirror_image(MIRROR, batch), mirror_half(MIRROR, batch, jax.random.key(0))
        chosen = np.isclose(mixed.action, image.action).all(axis=1)
        assert 0.4 < chosen.mean() < 0.6
        pick = lambda one, rows: jax.tree.map(lambda array: array[rows], one)  # noqa: E731
        assert same(pick(mixed, chosen), pick(image, chosen))
        assert same(pick(mixed, ~chosen), pick(batch, ~chosen))


@pytest.mark.slow
def test_learning_from_mirror_images_can_be_left_out():
    on, off = (make_agent("sac", SACConfig((8,), mirror=flag), FLAT, seed=0) for flag in (True, False))
    for agent in (on, off):
        agent.update(batches(1, 64))
    name = "learner.nets.critics.heads[0].weights[0]"
    assert not np.array_equal(on.state()[name], off.state()[name])


@pytest.mark.parametrize("spec", [SPEC, FLAT._replace(obs=IMAGES.obs), FLAT._replace(truth=(Field("hidden", (1,)),))])
def test_no_mirror_image_is_made_of_what_the_mirror_says_nothing_of(spec):
    assert len(augmentations(SACConfig(), FLAT)) == 1
    assert augmentations(SACConfig(), spec) == []


def test_an_image_moves_by_at_most_the_shift_and_all_of_a_window_alike():
    images: Any = np.random.default_rng(0).integers(256, size=(50, 3, 6, 6, 2)).astype(np.uint8)
    moved = np.asarray(shifted(images, 2, jax.random.key(0)))
    padded, found = np.pad(images, ((0, 0), (0, 0), (2, 2), (2, 2), (0, 0)), mode="edge"), set()
    for one, window in zip(moved, padded, strict=True):
        fits = [(i, j) for i in range(5) for j in range(5) if np.array_equal(window[:, i : i + 6, j : j + 6], one)]
        assert len(fits) == 1
        found |= set(fits)
    assert len(found) > 15, "all shifts must occur"
    assert moved.dtype == np.uint8


def test_shifts_change_images_alone_and_before_and_after_apart():
    batch, chosen = first(batches(1, 64, spec=IMAGES)), augmentations(SACConfig(shift=1), IMAGES)
    batch = batch._replace(next_obs=batch.obs)
    moved = augment(chosen, batch, jax.random.key(0))
    assert not np.array_equal(moved.obs["pixels"], batch.obs["pixels"])
    assert not np.array_equal(moved.obs["pixels"], moved.next_obs["pixels"])
    still = lambda one: {name: array for name, array in one.obs.items() if name != "pixels"}  # noqa: E731
    assert same(still(moved), still(batch))
    assert augmentations(SACConfig(shift=0), IMAGES) == augmentations(SACConfig(shift=1), SPEC) == []


def test_actions_that_an_interface_remembers_are_mirrored_like_actions():
    spec = FLAT._replace(obs=(*FLAT.obs, Field("interface", (5,))))  # two actions, and for how long one has been held
    assert len(augmentations(SACConfig(mirror=True), spec)) == 1
    batch = first(batches(1, 8))
    shown = np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)
    shown[:, :2] = batch.action
    image = mirror_image(MIRROR, batch._replace(obs=batch.obs | {"interface": shown}))
    assert same(image.obs["interface"][:, :2], image.action)
    assert same(image.obs["interface"], shown * [1, -1, 1, -1, 1])
