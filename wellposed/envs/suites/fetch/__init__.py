"""Fetch: an arm that reaches, pushes, slides, or grasps and carries, with goals in space."""

from functools import partial
from typing import Any

from wellposed.envs.registry import EnvEntry, register
from wellposed.envs.suites.fetch.model import RATE, VARIANTS, Variant, renderer
from wellposed.envs.suites.fetch.oracle import ORACLES
from wellposed.envs.suites.fetch.quantities import fetch_quantities
from wellposed.envs.suites.fetch.task import CAPABILITIES, FetchTask, solved_at_reset
from wellposed.envs.vector import MujocoVecEnv
from wellposed.types import VecEnv

_SUMMARIES = {
    "Reach": ("move the hand to a point in space", 20_000),
    "Push": ("push a block to a point on the table", 100_000),
    "Slide": ("hit a puck so that it stops out of reach, at a point on a long table", 320_000),
    "PickAndPlace": ("grasp a block and carry it to a point on the table or in the air", 300_000),
}
# Settings that differ from the default recipe, with the reason. Names are those of `RunConfig`, dotted.
_SETTINGS: dict[str, dict[str, Any]] = {
    # From the hit alone, the policy must predict within 5 cm where the puck stops, over up to 70 cm. That takes wider
    # networks, a smaller step size at the end, and recent data (docs/fast.md).
    "Slide": {
        "agent.hidden": [128, 128, 128],
        "agent.batch_size": 512,
        "agent.anneal": [40_000, 100_000],
        "replay.capacity": 100_000,
        "random_share": 0.1,
    },
}
# The published runs on the dense reward were made without a bound on targets.
_DENSE = {"agent.bound_targets": False}


def register_all() -> None:
    """Add every task, with sparse and with dense reward."""
    for variant in VARIANTS:
        for dense in (False, True):
            register(_entry(variant, dense))


def _make(variant: Variant, dense: bool, num_envs: int, threads: int, max_episode_steps: int | None = None) -> VecEnv:
    task = FetchTask(variant, dense)
    return MujocoVecEnv(task, num_envs, threads=threads, max_episode_steps=max_episode_steps)


def _entry(variant: Variant, dense: bool) -> EnvEntry:
    reward = "dense" if dense else "sparse"
    return EnvEntry(
        id=f"Fetch{variant.name}{'Dense' if dense else ''}-v4",
        make=partial(_make, variant, dense),
        tags=frozenset({"fetch", reward, *(["object"] if variant.has_object else [])}),
        summary=f"{_SUMMARIES[variant.name][0]} ({reward} reward)",
        budget=_SUMMARIES[variant.name][1],
        capabilities=CAPABILITIES,
        settings=_SETTINGS.get(variant.name, {}) | (_DENSE if dense else {}),
        oracle=ORACLES[variant.name],
        quantities=fetch_quantities(variant.has_object),
        renderer=partial(renderer, variant),
        solved_at_reset=solved_at_reset(variant),
        rate=RATE,
        other_versions="before v4 the Fetch tasks leaked state through resets or misplaced the robot",
    )
