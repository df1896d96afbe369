"""A run's policy shown at work: as a film of any environment that draws itself, or in a window."""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wellposed import seeding
from wellposed.config import stored_config
from wellposed.deploy import load_policy
from wellposed.envs import EnvConfig, find, make_env
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.rendering import REACHED, WANTED, draw_ball, working_backend
from wellposed.errors import UserError
from wellposed.report.video import encode_mp4, grid_video
from wellposed.runs.files import write_whole
from wellposed.types import Policy


def film_chance(env: str, target: Path, *, seed: int = 0, threads: int = 2) -> None:
    """Write an MP4 of uniform actions in a registered suite's environment, on held-out episodes.

    Raises:
        UserError: if the environment cannot be drawn.
    """
    config = EnvConfig(env)
    with closing(make_env(config, 1, "evaluation")) as one:
        policy = RandomPolicy(one.spec.action_dim, seeding.generator(seed, "random baseline"))
    write_whole(target, grid_video(policy, config, seed, threads))


def film(
    run: str | Path, target: str | Path | None = None, *, episodes: int = 4, seed: int = 0, threads: int = 2
) -> Path:
    """Write an MP4 of the greedy policy of a run's newest checkpoint on held-out episodes.

    A registered suite shows twelve envs side by side; any other environment shows `episodes` one after another, as
    its own `render()` draws them.

    Args:
        run: a run's directory.
        target: the file; by default the run's name with .mp4, in the current directory.
        episodes: how many.
        seed: which held-out episodes.
        threads: native threads for physics.

    Raises:
        UserError: if the environment cannot be drawn.
    """
    run, env = Path(run), stored_config(Path(run)).env
    target = Path(f"{run.resolve().name}.mp4") if target is None else Path(target)
    policy = load_policy(run).policy
    if find(env.id).renderer is not None:
        content = grid_video(policy, env, seed, threads)
    else:
        frames, rate = drawn(policy, env, seeding.evaluation_env_seeds(seed, episodes, "held-out"))
        content = encode_mp4(frames, rate)
    write_whole(target, content)
    return target


def drawn(policy: Policy, config: EnvConfig, seeds: list[int]) -> tuple[list[np.ndarray], float]:
    """What an environment draws of one episode for each seed, and its frames per second.

    Raises:
        UserError: if it draws no pictures.
    """
    with suppress(UserError):  # one that is no MuJoCo environment needs none
        os.environ.setdefault("MUJOCO_GL", working_backend())
    with closing(_rendering(config, "rgb_array")) as env:
        frames = [env.render() for seed in seeds for _ in _steps(policy, env, seed)]
        return frames, env.frames_per_second


def _rendering(config: EnvConfig, mode: str) -> Any:
    """One env that draws itself.

    Raises:
        UserError: if it does not take a render mode.
    """
    try:
        return make_env(replace(config, kwargs=config.kwargs | {"render_mode": mode}), 1, "evaluation")
    except UserError as error:
        raise UserError(f"{config.id} cannot be shown: it has to take render_mode={mode!r}. {error}") from error


def _steps(policy: Policy, env: Any, seed: int) -> Iterator[None]:
    """Play one episode; yields before each step."""
    now, carry = env.reset([seed]), policy.initial_carry(1)
    for _ in range(env.spec.max_episode_steps):
        yield
        action, carry = policy.act(now.obs, carry)
        if env.step(action).ended[0]:
            return
        now = env.now


def watch(run: str | Path, *, episodes: int = 10, seed: int = 0) -> None:
    """Show the greedy policy of a run's newest checkpoint in a window, in real time; closing the window ends it.

    Raises:
        UserError: if there is no screen, or the environment has no window.
    """
    if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        raise UserError(
            "There is no screen here: neither DISPLAY nor WAYLAND_DISPLAY is set. `wellposed video RUN` makes a film."
        )
    config, policy = stored_config(Path(run)).env, load_policy(run).policy
    seeds = seeding.evaluation_env_seeds(seed, episodes, "held-out")
    if find(config.id).renderer is None:
        with closing(_rendering(config, "human")) as env:  # it draws by itself whenever it is stepped
            for episode in seeds:
                for _ in _steps(policy, env, episode):
                    pass
        return
    with closing(make_env(config, 1, "evaluation")) as env:
        _watch_mujoco(policy, env, seeds)


def _watch_mujoco(policy: Policy, env: Any, seeds: list[int]) -> None:
    """Play in MuJoCo's own viewer, the goal as a ball."""
    import mujoco.viewer

    data = env.physics.data[0]
    try:
        viewer: Any = mujoco.viewer.launch_passive(env.physics.models[0], data, show_left_ui=False, show_right_ui=False)
    except RuntimeError as error:  # macOS wants another interpreter, and MuJoCo says which
        raise UserError(f"MuJoCo's viewer does not open: {error}") from error
    with viewer:
        for seed in seeds:
            then, shown = data.time, time.monotonic()
            for _ in _steps(policy, env, seed):
                if not viewer.is_running():
                    return
                truth = env.now.truth
                goal = truth["desired_goal"]
                reached = bool(env.is_success(truth["achieved_goal"], goal)[0])
                draw_ball(viewer.user_scn.geoms[0], goal[0], REACHED if reached else WANTED)
                viewer.user_scn.ngeom = 1
                viewer.sync()
                time.sleep(max(0.0, data.time - then - (time.monotonic() - shown)))
                then, shown = data.time, time.monotonic()
