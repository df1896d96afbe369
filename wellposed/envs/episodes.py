"""Saving and restoring an environment whose state nobody can read: by its episode's seed and the actions so far.

Gymnasium promises that an episode is determined by the seed of its reset and by its actions, and promises nothing about
reading or writing a state. So every episode gets a seed of its own here, and to restore one is to play it again. The
caller compares the observation that comes out with the one that was saved: an environment that breaks the promise (it
carries something over from the episode before) is found out instead of going on differently.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.envs.explore import told_success
from wellposed.seeding import pack_generator, unpack_generator


class EpisodeRecorder(gym.Wrapper):
    """One env that knows by which seed and which actions it got where it is.

    The first episode after `reset(seed=s)` is the environment's own for s; the seeds of those that follow are drawn
    from a stream that s begins.
    """

    def __init__(self, env: gym.Env):
        super().__init__(env)
        self.seed, self.actions, self.rng = 0, [], np.random.default_rng()
        self.told = np.nan  # success as the info of the last step told it
        self.before_episode: Callable[[], None] = lambda: None  # called before each reset

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, with a seed in any case."""
        if seed is not None:
            self.rng = np.random.default_rng(seed)
        self.seed = int(self.rng.integers(2**31)) if seed is None else seed
        self.actions = []
        self.before_episode()
        return self.env.reset(seed=self.seed, options=options)[0], {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step, and remember the action. Info stays here: it may hold what no batch of envs can."""
        self.actions.append(np.array(action))
        obs, reward, terminated, truncated, info = self.env.step(action)
        self.told = told_success(info)
        return obs, reward, terminated, truncated, {}

    def play_again(self, seed: int, actions: np.ndarray, stream: np.ndarray) -> Any:
        """Get to where the episode of `seed` is after `actions` [t, action_dim]; returns the observation there.

        `stream`: the packed generator from which the seeds of later episodes come.
        """
        obs, _ = self.reset(seed=seed)
        for action in actions:
            obs, *_ = self.step(action)
        unpack_generator(self.rng, stream)
        return obs


def recorded(recorders: list[EpisodeRecorder], max_episode_steps: int) -> dict[str, np.ndarray]:
    """Where all envs are: seeds [n], packed streams [n, 6], numbers of actions [n] and actions [n, steps, dim]."""
    space: Any = recorders[0].action_space
    actions = np.zeros((len(recorders), max_episode_steps, *space.shape), space.dtype)
    for row, recorder in zip(actions, recorders, strict=True):
        row[: len(recorder.actions)] = recorder.actions or row[:0]
    return {
        "seeds": np.array([recorder.seed for recorder in recorders]),
        "streams": np.stack([pack_generator(recorder.rng) for recorder in recorders]),
        "lengths": np.array([len(recorder.actions) for recorder in recorders]),
        "actions": actions,
    }
