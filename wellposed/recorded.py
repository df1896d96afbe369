"""Episodes on record as data: what was seen and done, and the states that the simulation was in.

The file is one of demonstrations (docs/deploy.md), an npz of arrays by key, with more in it: `applied` and
`state/NAME` with a row for each action, and `about`: of which environment it is, and how late its readings are.
"""

import io
import json
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from wellposed import plugin, serialise
from wellposed.arrays import Arrays, lengths_of, merged, parse_npz, part_of, require_numbers
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.curriculum import Curriculum
from wellposed.envs.wrappers.dynamics import Dynamics
from wellposed.envs.wrappers.filter import Filter
from wellposed.envs.wrappers.pixels import Pixels
from wellposed.envs.wrappers.sensors import Sensors
from wellposed.envs.wrappers.wrapper import Wrapper, require_capability
from wellposed.errors import UserError
from wellposed.runs.files import parse_json, read_bytes, write_whole
from wellposed.types import Moment, Step, VecEnv

MAX_BYTES = 2**30
OBSERVATION = "observation"


@dataclass(frozen=True)
class About:
    """What a recording is of."""

    env: EnvConfig  # with its own dynamics, as it is without interface and sensors
    delay: int  # steps by which its readings are late


@dataclass(frozen=True)
class Recording:
    """Episodes one after another. One of L actions has L + 1 rows of `obs`, and L of everything else."""

    about: About
    obs: Arrays  # [sum(L + 1), ...] by key, as it was shown
    action: np.ndarray  # [sum(L), a], what the policy chose
    applied: np.ndarray  # [sum(L), a], what reached the simulation, in [-1, 1]
    state: Arrays  # [sum(L), ...] by name, of the simulation before each action: `snapshot` of the environment
    length: np.ndarray  # [episodes], L of each

    def transitions(self, steps: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where `steps` actions begin whose outcome was read: rows of actions, rows of `obs` after them, episodes.

        A reading that is late by d steps shows an outcome d steps after it.
        """
        longest = int(self.length.max())
        later, found = min(steps + self.about.delay, longest + 1), []
        for episode, length in enumerate(self.length):
            begin = np.arange(max(0, length - later + 1))
            done = int(self.length[:episode].sum())
            found.append((done + begin, done + episode + begin + later, np.full(len(begin), episode)))
        starts, outcomes, episodes = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return starts, outcomes, episodes

    def first(self, episodes: int) -> "Recording":
        """The first episodes of it."""
        length = self.length[:episodes]
        n, rows = int(length.sum()), int((length + 1).sum())
        obs = {name: array[:rows] for name, array in self.obs.items()}
        state = {name: array[:n] for name, array in self.state.items()}
        return Recording(self.about, obs, self.action[:n], self.applied[:n], state, length)


class Recorder:
    """Records the episodes of an environment: put it around with `watch`, and take `recording` when they are played."""

    def __init__(self, where: EnvConfig):
        self.about = About(plain(where), where.sensors.delay)
        self.episodes: list[list[dict[str, Any]]] = []  # by their order, moments by their order

    def watch(self, env: VecEnv) -> VecEnv:
        """The environment, recorded."""
        return cast(VecEnv, RecordedVecEnv(env, self))

    @property
    def recording(self) -> Recording:
        """What was played so far."""
        rows = [row for episode in self.episodes for row in episode]
        acted = [row for row in rows if "action" in row]
        stacked = lambda rows, name: np.stack([row[name] for row in rows])  # noqa: E731
        obs = {name: np.stack([row["obs"][name] for row in rows]) for name in rows[0]["obs"]}
        state = {name: np.stack([row["state"][name] for row in acted]) for name in acted[0]["state"]}
        length = np.array([len(episode) - 1 for episode in self.episodes])
        return Recording(self.about, obs, stacked(acted, "action"), stacked(acted, "applied"), state, length)


def recorder_of(where: EnvConfig) -> Recorder:
    """What records an environment.

    Raises:
        UserError: if its states are not at hand, or a policy's filter or camera stands before what is read.
    """
    for name, own in (("filter", Filter()), ("pixels", Pixels())):
        if getattr(where, name) != own:
            raise UserError(f"--record: what is read is not shown as it is, because the run has --env.{name}.")
    with closing(make_env(where, 1, "evaluation")) as env:
        require_capability(env, "dynamics", "record", "whose MuJoCo model is at hand")
    return Recorder(where)


class RecordedVecEnv(Wrapper):
    """Notes the first episode of each env after a reset; of a seed that is given twice, the first env's."""

    def __init__(self, env: VecEnv, recorder: Recorder):
        super().__init__(env)
        self._recorder = recorder
        self._open: dict[int, list[dict[str, Any]]] = {}

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own."""
        seeds = seed if isinstance(seed, list) else list(range(self.num_envs))
        self._open = {i: [] for i in range(self.num_envs) if seeds.index(seeds[i]) == i}
        self._recorder.episodes += self._open.values()
        return self.env.reset(seed, mask)

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own."""
        state = self.env.snapshot()
        step: Step = self.env.step(action)
        for i, rows in self._open.items():
            done = {"action": step.action[i], "applied": step.applied_action[i]}
            rows.append({"obs": _of(step.obs, i), "state": _of(state, i)} | done)
        for i in [i for i in self._open if step.ended[i]]:
            self._open.pop(i).append({"obs": _of(step.next_obs, i)})
        return step


def _of(arrays: Arrays, i: int) -> Arrays:
    return {name: array[i].copy() for name, array in arrays.items()}


def plain(where: EnvConfig) -> EnvConfig:
    """An environment without what stands around it, and with its own dynamics."""
    own = {"dynamics": Dynamics(), "control": Control(), "sensors": Sensors(), "filter": Filter(), "pixels": Pixels()}
    return replace(where, **own, curriculum=Curriculum())


def write_recording(path: Path, found: Recording) -> None:
    """Write it as an npz; raises UserError if the disk refuses."""
    ends = np.cumsum(found.length)  # in a file of demonstrations nothing stands in the last row of actions
    action = np.insert(found.action, ends, 0.0, axis=0)
    about = np.array(json.dumps(serialise.to_dict(found.about)))
    arrays = found.obs | merged(state=found.state)
    memory = io.BytesIO()
    np.savez_compressed(memory, **arrays, action=action, applied=found.applied, length=found.length, about=about)  # type: ignore[arg-type]
    write_whole(path, memory.getvalue())


def read_recording(path: Path) -> Recording:
    """Read it. Raises UserError if the file is something else, or does not fit together."""
    try:
        arrays = parse_npz(read_bytes(path, MAX_BYTES), MAX_BYTES)
        if missing := [name for name in ("about", "action", "applied", "length", OBSERVATION) if name not in arrays]:
            raise ValueError(f"it lacks {', '.join(missing)}")
        about = serialise.from_dict(About, parse_json(str(arrays.pop("about")).encode(), "about"), "about")
        length = lengths_of(arrays.pop("length"))
        if about.delay < 0 or plugin.imports(about.env.id):
            raise ValueError("it is of an environment that is a module, or its delay is negative")
        state, action, applied = part_of(arrays, "state"), arrays.pop("action"), arrays.pop("applied")
        obs = {name: array for name, array in arrays.items() if not name.startswith("state/")}
        n, rows = int(length.sum()), int((length + 1).sum())
        of_rows, of_actions = {"action": action} | obs, {"applied": applied} | state
        for wanted, group in ((rows, of_rows), (n, of_actions)):
            for name, array in group.items():
                require_numbers(name, array, (wanted, *array.shape[1:]))
    except ValueError as error:
        raise UserError(f"{path} is no recording: {error}.") from error
    last = np.cumsum(length + 1) - 1
    return Recording(about, obs, np.delete(action, last, axis=0), applied, state, length)
