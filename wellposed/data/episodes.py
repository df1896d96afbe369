"""Replay: whole episodes in preallocated arrays, each key in its own dtype, sampled in O(batch), with hindsight.

Episodes lie one after another on a ring of rows. An episode of L transitions takes L + 1 rows: row t holds state t, and
the action, goal, reward and termination of transition t; the last row holds the final state alone. So the successor of
a row is the next row, and no observation is stored twice. Windows of states, for frame stacks and policies with memory,
are index arithmetic over the same rows.

The environment's own functions compute reward and termination for a new goal, from the truth where that differs from
what is seen. A relabelled transition keeps its `terminated` only if the episode ended there for another reason than its
goal, by failure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from wellposed.arrays import Arrays, check_arrays, merged, part_of
from wellposed.data.hindsight import (
    STRATEGIES,
    GoalFunction,
    relabel,
    relabelled_share,
    require_parts,
    whole_goal,
)
from wellposed.data.rows import bytes_of, columns, make_rows, require_capacity
from wellposed.errors import UserError, require
from wellposed.serialise import LATER
from wellposed.types import Batch, Obs, Spec, Step


@dataclass(frozen=True)
class ReplayConfig:
    """How transitions are kept and relabelled."""

    capacity: int = 1_000_000
    """Rows of the ring: transitions, plus one for each episode's final state."""
    strategy: str = "future"
    """Where a hindsight goal comes from: future (strictly later in the episode), final, episode, or one of yours."""
    k: int = 4
    """Hindsight goals for each original one: k/(k+1) of a batch is relabelled, 0 is off. Source: HER, section 4.5."""
    relabel: Literal["whole", "parts"] = field(default="whole", metadata=LATER)
    """whole: a hindsight goal is what one moment achieved. parts: each thing that a goal is about has a moment of its
    own (env.goal_parts)."""
    action: Literal["chosen", "applied"] = field(default="chosen", metadata=LATER)
    """The action that is stored: the policy's choice, or what reached the simulator; env.control tells them apart."""

    draw: int = field(default=0, metadata=LATER)
    """Minibatches and hindsight goals of another random stream of the same seed: 1, 2, ...; nothing else differs."""

    def __post_init__(self) -> None:
        require(0 <= self.draw < 2**31, "replay.draw", "must be 0 to 2,147,483,647", self.draw)
        require(self.capacity > 0, "replay.capacity", "must be greater than 0", self.capacity)
        require(self.k >= 0, "replay.k", "must not be negative", self.k)
        STRATEGIES.find(self.strategy)


