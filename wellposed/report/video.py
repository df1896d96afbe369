"""A video of one policy in twelve envs, as an MP4 in memory."""

import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import av
import numpy as np

from wellposed import seeding
from wellposed.envs import EnvConfig, find, make_env
from wellposed.envs.rendering import Renderer, working_backend
from wellposed.errors import UserError
from wellposed.types import Moment, Policy

COLUMNS, ROWS, TILE, GAP = 4, 3, 240, 4  # TILE and GAP in pixels
FRAMES_PER_SECOND = 12.5  # half of the robot's 25 steps per second
_GOALS_WITHOUT_OBJECT, _STEPS_PER_GOAL = 4, 14
_PAPER = 255


def grid_video(policy: Policy, config: EnvConfig, seed: int, threads: int = 2) -> bytes:
    """Twelve envs pursue held-out goals, at half speed; returns an MP4 (H.264).

    An arm without an object gets a new goal every 14 steps and goes on from where it is, so it starts from poses
    that are not in training. With an object, or with a goal that is hidden, one whole episode is played.

    Raises:
        UserError: if OpenGL does not work here, or the environment cannot be rendered.
    """
    entry, num_envs = find(config.id), COLUMNS * ROWS
    if entry.renderer is None:
        raise UserError(f"Videos are drawn of environments that can be rendered; {config.id} cannot.")
    whole = not entry.tags.isdisjoint({"object", "hidden"})
    config = config if whole else replace(config, max_episode_steps=10**6)  # goals change, and no episode ends
    renderer = entry.renderer(TILE, working_backend())
    env: Any = make_env(config, num_envs, "evaluation", threads=threads, seed=seed)
    try:
        seeds = seeding.evaluation_env_seeds(seed, num_envs, "held-out")
        return encode_mp4([_mosaic(renderer, env, now) for now in _play(policy, env, seeds, whole)])
    finally:
        renderer.close()
        env.close()


def _play(policy: Policy, env: Any, seeds: list[int], whole: bool) -> Iterator[Moment]:
    """Yield each moment to be drawn."""
    now, carry = env.reset(seeds), policy.initial_carry(env.num_envs)
    rounds, steps = (1, env.spec.max_episode_steps) if whole else (_GOALS_WITHOUT_OBJECT, _STEPS_PER_GOAL)
    for i in range(rounds):
        if i:
            here = env.get_state()
            env.reset()
            goals = {key: array for key, array in env.get_state().items() if key.endswith("desired_goal")}  # seen, true
            now = env.set_state(here | goals | {"rng": env.get_state()["rng"]})
            carry = policy.initial_carry(env.num_envs)
        for _ in range(steps):
            yield now
            action, carry = policy.act(now.obs, carry)
            env.step(action)
            now = env.now


def _mosaic(renderer: Renderer, env: Any, now: Moment) -> np.ndarray:
    """One picture of all envs, uint8 [height, width, 3]. What a policy sees, if it is pictures, stands in a corner."""
    height, width = (n * (TILE + GAP) - GAP for n in (ROWS, COLUMNS))
    picture = np.full((height, width, 3), _PAPER, np.uint8)
    goals = now.truth["desired_goal"]
    reached = env.is_success(now.truth["achieved_goal"], goals)
    images = [now.obs[one.name] for one in env.spec.obs if one.kind == "image"]
    for i, data in enumerate(env.physics.data):
        top, left = (n * (TILE + GAP) for n in divmod(i, COLUMNS))
        tile = picture[top : top + TILE, left : left + TILE]
        tile[:] = renderer.frame(data.qpos, goals[i], bool(reached[i]))
        for image in images:
            larger = max(1, TILE // 3 // len(image[i]))
            shown = image[i].repeat(larger, axis=0).repeat(larger, axis=1)[:TILE, :TILE]
            tile[: len(shown), : shown.shape[1]] = shown
    return picture


def encode_mp4(frames: list[np.ndarray], frames_per_second: float = FRAMES_PER_SECOND) -> bytes:
    """Frames [height, width, 3] as an H.264 MP4 that browsers play."""
    frames = [frame[: len(frame) // 2 * 2, : frame.shape[1] // 2 * 2] for frame in frames]  # H.264 wants even sizes
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=round(frames_per_second * 2))
        stream.height, stream.width, stream.pix_fmt = frames[0].shape[0], frames[0].shape[1], "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "movflags": "faststart"}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            for _ in range(2):  # every frame twice, at a frame rate that every player supports
                container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return memory.getvalue()
