"""Trials of chapter 9: a small network that learns to see a block, and the test for a leak."""

from typing import Any

import numpy as np

from course.exercises.exercise import Outcome, Setting
from course.exercises.trials import ENVS

PICTURES, UPDATES, LOOKS, WIDTH = 1_024, 400, 32, 64  # of a network that learns to see a block


def see_points(setting: Setting) -> Outcome:
    """Learns to see the block from pictures, once with all that the convolutions tell and once with points."""
    rows = [
        ("all that the convolutions tell", _seen_to(setting)),
        ("a point of each channel", _seen_to(setting, "points")),
    ]
    return Outcome(rows)


def see_shifted(setting: Setting) -> Outcome:
    """Learns to see the block from pictures that are moved at random, and looks at some that are not."""
    return Outcome([(f"moved by up to {pixels} pixels", _seen_to(setting, shift=pixels)) for pixels in (0, 2)])


def _seen_to(setting: Setting, pooling: Any = "all", shift: int = 0) -> str:
    """How far off a small network is, in mm, that was shown where the block lies on some hundred pictures of Push."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    from wellposed.nn import augment
    from wellposed.nn.encoders import Convolutions
    from wellposed.nn.inputs import InputConfig
    from wellposed.nn.networks import MLP, descend

    frames, places = _pictures(setting)
    half, size = len(frames) // 2, frames.shape[1:]
    mean, spread = places[:half].mean(axis=0), places[:half].std()
    key, *keys = jax.random.split(jax.random.key(setting.seeds[0]), 3)
    net = Convolutions(size, InputConfig(width=WIDTH, pooling=pooling), keys[0]), MLP([WIDTH, 2], keys[1])
    adam: Any = optax.adam(1e-3)
    opt = adam.init(net)

    def off(net: Any, images: Any, due: Any) -> Any:
        return net[1](net[0](images)) * spread + mean - due

    @jax.jit
    def step(net: Any, opt: Any, key: Any) -> Any:
        chosen, moved = jax.random.split(key)
        rows = jax.random.choice(chosen, half, (LOOKS,))
        images = augment.shifted(jnp.asarray(frames)[rows], shift, moved) if shift else jnp.asarray(frames)[rows]
        loss = lambda net: jnp.mean(jnp.abs(off(net, images, jnp.asarray(places)[rows])))  # noqa: E731
        return descend(adam, jax.grad(loss)(net), opt, net)

    for one in jax.random.split(key, UPDATES):
        net, opt = step(net, opt, one)
    missed = np.asarray(eqx.filter_jit(off)(net, frames[half:], places[half:]))
    return f"off by {1000 * np.sqrt(np.mean(np.sum(missed**2, axis=1))):.0f} mm on {len(missed)} other pictures"


def _pictures(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of Push at the start of episodes [n, size, size, 3], and where the block lies, x and y in metres."""
    from wellposed import seeding
    from wellposed.envs.make import EnvConfig, make_env
    from wellposed.envs.wrappers.pixels import Pixels

    env = make_env(EnvConfig("FetchPush-v4", pixels=Pixels(48)), ENVS, "evaluation", threads=setting.threads)
    first = seeding.training_env_seed(setting.seeds[0])
    moments = [env.reset(seed=list(range(at, at + ENVS))) for at in range(first, first + PICTURES, ENVS)]
    env.close()
    frames = np.concatenate([moment.obs["camera"] for moment in moments])
    return frames, np.concatenate([moment.truth["achieved_goal"][:, :2] for moment in moments]).astype(np.float32)


def find_leaks(setting: Setting) -> Outcome:
    """Tests the network of each way from pixels, and one that is shown the achieved goal as well."""
    from course.measure import seen
    from wellposed.agents import ALGORITHMS, make_agent
    from wellposed.envs.make import EnvConfig, make_env
    from wellposed.envs.wrappers.pixels import Pixels
    from wellposed.nn.inputs import InputConfig

    env = make_env(EnvConfig("FetchPush-v4", pixels=Pixels(16)), ENVS, "evaluation", threads=setting.threads)
    moments = [env.reset(seed=list(range(at, at + ENVS))) for at in (0, ENVS)]
    env.close()
    before, after = (moment.truth | moment.obs for moment in moments)
    frames = InputConfig(encoder="frames", memory=2)
    leaky = env.spec._replace(obs=(*env.spec.obs, env.spec.field("achieved_goal")))
    ways: dict[str, tuple[str, Any, dict[str, Any]]] = {
        "estimate, then act": ("estimate", env.spec, {}),
        "distilled": ("distil", env.spec, {}),
        "end to end": ("sac", env.spec, {"inputs": frames, "critic_sees": "truth"}),
        "nothing but pixels": ("sac", env.spec, {"inputs": frames, "shared_encoder": True}),
        "shown the achieved goal": ("sac", leaky, {"inputs": frames}),
    }
    rows = []
    for name, (algo, spec, settings) in ways.items():
        agent = make_agent(algo, ALGORITHMS[algo].config(hidden=(8,), **settings), spec, setting.seeds[0])
        agent.observe(moments[0]._replace(obs=before))
        act = lambda obs, agent=agent: agent.act(obs, agent.initial_carry(ENVS))[0]  # noqa: E731
        found = seen.leaks(act, before, after, seen.may_read(env.spec))
        rows.append((name, f"a leak in {int(np.sum(found))} of {ENVS} envs"))
    return Outcome(rows)
