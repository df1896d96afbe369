"""Bullet keeps the contacts of the last episode; an environment that shows its client forgets them."""

from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np

from tests.envs.own import Own
from wellposed.envs.group import make_one
from wellposed.envs.physics.bullet import Forgetting

NAME = f"{__name__}:Touching"


class Client:
    """What is used of pybullet: a body that can move, one that is fixed, and the force of the last contact."""

    def __init__(self) -> None:
        self.places, self.force = {0: (0.0, 0.0, 0.0), 1: (0.0, 0.0, 0.0)}, 0.0

    def getNumBodies(self) -> int:  # noqa: N802
        return len(self.places)

    def getDynamicsInfo(self, body: int, link: int) -> tuple[float, ...]:  # noqa: N802
        return (float(body == 1), 0.5)

    def resetBasePositionAndOrientation(self, body: int, base: Any, turn: Any) -> None:  # noqa: N802
        assert body == 1, "what is fixed was moved"
        self.places[body] = base

    def performCollisionDetection(self) -> None:  # noqa: N802
        if np.linalg.norm(np.subtract(self.places[1], self.places[0])) > 1:
            self.force = 0.0


class Touching(Own):
    """The force of the last contact pushes the point on, in the next episode too."""

    def __init__(self) -> None:
        super().__init__()
        self.sim = SimpleNamespace(physics_client=Client())

    def reset(self, *, seed=None, options=None):
        self.sim.physics_client.resetBasePositionAndOrientation(1, (0.0, 0.0, 0.0), None)
        return super().reset(seed=seed)

    def step(self, action):
        client = self.sim.physics_client
        self.place = self.place + 0.01 * client.force
        client.force = float(np.abs(action).sum())
        return super().step(action)


def after(env: gym.Env, *seeds: int) -> list[np.ndarray]:
    """What is observed in the last of these episodes, all played with the same actions."""
    found = []
    for seed in seeds:
        found = [env.reset(seed=seed)[0]["observation"]]
        found += [env.step(np.array([0.3, -0.5]))[0]["observation"] for _ in range(5)]
    return found


def test_an_episode_is_the_same_after_any_other():
    fresh, again = after(make_one(NAME), 3), after(make_one(NAME), 8, 3)
    assert np.array_equal(fresh, again)
    bare = make_one(NAME)
    assert isinstance(bare, Forgetting)
    assert not np.array_equal(after(bare.env, 8, 3), fresh), "nothing was there to forget"
    assert not isinstance(make_one("tests.envs.own:make"), Forgetting)
