"""The encoders by name, and those that learn. A new one is a class in a file of its own and one line here, or an entry
point of the group below.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import Array

from wellposed.errors import require
from wellposed.nn.inputs import Encoder, InputConfig, Scales, StateEncoder, feature_width
from wellposed.nn.networks import MLP
from wellposed.registry import Registry
from wellposed.types import Carry, Field, Spec

# How the edges of an image are treated, and kernel, stride and channels of each layer. `nature` is Mnih et al. (2015);
# DrQ has four layers like those of `small`, only the first of which halves the image.
LAYERS = {
    "small": ("SAME", ((3, 2, 32), (3, 2, 32), (3, 2, 32))),
    "nature": ("VALID", ((8, 4, 32), (4, 2, 64), (3, 1, 64))),
}
NO_CARRY = "This policy has a memory: hand in `initial_carry(n)`, then what `act` returned."


class Convolutions(eqx.Module):
    """Convolutions with ReLU (`LAYERS`), then a bottleneck: tanh of `width` linear functions, normalised if asked."""

    filters: list[Array]  # [kernel, kernel, in, out] each
    biases: list[Array]  # [out] each
    bottleneck: MLP
    norm: eqx.nn.LayerNorm | None
    config: InputConfig = eqx.field(static=True)

    def __init__(self, shape: tuple[int, ...], config: InputConfig, key: Array):
        """`shape`: height, width, channels. Weights and biases start uniform in +-1/sqrt(fan_in), as PyTorch's do.

        Raises:
            UserError: if these convolutions leave nothing of so small an image.
        """
        self.filters, self.biases, self.config = [], [], config
        channels = shape[-1]
        for kernel, _, out in LAYERS[config.convolutions][1]:
            key, filter_key, bias_key = jax.random.split(key, 3)
            bound, size = (kernel * kernel * channels) ** -0.5, (kernel, kernel, channels, out)
            self.filters.append(jax.random.uniform(filter_key, size, minval=-bound, maxval=bound))
            self.biases.append(jax.random.uniform(bias_key, (out,), minval=-bound, maxval=bound))
            channels = out
        down, across = jax.eval_shape(lambda: self.maps(jnp.zeros((1, *shape)))).shape[1:3]
        rule = f"leaves nothing of an image of {shape[0]} x {shape[1]} pixels"
        require(min(down, across) > 0, "agent.inputs.convolutions", rule, config.convolutions)
        self.bottleneck = MLP([(2 if config.pooling == "points" else down * across) * channels, config.width], key)
        self.norm = eqx.nn.LayerNorm(config.width) if config.layer_norm else None

    def __call__(self, image: Array) -> Array:
        """Images [..., height, width, channels] of bytes -> [..., width] in [-1, 1]."""
        x = self.maps(image.reshape(-1, *image.shape[-3:]) / 255.0 - 0.5)
        x = spatial_softmax(x) if self.config.pooling == "points" else x
        x = self.bottleneck(x.reshape(*image.shape[:-3], -1))
        return jnp.tanh(x if self.norm is None else jnp.vectorize(self.norm, signature="(f)->(f)")(x))

    def maps(self, x: Array) -> Array:
        """Images [n, height, width, channels] around 0 -> the last convolution of them."""
        edges, layers = LAYERS[self.config.convolutions]
        for (_, stride, _), weight, bias in zip(layers, self.filters, self.biases, strict=True):
            x = jax.lax.conv_general_dilated(
                x, weight, (stride, stride), edges, dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = jax.nn.relu(x + bias)
        return x


def spatial_softmax(maps: Array) -> Array:
    """The mean place of each channel of [b, height, width, channels] under its softmax, [b, channels, 2].

    A place is (down, across), each from -1 in the first row or column to 1 in the last. Source: Levine et al. (2016),
    "End-to-End Training of Deep Visuomotor Policies", arXiv 1504.00702, section 5.3.
    """
    share = jax.nn.softmax(maps.reshape(len(maps), -1, maps.shape[-1]), axis=1).reshape(maps.shape)
    down, across = (jnp.linspace(-1, 1, size) for size in maps.shape[1:3])
    return jnp.stack([jnp.einsum("bijc,i->bc", share, down), jnp.einsum("bijc,j->bc", share, across)], axis=-1)


class ConvEncoder(Encoder):
    """Features of each image, beside the features of vectors and goals of `StateEncoder`.

    Source: Yarats et al. (2021), "Image Augmentation Is All You Need", arXiv 2004.13649, appendix; smaller, and without
    layer normalisation by default, which would leave nothing of a bottleneck of two numbers.
    """

    state: StateEncoder | None  # None where there is nothing but images
    images: dict[str, Convolutions]

    def __init__(self, config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array):
        others = tuple(one for one in fields if one.kind != "image")
        self.state = StateEncoder(config, others, spec, key) if others else None
        images = [one for one in fields if one.kind == "image"]
        keys = jax.random.split(key, max(len(images), 1))
        self.images = {one.name: Convolutions(one.shape, config, k) for one, k in zip(images, keys, strict=False)}

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """[..., *shape] of each field -> [..., f]."""
        parts = [] if self.state is None else [self.state(obs, scales)]
        return jnp.concatenate(parts + [features for _, features in self.pictures(obs).values()], axis=-1)

    def pictures(self, obs: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
        """Each image as it is read, [..., height, width, channels], and its features [..., width]."""
        return {name: (obs[name], read(obs[name])) for name, read in self.images.items()}


class FramesEncoder(Encoder):
    """The last `InputConfig.memory` frames of each image as channels of one, and vectors and goals as they are now.

    Convolutions that see several frames at once can read motion off them. Frames from before the episode are black.

    Source: Mnih et al. (2015), "Human-level control through deep reinforcement learning", Nature 518.
    """

    has_memory = True
    now: ConvEncoder  # of stacked images
    names: tuple[str, ...] = eqx.field(static=True)  # of the images
    before: tuple[tuple[int, ...], ...] = eqx.field(static=True)  # the shape of what is remembered of each

    def __init__(self, config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array):
        depth = config.memory
        stacks = [one._replace(shape=(*one.shape[:2], depth * one.shape[2])) for one in fields if one.kind == "image"]
        others = [one for one in fields if one.kind != "image"]
        self.now, self.names = ConvEncoder(config, (*others, *stacks), spec, key), tuple(one.name for one in stacks)
        self.before = tuple((depth - 1, *one.shape) for one in fields if one.kind == "image")

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """Windows [b, L, ...] with "valid" [b, L] -> features [b, f] at their last moment."""
        return self.now(self.together(obs), scales)

    def pictures(self, obs: dict[str, Array]) -> dict[str, tuple[Array, Array]]:
        """As `ConvEncoder.pictures`, of windows: their frames as one image, and its features."""
        return self.now.pictures(self.together(obs))

    def together(self, obs: dict[str, Array]) -> dict[str, Array]:
        """Windows as what is seen at their last moment, with all frames of each image as one."""
        seen = {name: array[:, -1] for name, array in obs.items() if name not in (*self.names, "valid")}
        valid = jnp.asarray(obs["valid"], bool)[..., None, None, None]
        return seen | {name: stacked(jnp.where(valid, obs[name], 0)) for name in self.names}

    def initial_carry(self, n: int) -> Carry:
        """Black frames of each image, [n, L - 1, height, width, channels]."""
        return tuple(jnp.zeros((n, *shape), jnp.uint8) for shape in self.before)

    def step(self, obs: dict[str, Array], scales: Scales, carry: Carry) -> tuple[Array, Carry]:
        """Features [n, f] of one moment, and the frames that are remembered. Raises ValueError without a carry."""
        if len(carry) != len(self.names):
            raise ValueError(NO_CARRY)
        windows = {n: jnp.concatenate([old, obs[n][:, None]], axis=1) for n, old in zip(self.names, carry, strict=True)}
        features = self.now(obs | {name: stacked(window) for name, window in windows.items()}, scales)
        return features, tuple(window[:, 1:] for window in windows.values())


def stacked(frames: Array) -> Array:
    """Frames [n, L, height, width, channels] as one image [n, height, width, L channels], the newest last."""
    n, depth, height, width, channels = frames.shape
    return jnp.moveaxis(frames, 1, 3).reshape(n, height, width, depth * channels)


class HistoryEncoder(Encoder):
    """The features of the last `InputConfig.memory` moments side by side, the newest last; 0 before the episode began.

    Source: Mnih et al. (2015), "Human-level control through deep reinforcement learning", Nature 518, of images.
    """

    has_memory = True
    now: ConvEncoder
    before: tuple[int, int] = eqx.field(static=True)  # moments that are remembered, and features of each

    def __init__(self, config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array):
        self.now = ConvEncoder(config, fields, spec, key)
        self.before = config.memory - 1, feature_width(self.now, fields)

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """Windows [b, L, ...] with "valid" [b, L] -> features [b, L f]."""
        seen = jnp.where(jnp.asarray(obs["valid"], bool)[..., None], self.now(obs, scales), 0.0)
        return seen.reshape(len(seen), -1)

    def initial_carry(self, n: int) -> Carry:
        """Zeros [n, L - 1, f]."""
        return jnp.zeros((n, *self.before))

    def step(self, obs: dict[str, Array], scales: Scales, carry: Carry) -> tuple[Array, Carry]:
        """Features [n, L f], and what is remembered of them. Raises ValueError without a carry."""
        seen = jnp.concatenate([required(carry), self.now(obs, scales)[:, None]], axis=1)
        return seen.reshape(len(seen), -1), seen[:, 1:]


def required(carry: Carry) -> Array:
    """What a policy with memory was handed. Raises ValueError if it was nothing."""
    if isinstance(carry, tuple):
        raise ValueError(NO_CARRY)
    return carry


class GRUEncoder(Encoder):
    """What is seen now, and the state of a gated recurrent unit that has read the episode so far.

    In training it reads the last `InputConfig.memory` moments from a state of zeros; when acting it continues from the
    start of the episode.

    Source: Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", arXiv 1406.1078, with the
    reset gate after the product, as in PyTorch.
    """

    has_memory = True
    now: ConvEncoder  # what is seen at one moment: images too
    from_now: Array  # [f, 3 width], for reset gate, update gate and candidate
    from_before: Array  # [width, 3 width]
    bias_now: Array  # [3 width]
    bias_before: Array  # [3 width]

    def __init__(self, config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array):
        now_key, *keys = jax.random.split(key, 5)
        self.now = ConvEncoder(config, fields, spec, now_key)
        width, bound = config.width, config.width**-0.5
        shapes = (feature_width(self.now, fields), 3 * width), (width, 3 * width), (3 * width,), (3 * width,)
        made = [jax.random.uniform(k, s, minval=-bound, maxval=bound) for k, s in zip(keys, shapes, strict=True)]
        self.from_now, self.from_before, self.bias_now, self.bias_before = made

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """Windows [b, L, ...] with "valid" [b, L] -> features [b, f] at their last moment."""
        x = self.now(obs, scales)

        def remember(carry: Array, moment: tuple[Array, Array]) -> tuple[Array, None]:
            seen, valid = moment
            return jnp.where(valid[:, None], self.cell(seen, carry), 0.0), None

        valid = jnp.asarray(obs["valid"], bool)
        carry, _ = jax.lax.scan(remember, self.initial_carry(len(x)), (jnp.swapaxes(x, 0, 1), valid.T))
        return jnp.concatenate([x[:, -1], carry], axis=-1)

    def initial_carry(self, n: int) -> Carry:
        """Zeros [n, width]."""
        return jnp.zeros((n, self.from_before.shape[0]))

    def step(self, obs: dict[str, Array], scales: Scales, carry: Carry) -> tuple[Array, Carry]:
        """Features [n, f] of one moment, and the unit's new state. Raises ValueError without a carry."""
        x = self.now(obs, scales)
        carry = self.cell(x, required(carry))
        return jnp.concatenate([x, carry], axis=-1), carry

    def cell(self, x: Array, carry: Array) -> Array:
        """The state [n, width] after features x [n, f] are read."""
        reset, update, new = jnp.split(x @ self.from_now + self.bias_now, 3, axis=-1)
        old_reset, old_update, old_new = jnp.split(carry @ self.from_before + self.bias_before, 3, axis=-1)
        kept = jax.nn.sigmoid(update + old_update)
        candidate = jnp.tanh(new + jax.nn.sigmoid(reset + old_reset) * old_new)
        return (1 - kept) * candidate + kept * carry


ENCODERS: Registry[type[Encoder]] = Registry("encoder", "wellposed.encoders")
ENCODERS.register("state", StateEncoder)
ENCODERS.register("cnn", ConvEncoder)
ENCODERS.register("frames", FramesEncoder)
ENCODERS.register("history", HistoryEncoder)
ENCODERS.register("gru", GRUEncoder)


def make_encoder(config: InputConfig, fields: tuple[Field, ...], spec: Spec, key: Array) -> Encoder:
    """A fresh encoder of these fields. Raises UserError if there is none of that name, or it cannot read a field."""
    make: type = ENCODERS.find(config.encoder)
    return make(config, fields, spec, key)
