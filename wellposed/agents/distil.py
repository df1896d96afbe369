"""Distil: a network that sees pictures learns the actions of a policy that sees the state.

The teacher is SAC on the true states of the replay: a run of its own (`--init-from`), or learnt beside the pupil. The
pupil is shown the last frames, the robot's own numbers and the goal. It acts, and the teacher says what it would have
done in the states that the pupil came to, so that the pupil learns to correct its own errors.

Source: DAgger (Ross, Gordon & Bagnell 2011, "A Reduction of Imitation Learning and Structured Prediction to No-Regret
Online Learning", arXiv 1011.0686, algorithm 3.1), where the pupil acts from the start and labels are made when a state
is sampled.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from wellposed.agents import estimate, sac
from wellposed.agents.bc import imitation_loss
from wellposed.agents.estimate import EstimateConfig, Eye, drawn, init_eye, learn_on_states, of_states, taught
from wellposed.agents.probe import Sight
from wellposed.agents.sac import SAC
from wellposed.nn.inputs import Scales, stored
from wellposed.nn.networks import Actor
from wellposed.nn.normaliser import InputScaler
from wellposed.types import Batch, Carry, Metrics, Moment, Obs, Spec

TOLD = "the actions of a policy that acts on these"  # beside the true state
METRICS = sac.METRICS | {"train/imitation_loss": "distil: mean squared distance from the teacher's actions"}


def greedy(net: Actor, obs: dict[str, Array], scales: Scales) -> Array:
    """The pupil's actions [b, action_dim]."""
    return jnp.tanh(net(obs, scales))


def goals_of(batches: Batch, looks: int) -> Array:
    """The goals [u, looks, g] that labels are made for: those of the minibatches' first and last transitions in turn.

    The first have goals of hindsight, which lie near, and the last those that were pursued. A teacher knows what to do
    in any state for any goal.
    """
    goals = jnp.asarray(batches.truth["desired_goal"])
    pursued = (jnp.arange(looks) % 2 == 1)[:, None]
    return jnp.where(pursued, goals[:, -looks:], goals[:, :looks])


@partial(jax.jit, static_argnums=(0, 1))
def imitate(
    config: EstimateConfig, drawing: bool, pupil: Eye, teacher: Actor, scales: Scales, states: Scales, batches: Batch
) -> tuple[Eye, Array]:
    """One update of the pupil towards the teacher's actions; arguments as of `estimate.learn_to_see`.

    Returns the pupil and the loss.
    """
    flat = lambda array: jnp.reshape(array, (-1, *array.shape[2:]))  # noqa: E731
    goals, obs = flat(goals_of(batches, config.looks)), {name: flat(array) for name, array in batches.obs.items()}
    truth = {name: flat(array[:, : config.looks]) for name, array in batches.truth.items()}
    labels = sac.greedy(teacher, truth | {"desired_goal": goals}, states)
    shown = jnp.moveaxis(jnp.broadcast_to(goals, (config.frames, *goals.shape)), 0, 1)  # a window has one goal
    obs |= {"desired_goal": shown if config.frames > 1 else goals}
    if drawing:
        return drawn(config, pupil, obs), imitation_loss(pupil.net, greedy, scales, obs, labels)
    return taught(config, pupil, lambda net: imitation_loss(net, greedy, scales, obs, labels))


@jax.jit
def act(net: Actor, scales: Scales, obs: dict[str, Array], carry: Carry) -> tuple[Array, Carry]:
    """The pupil's actions [n, action_dim] at one moment, and the frames that are remembered."""
    outputs, carry = net.step(obs, scales, carry)
    return jnp.tanh(outputs), carry


class Distil:
    """The agent: `Distil(config, spec, seed)`."""

    def __init__(self, config: EstimateConfig, spec: Spec, seed: int):
        self.config, self.spec, self.window, self.looks = config, spec, config.frames, config.looks
        self.sac, self.updates = SAC(config.policy, of_states(spec), seed), 0
        self.eye = init_eye(config, spec.obs, spec.action_dim, spec, seed)
        self.first = self.eye.net  # the first weights, for probes
        self.scaler = InputScaler(config.reading, spec._replace(truth=()), "obs")

    def initial_carry(self, n: int) -> Carry:
        """The frames that are remembered at the start of n episodes."""
        return self.eye.net.encoder.initial_carry(n)

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """The pupil's actions [n, action_dim], which have no noise of their own; and the new carry."""
        action, carry = act(self.eye.steady, self.scaler.stats.obs, stored(self.spec.obs, obs), carry)
        return np.asarray(action), jax.tree.map(np.asarray, carry)

    def observe(self, moment: Moment) -> None:
        """Take newly collected observations into the input statistics."""
        self.sac.observe(Moment(moment.truth, moment.truth))
        self.scaler.observe(moment)

    def update(self, batches: Batch) -> Metrics:
        """Update the pupil once, and the teacher on each of u minibatches [u, b, ...]; returns mean metrics."""
        teacher, states = self.sac.learner.nets.actor, self.sac.scaler.stats.obs
        drawing, scales = self.updates < self.config.autoencode, self.scaler.stats.obs
        self.eye, loss = imitate(self.config, drawing, self.eye, teacher, scales, states, batches)
        return learn_on_states(self, self.probed(batches)[1]) | {"train/imitation_loss": float(loss)}

    def probed(self, batches: Batch) -> tuple[SAC, Batch]:
        """The teacher and its critics, and the minibatches as they see them, for a probe."""
        return self.sac, batches._replace(obs=batches.truth, next_obs=batches.next_truth)

    @property
    def sight(self) -> Sight:
        """What reads pictures, for a probe."""
        return Sight(self.eye.steady.encoder, self.first.encoder, self.scaler.stats.obs)

    def state(self) -> dict[str, np.ndarray]:
        """Everything learnt as named arrays; those of the teacher have the names that they have in SAC."""
        return estimate.saved(self)

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned; raises UserError if it is of another configuration."""
        estimate.load(self, state)
