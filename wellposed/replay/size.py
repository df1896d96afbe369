"""How large a replay is, to the byte, before there is one."""

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


def rows_entered(steps: int, dims: Dims, num_envs: int) -> int:
    """Rows that enter the ring in that many environment steps, if every episode lasts as long as it may.

    Shorter episodes would add more final states, at most as many again as there are transitions.
    """
    return num_envs * (steps // num_envs // dims.max_episode_steps) * (dims.max_episode_steps + 1)


@dataclass(frozen=True)
class FrameBytes:
    """What camera frames add to a replay, uint8 red, green and blue, kept in one of two ways."""

    one_frame: int
    once: int  # each frame once, for every row of the ring and of the episodes under way; stacks are made by index
    per_transition: int  # for the same transitions, the stack before and the stack after each
    in_use: int  # of `once`, what is touched when so many rows are in use

    @classmethod
    def count(
        cls, size: tuple[int, int], stack: int, capacity: int, rows_in_use: int, dims: Dims, num_envs: int
    ) -> "FrameBytes":
        """Args: height and width in pixels, frames in a stack, and the replay they belong to.

        Raises:
            UserError: if a size or the stack is not positive.
        """
        require(min(size) > 0, "pixels", "takes a height and a width greater than 0", f"{size[0]} {size[1]}")
        require(stack > 0, "frame_stack", "must be greater than 0", stack)
        longest = dims.max_episode_steps
        one, under_way = size[0] * size[1] * 3, num_envs * (longest + 1)
        transitions = capacity // (longest + 1) * longest + num_envs * longest  # of whole episodes, and those under way
        return cls(one, (capacity + under_way) * one, transitions * 2 * stack * one, (rows_in_use + under_way) * one)
