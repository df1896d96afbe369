"""Experience replay with hindsight."""

from wellposed.replay.buffer import ReplayBuffer, ReplayConfig

__all__ = ["ReplayBuffer", "ReplayConfig"]
