"""panda-gym: a Franka arm in Bullet, told where its hand shall go. Sparse rewards; episodes end at the goal.

Chapters and records may name no module that is to be imported, and `panda_gym:PandaPush-v3` does: so its tasks stand in
the registry. Flip is missing, because it cannot be made (docs/suites.md).
"""

from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym

from wellposed.envs.gym import GymGoalVecEnv
from wellposed.envs.registry import EnvEntry, register
from wellposed.types import VecEnv


class Task(NamedTuple):
    """One of its tasks."""

    summary: str
    budget: int
    limit: int = 50  # steps of an episode
    parts: tuple[tuple[int, ...], ...] = ()  # of its goals


TASKS = {
    "Reach": Task("move the hand to a point", 20_000),
    "Push": Task("push a cube to a point on the table", 100_000),
    "Slide": Task("hit a puck so that it comes to rest at a point out of reach", 1_000_000),
    "PickAndPlace": Task("bring a cube to a point on the table or in the air", 400_000),
    "Stack": Task("put two cubes in their places, one on the other", 1_000_000, 100, ((0, 1, 2), (3, 4, 5))),
}


def register_all() -> None:
    """Add all of them, whether or not panda-gym is installed."""
    for name, task in TASKS.items():
        known_as = f"wellposed/Panda{name}-v3"  # panda-gym itself calls it PandaPush-v3, once it is imported
        if known_as not in gym.registry:
            maker = f"panda_gym.envs:Panda{name}Env"  # in words, so that worker processes find it
            gym.register(known_as, maker, max_episode_steps=task.limit, kwargs={"control_type": "ee"})
        register(
            EnvEntry(
                id=f"Panda{name}-v3",
                make=partial(_make, known_as, task),
                tags=frozenset({"panda", "sparse"}),
                summary=f"{task.summary} (sparse reward, needs the extra panda)",
                budget=task.budget,
                capabilities=frozenset({"state", "ends at goals"}),
                extra="panda",
                module="panda_gym",
                gymnasium=known_as,
            )
        )


def _make(known_as: str, task: Task, num_envs: int, threads: int, **kwargs: Any) -> VecEnv:
    env = GymGoalVecEnv(known_as, num_envs, threads=threads, **kwargs)
    env.spec = env.spec._replace(goal_parts=task.parts)
    return env
