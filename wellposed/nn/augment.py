"""Augmentation: from a batch and a key to an equally valid batch. Mirror images and random shifts of images."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from wellposed.types import GOAL_KEYS, INTERFACE, Batch, Mirror, Spec

Augmentation = Callable[[Batch, Array], Batch]


def augmentations(config: Any, spec: Spec) -> list[Augmentation]:
    """Those that the configuration asks for and the environment allows.

    The mirror is defined for observations with only the key "observation", goals and actions that an interface
    remembers, a shift only for images.
    """
    chosen: list[Augmentation] = []
    mirror = spec.geometry.mirror if spec.geometry else None
    known = ("observation", INTERFACE, *GOAL_KEYS)
    if config.mirror and mirror and all(one.name in known for one in (*spec.obs, *spec.truth)):
        chosen.append(partial(mirror_half, mirror))
    images = tuple(one.name for one in spec.obs if one.kind == "image")
    if config.shift and images:
        chosen.append(partial(shift_images, images, config.shift))
    return chosen


def augment(chosen: list[Augmentation], batch: Batch, key: Array) -> Batch:
    """Apply one after another, each with its own key; the first gets `key` itself."""
    for one in chosen:
        batch, key = one(batch, key), jax.random.fold_in(key, 1)
    return batch


def mirror_image(mirror: Mirror, batch: Batch) -> Batch:
    """The transitions of a batch as seen in the mirror; rewards and termination stay."""
    order = np.array(mirror.observation_order)
    as32 = lambda numbers: np.array(numbers, np.float32)  # noqa: E731
    seen = lambda obs: as32(mirror.observation_offset) + obs[..., order] * as32(mirror.observation_sign)  # noqa: E731
    goal = lambda point: as32(mirror.goal_offset) + point * as32(mirror.goal_sign)  # noqa: E731
    # Actions, one after another; the last number, how long one has been held, is the same in the mirror.
    size = len(mirror.action_sign)
    sign = lambda n: as32([*mirror.action_sign * (n // size), *[1] * (n % size)])  # noqa: E731
    actions = lambda seen: seen * sign(seen.shape[-1])  # noqa: E731
    image_of = {"observation": seen, "achieved_goal": goal, "desired_goal": goal, INTERFACE: actions}

    def reflected(obs: dict[str, Any]) -> dict[str, Any]:
        return {name: image_of[name](array) if name in image_of else array for name, array in obs.items()}

    return batch._replace(
        obs=reflected(batch.obs),
        next_obs=reflected(batch.next_obs),
        truth=reflected(batch.truth),
        next_truth=reflected(batch.next_truth),
        action=batch.action * as32(mirror.action_sign),
    )


def mirror_half(mirror: Mirror, batch: Batch, key: Array) -> Batch:
    """A batch [b, ...] in which each transition is replaced by its mirror image with probability 1/2."""
    chosen = jax.random.bernoulli(key, shape=batch.reward.shape)
    pick = lambda image, own: jnp.where(chosen.reshape(-1, *[1] * (own.ndim - 1)), image, own)  # noqa: E731
    return jax.tree.map(pick, mirror_image(mirror, batch), batch)


def shift_images(names: tuple[str, ...], pixels: int, batch: Batch, key: Array) -> Batch:
    """Images before and after each transition [b, ..., h, w, c] moved by up to `pixels`, edges repeated.

    All images of a window move alike, those of `obs` and `next_obs` apart. Source: DrQ, arXiv 2004.13649, section 3.1.
    """
    moved = []
    for obs in (batch.obs, batch.next_obs):
        keys = dict(zip(names, jax.random.split(key, len(names)), strict=True))
        moved.append(obs | {name: shifted(obs[name], pixels, k) for name, k in keys.items()})
        key = jax.random.fold_in(key, 2)
    return batch._replace(obs=moved[0], next_obs=moved[1])


def shifted(images: Array, pixels: int, key: Array) -> Array:
    """Images [b, ..., h, w, c], each b moved by up to `pixels` along both axes."""
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * pixels + 1)
    return cropped(images.reshape(len(images), -1, *images.shape[-3:]), pixels, corners).reshape(images.shape)


def cropped(stacks: Array, pixels: int, corners: Array) -> Array:
    """Stacks of images [b, L, h, w, c], their edges repeated by `pixels`, cut to their size again at corners [b, 2].

    Corners (down, across) are 0 to 2 `pixels`. All images of a stack are cut alike.
    """
    padded = jnp.pad(stacks, ((0, 0), (0, 0), (pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
    crop = lambda stack, corner: jax.lax.dynamic_slice(stack, (0, *corner, 0), stacks.shape[1:])  # noqa: E731
    return jax.vmap(crop)(padded, corners)
