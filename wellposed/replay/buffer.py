"""An episode store in preallocated float32, sampled in O(batch), relabelled in hindsight.

Whole episodes lie one after another on a ring of rows. An episode of L transitions takes L + 1 rows: row t
holds state t, and the action, goal, reward and termination of transition t; the last row holds the final
state alone. So the successor of a row is the next row, and no observation is stored twice.

Reward and termination for a new goal are computed by the environment's own functions, which are handed in.
A relabelled transition never keeps its old `terminated`.
"""

from dataclasses import dataclass

import numpy as np

from wellposed.arrays import Arrays, check_arrays
from wellposed.errors import UserError, require
from wellposed.replay.hindsight import STRATEGIES, GoalFunction, Strategy, relabel, relabelled_share
from wellposed.replay.size import columns, require_capacity
from wellposed.types import Batch, Dims, GoalObs


@dataclass(frozen=True)
class ReplayConfig:
    """How transitions are kept and relabelled."""

    capacity: int = 1_000_000
    """Rows of the ring: transitions, plus one for each episode's final state."""
    strategy: Strategy = "future"
    """Where a hindsight goal comes from: future (strictly later in the episode), final, or episode."""
    k: int = 4
    """Hindsight goals for each original one: k/(k+1) of a batch is relabelled, 0 is off. Source: HER, section 4.5."""

    def __post_init__(self) -> None:
        require(self.capacity > 0, "replay.capacity", "must be greater than 0", self.capacity)
        require(self.k >= 0, "replay.k", "must not be negative", self.k)


