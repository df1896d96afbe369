"""Where envs are whose state nobody can read: the seeds of their episodes and the actions so far.

Gymnasium promises that an episode is determined by the seed of its reset and by its actions, and promises nothing about
reading or writing a state. So every episode gets a seed of its own here, and to restore one is to play it again
(`group.Group.play`). The caller compares the observation that comes out with the one that was saved: an environment
that breaks the promise (it carries something over from the episode before) is found out instead of going on
differently.
"""

import numpy as np

from wellposed.arrays import Arrays
from wellposed.errors import UserError
from wellposed.seeding import pack_generator, unpack_generator


class Episodes:
    """The episodes of all envs of a `group.Board`, whose columns "seed", "next_seed", "length" and "actions" it keeps.

    The first episode after `begin(i, s)` is the environment's own for s; the seeds of those that follow are drawn from
    a stream that s begins. The next one is drawn ahead, so that an env can begin it without asking.
    """

    def __init__(self, board: Arrays):
        self._board = board
        self._rngs = [np.random.default_rng() for _ in board["seed"]]
        self._streams = np.zeros((len(self._rngs), 6), np.uint64)  # packed, as they were before "next_seed" was drawn
        for i in range(len(self._rngs)):
            self._draw_ahead(i)

    def begin(self, i: int, seed: int | None = None) -> None:
        """Env i begins the episode of a seed, or the next one of its stream."""
        board = self._board
        board["seed"][i] = board["next_seed"][i] if seed is None else seed
        board["actions"][i, : board["length"][i]] = 0
        board["length"][i] = 0
        if seed is not None:
            self._rngs[i] = np.random.default_rng(seed)
        self._draw_ahead(i)

    def choose(self, actions: np.ndarray) -> None:
        """Put down the next action of every env, [n, action_dim] in the environment's own units.

        Raises:
            UserError: if an episode goes on beyond its limit.
        """
        length, kept = self._board["length"], self._board["actions"]
        if (length >= kept.shape[1]).any():
            raise UserError(f"An episode goes on beyond its {kept.shape[1]:,} steps: give --env.max-episode-steps N.")
        kept[np.arange(len(length)), length] = actions

    def advance(self, ended: np.ndarray) -> None:
        """Every env took its step, and where the episode `ended`, bool [n], the next one begins."""
        self._board["length"] += 1
        for i in np.flatnonzero(ended):
            self.begin(int(i))

    def state(self) -> Arrays:
        """Seeds [n], packed streams [n, 6], numbers of actions [n], and actions [n, steps, action_dim]."""
        seeds, lengths, actions = (self._board[name].copy() for name in ("seed", "length", "actions"))
        for row, length in zip(actions, lengths, strict=True):
            row[length:] = 0  # what was chosen and not taken
        return {"seeds": seeds, "streams": self._streams.copy(), "lengths": lengths, "actions": actions}

    def load_state(self, state: Arrays) -> None:
        """Take over what `state` returned. Raises UserError if a stream is damaged."""
        for name, saved in (("seed", "seeds"), ("length", "lengths"), ("actions", "actions")):
            self._board[name][:] = state[saved]
        for i, (rng, stream) in enumerate(zip(self._rngs, state["streams"], strict=True)):
            unpack_generator(rng, stream)
            self._draw_ahead(i)

    def _draw_ahead(self, i: int) -> None:
        self._streams[i] = pack_generator(self._rngs[i])
        self._board["next_seed"][i] = self._rngs[i].integers(2**31)
