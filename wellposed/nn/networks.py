"""Multilayer perceptrons, and encoder and head as one network. Plain matrices: what trains is what is written."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

from wellposed.nn.inputs import Encoder, InputStats, Scales
from wellposed.types import Carry

Tree = TypeVar("Tree")


class MLP(eqx.Module):
    """Fully connected layers with ReLU between them: x -> W_L relu(... relu(W_1 x + b_1)) + b_L.

    Weights and biases start uniform in +-1/sqrt(fan_in), as PyTorch's `nn.Linear` does.
    """

    weights: list[Array]  # [fan_in, fan_out] each
    biases: list[Array]  # [fan_out] each

    def __init__(self, sizes: Sequence[int], key: Array):
        """`sizes`: input, hidden layers, output."""
        self.weights, self.biases = [], []
        for fan_in, fan_out in pairwise(sizes):
            key, weight_key, bias_key = jax.random.split(key, 3)
            bound = fan_in**-0.5
            self.weights.append(jax.random.uniform(weight_key, (fan_in, fan_out), minval=-bound, maxval=bound))
            self.biases.append(jax.random.uniform(bias_key, (fan_out,), minval=-bound, maxval=bound))

    def hidden(self, x: Array) -> list[Array]:
        """The output [..., width] of each hidden layer; without one, the input itself."""
        layers = []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = jax.nn.relu(x @ weight + bias)
            layers.append(x)
        return layers or [x]

    def __call__(self, x: Array) -> Array:
        """[..., sizes[0]] -> [..., sizes[-1]]."""
        return self.hidden(x)[-1] @ self.weights[-1] + self.biases[-1]


class Actor(eqx.Module):
    """A head on an encoder of its own: what a policy makes of an observation."""

    encoder: Encoder
    head: MLP

    def __call__(self, obs: dict[str, Array], scales: Scales) -> Array:
        """Observations [b, ...] -> the head's outputs [b, outputs]."""
        return self.head(self.encoder(obs, scales))

    def step(self, obs: dict[str, Array], scales: Scales, carry: Carry) -> tuple[Array, Carry]:
        """Outputs [n, outputs] at one moment of acting, and what is remembered from then on."""
        features, carry = self.encoder.step(obs, scales, carry)
        return self.head(features), carry


class Critics(eqx.Module):
    """Value functions: heads with weights of their own on one encoder, as in DrQ (arXiv 2004.13649)."""

    encoder: Encoder
    heads: tuple[MLP, ...]  # features, and the action where it is one of actions -> [outputs]
    sees: Literal["obs", "truth"] = eqx.field(static=True)

    def __call__(self, obs: dict[str, Array], truth: dict[str, Array], stats: InputStats, *action: Array) -> Array:
        """What is seen and what is true [b, ...], actions [b, action_dim] -> [critics, b, outputs]."""
        inputs = self.inputs(obs, truth, stats, *action)
        return jnp.stack([head(inputs) for head in self.heads])

    def inputs(self, obs: dict[str, Array], truth: dict[str, Array], stats: InputStats, *action: Array) -> Array:
        """What the heads are shown, [b, f]; `truth` is {} where what is seen is true."""
        told = (truth, stats.truth) if self.sees == "truth" and truth else (obs, stats.obs)
        return jnp.concatenate([self.encoder(*told), *action], axis=-1)


def descend(optimiser: Any, gradient: Tree, state: Any, parameters: Tree) -> tuple[Tree, Any]:
    """One optimiser step: the new parameters, and the optimiser's new state."""
    step, state = optimiser.update(gradient, state)
    moved: Any = optax.apply_updates(parameters, step)  # type: ignore[arg-type]
    return moved, state


def polyak(target: Tree, online: Tree, tau: float) -> Tree:
    """target <- (1 - tau) target + tau online, leaf by leaf."""
    return jax.tree.map(lambda t, o: (1 - tau) * t + tau * o, target, online)


def squashed_gaussian(mean: Array, log_std: Array, noise: Array) -> tuple[Array, Array]:
    """a = tanh(mean + std * noise) and log pi(a); the noise is standard normal.

    log pi(a) = sum log N(u; mean, std) - sum log(1 - tanh(u)^2), the second term in a form that does not
    cancel for large |u|: log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2u)).
    Source: Haarnoja et al. (2018), arXiv 1812.05905, appendix C.

    Returns:
        Actions [..., action_dim] in (-1, 1) and their log densities [...].
    """
    u = mean + jnp.exp(log_std) * noise
    log_normal = -0.5 * noise**2 - log_std - 0.5 * jnp.log(2 * jnp.pi)
    log_jacobian = 2 * (jnp.log(2.0) - u - jax.nn.softplus(-2 * u))
    return jnp.tanh(u), jnp.sum(log_normal - log_jacobian, axis=-1)
