"""`wellposed doctor`: tests of this machine, from versions to a tiny training, each with what was seen."""

import importlib.metadata
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
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
from wellposed.recipes import default_config
from wellposed.rollout.evaluate import play_episodes, summarise
from wellposed.runs.provenance import PACKAGES, cores, cpu_name
from wellposed.runs.store import RunReader
from wellposed.seeding import evaluation_env_seeds
from wellposed.training import train
from wellposed.verdict import load_run

FRAME = "rendered frame"
OPTIONAL = (*(f"OpenGL {backend}" for backend in rendering.BACKENDS), FRAME)  # a machine is fit without them
DRIVER = Path("/proc/driver/nvidia")
MARKS = {"holds": "ok  ", "warns": "no  ", "fails": "FAIL", "open": "open"}


def examine(frame_file: Path | None = None, *, gpu: bool = False) -> Iterator[Finding]:
    """Yield findings one after another. A machine is unfit if one fails; one that only warns is optional.

    Args:
        frame_file: receives the rendered frame, as PNG.
        gpu: test instead whether an NVIDIA GPU computes, renders and trains.

    Raises:
        UserError: if there is no GPU to test.
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
    if gpu:
        _gpu()
        tests = {"GPU computes": _gpu_computes, "GPU renders": _gpu_renders, "GPU trains": _gpu_trains}
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
    return f"JAX sees {devices}; {cpu_name()}, {cores()} cores"


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


def _observations(env: Any, actions: np.ndarray) -> list[np.ndarray]:
    """What is observed after each of the actions [steps, n, 4]."""
    return [env.step(action)[0]["observation"] for action in actions]


def _determinism() -> str:
    """The same seed and actions give the same bits on one thread and on two."""
    actions, traces = np.random.default_rng(0).uniform(-1, 1, (60, 4, 4)).astype(np.float32), []
    for threads in (1, 2):
        with closing(envs.make_vec("FetchPush-v4", 4, threads=threads)) as env:
            traces.append([env.reset(seed=0)[0]["observation"], *_observations(env, actions)])
    if not np.array_equal(*traces):
        raise UserError("The same seed gave different episodes on one thread and on two.")
    return "240 steps bit-equal on one thread and on two"


def _state() -> str:
    """Stepping from a restored physics state is bit-identical."""
    actions = np.random.default_rng(0).uniform(-1, 1, (80, 2, 4)).astype(np.float32)
    with closing(envs.make_vec("FetchPickAndPlace-v4", 2)) as env:
        env.reset(seed=0)
        _observations(env, actions[:20])
        state = env.get_state()
        first = _observations(env, actions)
        env.set_state(state)
        second = _observations(env, actions)
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


def _gpu() -> Any:
    """The first GPU that JAX sees; raises UserError saying why there is none."""
    if found := [device for device in jax.devices() if device.platform == "gpu"]:
        return found[0]
    if not DRIVER.exists():
        raise UserError("There is no NVIDIA GPU here, or its driver is not installed.")
    raise UserError("There is an NVIDIA GPU, but JAX was installed without CUDA. Run: EXTRAS=dev,cuda make setup")


def _gpu_computes() -> str:
    """A matrix product on the GPU is that of NumPy, up to what its number format rounds."""
    device, size = _gpu(), 2048
    one = np.random.default_rng(0).standard_normal((size, size), np.float32)
    with jax.default_device(device):
        product = np.asarray(jax.jit(lambda x: x @ x)(one))
    error = np.abs(product - one @ one).max() / np.sqrt(size)  # in standard deviations of an entry
    if not error < 0.05:  # TF32 keeps ten bits
        raise UserError(f"A matrix product on {device.device_kind} is off by {error:.2g} standard deviations.")
    return f"{device.device_kind}: a product of {size} x {size} is off by at most {error:.1g} standard deviations"


def _gpu_renders() -> str:
    """EGL draws on the GPU and not in software."""
    if (reason := rendering.probe_backend("egl")) is not None:
        raise UserError(f"EGL does not render: {reason}")
    maker = rendering.egl_device()
    if "NVIDIA" not in maker:
        raise UserError(
            f"EGL renders by {maker} instead of the GPU. In a container set NVIDIA_DRIVER_CAPABILITIES=all."
        )
    return f"EGL renders by {maker}"


def _gpu_trains() -> str:
    """Sparse Fetch Reach is learnt on the GPU."""
    device, config = _gpu(), replace(default_config("FetchReach-v4"), until_success=0.98)
    with tempfile.TemporaryDirectory() as folder, jax.default_device(device):
        _, summary = train(config, folder, quiet=True)
    if summary.solved is None:
        raise UserError(f"Fetch Reach was not learnt within {summary.step:,} steps.")
    return f"Fetch Reach to 98 % in {summary.solved.seconds:.1f} s, {summary.updates_per_second:,.0f} updates/s"
