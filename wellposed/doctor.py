"""Proof of life: is this machine a laboratory? One finding per line, each seen, none assumed."""

import importlib.metadata
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from wellposed import arrays, envs
from wellposed.agents import SACConfig
from wellposed.data import ReplayConfig
from wellposed.envs import rendering
from wellposed.errors import UserError
from wellposed.recipe import RunConfig
from wellposed.rollout import play_episodes, summarise
from wellposed.runs.provenance import PACKAGES, cpu_name
from wellposed.runs.store import RunReader
from wellposed.seeding import evaluation_env_seeds
from wellposed.training import train
from wellposed.verdict import load_run


@dataclass(frozen=True)
class Finding:
    """One line of the examination. Only a failed `required` one makes the machine unfit."""

    name: str
    ok: bool
    required: bool
    detail: str
    seconds: float


def examine(frame_file: Path | None = None) -> Iterator[Finding]:
    """Yield findings one after another; `frame_file` receives the rendered frame as a PNG."""
    checks: list[tuple[str, bool, Callable[[], str]]] = [
        ("versions", True, _versions),
        ("devices", True, _devices),
        *((f"OpenGL {backend}", False, lambda b=backend: _backend(b)) for backend in rendering.BACKENDS),
        ("rendered frame", False, lambda: _frame(frame_file)),
        ("physics determinism", True, _determinism),
        ("physics state", True, _state),
        ("training and checkpoint", True, _training),
    ]
    for name, required, check in checks:
        began = time.perf_counter()
        try:
            ok, detail = True, check()
        except (UserError, AssertionError, OSError, RuntimeError, ImportError) as error:
            ok, detail = False, str(error) or type(error).__name__
        yield Finding(name, ok, required, detail, time.perf_counter() - began)


def _versions() -> str:
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    parts = [int(number) for number in found["mujoco"].split(".")[:2]]
    if parts >= [3, 12]:
        raise UserError(f"mujoco {found['mujoco']} breaks gymnasium-robotics 1.4.2; install mujoco<3.12.")
    listed = ", ".join(f"{name} {number}" for name, number in found.items())
    return f"Python {platform.python_version()}, {listed}"


def _devices() -> str:
    devices = ", ".join(f"{device} ({device.device_kind})" for device in jax.devices())
    return f"JAX sees {devices}; {cpu_name()}, {len(os.sched_getaffinity(0))} cores"


def _backend(backend: str) -> str:
    reason = rendering.probe_backend(backend)
    if reason is not None:
        raise UserError(reason)
    return "renders"


def _frame(file: Path | None) -> str:
    backend = rendering.working_backend()
    env, make = envs.make_vec("FetchReach-v4"), envs.find("FetchReach-v4").renderer
    assert make is not None, "the registry says that Reach cannot be rendered"
    obs, renderer = env.reset(seed=0)[0], make(240, backend)
    image = renderer.frame(env.physics.data[0].qpos, obs["desired_goal"][0], False)
    renderer.close()
    env.close()
    if image.std() < 5:
        raise UserError(f"The frame that {backend} rendered is blank.")
    if file is not None:
        import matplotlib.image  # only here: it takes longer to import than the frame to draw

        matplotlib.image.imsave(file, image, format="png")
    return f"{image.shape[1]}x{image.shape[0]} pixels by {backend}" + (f", saved to {file}" if file else "")


def _determinism() -> str:
    """The same seed and actions on one thread and on two give the same bits."""
    actions = np.random.default_rng(0).uniform(-1, 1, (60, 4, 4)).astype(np.float32)
    traces = []
    for threads in (1, 2):
        env = envs.make_vec("FetchPush-v4", 4, threads=threads)
        obs, _ = env.reset(seed=0)
        traces.append([obs["observation"], *(env.step(a)[0]["observation"] for a in actions)])
        env.close()
    if not np.array_equal(*traces):
        raise UserError("The same seed gave different episodes on one thread and on two.")
    return "240 steps bit-equal on one thread and on two"


def _state() -> str:
    """A restored physics state goes on bit for bit."""
    env = envs.make_vec("FetchPickAndPlace-v4", 2)
    env.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (80, 2, 4)).astype(np.float32)
    for action in actions[:20]:
        env.step(action)
    state = env.get_state()
    first = [env.step(a)[0]["observation"] for a in actions]
    env.set_state(state)
    second = [env.step(a)[0]["observation"] for a in actions]
    env.close()
    if not np.array_equal(first, second):
        raise UserError("Stepping from a restored physics state gave other results than the first time.")
    return "80 steps from a restored state bit-equal"


def tiny_config(seed: int = 0) -> RunConfig:
    """A training of a few seconds, in which everything happens that happens in a long one."""
    return RunConfig(
        env="FetchReach-v4",
        seed=seed,
        total_steps=400,
        num_envs=4,
        random_steps=200,
        eval_every=400,
        eval_episodes=4,
        agent=SACConfig(hidden=(16, 16), batch_size=32),
        replay=ReplayConfig(capacity=1000),
    )


def _training() -> str:
    """A tiny run trains, saves, loads, and the loaded agent acts like the one that was saved."""
    config = tiny_config()
    with tempfile.TemporaryDirectory() as folder:
        path, summary = train(config, Path(folder), threads=1, quiet=True)
        saved, agent = RunReader(path).load_checkpoint()[1], load_run(path)[1]
        env = envs.make_vec(config.env, 4)
        # The last evaluation was played by the agent that was saved; the loaded one must play it again, bit for bit.
        last = summary.final_evaluation
        episodes = play_episodes(agent, env, evaluation_env_seeds(config.seed, 4, "monitoring"))
        again = summarise(episodes, step=last.step, updates=last.updates, seconds=last.seconds)
        env.close()
    if again != last or not arrays.same_bits(agent.state(), saved):
        raise UserError("A checkpoint that was saved and loaded does not give the same agent.")
    return f"{summary.updates} updates, checkpoint saved, loaded and bit-equal"
