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
        if self.trap.exists():
            self.fall_into(self.trap.read_text().split())
        return obs, reward, bool(np.linalg.norm(self.place - self.goal_place) < self.radius), truncated, info

    def fall_into(self, words):
        if words[0] == "once":
            self.trap.unlink()
        if words[-1] == "raise":
            raise ZeroDivisionError("the hand is nowhere")
        if words[-1] == "sleep":
            time.sleep(600)
        os.kill(os.getpid(), getattr(signal, words[-1]))


def make(trap: str = "") -> gym.Env:
    return gym.wrappers.TimeLimit(Fragile(trap), LIMIT)
