"""Environment steps per second against the number of copies that step together."""

import time
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from course.measure.kinds import Context
from wellposed import seeding
from wellposed.envs.make import EnvConfig, make_env
from wellposed.errors import UserError
from wellposed.types import VecEnv

ROUNDS = 5  # in which the numbers of copies take turns, so that a machine whose speed drifts slows all alike


@dataclass(frozen=True)
class CopiesSettings:
    """The environment, the numbers of copies, and how long each is stepped in a round."""

    env: str
    copies: list[int]
    seconds: float = 0.5

    def __post_init__(self) -> None:
        if (
            not self.copies
            or sorted({*self.copies}) != self.copies
            or not 1 <= self.copies[0] <= self.copies[-1] <= 1024
        ):
            raise UserError(f"copies must be whole numbers from 1 to 1024 in rising order, got {self.copies}.")
        if not 0 < self.seconds <= 60:
            raise UserError(f"seconds must be above 0 and at most 60, got {self.seconds}.")


@dataclass(frozen=True)
class CopiesRow:
    """One number of copies under uniform actions."""

    copies: int
    steps_per_second: float  # of all copies together, median of the rounds
    lowest: float
    highest: float
    milliseconds: float  # that a call of `step` takes
    gain: float  # over the first row


@dataclass(frozen=True)
class Copies:
    """All numbers of copies."""

    env: str
    threads: int
    rows: list[CopiesRow]


def measure_copies(settings: CopiesSettings, context: Context) -> Copies:
    """Step each number of copies for the same time, in turns."""
    rates: list[list[float]] = [[] for _ in settings.copies]
    for _ in context.over(range(ROUNDS), "rounds"):
        for found, n in zip(rates, settings.copies, strict=True):
            with closing(make_env(EnvConfig(settings.env), n, "training", threads=context.threads)) as env:
                found.append(_rate(env, settings.seconds))
    first = float(np.median(rates[0]))
    rows = []
    for n, found in zip(settings.copies, rates, strict=True):
        middle = float(np.median(found))
        rows.append(CopiesRow(n, middle, min(found), max(found), 1000 * n / middle, middle / first))
    return Copies(settings.env, context.threads, rows)


def _rate(env: VecEnv, seconds: float) -> float:
    """Environment steps per second; the first call is not timed."""
    env.reset(seeding.training_env_seed(0))
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (16, env.num_envs, env.spec.action_dim)).astype(np.float32)
    env.step(actions[0])
    calls, began = 0, time.perf_counter()
    passed = 0.0
    while passed < seconds:
        env.step(actions[calls % len(actions)])
        calls, passed = calls + 1, time.perf_counter() - began
    return calls * env.num_envs / passed
