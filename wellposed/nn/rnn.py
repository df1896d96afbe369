"""An encoder that remembers."""

import jax
import jax.numpy as jnp
from jax import Array

from wellposed.nn.cnn import ConvEncoder
from wellposed.nn.inputs import Encoder, InputConfig, Scales, feature_width
from wellposed.types import Carry, Field, Spec


class GRUEncoder(Encoder):
    """What is seen now, and beside it the state of a gated recurrent unit that has read the episode so far.

    In training it reads the last `InputConfig.memory` moments, from a state of zeros; acting, it goes on step by step
    from the start of the episode.

    Source: Cho et al. (2014), "Learning Phrase Representations using RNN Encoder-Decoder", arXiv 1406.1078, with the
    reset gate after the product, as PyTorch has it.
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
        """Features [n, f] of one moment, and the unit's new state.

        Raises:
            ValueError: if nothing is handed in of the moments before.
        """
        if isinstance(carry, tuple):
            raise ValueError("This policy has a memory: hand in `initial_carry(n)`, then what `act` returned.")
        x = self.now(obs, scales)
        carry = self.cell(x, carry)
        return jnp.concatenate([x, carry], axis=-1), carry

    def cell(self, x: Array, carry: Array) -> Array:
        """The state [n, width] after features x [n, f] are read."""
        reset, update, new = jnp.split(x @ self.from_now + self.bias_now, 3, axis=-1)
        old_reset, old_update, old_new = jnp.split(carry @ self.from_before + self.bias_before, 3, axis=-1)
        kept = jax.nn.sigmoid(update + old_update)
        candidate = jnp.tanh(new + jax.nn.sigmoid(reset + old_reset) * old_new)
        return (1 - kept) * candidate + kept * carry