class ReplayBuffer:
    """The ring, and the episodes under way in `num_envs` envs, which enter it when they end.

    `spec` gives keys, shapes, dtypes and the longest episode; `reward` and `terminated` are the environment's functions
    [n] of any goals [n, g]. Raises UserError if the capacity is too small for an episode or too large for memory.
    """

    def __init__(self, config: ReplayConfig, spec: Spec, num_envs: int, reward: GoalFunction, terminated: GoalFunction):
        require_capacity(config.capacity, spec)
        self.config, self.spec = config, spec
        self._reward, self._terminated = _of_any_shape(reward), _of_any_shape(terminated)
        self._goal_time = STRATEGIES[config.strategy]
        self._share = relabelled_share(config.k)
        # Which numbers of a goal are relabelled together.
        self.parts = require_parts(spec) if config.relabel == "parts" else whole_goal(spec)
        self._columns = columns(spec)
        parts = {"obs": spec.obs, "truth": spec.truth}
        self._seen = {part: {f.name: self._columns[f"{part}/{f.name}"] for f in parts[part]} for part in parts}
        self._goals = "truth" if spec.truth else "obs"  # where goals are true
        try:
            self._rows = make_rows(spec, config.capacity)
            self._time = np.zeros(config.capacity, np.int32)  # t of the transition in this row
            self._length = np.zeros(config.capacity, np.int32)  # L of its episode; t == L marks a final state
        except (MemoryError, ValueError) as error:
            told = f"There is no memory for a replay of {config.capacity:,} rows. Lower --replay.capacity."
            raise UserError(told) from error
        self._ring = self._keys(self._rows) | {"time": self._time, "length": self._length}
        # Counted in all rows that ever entered: the ring holds those from `oldest` up to `end`, row i at i % capacity.
        self.oldest, self.end = 0, 0
        self.transitions = 0
        self._open_rows = make_rows(spec, num_envs, spec.max_episode_steps + 1)
        self._open = self._keys(self._open_rows)
        self._open_length = np.zeros(num_envs, np.int64)

    def add(self, step: Step) -> None:
        """Record one transition of every env. An episode enters the ring when it has ended."""
        if (self._open_length >= self.spec.max_episode_steps).any():
            limit = self.spec.max_episode_steps
            raise UserError(f"An episode is longer than the environment's own limit of {limit} steps.")
        at_goal = self._terminated(step.next_truth["achieved_goal"], step.truth["desired_goal"])
        envs = np.arange(len(step.action))
        self._write_state(envs, step.obs, step.truth)
        now = envs, self._open_length
        self._open["action"][now] = step.action if self.config.action == "chosen" else step.applied_action
        self._open["reward"][now] = step.reward
        self._open["terminated"][now] = step.terminated
        self._open["failed"][now] = step.terminated & np.logical_not(at_goal)
        self._open_length += 1
        ended = np.flatnonzero(step.ended)
        self._write_state(ended, step.next_obs, step.next_truth)
        for i in ended.tolist():
            self._append(i, int(self._open_length[i]) + 1)
            self._open_length[i] = 0

    @property
    def nbytes(self) -> int:
        """Memory of the ring and of the episodes under way, in bytes; the system grants it as rows come into use."""
        flat = self._time.nbytes + self._length.nbytes + self._open_length.nbytes
        return bytes_of(self._rows) + bytes_of(self._open_rows) + flat

    def sample(
        self, updates: int, batch_size: int, rng: np.random.Generator, length: int = 1, looks: int | None = None
    ) -> Batch:
        """`updates` minibatches of transitions drawn uniformly with replacement, leading axes [u, b].

        The first round(b k / (k + 1)) transitions of each minibatch carry a hindsight goal. `length` > 1 makes them
        windows of so many transitions that end at the ones drawn (see `Batch`), each with one goal. With `looks` what
        is seen is gathered only of the first so many transitions: `obs` is [u, looks, ...], or windows of that, and
        `next_obs` is empty; the truth is of all of them, [u, b, ...]. Raises ValueError if no episode has ended yet.
        """
        rows, after, hindsight = self.draw(updates * batch_size, rng)
        rows, after = (found.reshape(updates, batch_size) for found in (rows, after))
        here, there = (
            {dtype: array.take(at, axis=0) for dtype, array in self._gathered(looks)} for at in (rows, after)
        )
        truth = self._part(here, "truth")
        obs = self._part(here, "obs") if looks is None else {}
        batch = Batch(
            obs=obs,
            action=self._columns["action"].of(here),
            reward=self._columns["reward"].of(here),
            next_obs=self._part(there, "obs") | _goal_of(obs) if looks is None else {},
            terminated=self._columns["terminated"].of(here),
            truth=truth,
            next_truth=self._part(there, "truth") | _goal_of(truth),
        )
        if relabelled := round(self._share * batch_size):
            failed = self._columns["failed"].of(here)[:, :relabelled]
            moments = hindsight.reshape(updates, batch_size, -1)[:, :relabelled]
            self._relabel(batch, self._goals_of(moments), failed)
        if looks is not None:
            return batch._replace(obs=self._looked(batch, rows[:, :looks], length))
        return batch if length == 1 else self._windows(batch, rows, length)

    def _gathered(self, looks: int | None) -> Iterable[tuple[str, np.ndarray]]:
        """The matrices that are read whole for each transition: without looks at all of them, not those of images."""
        needed = {column.dtype for key, column in self._columns.items() if not key.startswith("obs/")}
        return [(dtype, array) for dtype, array in self._rows.items() if looks is None or dtype in needed]

    def _looked(self, batch: Batch, rows: np.ndarray, length: int) -> Arrays:
        """What is seen at rows [u, looks] and in the `length` - 1 steps before, with the goals of the batch."""
        seen = self._part({dtype: array.take(rows, axis=0) for dtype, array in self._rows.items()}, "obs")
        if "desired_goal" in seen:
            seen["desired_goal"] = batch.truth["desired_goal"][:, : rows.shape[1]]
        return (
            seen if length == 1 else self._windows(batch._replace(obs=seen, truth={}, next_truth={}), rows, length).obs
        )

    def _goals_of(self, rows: np.ndarray) -> np.ndarray:
        """Hindsight goals [..., g]: each part as it was achieved at its own row [..., parts]."""
        achieved = self._ring[f"{self._goals}/achieved_goal"]
        goals = achieved[rows[..., 0]]
        for i, part in enumerate(self.parts[1:], 1):
            goals[..., part] = achieved[rows[..., i]][..., part]
        return goals

    def _relabel(self, batch: Batch, goals: np.ndarray, failed: np.ndarray) -> None:
        """Give the first transitions of each minibatch the goals [u, relabelled, g]; `failed` marks failures."""
        first = np.s_[:, : goals.shape[1]]
        cut = lambda arrays: {key: array[first] for key, array in arrays.items()}  # noqa: E731
        parts = [cut(part) if isinstance(part, dict) else part[first] for part in batch]
        found = relabel(Batch(*parts), goals, self._reward, self._terminated)
        batch.reward[first], batch.terminated[first] = found.reward, np.maximum(found.terminated, failed)
        for arrays, relabelled in ((batch.obs, found.obs), (batch.truth, found.truth)):
            if "desired_goal" in arrays:  # and in the successor, where it is the same array
                arrays["desired_goal"][first] = relabelled["desired_goal"]

    def _windows(self, batch: Batch, rows: np.ndarray, length: int) -> Batch:
        """The batch of transitions at `rows` [u, b], each with the `length` - 1 steps before it."""
        now = self._time[rows][..., None]
        moments = now + np.arange(1 - length, 2)  # [u, b, length + 1], the successor's last
        at = self._wrap(rows[..., None] - now + np.maximum(moments, 0))
        states = {dtype: array.take(at, axis=0) for dtype, array in self._rows.items()}

        def window(part: str, arrays: Arrays, moment: slice) -> Arrays:
            if not arrays:
                return {}
            found = {key: array[:, :, moment] for key, array in self._part(states, part).items()}
            for key, goal in _goal_of(arrays).items():
                found[key] = np.broadcast_to(goal[:, :, None], (*found[key].shape[:3], *goal.shape[2:]))
            return found | {"valid": moments[:, :, moment] >= 0}

        here, there = slice(None, -1), slice(1, None)
        return batch._replace(
            obs=window("obs", batch.obs, here),
            next_obs=window("obs", batch.next_obs, there),
            truth=window("truth", batch.truth, here),
            next_truth=window("truth", batch.next_truth, there),
        )

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of n transitions [n], of their successors [n], and of the states that would relabel them [n, parts]."""
        if not self.transitions:
            raise ValueError("the replay holds no finished episode yet")
        rows = self._any_rows(n, rng)
        t, length = self._time.take(rows), self._length.take(rows)
        # A final state, one row in L + 1, starts no transition: redraw.
        while (bad := (t == length).nonzero()[0]).size:
            rows[bad] = again = self._any_rows(bad.size, rng)
            t[bad], length[bad] = self._time[again], self._length[again]
        later = np.stack([self._goal_time(t, length, rng) - t for _ in self.parts], axis=-1)
        return rows, self._wrap(rows + 1), self._wrap(rows[:, None] + later)

    def number(self, rows: np.ndarray) -> np.ndarray:
        """The numbers of the rows at places `rows` [n], counted over all rows that ever entered the ring."""
        return self.oldest + (rows - self._tail) % len(self._time)

    def episodes_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of transitions at rows [n]: t [n], episode length L [n], achieved goals of the episode, pursued goal [n, g].

        The achieved goals are [n, longest + 1, g]; those after moment L belong to other episodes.
        """
        time, length = self._time[rows], self._length[rows]
        moments = np.arange(self.spec.max_episode_steps + 1)
        whole = ((rows - time)[:, None] + moments) % len(self._time)
        achieved, desired = (self._ring[f"{self._goals}/{goal}"] for goal in ("achieved_goal", "desired_goal"))
        return time, length, achieved[whole], desired[rows]

    def failed(self, rows: np.ndarray) -> np.ndarray:
        """Whether transitions at rows [n] ended their episode by failure, before the time limit, bool [n]."""
        in_time = self._time[rows] + 1 < self.spec.max_episode_steps
        return in_time & (self._ring["failed"][rows] > 0)

    def actions_until(self, rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
        """The last `length` actions up to those of transitions at rows [n]; 0 before the episode: [n, length, a].

        And how many steps of its episode came before each transition, [n].
        """
        time, ago = self._time[rows], np.arange(length)[::-1]
        at = self._wrap(rows[:, None] - np.minimum(ago, time[:, None]))
        return np.where((ago <= time[:, None])[..., None], self._ring["action"][at], 0), time

    def part(self, since: int) -> tuple[int, Arrays]:
        """The rows that entered at `since` or later and are still held: number of the first, and arrays by key."""
        first = max(since, self.oldest)
        rows = np.arange(first, self.end) % len(self._time)
        return first, {key: array[rows] for key, array in self._ring.items()}

    def state(self) -> Arrays:
        """Which rows the ring holds, and the episodes under way; `part` returns the rows themselves."""
        held = {"held": np.array([self.oldest, self.end]), "open_length": self._open_length}
        return held | merged(open=self._open)

    def load_state(self, state: Arrays, parts: list[tuple[int, Arrays]]) -> None:
        """Take over what `state` returned, and the ring from `parts`, each with the number of its first row.

        Raises UserError if they are not what a buffer of this configuration holds.
        """
        check_arrays(self.state(), state)
        self.oldest, self.end = (int(bound) for bound in state["held"])
        self._open_length[:] = state["open_length"]
        for key, array in part_of(state, "open").items():
            self._open[key][:] = array
        sound = 0 <= self.oldest <= self.end <= self.oldest + len(self._time)
        sound &= bool(((self._open_length >= 0) & (self._open_length < self.spec.max_episode_steps)).all())
        next_row = self.oldest
        for first, arrays in parts:
            n = min(len(array) if array.ndim else 0 for array in arrays.values()) if arrays else 0
            check_arrays({key: array[:n] for key, array in self._ring.items()}, arrays)
            sound &= first <= next_row
            new = np.arange(max(first, self.oldest), first + n)
            rows, kept = new % len(self._time), slice(n - len(new), None)
            for key, array in self._ring.items():
                array[rows] = arrays[key][kept]
            next_row = first + n
        held = np.arange(self.oldest, self.end) % len(self._time) if sound and next_row == self.end else None
        if held is None or not self._are_episodes(self._time[held], self._length[held]):
            raise UserError("The parts of the saved replay do not fit together; it was edited by hand or is damaged.")
        self.transitions = int((self._time[held] != self._length[held]).sum())

    def _are_episodes(self, time: np.ndarray, length: np.ndarray) -> bool:
        """Whether rows [n] are whole episodes, one after another: times 0 .. L with the same L."""
        if not len(time):
            return True
        begins, ends = np.append(True, time[:-1] == length[:-1]), np.append(time[1:] == 0, True)
        follows = np.append(False, (time[1:] == time[:-1] + 1) & (length[1:] == length[:-1]))
        return bool(
            np.where(begins, time == 0, follows).all()
            and np.where(time == length, ends, True).all()
            and time[-1] == length[-1]
            and (length > 0).all()
            and (length <= self.spec.max_episode_steps).all()
        )

    def _any_rows(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n rows in use, uniformly."""
        return self._wrap(self._tail + (rng.random(n) * (self.end - self.oldest)).astype(np.int64))

    @property
    def _tail(self) -> int:
        """The place of the oldest row."""
        return self.oldest % len(self._time)

    def _wrap(self, rows: np.ndarray) -> np.ndarray:
        """Row numbers modulo the capacity."""
        return rows if self.end <= len(self._time) else rows % len(self._time)

    def _keys(self, rows: Arrays) -> Arrays:
        """Rows by dtype as views by key."""
        return {key: column.of(rows) for key, column in self._columns.items()}

    def _part(self, rows: Arrays, part: str) -> Arrays:
        """What is seen, or true, in rows by dtype, by key."""
        return {key: column.of(rows) for key, column in self._seen[part].items()}

    def _write_state(self, envs: np.ndarray, obs: Obs, truth: Obs) -> None:
        """Put the state of the given envs into their current open row."""
        for part, arrays in (("obs", obs), ("truth", truth)):
            for key in self._seen[part]:
                self._open[f"{part}/{key}"][envs, self._open_length[envs]] = arrays[key][envs]

    def _append(self, i: int, size: int) -> None:
        """Put the finished episode of `size` rows of env i on the ring, dropping whole old episodes for it."""
        capacity = len(self._time)
        while self.end + size - self.oldest > capacity:
            length = int(self._length[self._tail])
            self.oldest += length + 1
            self.transitions -= length
        rows = (self.end + np.arange(size)) % capacity
        for dtype, array in self._rows.items():
            array[rows] = self._open_rows[dtype][i, :size]
        self._time[rows] = np.arange(size)
        self._length[rows] = size - 1
        self.end += size
        self.transitions += size - 1


def _goal_of(arrays: Arrays) -> Arrays:
    """The desired goal among the arrays, if it is there: all states of a transition have the same."""
    return {"desired_goal": arrays["desired_goal"]} if "desired_goal" in arrays else {}


def _of_any_shape(function: GoalFunction) -> GoalFunction:
    """A function of goals [n, g] as one of goals [..., g], which not every environment accepts."""

    def of_any_shape(achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        width = achieved.shape[-1]
        return function(achieved.reshape(-1, width), desired.reshape(-1, width)).reshape(achieved.shape[:-1])

    return of_any_shape
