"""What the last steps of the long exercises compare with: what the laboratory computes in small cases.

A reader sees the parameters of a network as a dictionary of arrays by name, and the network as a function of them.
"""

from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from operator import attrgetter
from typing import Any

import numpy as np

from course.exercises.exercise import Counterexample, Function, Property, show, show_all, wrong_array, wrong_arrays
from wellposed.arrays import leaves
from wellposed.types import Batch, Field, Spec, Step

SPEC = Spec(
    (Field("observation", (3,)), Field("achieved_goal", (2,), "goal"), Field("desired_goal", (2,), "goal")),
    action_dim=2,
    max_episode_steps=5,
)
RATE = 1.0  # of the optimiser: large, so that two updates differ by more than rounding
TOLERANCE = 1e-5


def observed(rng: np.random.Generator, *lead: int) -> dict[str, Any]:
    """Random observations with these leading axes, as arrays of JAX."""
    import jax.numpy as jnp

    return {one.name: jnp.array(rng.standard_normal((*lead, *one.shape)), jnp.float32) for one in SPEC.obs}


def named(network: Any) -> dict[str, Any]:
    """The parameters of a network by name."""
    import jax

    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(network)}


def filled(network: Any, parameters: dict[str, Any]) -> Any:
    """The network with these parameters."""
    from wellposed.agents.shared import from_arrays

    return from_arrays(network, parameters, "")


def under_way(state: Any) -> Any:
    """A fresh state of Adam as if it had taken 100 steps: a first step would only depend on the gradient's sign."""
    import jax

    return jax.tree.map(lambda leaf: leaf + (100 if leaf.dtype.kind == "i" else 0.01), state)


def descending(optimiser: Any, nets: dict[str, Any]) -> Function:
    """`descend(name, gradient)`: the parameters of that network after a step of the optimiser that is under way."""
    import jax

    from wellposed.nn.networks import descend

    def descended(name: str, gradient: Any) -> Any:
        return descend(optimiser, gradient, under_way(optimiser.init(nets[name])), nets[name])[0]

    return jax.jit(descended, static_argnums=0)


def own(module: str, name: str) -> Callable[[], Function]:
    """A way to a function of the laboratory, whose module is imported when it is asked for."""
    return lambda: attrgetter(name)(import_module(module))


