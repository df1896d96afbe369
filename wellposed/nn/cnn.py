"""An encoder that learns to read images."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from wellposed.nn.inputs import Encoder, InputConfig, Scales, StateEncoder
from wellposed.nn.networks import MLP
from wellposed.types import Field, Spec

CHANNELS = (32, 32, 32)  # of each layer; DrQ has four layers of 32, only the first of which halves the image
KERNEL, STRIDE = 3, 2


class Convolutions(eqx.Module):
    """Convolutions with ReLU, each of which halves the image, then a bottleneck: tanh of `width` linear functions."""

    filters: list[Array]  # [KERNEL, KERNEL, in, out] each
    biases: list[Array]  # [out] each
    bottleneck: MLP

    def __init__(self, shape: tuple[int, ...], width: int, key: Array):
        """`shape`: height, width, channels. Weights and biases start uniform in +-1/sqrt(fan_in), as PyTorch's do."""
        self.filters, self.biases = [], []
        height, across, channels = shape
        for out in CHANNELS:
            key, filter_key, bias_key = jax.random.split(key, 3)
            bound, size = (KERNEL * KERNEL * channels) ** -0.5, (KERNEL, KERNEL, channels, out)
            self.filters.append(jax.random.uniform(filter_key, size, minval=-bound, maxval=bound))
            self.biases.append(jax.random.uniform(bias_key, (out,), minval=-bound, maxval=bound))
            height, across, channels = -(-height // STRIDE), -(-across // STRIDE), out
        self.bottleneck = MLP([height * across * channels, width], key)

    def __call__(self, image: Array) -> Array:
        """Images [..., height, width, channels] of bytes -> [..., width] in [-1, 1]."""
        lead = image.shape[:-3]
        x = image.reshape(-1, *image.shape[-3:]) / 255.0 - 0.5
        for weight, bias in zip(self.filters, self.biases, strict=True):
            x = jax.lax.conv_general_dilated(
                x, weight, (STRIDE, STRIDE), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + bias)
        return jnp.tanh(self.bottleneck(x.reshape(*lead, -1)))


class ConvEncoder(Encoder):
    """Features of each image, beside what `StateEncoder` shows of vectors and goals.

    Source: Yarats et al. (2021), "Image Augmentation Is All You Need", arXiv 2004.13649, appendix; smaller, and without
    layer normalisation, which leaves nothing of a bottleneck of two numbers.
    """

    state: StateEncoder | None  # None where there is nothing but images
    images: dict[str, Convolutions]

    def __init__(self, config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array):
        others = tuple(one for one in fields if one.kind != "image")
        self.state = StateEncoder(config, others, spec, key) if others else None
        images = [one for one in fields if one.kind == "image"]
        keys = jax.random.split(key, max(len(images), 1))
        self.images = {one.name: Convolutions(one.shape, config.width, k) for one, k in zip(images, keys, strict=False)}

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """[..., *shape] of each field -> [..., f]."""
        parts = [] if self.state is None else [self.state(obs, scales)]
        return jnp.concatenate(parts + [read(obs[name]) for name, read in self.images.items()], axis=-1)
