"""The registry: environment id -> factory, tags and capabilities. It refuses duplicates and unknown names.

Other packages add environments by an entry point of the group "wellposed.environments": a function without arguments
that calls `register`. All are called when the registry is first asked.
"""

import contextlib
import copy
import difflib
import io
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import gymnasium as gym

from wellposed import plugin
from wellposed.envs.gym import GymGoalVecEnv
from wellposed.envs.quantities import Quantities
from wellposed.envs.rendering import Renderer
from wellposed.errors import UserError
from wellposed.registry import from_packages
from wellposed.types import Policy, VecEnv

GROUP = "wellposed.environments"


@dataclass(frozen=True)
class EnvEntry:
    """A registered environment, and what it says it can do.

    Capabilities, which its envs declare too:
        "state": `set_state` goes on from a `get_state` bit for bit.
        "deterministic": an episode is determined by its seed and actions, whatever the number of threads and envs.
        "render": `renderer(size, backend)` draws the joint positions of `physics.data`.
        "oracle": `oracle()` is a policy written by hand that makes the achieved goal move.
        "quantities": `quantities` says what each number is.
        "goal spread": `task.goal_spread` can be set, so that goals lie nearer.
        "sensors": `task.sensed` says what is measured, `task.measurement_errors` how errors of it spread to what is
            shown. Of other environments `envs.sensing` finds it.
        "pixels": `task.view` says how a policy sees the task that learns from pictures.
        "drive": `task.drive` says how actions move the end effector, for a position controller.
        "ends at goals": success ends an episode, and after `keep_running()` none; "kept running": that was called.
        "dynamics": `vary` lets parameters of the dynamics differ between episodes.
    """

    id: str
    make: Callable[..., VecEnv]  # `make(num_envs=, threads=, max_episode_steps=None)`, and settings of its own
    tags: frozenset[str]
    summary: str
    budget: int  # environment steps that training takes by default
    capabilities: frozenset[str] = frozenset()
    settings: dict[str, Any] = field(default_factory=dict)  # what the task needs otherwise than the default recipe
    oracle: Callable[[], Policy] | None = None
    quantities: Quantities | None = None
    renderer: Callable[[int, str], Renderer] | None = None
    solved_at_reset: float | None = None  # share of goals that are, by integration; None where that is not known
    extra: str = ""  # the extra of this package that it needs
    module: str = ""  # the module that the extra brings, where it has another name
    gymnasium: str = ""  # the Gymnasium id of which its envs are instances, of an environment that is not stepped here
    rate: float | None = None  # environment steps in a second of what is simulated; None where nobody says
    other_versions: str = ""  # what is wrong with the other versions of that name in Gymnasium, if anything is


_REGISTRY: dict[str, EnvEntry] = {}
_loaded, _LOADING = False, threading.RLock()


def register(entry: EnvEntry) -> None:
    """Add an environment.

    Raises:
        ValueError: if the id is taken; an experiment must never silently get another environment.
    """
    _load()
    if entry.id in _REGISTRY:
        raise ValueError(f"environment {entry.id!r} is registered already")
    _REGISTRY[entry.id] = entry


def registered() -> list[EnvEntry]:
    """All registered environments, in the order they were added; copies, which nobody else changes."""
    _load()
    return [_copied(entry) for entry in _REGISTRY.values()]


def find(env_id: str) -> EnvEntry:
    """The entry for an id: ours, any goal environment that Gymnasium knows, or MODULE:NAME; nothing is imported yet.

    Raises:
        UserError: for an unknown id (with the nearest names), or another version of ours that is known to be broken.
    """
    _load()
    if env_id in _REGISTRY:
        return _copied(_REGISTRY[env_id])
    refused = {_unversioned(entry.id): entry for entry in _REGISTRY.values() if entry.other_versions}
    if (ours := refused.get(_unversioned(env_id))) is not None:
        raise UserError(f"{env_id} is refused: {ours.other_versions}. Use {ours.id}.")
    names = _gymnasium_ids()
    if plugin.imports(env_id) or env_id in names:
        make, tags = partial(GymGoalVecEnv, env_id), frozenset({"gymnasium"})
        return EnvEntry(env_id, make, tags, "a Gymnasium environment", 1_000_000, GymGoalVecEnv.capabilities)
    candidates = [*_REGISTRY, *(name for name in names if _unversioned(name) not in refused)]
    nearest = difflib.get_close_matches(env_id, candidates, n=3, cutoff=0.5)
    hint = f" Did you mean {', '.join(nearest)}?" if nearest else ""
    raise UserError(
        f"There is no environment {env_id!r}.{hint} `wellposed envs` lists what there is; "
        "one of your own is MODULE:NAME or FILE.py:NAME."
    )


def _load() -> None:
    """Register the suites of this package and those of others, once; a second thread waits until all are there."""
    global _loaded
    with _LOADING:
        if not _loaded:
            _loaded = True  # suites that register look for the entries of others
            _register_all()


def _register_all() -> None:
    from wellposed.envs.suites import SUITES  # here, for suites import this module

    for register_suite in SUITES:
        register_suite()
    from_packages(GROUP, lambda point: point.load()(), "environments")


def _unversioned(env_id: str) -> str:
    return re.sub(r"-v\d+$", "", env_id)


def _copied(entry: EnvEntry) -> EnvEntry:
    return replace(entry, settings=copy.deepcopy(entry.settings))


def _gymnasium_ids() -> list[str]:
    """Ids of Gymnasium's registry, with gymnasium-robotics' added: only asked for when needed, it is slow."""
    # Importing it prints a notice about the Adroit hand, which is no goal environment; it would hide our own sentence.
    with contextlib.redirect_stderr(io.StringIO()):
        import gymnasium_robotics

    gym.register_envs(gymnasium_robotics)
    return list(gym.registry)
