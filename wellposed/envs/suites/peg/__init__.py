"""Pegs: insertion where only contact tells where the hole is, and guarded moves that need memory."""

import inspect
from dataclasses import replace
from functools import partial
from typing import Any

from wellposed.envs.quantities import Quantities
from wellposed.envs.registry import EnvEntry, register
from wellposed.envs.suites.peg import guarded, task
from wellposed.envs.suites.peg.guarded import GuardedTask
from wellposed.envs.suites.peg.oracle import EachProbe, SpiralSearch
from wellposed.envs.suites.peg.rendering import PegRenderer
from wellposed.envs.suites.peg.task import PegTask
from wellposed.envs.vector import MujocoVecEnv
from wellposed.errors import UserError
from wellposed.types import Policy, VecEnv

# The policy sees no goal, so its actor cannot be taught what to do for goals of hindsight.
_SETTINGS = {"agent.critic_sees": "truth", "replay.k": 0}
# Most seeds find every hole within 5,000 updates, and forget some again at a constant step size (chapter 11).
_STEADY = {"agent.anneal": (5_000, 15_000)}


def register_all() -> None:
    """Add both tasks; shape, clearance and what is hidden, or the number of cells, are their arguments."""
    find = "insert a peg by feel, the hole lying 1 to 3 mm from where it is said to be"
    probe = "find the one of five cells where the peg goes in, by guarded moves that look alike"
    insert = _entry("PegInsert-v0", PegTask, find, 500_000, SpiralSearch, task.QUANTITIES)
    register(replace(insert, rate=1 / task.STEP))
    guarded_moves = _entry("PegProbe-v0", GuardedTask, probe, 30_000, EachProbe, guarded.QUANTITIES)
    register(replace(guarded_moves, settings=_SETTINGS | _STEADY))


def _make(kind: type[PegTask], num_envs: int, threads: int, max_episode_steps: int | None = None, **own: Any) -> VecEnv:
    try:
        inspect.signature(kind).bind(**own)
    except TypeError as error:
        raise UserError(f"--env.kwargs does not fit: {error}.") from error
    return MujocoVecEnv(kind(**own), num_envs, threads=threads, max_episode_steps=max_episode_steps)


def _entry(
    name: str, kind: type[PegTask], summary: str, budget: int, oracle: type[Policy], quantities: Quantities
) -> EnvEntry:
    return EnvEntry(
        id=name,
        make=partial(_make, kind),
        tags=frozenset({"peg", "sparse", "hidden"}),
        summary=f"{summary} (sparse reward)",
        budget=budget,
        capabilities=task.CAPABILITIES,
        settings=_SETTINGS,
        oracle=oracle,
        quantities=quantities,
        renderer=PegRenderer,
    )
