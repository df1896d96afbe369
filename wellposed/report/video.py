"""A video of one policy in twelve copies of its environment, as an MP4 in memory."""

import io
from typing import Any

import av
import numpy as np

from wellposed import seeding
from wellposed.envs import find
from wellposed.envs.fetch_vec import FetchVecEnv
from wellposed.envs.rendering import FetchRenderer, working_backend
from wellposed.errors import UserError
from wellposed.types import Policy

COLUMNS, ROWS, TILE, GAP = 4, 3, 240, 4  # TILE and GAP in pixels
FRAMES_PER_SECOND = 12.5  # half of the robot's 25 steps per second
_GOALS_WITHOUT_OBJECT, _STEPS_PER_GOAL = 4, 14
_PAPER = 255


def grid_video(policy: Policy, env_id: str, seed: int, threads: int = 2) -> bytes:
    """Twelve copies of the arm pursue held-out goals, at half speed; returns an MP4 (H.264).

    An arm without an object gets a new goal every 14 steps, from where it stands: the policy was never
    trained on those starting poses. With an object, one whole episode is played.

    Raises:
        UserError: if nothing can be drawn here, or the environment is not a Fetch task.
    """
    if "fetch" not in find(env_id).tags:
        raise UserError(f"Videos are drawn of the Fetch tasks only, not of {env_id}.")
    backend = working_backend()
    copies = COLUMNS * ROWS
    env: FetchVecEnv = find(env_id).make(num_envs=copies, threads=threads, max_episode_steps=10**6)
    task = env.scene.task
    renderer = FetchRenderer(task, TILE, backend)
    try:
        seeds = seeding.evaluation_env_seeds(seed, copies, "held-out")
        return encode_mp4([_mosaic(renderer, env, obs) for obs in _play(policy, env, seeds, task.has_object)])
    finally:
        renderer.close()
        env.close()


def _play(policy: Policy, env: FetchVecEnv, seeds: list[int], has_object: bool) -> Any:
    """Yield the observations of each moment to be drawn."""
    obs, _ = env.reset(seed=seeds)
    rounds, steps = (1, 50) if has_object else (_GOALS_WITHOUT_OBJECT, _STEPS_PER_GOAL)
    for i in range(rounds):
        if i:
            here = env.get_state()
            goals = env.reset()[0]["desired_goal"]
            obs = env.set_state(here | {"desired_goal": goals, "rng": env.get_state()["rng"]})
        for _ in range(steps):
            yield obs
            obs = env.step(policy.act(obs))[0]


def _mosaic(renderer: FetchRenderer, env: FetchVecEnv, obs: dict[str, np.ndarray]) -> np.ndarray:
    """One picture of all copies, uint8 [height, width, 3]."""
    height, width = (n * (TILE + GAP) - GAP for n in (ROWS, COLUMNS))
    picture = np.full((height, width, 3), _PAPER, np.uint8)
    reached = env.is_success(obs["achieved_goal"], obs["desired_goal"])
    for i, data in enumerate(env.physics.data):
        top, left = (n * (TILE + GAP) for n in divmod(i, COLUMNS))
        tile = renderer.frame(data.qpos, obs["desired_goal"][i], bool(reached[i]))
        picture[top : top + TILE, left : left + TILE] = tile
    return picture


def encode_mp4(frames: list[np.ndarray]) -> bytes:
    """Frames [height, width, 3] as an H.264 MP4 that browsers play."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=round(FRAMES_PER_SECOND * 2))
        stream.height, stream.width, stream.pix_fmt = frames[0].shape[0], frames[0].shape[1], "yuv420p"
        stream.options = {"crf": "23", "preset": "veryfast", "movflags": "faststart"}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            for _ in range(2):  # every frame twice, at a frame rate that every player supports
                container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return memory.getvalue()
