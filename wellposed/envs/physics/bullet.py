"""Bullet, as panda-gym uses it: an episode that does not depend on the one before it, and ends where it says.

Bullet keeps the contacts of the last step and begins the next one with their forces. A reset puts bodies elsewhere and
leaves that memory, which no state of Bullet's shows: after other episodes the same seed and actions lead PandaPush up
to 8 mm away, so an episode could not be played again, and a run not be resumed. Two blocks have another memory: the
order in which contacts are solved.
"""

from typing import Any

import gymnasium as gym
import numpy as np

FAR = 100.0  # metres from one body to the next


def forgetting(env: gym.Env) -> gym.Env:
    """The environment with contacts forgotten before each episode, if it shows its client as panda-gym does."""
    client = getattr(getattr(env.unwrapped, "sim", None), "physics_client", None)
    return env if client is None else Forgetting(env, client)


class Forgetting(gym.Wrapper):
    """Before each reset all that can move is put apart, where Bullet finds no contact and drops those that it had.

    Where several bodies are loose, the order in which contacts are solved depends on what was played before, so Bullet
    is told to sort them. With one it does not, and is left as panda-gym has it.
    """

    def __init__(self, env: gym.Env, client: Any):
        super().__init__(env)
        self._client = client
        if len(self._loose()) > 1:
            client.setPhysicsEngineParameter(deterministicOverlappingPairs=1)

    def _loose(self) -> list[int]:
        """The bodies that can move: the mass of a fixed one is 0."""
        client = self._client
        return [body for body in range(client.getNumBodies()) if client.getDynamicsInfo(body, -1)[0] > 0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Begin an episode as a fresh instance would."""
        for body in self._loose():
            base = FAR * (body + 1), 0.0, FAR
            self._client.resetBasePositionAndOrientation(body, base, (0.0, 0.0, 0.0, 1.0))
        self._client.performCollisionDetection()
        return self.env.reset(seed=seed, options=options)


class EndsAtGoal(gym.Wrapper):
    """An environment of panda-gym that says of any goal whether an episode ends there.

    Its episodes end at their goals without that method, and half of the exploration before a run would be to find out.
    """

    def compute_terminated(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """Whether the goal is reached, bool [...]."""
        own: Any = self.unwrapped
        return own.task.is_success(achieved, desired)
