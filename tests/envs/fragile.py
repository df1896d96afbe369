"""An environment in one file that another process can make, and that breaks where a file says so."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from tests.envs.own import Own

LIMIT = 20


class Fragile(Own):
    """Ends at its goal. In each step it does what the file `trap` says, if there is one: raise, sleep, or die by the
    signal of that name; with "once" before it, for the first to read it only.
    """

    def __init__(self, trap: str = ""):
        super().__init__()
        self.trap = Path(trap or "/nowhere")

    def step(self, action: Any) -> Any:
        obs, reward, _, truncated, info = super().step(action)
        if words := self.trap_says():
            self.fall_into(words)
        return obs, reward, bool(np.linalg.norm(self.place - self.goal_place) < self.radius), truncated, info

    def trap_says(self) -> list[str]:
        """What the trap says; nothing if there is none, or if another process was the first to read it."""
        try:
            words = self.trap.read_text().split()
            if words[0] == "once":
                self.trap.unlink()
        except FileNotFoundError:
            return []
        return words

    def fall_into(self, words: list[str]) -> None:
        if words[-1] == "raise":
            raise ZeroDivisionError("the hand is nowhere")
        if words[-1] == "sleep":
            time.sleep(600)
        os.kill(os.getpid(), getattr(signal, words[-1]))


def set_trap(trap: Path, words: str) -> None:
    """Say what is to happen, in a file that is there whole or not at all: envs in other processes look for it."""
    part = trap.with_suffix(".part")
    part.write_text(words)
    part.rename(trap)


def make(trap: str = "") -> gym.Env:
    return gym.wrappers.TimeLimit(Fragile(trap), LIMIT)
