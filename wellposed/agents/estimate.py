"""Estimate, then act: a network reads the state off pictures, and SAC acts on what it reads.

SAC's policy and critics learn from the true states of the replay, as if there were no camera. Pictures enter in one
place: the estimator, a network that is shown the last frames and the robot's own numbers, and learns the numbers of
the state that are not shown. It is supervised by the truth in the replay, which hindsight needs there anyway.
When the policy acts it is shown the estimate in place of the truth.

An estimate errs. So that the policy learns to act on estimates, its updates see states that are off by errors which the
estimator has just made, drawn at random: those of a moment together, because they belong together.

Source: an asymmetric actor-critic (Pinto et al., 2018, "Asymmetric Actor Critic for Image-Based Robot Learning", arXiv
1710.06542) whose actor reads the picture through a bottleneck with a meaning.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from wellposed.agents import sac, shared
from wellposed.agents.probe import Sight
from wellposed.agents.sac import SAC, SACConfig
from wellposed.arrays import merged, part_of
from wellposed.errors import require
from wellposed.nn.encoders import make_encoder
from wellposed.nn.inputs import InputConfig, Scales, feature_width, stored
from wellposed.nn.networks import MLP, Actor, descend, polyak
from wellposed.nn.normaliser import InputScaler
from wellposed.seeding import key_data
from wellposed.serialise import LATER
from wellposed.types import Batch, Carry, Field, Metrics, Moment, Obs, Spec

HIDDEN = 128  # width of the layer between the features of the frames and the estimate
OTHERS = 0.1  # weight of angles and velocities in the loss; places have 1
METRICS = sac.METRICS | {
    "train/estimate_loss": "estimate: mean error of the estimated state, in standard deviations, places counting most",
    "train/estimate_error": "estimate: root mean square of the distance from what is achieved to its estimate",
}


@dataclass(frozen=True)
class EstimateConfig(SACConfig):
    """SAC's settings for the policy that sees states, and those of the network that sees frames."""

    frames: int = 2
    """Frames that are read together, the newest among them; 1 shows no motion."""
    looks: int = 4
    """Transitions of each minibatch whose frames are learnt from: it is the costly part of an update."""
    features: int = 128
    """Numbers that the convolutions make of the frames."""
    estimator_rate: float = 1e-3
    """Adam step size of the network that sees frames."""
    critic_sees: Literal["obs", "truth"] = field(default="truth", metadata=LATER)
    """The truth, as the policy on states does in its updates."""
    steady: float = 0.02
    """Share of that network's newest weights that enters those it acts with, at each call of `update`."""
    head_start: int = field(default=0, metadata=LATER)
    """Updates at the start in which the policy on states stays as it is, for one that --init-from gives."""
    autoencode: int = field(default=0, metadata=LATER)
    """Updates at the start in which the encoder of the frames learns to have them drawn again from its features, and
    what reads the features waits. Source: RIG, arXiv 1807.04742, whose autoencoder is a variational one."""
    frozen: bool = field(default=False, metadata=LATER)
    """Leave the encoder of the frames as it begins, at random or by --init-from, or as `autoencode` made it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.frames <= 64, "agent.frames", "must be 1 to 64", self.frames)
        require(1 <= self.looks <= self.batch_size, "agent.looks", "must be 1 to the batch size", self.looks)
        require(1 <= self.features <= 2**12, "agent.features", "must be 1 to 4,096", self.features)
        require(0 < self.estimator_rate < np.inf, "agent.estimator_rate", "must be above 0", self.estimator_rate)
        require(0 < self.steady <= 1, "agent.steady", "lies in (0, 1]", self.steady)
        for name in ("head_start", "autoencode"):
            require(getattr(self, name) >= 0, f"agent.{name}", "must not be negative", getattr(self, name))
        require(
            self.critic_sees == "truth",
            "agent.critic_sees",
            "must be truth: the policy learns from the true state",
            self.critic_sees,
        )
        require(self.shift == 0, "agent.shift", "must be 0: this algorithm does not shift images", self.shift)
        state = self.inputs.encoder == "state"
        require(state, "agent.inputs.encoder", "must be state: the policy acts on a state", self.inputs.encoder)

    @property
    def policy(self) -> SACConfig:
        """The settings of the policy and its critics, which see states."""
        own: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(SACConfig)}
        return SACConfig(**own)

    @property
    def reading(self) -> InputConfig:
        """How the estimator reads frames and the robot's own numbers."""
        encoder, width, memory = "frames" if self.frames > 1 else "cnn", self.features, self.frames
        return replace(self.inputs, relative=False, distances=False, encoder=encoder, width=width, memory=memory)


