"""How large a replay or a rollout is, to the byte, before there is one."""

from dataclasses import dataclass

import numpy as np

from wellposed.errors import require
from wellposed.types import Dims


def columns(dims: Dims) -> dict[str, slice]:
    """Where the parts of a transition stand in a row of float32."""
    ends = np.cumsum([dims.observation, dims.goal, dims.action, dims.goal, 1, 1]).tolist()
    names = ("observation", "achieved_goal", "action", "desired_goal", "reward", "terminated")
    return {name: slice(begin, end) for name, begin, end in zip(names, [0, *ends[:-1]], ends, strict=True)}


def require_capacity(capacity: int, dims: Dims) -> None:
    """Raises UserError if a ring of that many rows does not hold an episode."""
    rows = dims.max_episode_steps + 1
    require(capacity >= rows, "replay.capacity", f"must hold an episode, {rows} rows", capacity)


def row_bytes(dims: Dims) -> int:
    """A row of the ring: float32 columns, and two int32 for its place in the episode."""
    return 4 * columns(dims)["terminated"].stop + 8


def open_bytes(dims: Dims, num_envs: int) -> int:
    """The episodes under way of all copies: the same columns, and an int64 for each copy's length."""
    return num_envs * ((dims.max_episode_steps + 1) * 4 * columns(dims)["terminated"].stop + 8)


def replay_bytes(capacity: int, dims: Dims, num_envs: int) -> int:
    """All of it, as `ReplayBuffer.nbytes` has it."""
    return capacity * row_bytes(dims) + open_bytes(dims, num_envs)


def rollout_bytes(steps: int, dims: Dims, num_envs: int) -> int:
    """A rollout, as `RolloutBuffer.nbytes` has it: float32 observations before and after, and actions; a float64 reward
    and two flags.
    """
    numbers = 2 * (dims.observation + 2 * dims.goal) + dims.action
    return steps * num_envs * (4 * numbers + 8 + 2)


def rows_entered(steps: int, dims: Dims, num_envs: int) -> int:
    """Rows that enter the ring in that many environment steps, if every episode lasts as long as it may.

    Shorter episodes would add more final states, at most as many again as there are transitions.
    """
    return num_envs * (steps // num_envs // dims.max_episode_steps) * (dims.max_episode_steps + 1)


@dataclass(frozen=True)
class Pixels:
    """Camera frames that a replay is to hold beside the numbers: uint8 red, green and blue."""

    height: int
    width: int
    stack: int  # frames in one observation

    def __post_init__(self) -> None:
        size = f"{self.height} {self.width}"
        require(self.height > 0 and self.width > 0, "pixels", "takes a height and a width greater than 0", size)
        require(self.stack > 0, "frame_stack", "must be greater than 0", self.stack)


@dataclass(frozen=True)
class FrameBytes:
    """What frames add to a replay, kept in one of two ways."""

    one_frame: int
    once: int  # each frame once, for every row of the ring and of the episodes under way; stacks are made by index
    per_transition: int  # for the same transitions, the stack before and the stack after each
    in_use: int  # of `once`, what is touched at the end of the run


def frame_bytes(pixels: Pixels, capacity: int, rows_in_use: int, dims: Dims, num_envs: int) -> FrameBytes:
    """The arithmetic of frames for a ring of so many rows, whole episodes in it."""
    one, longest = pixels.height * pixels.width * 3, dims.max_episode_steps
    under_way = num_envs * (longest + 1)
    transitions = capacity // (longest + 1) * longest + num_envs * longest
    twice = 2 * pixels.stack * transitions
    return FrameBytes(one, (capacity + under_way) * one, twice * one, (rows_in_use + under_way) * one)
