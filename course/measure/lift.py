"""How often uniform random actions grasp and lift an object: each stage of a lift, counted over episodes."""

from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from course.measure.kinds import Context
from wellposed import envs, seeding, units
from wellposed.anatomy.chance import exact_share
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.quantities import Quantities
from wellposed.envs.wrappers.wrapper import Wrapper
from wellposed.errors import UserError
from wellposed.rollout.evaluate import EVALUATION_ENVS, play_episodes
from wellposed.runs.record import Estimate
from wellposed.types import Moment, Obs, Step, VecEnv

BETWEEN = 0.015  # metres on each axis from hand to object, below which the object is between the fingers
HELD = (0.04, 0.06)  # metres between the fingers when they hold the object, whose edge is 0.05


@dataclass(frozen=True)
class LiftSettings:
    """The task, the number of episodes and the heights that count as lifted."""

    env: str  # a Fetch task with an object
    episodes: int = 5_000
    heights: list[float] = field(default_factory=lambda: [0.02, 0.05])  # metres; tipped on a corner it rises 1.8 cm
    seed: int = 0

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0 or not self.heights or min(self.heights) <= 0:
            raise UserError(
                "episodes must be at least 1, seed not negative and heights above 0, "
                f"got {self.episodes}, {self.seed} and {self.heights}."
            )


@dataclass(frozen=True)
class Event:
    """Something that happened in at least one step of an episode."""

    event: str
    share: Estimate  # of episodes, with its exact interval


@dataclass(frozen=True)
class Lift:
    """The events in episodes of uniform random actions."""

    episodes: int
    events: list[Event]


class EventRecorder(Wrapper):
    """A vector environment that records which events happened in each episode."""

    def __init__(self, env: VecEnv, quantities: Quantities, heights: list[float]):
        super().__init__(env)
        self._heights, self.moved_from = heights, units.moved(env.spec.radius)
        number = lambda name: quantities.find("observation", name)  # noqa: E731
        self._way = [number(f"object from hand {axis}") for axis in "xyz"]
        self._fingers = [number(f"{side} finger opening") for side in ("right", "left")]
        self.seen: list[np.ndarray] = []  # for each reset, bool [n, events]

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """Start episodes."""
        now = self.env.reset(seed, mask)
        self._start = now.truth["achieved_goal"]
        self.seen.append(self._events(now.truth))
        return now

    def step(self, action: np.ndarray) -> Step:
        """Take a step; all Fetch episodes end in the same step."""
        step = self.env.step(action)
        self.seen[-1] |= self._events(step.next_truth)
        return step

    def _events(self, obs: Obs) -> np.ndarray:
        """Which events hold now, bool [n, events]."""
        way, width = np.abs(obs["observation"][:, self._way]), obs["observation"][:, self._fingers].sum(axis=1)
        moved = obs["achieved_goal"] - self._start
        between = way.max(axis=1) < BETWEEN
        held = between & (width > HELD[0]) & (width < HELD[1])
        lifted = [moved[:, 2] > height for height in self._heights]
        return np.stack([np.linalg.norm(moved, axis=1) > self.moved_from, between, held, *lifted], axis=1)


def measure_lift(settings: LiftSettings, context: Context) -> Lift:
    """Play held-out episodes with uniform random actions and count the events.

    Raises:
        UserError: if the task has no object, or its observation has no named quantities.
    """
    quantities = envs.find(settings.env).quantities
    if quantities is None or quantities.goal[0].name != "object x":
        raise UserError(f"{settings.env} has no object to lift; choose a Fetch task with one, as FetchPickAndPlace-v4.")
    lifted = [f"it was lifted by more than {100 * height:g} cm" for height in settings.heights]
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    num_envs = min(EVALUATION_ENVS, len(seeds))
    with closing(make_env(EnvConfig(settings.env), num_envs, "evaluation", threads=context.threads)) as inner:
        env: Any = EventRecorder(inner, quantities, settings.heights)
        policy = RandomPolicy(inner.spec.action_dim, seeding.generator(settings.seed, "random baseline"))
        for start in context.over(range(0, len(seeds), num_envs), f"episodes, {num_envs} at a time"):
            play_episodes(policy, env, seeds[start : start + num_envs])
        moved = f"the object was moved by more than {100 * env.moved_from:g} cm"
    names = [moved, "it was between the fingers", "they held it", *lifted]
    seen = np.concatenate(env.seen)[: len(seeds)]
    return Lift(len(seeds), [Event(name, exact_share(flags)) for name, flags in zip(names, seen.T, strict=True)])