def of_states(spec: Spec) -> Spec:
    """What there is to know of the environment for a policy that acts on states."""
    return spec._replace(obs=spec.truth, truth=spec.truth)


def read_fields(spec: Spec) -> tuple[Field, ...]:
    """What the estimator is shown: images, numbers of the robot's own, and what is achieved where that leaks."""
    return tuple(one for one in spec.obs if one.kind == "image" or one.shows or one.name == "achieved_goal")


def hidden_numbers(spec: Spec) -> np.ndarray:
    """The numbers of the true observation that are not shown, by index."""
    shown = {i for one in spec.obs for i in one.shows}
    return np.array([i for i in range(spec.size("observation")) if i not in shown], int)


def weights_of(spec: Spec) -> np.ndarray:
    """The weight of each estimated number in the loss: 1 for places, the achieved goal among them."""
    hidden = hidden_numbers(spec)
    places = {i for point in spec.geometry.points for i in point} if spec.geometry else {*hidden.tolist()}
    return np.array([1.0 if i in places else OTHERS for i in hidden] + [1.0] * spec.size("achieved_goal"))


class Drawing(NamedTuple):
    """What draws each image again from its features, and the optimiser of that and of the encoder."""

    nets: dict[str, MLP]  # features -> the brightness of all pixels, 0 to 1
    opt: optax.OptState


class Eye(NamedTuple):
    """A network that is shown frames, and all else that an update of it changes.

    An estimator's outputs are [b, h], in standard deviations.
    """

    net: Actor  # learns
    steady: Actor  # a slowly following mean of it, which acts
    opt: optax.OptState
    key: Array
    drawing: Drawing | None = None  # of an autoencoder


def init_eye(config: EstimateConfig, seen: tuple[Field, ...], outputs: int, spec: Spec, seed: int) -> Eye:
    """A fresh network that reads these fields, and what draws their images if that is to be learnt."""
    encoder_key, head_key, key = jax.random.split(jax.random.key(key_data(seed, "estimator")), 3)
    encoder = make_encoder(config.reading, seen, spec, encoder_key)
    net: Any = Actor(encoder, MLP([feature_width(encoder, seen), HIDDEN, outputs], head_key))
    drawing = init_drawing(config, encoder, seen, jax.random.fold_in(key, 1)) if config.autoencode else None
    return Eye(net, net, optax.adam(config.estimator_rate).init(net), key, drawing)


def init_drawing(config: EstimateConfig, encoder: Any, seen: tuple[Field, ...], key: Array) -> Drawing:
    """Fresh networks that draw the images among these fields."""
    images = [one for one in seen if one.kind == "image"]
    nets: Any = {}
    for one, own in zip(images, jax.random.split(key, len(images)), strict=True):
        nets[one.name] = MLP([config.features, HIDDEN, config.frames * math.prod(one.shape)], own)
    return Drawing(nets, optax.adam(config.estimator_rate).init((encoder, nets)))


def in_deviations(spec: Spec, truth: dict[str, Any], scales: Scales) -> Array:
    """What is to be estimated of true states [..., size], in standard deviations [..., h]."""
    hidden, seen, goal = hidden_numbers(spec), scales["observation"], scales["goal"]
    numbers = (truth["observation"][..., hidden] - seen.mean[hidden]) / seen.std[hidden]
    return jnp.concatenate([numbers, (truth["achieved_goal"] - goal.mean) / goal.std], axis=-1)


def as_state(spec: Spec, estimate: Array, obs: dict[str, Array], scales: Scales) -> dict[str, Array]:
    """A state as the policy reads it, of an estimate [n, h] and what is shown [n, ...]."""
    hidden, seen, goal = hidden_numbers(spec), scales["observation"], scales["goal"]
    observation = jnp.zeros((len(estimate), spec.size("observation")))
    observation = observation.at[:, hidden].set(estimate[:, : len(hidden)] * seen.std[hidden] + seen.mean[hidden])
    for one in spec.obs:
        if one.shows:
            observation = observation.at[:, np.array(one.shows)].set(obs[one.name])
    achieved = estimate[:, len(hidden) :] * goal.std + goal.mean
    told = {one.name: obs[one.name] for one in spec.obs if one.kind != "image" and not one.shows}
    return told | {"observation": observation, "achieved_goal": achieved}