class ReplayBuffer:
    """The ring, and the episodes under way of `num_envs` copies, which enter it when they end.

    Args:
        config: capacity, strategy and k.
        dims: sizes; `max_episode_steps` bounds an episode.
        num_envs: environment copies that feed the buffer.
        reward: the environment's reward [n] for any goals [n, g].
        terminated: the environment's termination test [n] for any goals [n, g].

    Raises:
        UserError: if the capacity does not hold one episode, or there is no memory for it.
    """

    def __init__(self, config: ReplayConfig, dims: Dims, num_envs: int, reward: GoalFunction, terminated: GoalFunction):
        require_capacity(config.capacity, dims)
        self.config, self.dims = config, dims
        self._reward, self._terminated = _of_any_shape(reward), _of_any_shape(terminated)
        self._goal_time = STRATEGIES[config.strategy]
        self._share = relabelled_share(config.k)
        self._columns = columns(dims)
        width = self._columns["terminated"].stop
        try:
            self._rows = np.zeros((config.capacity, width), np.float32)
            self._time = np.zeros(config.capacity, np.int32)  # t of the transition in this row
            self._length = np.zeros(config.capacity, np.int32)  # L of its episode; t == L marks a final state
        except (MemoryError, ValueError) as error:
            raise UserError(
                f"There is no memory for a replay of {config.capacity:,} rows. Lower --replay.capacity."
            ) from error
        # Counted in all rows that ever entered: the ring holds those from `oldest` up to `end`, row i at i % capacity.
        self.oldest, self.end = 0, 0
        self.transitions = 0
        self._open_rows = np.zeros((num_envs, dims.max_episode_steps + 1, width), np.float32)
        self._open_length = np.zeros(num_envs, np.int64)

    def add(
        self,
        obs: GoalObs,
        action: np.ndarray,
        reward: np.ndarray,
        next_obs: GoalObs,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Record one transition of every copy; `next_obs` is the true successor (`types.successor`).

        An episode enters the ring when `terminated` or `truncated` says that it ended.
        """
        if (self._open_length >= self.dims.max_episode_steps).any():
            limit = self.dims.max_episode_steps
            raise UserError(f"An episode went on beyond the environment's own limit of {limit} steps.")
        copies = np.arange(len(action))
        self._write_state(copies, obs)
        now = self._open_rows[copies, self._open_length]
        now[:, self._columns["action"]] = action
        now[:, self._columns["desired_goal"]] = obs["desired_goal"]
        now[:, self._columns["reward"]] = reward[:, None]
        now[:, self._columns["terminated"]] = terminated[:, None]
        self._open_rows[copies, self._open_length] = now
        self._open_length += 1
        ended = np.flatnonzero(terminated | truncated)
        self._write_state(ended, next_obs)
        for i in ended:
            self._append(self._open_rows[i, : self._open_length[i] + 1])
            self._open_length[i] = 0

    @property
    def nbytes(self) -> int:
        """Memory of the ring and of the episodes under way, in bytes; the system grants it as rows come into use."""
        arrays = (self._rows, self._time, self._length, self._open_rows, self._open_length)
        return sum(array.nbytes for array in arrays)

    def sample(self, updates: int, batch_size: int, rng: np.random.Generator) -> Batch:
        """`updates` minibatches of transitions drawn uniformly with replacement, leading axes [u, b].

        The first round(b k / (k + 1)) transitions of each minibatch carry a hindsight goal.

        Raises:
            ValueError: if no episode has ended yet.
        """
        rows, after, hindsight = self.draw(updates * batch_size, rng)
        here = self._rows.take(rows, axis=0).reshape(updates, batch_size, -1)
        there = self._rows.take(after, axis=0).reshape(updates, batch_size, -1)
        c, relabelled = self._columns, round(self._share * batch_size)
        batch = Batch(
            observation=here[..., c["observation"]],
            achieved_goal=here[..., c["achieved_goal"]],
            action=here[..., c["action"]],
            reward=here[..., c["reward"].start],
            next_observation=there[..., c["observation"]],
            next_achieved_goal=there[..., c["achieved_goal"]],
            desired_goal=here[..., c["desired_goal"]],
            terminated=here[..., c["terminated"].start],
        )
        if relabelled:
            goals = self._rows[hindsight.reshape(updates, batch_size)[:, :relabelled], c["achieved_goal"]]
            chosen = Batch(*(field[:, :relabelled] for field in batch))
            for field, new in zip(chosen, relabel(chosen, goals, self._reward, self._terminated), strict=True):
                if new is not field:
                    field[...] = new  # it is a view, so the batch has it too
        return batch

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows of n transitions, of their successors, and of the states whose achieved goal would relabel them."""
        if not self.transitions:
            raise ValueError("the replay holds no finished episode yet")
        rows = self._any_rows(n, rng)
        t, length = self._time.take(rows), self._length.take(rows)
        # A final state starts no transition. One row in L + 1 is one, so a few redraws settle it.
        while (bad := (t == length).nonzero()[0]).size:
            rows[bad] = again = self._any_rows(bad.size, rng)
            t[bad], length[bad] = self._time[again], self._length[again]
        goal_time = self._goal_time(t, length, rng)
        return rows, self._wrap(rows + 1), self._wrap(rows + goal_time - t)

    def number(self, rows: np.ndarray) -> np.ndarray:
        """Which of all rows that ever entered the ring those at places `rows` [n] are."""
        return self.oldest + (rows - self._tail) % len(self._rows)

    def episodes_of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of transitions at rows [n]: t [n], episode length L [n], achieved goals of its episode, pursued goal [n, g].

        The achieved goals are [n, longest + 1, g]; what comes after moment L belongs to other episodes.
        """
        time, length = self._time[rows], self._length[rows]
        moments = np.arange(self.dims.max_episode_steps + 1)
        whole = ((rows - time)[:, None] + moments) % len(self._rows)
        return (
            time,
            length,
            self._rows[whole, self._columns["achieved_goal"]],
            self._rows[rows, self._columns["desired_goal"]],
        )

    def part(self, since: int) -> tuple[int, Arrays]:
        """The rows that entered at `since` or later and are still held: number of the first, and their arrays."""
        first = max(since, self.oldest)
        rows = np.arange(first, self.end) % len(self._rows)
        return first, {"rows": self._rows[rows], "time": self._time[rows], "length": self._length[rows]}

    def state(self) -> Arrays:
        """Which rows the ring holds, and the episodes under way; the rows themselves are handed out by `part`."""
        return {
            "held": np.array([self.oldest, self.end]),
            "open_rows": self._open_rows,
            "open_length": self._open_length,
        }

    def load_state(self, state: Arrays, parts: list[tuple[int, Arrays]]) -> None:
        """Take over what `state` returned, with the ring made up of `parts`, each with the number of its first row.

        Raises:
            UserError: if they are not what a buffer of this configuration holds.
        """
        check_arrays(self.state(), state)
        self.oldest, self.end = (int(bound) for bound in state["held"])
        self._open_rows[:], self._open_length[:] = state["open_rows"], state["open_length"]
        sound = 0 <= self.oldest <= self.end <= self.oldest + len(self._rows)
        sound &= bool(((self._open_length >= 0) & (self._open_length < self.dims.max_episode_steps)).all())
        next_row = self.oldest
        for first, arrays in parts:
            n = min(len(array) if array.ndim else 0 for array in arrays.values()) if arrays else 0
            check_arrays({"rows": self._rows[:n], "time": self._time[:n], "length": self._length[:n]}, arrays)
            sound &= first <= next_row
            new = np.arange(max(first, self.oldest), first + n)
            rows, kept = new % len(self._rows), slice(len(arrays["rows"]) - len(new), None)
            self._rows[rows], self._time[rows] = arrays["rows"][kept], arrays["time"][kept]
            self._length[rows] = arrays["length"][kept]
            next_row = first + n
        held = np.arange(self.oldest, self.end) % len(self._rows) if sound and next_row == self.end else None
        if held is None or not self._are_episodes(self._time[held], self._length[held]):
            raise UserError("The parts of the saved replay do not fit together; it was edited by hand or is damaged.")
        self.transitions = int((self._time[held] != self._length[held]).sum())

    def _are_episodes(self, time: np.ndarray, length: np.ndarray) -> bool:
        """Whether rows [n] are whole episodes, one after another: 0 .. L with the same L from 1 to the longest."""
        if not len(time):
            return True
        begins, ends = np.append(True, time[:-1] == length[:-1]), np.append(time[1:] == 0, True)
        follows = np.append(False, (time[1:] == time[:-1] + 1) & (length[1:] == length[:-1]))
        return bool(
            np.where(begins, time == 0, follows).all()
            and np.where(time == length, ends, True).all()
            and time[-1] == length[-1]
            and (length > 0).all()
            and (length <= self.dims.max_episode_steps).all()
        )

    def _any_rows(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """n rows in use, uniformly."""
        return self._wrap(self._tail + (rng.random(n) * (self.end - self.oldest)).astype(np.int64))

    @property
    def _tail(self) -> int:
        """Where on the ring its oldest row lies."""
        return self.oldest % len(self._rows)

    def _wrap(self, rows: np.ndarray) -> np.ndarray:
        """Row numbers taken around the ring."""
        if self.end <= len(self._rows):
            return rows  # not wrapped yet
        return rows % len(self._rows)

    def _write_state(self, copies: np.ndarray, obs: GoalObs) -> None:
        """Put the state of the given copies into their current open row."""
        for name in ("observation", "achieved_goal"):
            self._open_rows[copies, self._open_length[copies], self._columns[name]] = obs[name][copies]

    def _append(self, episode: np.ndarray) -> None:
        """Put a finished episode [L + 1, columns] on the ring, dropping whole episodes that are in its way."""
        capacity, size = len(self._rows), len(episode)
        while self.end + size - self.oldest > capacity:
            length = int(self._length[self._tail])
            self.oldest += length + 1
            self.transitions -= length
        rows = (self.end + np.arange(size)) % capacity
        self._rows[rows] = episode
        self._time[rows] = np.arange(size)
        self._length[rows] = size - 1
        self.end += size
        self.transitions += size - 1


def _of_any_shape(function: GoalFunction) -> GoalFunction:
    """A function of goals [n, g] as one of goals [..., g]: not every environment takes more than one axis of them."""

    def of_any_shape(achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        width = achieved.shape[-1]
        return function(achieved.reshape(-1, width), desired.reshape(-1, width)).reshape(achieved.shape[:-1])

    return of_any_shape
