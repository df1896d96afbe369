"""panda-gym: a Franka arm in Bullet, told where its hand shall go. Sparse rewards; episodes end at the goal.

Chapters and records may name no module that is to be imported, and `panda_gym:PandaPush-v3` does: so its tasks stand in
the registry, with their symmetries. Flip is missing, because it cannot be made (docs/suites.md).
"""

import contextlib
import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import gymnasium as gym

from wellposed.envs import geometry
from wellposed.envs.gym import GymGoalVecEnv
from wellposed.envs.physics.bullet import EndsAtGoal
from wellposed.envs.registry import EnvEntry, register
from wellposed.types import Geometry, Mirror, VecEnv

_SILENCING = threading.Lock()  # else a second thread would keep /dev/null as standard output


CAPABILITIES = frozenset({"ends at goals", "state"})  # of every task


class Task(NamedTuple):
    """One of its tasks."""

    summary: str
    budget: int
    objects: int = 1  # whose places are the goal; 0: that of the hand is
    fingers: bool = False  # whether they move: then their width is observed, and commanded
    reached: bool = True  # whether the arm gets to wherever objects do
    limit: int = 50  # steps of an episode


TASKS = {
    "Reach": Task("move the hand to a point", 20_000, objects=0),
    "Push": Task("push a cube to a point on the table", 100_000),
    "Slide": Task("hit a puck so that it comes to rest at a point out of reach", 1_000_000, reached=False),
    "PickAndPlace": Task("bring a cube to a point on the table or in the air", 400_000, fingers=True),
    "Stack": Task("put two cubes in their places, one on the other", 1_000_000, objects=2, fingers=True, limit=100),
}


def symmetries(task: Task) -> Geometry:
    """Shifts along the table, and the mirror image in the plane in which the arm stands (y to -y).

    Observed are position and velocity of the hand, the width of the fingers where they move, and of each object
    position, angles, velocity and angular velocity; not the ways between them. Where objects get out of reach shifts
    are no symmetry, as on Fetch.
    """
    fingers, objects = ("number",) * task.fingers, ("vector", "turning", "vector", "turning") * task.objects
    signs = geometry.mirror_signs(("vector", "vector", *fingers, *objects), 1)
    first = [0, *(6 + len(fingers) + 12 * i for i in range(task.objects))]
    goals = max(task.objects, 1)
    mirror = Mirror(
        observation_order=tuple(range(len(signs))),
        observation_sign=tuple(signs.tolist()),
        observation_offset=(0.0,) * len(signs),
        goal_sign=(1, -1, 1) * goals,
        goal_offset=(0.0,) * 3 * goals,
        action_sign=(1, -1, 1, *(1,) * len(fingers)),
    )
    return Geometry(
        effector=(0, 1, 2),
        points=tuple((i, i + 1, i + 2) for i in first),
        shift_axes=(0, 1) if task.reached else (),
        mirror=mirror,
        differences=tuple((0, i) for i in range(1, task.objects + 1)),
        goal_points=tuple((i, i + 1, i + 2) for i in range(0, 3 * goals, 3)) if goals > 1 else (),
    )


def register_all() -> None:
    """Add all of them, whether or not panda-gym is installed."""
    for name, task in TASKS.items():
        known_as = f"wellposed/Panda{name}-v3"  # panda-gym itself calls it PandaPush-v3, once it is imported
        if known_as not in gym.registry:
            maker = f"{__name__}:made"  # in words, so that worker processes find it
            settings = {"name": name, "control_type": "ee"}
            gym.register(known_as, maker, max_episode_steps=task.limit, kwargs=settings)
        register(
            EnvEntry(
                id=f"Panda{name}-v3",
                make=partial(_make, known_as, task),
                tags=frozenset({"panda", "sparse"}),
                summary=f"{task.summary} (sparse reward, needs the extra panda)",
                budget=task.budget,
                capabilities=CAPABILITIES,
                rate=25.0,  # 20 physics steps of 2 ms
                extra="panda",
                module="panda_gym",
                gymnasium=known_as,
            )
        )


def made(name: str, **settings: Any) -> gym.Env:
    """One of panda-gym's environments, without the lines that Bullet prints when it starts."""
    with _silent():
        return EndsAtGoal(getattr(importlib.import_module("panda_gym.envs"), f"Panda{name}Env")(**settings))


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Discards what C code prints to standard output; Bullet prints a dozen lines for each environment."""
    with _SILENCING, contextlib.ExitStack() as undo:
        with contextlib.suppress(OSError):  # where standard output is closed there is nothing to silence
            kept = os.dup(1)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, 1)
            undo.callback(ctypes.CDLL(None).fflush, None)  # what C has buffered would be printed later
            if sys.stdout is not None:
                sys.stdout.flush()
            nowhere = os.open(os.devnull, os.O_WRONLY)
            undo.callback(os.close, nowhere)
            os.dup2(nowhere, 1)
        yield


def _make(known_as: str, task: Task, num_envs: int, threads: int, **kwargs: Any) -> VecEnv:
    env = GymGoalVecEnv(known_as, num_envs, threads=threads, **kwargs)
    env.capabilities = CAPABILITIES
    env.spec = env.spec._replace(geometry=symmetries(task))
    return env
