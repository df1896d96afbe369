"""The registry: environment id -> factory and tags. It refuses duplicates and unknown names."""

import contextlib
import difflib
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gymnasium as gym

from wellposed.envs import fetch, scripted
from wellposed.envs.fetch_vec import FetchVecEnv
from wellposed.envs.gym import GymGoalVecEnv
from wellposed.envs.quantities import Quantities, fetch_quantities
from wellposed.errors import UserError
from wellposed.types import Dims, Policy


@dataclass(frozen=True)
class EnvEntry:
    """A registered environment: `make(num_envs=, threads=)` builds its vector environment."""

    id: str
    make: Callable[..., Any]
    tags: frozenset[str]
    summary: str
    budget: int  # environment steps that training takes by default
    settings: dict[str, Any] = field(default_factory=dict)  # what the task needs otherwise than the default recipe
    oracle: Callable[[], Policy] | None = None  # a policy written by hand that makes the achieved goal move
    quantities: Quantities | None = None  # what its numbers are; None where nobody says
    solved_at_reset: float | None = None  # share of goals that are, by integration; None where that is not known


_REGISTRY: dict[str, EnvEntry] = {}


def register(entry: EnvEntry) -> None:
    """Add an environment.

    Raises:
        ValueError: if the id is taken; an experiment must never silently get another environment.
    """
    if entry.id in _REGISTRY:
        raise ValueError(f"environment {entry.id!r} is registered already")
    _REGISTRY[entry.id] = entry


def registered() -> list[EnvEntry]:
    """All registered environments, in the order they were added."""
    return list(_REGISTRY.values())


def find(env_id: str) -> EnvEntry:
    """The entry for an id: ours, or any goal environment that Gymnasium knows.

    Raises:
        UserError: for an unknown id (with the nearest names) or a Fetch version older than 4.
    """
    if env_id in _REGISTRY:
        return _REGISTRY[env_id]
    if old := re.fullmatch(r"(Fetch\w+)-v[0-3]", env_id):
        raise UserError(
            f"{env_id} is refused: before v4 the Fetch tasks leaked state through resets or misplaced the robot. "
            f"Use {old[1]}-v4."
        )
    names = _gymnasium_ids()
    if ":" in env_id or env_id in names:
        return EnvEntry(
            env_id, partial(_make_gym, env_id), frozenset({"gymnasium"}), "a Gymnasium environment", 1_000_000
        )
    candidates = [*_REGISTRY, *(n for n in names if n not in _REGISTRY and not n.startswith("Fetch"))]
    nearest = difflib.get_close_matches(env_id, candidates, n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(nearest)}?" if nearest else ""
    raise UserError(f"There is no environment {env_id!r}.{hint} `wellposed envs` lists what there is.")


def make_vec(env_id: str, num_envs: int = 1, *, threads: int = 1, **kwargs: Any) -> Any:
    """`num_envs` copies of a goal environment as one `gymnasium.vector.VectorEnv` (see `types.GoalVecEnv`).

    Args:
        env_id: a registered id, or any goal environment Gymnasium knows ("module:Id-v0" included).
        num_envs: copies, at least 1.
        threads: native threads for the physics; results do not depend on it. Other Gymnasium environments
            ignore it.
        kwargs: passed to the environment, e.g. `max_episode_steps`.

    Raises:
        UserError: if the id is unknown, or the environment is not a well-posed goal environment.
    """
    if num_envs < 1 or threads < 1:
        raise UserError(f"num_envs and threads must be at least 1, got {num_envs} and {threads}.")
    return find(env_id).make(num_envs=num_envs, threads=threads, **kwargs)


def dims(env: Any) -> Dims:
    """The sizes of a vector environment's observation, goal, action and episode, and its geometry."""
    space = env.single_observation_space
    return Dims(
        observation=space["observation"].shape[0],
        goal=space["desired_goal"].shape[0],
        action=env.single_action_space.shape[0],
        max_episode_steps=env.max_episode_steps,
        geometry=env.geometry,
    )


def _make_gym(env_id: str, num_envs: int, threads: int, **kwargs: Any) -> GymGoalVecEnv:
    """Other environments step their copies one after another: `threads` is accepted and means nothing."""
    del threads
    return GymGoalVecEnv(env_id, num_envs, **kwargs)


def _gymnasium_ids() -> list[str]:
    """Ids of Gymnasium's registry, with gymnasium-robotics' added: only asked for when needed, it is slow."""
    # Importing it prints a notice about the Adroit hand, which is no goal environment; it would hide our own sentence.
    with contextlib.redirect_stderr(io.StringIO()):
        import gymnasium_robotics

    gym.register_envs(gymnasium_robotics)
    return list(gym.registry)


_SUMMARIES = {
    "Reach": ("move the hand to a point in space", 20_000),
    "Push": ("push a block to a point on the table", 100_000),
    "Slide": ("hit a puck so that it stops out of reach, at a point on a long table", 320_000),
    "PickAndPlace": ("grasp a block and carry it to a point on the table or in the air", 300_000),
}
# Where a task needs another value than the default recipe's, with the reason. Names are those of `RunConfig`, dotted.
_SETTINGS: dict[str, dict[str, Any]] = {
    # Where the puck will stop has to be foretold to 5 cm over up to 70 cm, from the blow alone. That takes wider
    # networks, at last smaller steps, and blows like those of today rather than of a while ago (docs/fast.md).
    "Slide": {
        "agent.hidden": [128, 128, 128],
        "agent.batch_size": 512,
        "agent.anneal": [40_000, 100_000],
        "replay.capacity": 100_000,
        "random_share": 0.1,
    },
}
for _task in fetch.TASKS:
    for _dense in (False, True):
        _reward = "dense" if _dense else "sparse"
        register(
            EnvEntry(
                id=f"Fetch{_task.name}{'Dense' if _dense else ''}-v4",
                make=partial(FetchVecEnv, _task, dense=_dense),
                tags=frozenset({"fetch", _reward, *(["object"] if _task.has_object else [])}),
                summary=f"{_SUMMARIES[_task.name][0]} ({_reward} reward)",
                budget=_SUMMARIES[_task.name][1],
                settings=_SETTINGS.get(_task.name, {}),
                oracle=scripted.ORACLES[_task.name],
                quantities=fetch_quantities(_task.has_object),
                solved_at_reset=fetch.solved_at_reset(_task),
            )
        )
