"""`wellposed doctor`: tests of this machine, from versions to a tiny training, each with what was seen."""

import importlib.metadata
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import jax
import numpy as np

from wellposed import arrays, envs
from wellposed.agents import SACConfig
from wellposed.config import RunConfig
from wellposed.data import ReplayConfig
from wellposed.envs import rendering
from wellposed.envs.make import EnvConfig, make_env
from wellposed.errors import UserError
from wellposed.findings import Finding
from wellposed.rollout.evaluate import play_episodes, summarise
from wellposed.runs.provenance import PACKAGES, cpu_name
from wellposed.runs.store import RunReader
from wellposed.seeding import evaluation_env_seeds
from wellposed.training import train
from wellposed.verdict import load_run

FRAME = "rendered frame"
OPTIONAL = (*(f"OpenGL {backend}" for backend in rendering.BACKENDS), FRAME)  # a machine is fit without them
MARKS = {"holds": "ok  ", "warns": "no  ", "fails": "FAIL", "open": "open"}


def examine(frame_file: Path | None = None) -> Iterator[Finding]:
    """Yield findings one after another. A machine is unfit if one fails; one that only warns is optional.

    `frame_file` receives the rendered frame, as PNG.
    """
    tests: dict[str, Callable[[], str]] = {
        "versions": _versions,
        "devices": _devices,
        **{f"OpenGL {backend}": lambda b=backend: _backend(b) for backend in rendering.BACKENDS},
        FRAME: lambda: _frame(frame_file),
        "physics determinism": _determinism,
        "physics state": _state,
        "training and checkpoint": _training,
    }
    for name, test in tests.items():
        began, status = time.perf_counter(), "holds"
        try:
            evidence = test()
        except (UserError, AssertionError, OSError, RuntimeError, ImportError) as error:
            status = "warns" if name in OPTIONAL else "fails"
            evidence = str(error) or type(error).__name__
        yield Finding(name, status, evidence, {"seconds": time.perf_counter() - began})


def _versions() -> str:
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    parts = [int(number) for number in found["mujoco"].split(".")[:2]]
    if parts >= [3, 12]:
        raise UserError(f"mujoco {found['mujoco']} breaks gymnasium-robotics 1.4.2; install mujoco<3.12.")
    return ", ".join([f"Python {platform.python_version()}", *(f"{name} {number}" for name, number in found.items())])


def _devices() -> str:
    devices = ", ".join(f"{device} ({device.device_kind})" for device in jax.devices())
    return f"JAX sees {devices}; {cpu_name()}, {len(os.sched_getaffinity(0))} cores"


def _backend(backend: str) -> str:
    if (reason := rendering.probe_backend(backend)) is not None:
        raise UserError(reason)
    return "renders"


def _frame(file: Path | None) -> str:
    backend = rendering.working_backend()
    entry = envs.find("FetchReach-v4")
    assert entry.renderer is not None
    env: Any = make_env(EnvConfig("FetchReach-v4"), 1, "evaluation")
    with closing(env), closing(entry.renderer(240, backend)) as renderer:
        goal = env.reset(seed=0).truth["desired_goal"][0]
        image = renderer.frame(env.physics.data[0].qpos, goal, False)
    if image.std() < 5:
        raise UserError(f"The frame rendered by {backend} is blank.")
    if file is not None:
        import matplotlib.image  # here, because its import is slow

        matplotlib.image.imsave(file, image, format="png")
    return f"{image.shape[1]}x{image.shape[0]} pixels by {backend}" + (f", saved to {file}" if file else "")


def _determinism() -> str:
    """The same seed and actions give the same bits on one thread and on two."""
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
    """Stepping from a restored physics state is bit-identical."""
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
        raise UserError("Stepping from a restored physics state gave different results from the first time.")
    return "80 steps from a restored state bit-equal"


def tiny_config(seed: int = 0) -> RunConfig:
    """A training of a few seconds that goes through everything a long one does."""
    return RunConfig(
        env=EnvConfig("FetchReach-v4"),
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
    """A tiny run trains, saves and loads, and the loaded agent acts like the saved one."""
    config = tiny_config()
    with tempfile.TemporaryDirectory() as folder:
        path, summary = train(config, Path(folder), threads=1, quiet=True)
        saved, agent = RunReader(path).load_checkpoint()[1], load_run(path)[1]
        env = make_env(config.env, 4, "evaluation")
        # The saved agent played the last evaluation; the loaded one must reproduce it bit for bit.
        last = summary.final_evaluation
        episodes = play_episodes(agent, env, evaluation_env_seeds(config.seed, 4, "monitoring"))
        again = summarise(episodes, step=last.step, updates=last.updates, seconds=last.seconds)
        env.close()
    if again != last or not arrays.same_bits(agent.state(), saved):
        raise UserError("A saved and loaded checkpoint does not give the same agent.")
    return f"{summary.updates} updates, checkpoint saved, loaded and bit-equal"