def errors_of(
    net: Actor, spec: Spec, scales: Scales, states: Scales, obs: dict[str, Array], truth: dict[str, Array]
) -> Array:
    """By how much estimates of b states are off, in standard deviations [b, h]."""
    return net(obs, scales) - in_deviations(spec, truth, states)


def estimate_loss(net: Actor, spec: Spec, *told: Any) -> Array:
    """The weighted mean of the absolute errors; arguments as of `errors_of`."""
    weights = weights_of(spec)
    return jnp.sum(jnp.mean(jnp.abs(errors_of(net, spec, *told)), axis=0) * weights) / weights.sum()


def drawing_loss(learnt: Any, obs: dict[str, Array]) -> Array:
    """The mean squared error of images [b, ...], in shares of full brightness, drawn from their features.

    `learnt`: an encoder, and what draws by name.
    """
    encoder, nets = learnt
    pictures = encoder.pictures(obs).items()
    off = [nets[name](features) - image.reshape(len(image), -1) / 255.0 for name, (image, features) in pictures]
    return jnp.mean(jnp.concatenate(off, axis=-1) ** 2)


def drawn(config: EstimateConfig, eye: Eye, obs: dict[str, Array]) -> Eye:
    """An eye whose encoder has learnt from what is drawn of its features."""
    assert eye.drawing is not None
    learnt = eye.net.encoder, eye.drawing.nets
    adam, grad = optax.adam(config.estimator_rate), jax.grad(drawing_loss)(learnt, obs)
    (encoder, nets), opt = descend(adam, grad, eye.drawing.opt, learnt)
    net = Actor(encoder, eye.net.head)
    return eye._replace(net=net, steady=polyak(eye.steady, net, config.steady), drawing=Drawing(nets, opt))


def taught(config: EstimateConfig, eye: Eye, loss: Callable[[Actor], Array]) -> tuple[Eye, Array]:
    """An eye that has learnt from a loss of its network, its encoder only if that is not frozen; and the loss."""
    held = lambda net: Actor(jax.lax.stop_gradient(net.encoder), net.head) if config.frozen else net  # noqa: E731
    found, grad = jax.value_and_grad(lambda net: loss(held(net)))(eye.net)
    net, opt = descend(optax.adam(config.estimator_rate), grad, eye.opt, eye.net)
    return eye._replace(net=net, steady=polyak(eye.steady, net, config.steady), opt=opt), found


@partial(jax.jit, static_argnums=(0, 1, 2))
def learn_to_see(
    config: EstimateConfig, spec: Spec, drawing: bool, eye: Eye, scales: Scales, states: Scales, batches: Batch
) -> tuple[Eye, Batch, dict[str, Array]]:
    """One update of the estimator on the first transitions of all minibatches, and what the policy is to learn from.

    Args:
        config: settings.
        spec: of the environment as it is seen.
        drawing: whether its encoder learns to have its images drawn, and nothing to estimate.
        eye: the estimator.
        scales: of what is seen.
        states: of the truth.
        batches: [u, b, ...], what is seen of the first `looks` transitions alone, [u, looks, ...].

    Returns:
        The estimator; the minibatches with states that are off by its errors in place of what is seen; its metrics.
    """
    flat = lambda part: {n: jnp.reshape(x, (-1, *x.shape[2:])) for n, x in part.items()}  # noqa: E731
    obs = flat(batches.obs)
    truth = flat({name: array[:, : config.looks] for name, array in batches.truth.items()})
    told = spec, scales, states, obs, truth
    if drawing:
        eye, loss = drawn(config, eye, obs), estimate_loss(eye.net, *told)
    else:
        eye, loss = taught(config, eye, lambda net: estimate_loss(net, *told))
    key, here, there = jax.random.split(eye.key, 3)
    errors = errors_of(eye.steady, *told)
    off = errors[:, -spec.size("achieved_goal") :] * states["goal"].std
    metrics = {"train/estimate_loss": loss, "train/estimate_error": jnp.sqrt(jnp.mean(jnp.sum(off**2, axis=-1)))}
    erring = batches._replace(
        obs=disturbed(spec, batches.truth, errors, states, here),
        next_obs=disturbed(spec, batches.next_truth, errors, states, there),
    )
    return eye._replace(key=key), erring, metrics


