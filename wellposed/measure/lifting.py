"""Plays random actions, and watches for what a lift is made of: the object between the fingers, held, lifted."""

from contextlib import closing
from typing import Any

import numpy as np

from wellposed import envs, seeding
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.quantities import Quantities
from wellposed.errors import UserError
from wellposed.measure.chance import exact
from wellposed.measure.kinds import Context
from wellposed.measure.lift import Event, Lift, LiftSettings
from wellposed.rollout import EVALUATION_COPIES, play_episodes
from wellposed.rollout.statistics import moved_from
from wellposed.types import Moment, Obs, Step

BETWEEN = 0.015  # metres, on each axis, from the hand to an object that is between the fingers
HELD = (0.04, 0.06)  # metres from finger to finger around the object, whose edge is 0.05


class Watched:
    """A vector environment of which is noted what each episode came to."""

    def __init__(self, env: Any, quantities: Quantities, heights: list[float]):
        self._env, self._heights, self._far = env, heights, moved_from(env.spec)
        number = lambda name: quantities.find("observation", name)  # noqa: E731
        self._way = [number(f"object from hand {axis}") for axis in "xyz"]
        self._fingers = [number(f"{side} finger opening") for side in ("right", "left")]
        self.seen: list[np.ndarray] = []  # bool [n, events] for each reset

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, **kwargs: Any) -> Moment:
        """Begin episodes."""
        now = self._env.reset(**kwargs)
        self._start = now.truth["achieved_goal"]
        self.seen.append(self._events(now.truth))
        return now

    def step(self, actions: np.ndarray) -> Step:
        """Take a step; Fetch episodes all end in the same one."""
        step = self._env.step(actions)
        self.seen[-1] |= self._events(step.next_truth)
        return step

    def _events(self, obs: Obs) -> np.ndarray:
        """Which of the events hold, [n, events]."""
        way, width = np.abs(obs["observation"][:, self._way]), obs["observation"][:, self._fingers].sum(axis=1)
        moved = obs["achieved_goal"] - self._start
        between = way.max(axis=1) < BETWEEN
        held = between & (width > HELD[0]) & (width < HELD[1])
        lifted = [moved[:, 2] > height for height in self._heights]
        return np.stack([np.linalg.norm(moved, axis=1) > self._far, between, held, *lifted], axis=1)


def measure_lift(settings: LiftSettings, context: Context) -> Lift:
    """Play held-out episodes with uniform random actions.

    Raises:
        UserError: if the task has no object, or no numbers with names.
    """
    quantities = envs.find(settings.env).quantities
    if quantities is None or quantities.goal[0].name != "object x":
        raise UserError(f"{settings.env} has no object that could be lifted; a Fetch task as FetchPickAndPlace-v4 has.")
    seeds = seeding.evaluation_env_seeds(settings.seed, settings.episodes, "held-out")
    copies = min(EVALUATION_COPIES, len(seeds))
    with closing(envs.make_vec(settings.env, copies, threads=context.threads).inner) as inner:
        env = Watched(inner, quantities, settings.heights)
        noise = RandomPolicy(inner.spec.action_dim, seeding.generator(settings.seed, "random baseline"))
        for start in context.over(range(0, len(seeds), copies), f"episodes, {copies} at a time"):
            play_episodes(noise, env, seeds[start : start + copies])  # type: ignore[arg-type]
    names = [f"the object was moved by more than {100 * moved_from(env.spec):g} cm", "it was between the fingers"]
    names += ["they held it", *(f"it was lifted by more than {100 * height:g} cm" for height in settings.heights)]
    seen = np.concatenate(env.seen)[: len(seeds)]
    return Lift(len(seeds), [Event(name, exact(of_one)) for name, of_one in zip(names, seen.T, strict=True)])