def one_number(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a loss."""
    return wrong_array(result, (), "f", "one number, the mean over the minibatch, as a float")


def wrong_slope(loss: Function, given: dict[str, Any], due: float) -> Counterexample | None:
    """A counterexample if the derivative of a loss by its first argument is not what is due."""
    slope = loss.slope(*given.values())
    if np.isclose(slope, due, rtol=1e-5, atol=1e-6):
        return None
    return Counterexample(show_all(given), f"d loss / d {next(iter(given))} = {show(float(due))}", show(slope))


def new_networks(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of updated networks; the first argument holds those before."""
    return wrong_arrays(result, args[0])


def as_laboratory(case: Function, part: str, *, name: str, equation: str, hint: str) -> Property:
    """The property that one part of an update is what the laboratory makes of it.

    Args:
        case: returns the arguments by name and the networks that the laboratory makes of them.
        part: of the networks.
        name: of the property.
        equation: of the property.
        hint: of the property.
    """

    def search(update: Function) -> Counterexample | None:
        given, expected = case()
        found, due = leaves({part: update(*given.values())[part]}), leaves({part: expected[part]})
        for one, value in due.items():
            if not np.allclose(found[one], value, rtol=TOLERANCE, atol=TOLERANCE):
                at = np.unravel_index(np.argmax(np.abs(found[one] - value)), value.shape)
                before = leaves({part: given["nets"][part]})[one][at]
                what = f"small networks in the middle of learning; {one}, entry {list(map(int, at))}, is {show(before)}"
                return Counterexample(what, f"{show(value[at])} after the update", show(found[one][at]))
        return None

    return Property(name, equation, hint, search)


@cache
def sac_case() -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of `update` by name, and what the laboratory makes of them."""
    import jax
    import jax.numpy as jnp

    from wellposed.agents import sac, shared
    from wellposed.nn.normaliser import InputScaler

    config = sac.SACConfig(hidden=(8,), learning_rate=RATE, learn_temperature=True, temperature=0.2, tau=0.1)
    learner, other = (sac.init_learner(config, SPEC, seed) for seed in (0, 1))
    nets = learner.nets._replace(target_critics=other.nets.critics)
    stats = InputScaler(config.inputs, SPEC, "obs").stats
    begun = learner._replace(
        nets=nets,
        actor_opt=under_way(learner.actor_opt),
        critic_opt=under_way(learner.critic_opt),
        temperature_opt=under_way(learner.temperature_opt),
    )
    rng = np.random.default_rng(0)
    normal = lambda *shape: jnp.array(rng.standard_normal(shape), jnp.float32)  # noqa: E731
    terminated, obs, after = jnp.array([0.0, 1, 0, 0, 1, 0]), observed(rng, 6), observed(rng, 6)
    batch, noise = Batch(obs, jnp.tanh(normal(6, 2)), normal(6), after, terminated, {}, {}), normal(2, 6, 2)

    def actor(parameters: Any, obs: Any) -> Any:
        mean, log_std = jnp.split(filled(nets.actor, parameters)(obs, stats.obs), 2, axis=-1)
        return mean, jnp.clip(log_std, *sac.LOG_STD_RANGE)

    def critics(parameters: Any, obs: Any, action: Any) -> Any:
        return filled(nets.critics, parameters)(obs, {}, stats, action)[..., 0]

    told = _told(nets)
    given = {
        "nets": told, "batch": batch, "noise": noise, "actor": jax.jit(actor), "critics": jax.jit(critics),
        "descend": descending(shared.optimiser(config), told), "gamma": config.gamma, "tau": config.tau,
        "target_entropy": -2.0,
    }  # fmt: skip
    update = jax.jit(partial(sac.update_step, config, SPEC))
    return given, _told(update(begun, stats, batch, noise)[0].nets)


def _told(nets: Any) -> dict[str, Any]:
    """Networks as the reader sees them."""
    parts = {name: named(getattr(nets, name)) for name in ("actor", "critics", "target_critics")}
    return parts | {"log_temperature": nets.log_temperature}


def _rollout(rng: np.random.Generator) -> dict[str, Any]:
    """A rollout of 4 steps of 3 envs, made up: one episode terminates, one is cut."""
    import jax.numpy as jnp

    reward, value, after, log_density = rng.standard_normal((4, 4, 3))
    terminated, ended = np.zeros((2, 4, 3), bool)
    terminated[1, 0] = ended[1, 0] = ended[2, 1] = True
    action = jnp.array(rng.standard_normal((4, 3, 2)), jnp.float32)
    return {
        "obs": observed(rng, 4, 3), "action": action, "log_density": jnp.array(0.3 * log_density - 3),
        "reward": reward, "value": value, "next_value": after, "terminated": terminated, "ended": ended,
    }  # fmt: skip


@cache
def ppo_case() -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of `update` by name, and what the laboratory makes of them."""
    import jax
    import jax.numpy as jnp

    from wellposed.agents import ppo, shared
    from wellposed.data.rollout import gae
    from wellposed.nn.normaliser import InputScaler

    config = ppo.PPOConfig(hidden=(8,), learning_rate=RATE, entropy_weight=0.1)
    learner, stats = ppo.init_learner(config, SPEC, 0), InputScaler(config.inputs, SPEC, "obs").stats
    begun = learner._replace(actor_opt=under_way(learner.actor_opt), critic_opt=under_way(learner.critic_opt))
    rollout, rows = _rollout(np.random.default_rng(0)), np.array([0, 3, 4, 7, 10])

    def actor(parameters: Any, obs: Any) -> Any:
        net = filled(learner.nets.actor, parameters)
        return net(obs, stats.obs), net.log_std

    def critic(parameters: Any, obs: Any) -> Any:
        return ppo.values(filled(learner.nets.critic, parameters), stats, obs, {})

    nets = {name: named(getattr(learner.nets, name)) for name in ("actor", "critic")}
    given = {
        "nets": nets, "rollout": rollout, "rows": rows, "actor": jax.jit(actor), "critic": jax.jit(critic),
        "descend": descending(shared.optimiser(config), nets), "gamma": config.gamma,
        "lam": config.gae_lambda, "clip": config.clip, "entropy_weight": config.entropy_weight,
    }  # fmt: skip
    reward, value, next_value, terminated, ended = (
        rollout[name] for name in ("reward", "value", "next_value", "terminated", "ended")
    )
    advantage: Any = gae(reward, value, next_value, terminated, ended, config.gamma, config.gae_lambda)
    told = rollout["obs"], {}, rollout["action"], advantage, advantage + rollout["value"], rollout["log_density"]
    chosen = lambda array: jnp.asarray(array, jnp.float32).reshape(-1, *array.shape[2:])[rows]  # noqa: E731
    batch = jax.tree.map(chosen, ppo.Minibatch(*told))
    after = jax.jit(partial(ppo.update_step, config))(begun, stats, batch)[0].nets
    return given, {name: named(getattr(after, name)) for name in nets}


CHAIN = Spec(
    (Field("observation", (2,)), Field("achieved_goal", (1,), "goal"), Field("desired_goal", (1,), "goal")),
    action_dim=1,
    max_episode_steps=6,
)


class Numbers:
    """A generator that gives these numbers, one after another, and 0 after the last."""

    def __init__(self, *numbers: float):
        self.left = list(numbers)

    def random(self, shape: Any) -> np.ndarray:
        """The next numbers, as floats of this shape."""
        size = int(np.prod(shape))
        found, self.left = self.left[:size], self.left[size:]
        return np.array(found + [0.0] * (size - len(found))).reshape(shape)

    def integers(self, n: int) -> np.ndarray:
        """The next n numbers, as integers."""
        return self.random(int(n)).astype(np.int64)


def below(achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
    """-1 as long as the goal is more than 0.5 above what is achieved: achieved and desired cannot be exchanged."""
    return -((desired - achieved)[..., 0] > 0.5).astype(float)


def passed(achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
    """Whether the goal lies more than 0.5 behind: at the goal itself an episode goes on."""
    return (achieved - desired)[..., 0] > 0.5


def _filled(replay: Any) -> None:
    """Add episodes, more than the ring holds: some end behind the goal, some fail, some are cut by the time limit."""
    rng, goal = np.random.default_rng(0), np.array([[2.0]])
    shown = lambda state: {"observation": state[None], "achieved_goal": state[None, :1], "desired_goal": goal}  # noqa: E731
    for _ in range(12):
        state = rng.standard_normal(2)
        for t in range(CHAIN.max_episode_steps):
            action, seen = rng.standard_normal((1, 1)), shown(state)
            state = state + action[0] + 0.2
            after = shown(state)
            ended = passed(after["achieved_goal"], goal) | (state[:1] < -0.5)
            cut = np.array([t + 1 == CHAIN.max_episode_steps])
            reward = below(after["achieved_goal"], goal)
            replay.add(Step(seen, seen, action, action, reward, ended, cut, ended, after, after, {}))
            if ended | cut:
                break


@cache
def replay_case() -> tuple[dict[str, Any], np.ndarray, dict[str, np.ndarray]]:
    """Arguments of `sample` by name but `draw`, the rows that it gives, and the laboratory's minibatch."""
    from wellposed.data.episodes import ReplayBuffer, ReplayConfig

    b, k = 32, 3
    replay = ReplayBuffer(ReplayConfig(capacity=24, k=k), CHAIN, 1, below, passed)
    _filled(replay)
    rows = replay.part(0)[1]  # from the oldest on; the ring begins one row later, in an episode
    store = {key.removeprefix("obs/"): np.roll(array, -1, axis=0) for key, array in rows.items()}
    held, numbers = len(store["time"]), np.random.default_rng(1).random(4 * b)
    replay.draw(b, rest := Numbers(*numbers))  # type: ignore[arg-type]
    drawn = len(numbers) - len(rest.left) - b  # rows, those that were drawn again among them
    batch = replay.sample(1, b, Numbers(*numbers))  # type: ignore[arg-type]
    due = {
        "observation": batch.obs["observation"], "action": batch.action,
        "next_observation": batch.next_obs["observation"], "desired_goal": batch.obs["desired_goal"],
        "reward": batch.reward, "terminated": batch.terminated,
    }  # fmt: skip
    given = {
        "store": store, "b": b, "k": k, "draw": None, "u": numbers[drawn : drawn + b], "compute_reward": below,
        "compute_terminated": passed,
    }  # fmt: skip
    places = ((numbers[:drawn] * held).astype(int) - 1) % held
    return given, places, {name: array[0] for name, array in due.items()}