def disturbed(spec: Spec, truth: dict[str, Array], errors: Array, states: Scales, key: Array) -> dict[str, Array]:
    """True states [u, b, ...], each off by one of the errors [n, h]."""
    hidden = hidden_numbers(spec)
    off = errors[jax.random.randint(key, truth["observation"].shape[:2], 0, len(errors))]
    moved = truth["observation"].at[..., hidden].add(off[..., : len(hidden)] * states["observation"].std[hidden])
    achieved = truth["achieved_goal"] + off[..., len(hidden) :] * states["goal"].std
    return truth | {"observation": moved, "achieved_goal": achieved}


@partial(jax.jit, static_argnums=(0,))
def see(
    spec: Spec, net: Actor, scales: Scales, states: Scales, obs: dict[str, Array], carry: Carry
) -> tuple[dict[str, Array], Carry]:
    """The states [n, ...] that are estimated at one moment, and the frames that are remembered."""
    estimate, carry = net.step({one.name: obs[one.name] for one in read_fields(spec)}, scales, carry)
    return as_state(spec, estimate, obs, states), carry


def learn_on_states(agent: Any, batches: Batch) -> Metrics:
    """Update an agent's SAC on states, once its head start is over; returns its mean metrics."""
    agent.updates += len(batches.reward)
    found = agent.sac.update(batches) if agent.updates > agent.config.head_start else {}
    agent.sac.updates = agent.updates
    return found


def saved(agent: Any) -> dict[str, np.ndarray]:
    """The state of an agent that is a SAC on states, beside an eye and the statistics of what it sees."""
    return agent.sac.state() | merged(eye=shared.to_arrays(agent.eye, "") | agent.scaler.state())


def load(agent: Any, state: dict[str, np.ndarray]) -> None:
    """Load what `saved` returned. Raises UserError if it is not of an agent of this configuration."""
    shared.check_arrays(saved(agent), state)
    own = part_of(state, "eye")
    agent.sac.load_state({name: state[name] for name in agent.sac.state()})
    agent.eye = shared.from_arrays(agent.eye, own, "")
    agent.scaler.load_state(own)
    agent.updates = agent.sac.updates


class EstimateThenAct:
    """The agent: `EstimateThenAct(config, spec, seed)`."""

    def __init__(self, config: EstimateConfig, spec: Spec, seed: int):
        self.config, self.spec, self.window, self.looks = config, spec, config.frames, config.looks
        self.sac, self.updates = SAC(config.policy, of_states(spec), seed), 0
        self.eye = init_eye(config, read_fields(spec), len(weights_of(spec)), spec, seed)
        self.first = self.eye.net  # the first weights, for probes
        self.scaler = InputScaler(config.reading, spec._replace(obs=read_fields(spec), truth=()), "obs")

    def initial_carry(self, n: int) -> Carry:
        """The frames that are remembered at the start of n episodes."""
        return self.eye.net.encoder.initial_carry(n)

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim] on estimated states, greedy or with `rng` samples of the policy; the new carry."""
        scales, states = self.scaler.stats.obs, self.sac.scaler.stats.truth
        state, carry = see(self.spec, self.eye.steady, scales, states, stored(self.spec.obs, obs), carry)
        return self.sac.act(jax.tree.map(np.asarray, state), (), rng)[0], jax.tree.map(np.asarray, carry)

    def observe(self, moment: Moment) -> None:
        """Take newly collected observations into the input statistics."""
        self.sac.observe(Moment(moment.truth, moment.truth))
        self.scaler.observe(moment)

    def update(self, batches: Batch) -> Metrics:
        """Update the estimator once, and the policy on each of u minibatches [u, b, ...]; returns mean metrics."""
        scales, states = self.scaler.stats.obs, self.sac.scaler.stats.truth
        drawing = self.updates < self.config.autoencode
        self.eye, erring, metrics = learn_to_see(self.config, self.spec, drawing, self.eye, scales, states, batches)
        return learn_on_states(self, erring) | {name: float(value) for name, value in metrics.items()}

    def probed(self, batches: Batch) -> tuple[SAC, Batch]:
        """Policy and critics, and the minibatches as they see them, for a probe."""
        return self.sac, batches._replace(obs=batches.truth, next_obs=batches.next_truth)

    @property
    def sight(self) -> Sight:
        """What reads pictures, for a probe."""
        return Sight(self.eye.steady.encoder, self.first.encoder, self.scaler.stats.obs)

    def state(self) -> dict[str, np.ndarray]:
        """Everything learnt as named arrays; those of the policy have the names that they have in SAC."""
        return saved(self)

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take over what `state` returned; raises UserError if it is of another configuration."""
        load(self, state)
