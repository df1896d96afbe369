"""Exploration: what it fits to an environment whose actions arrive late."""

import numpy as np

from tests.check.point import Point
from wellposed.envs.explore import directed, held, play

LATE = 6  # more steps than an action's effect is read after


class Late(Point):
    def start(self):
        super().start()
        self.waiting = [np.zeros(2)] * LATE

    def move(self, action):
        self.waiting.append(np.asarray(action))
        super().move(self.waiting.pop(0))


def aim(delay: int) -> float:
    """The mean cosine between the way to a goal and the action that the fitted controller takes."""
    env, rng = Late(), np.random.default_rng(0)
    act = directed(env.action_space, play(env, held(env.action_space, rng), range(20)), rng, delay)  # type: ignore[arg-type]
    ways = [np.array([np.cos(angle), np.sin(angle)]) for angle in np.linspace(0, 2 * np.pi, 9)]
    actions = [act({"achieved_goal": np.zeros(2), "desired_goal": 0.01 * way}, 0) for way in ways]
    return float(np.mean([action @ way / np.linalg.norm(action) for action, way in zip(actions, ways, strict=True)]))


def test_a_controller_is_fitted_to_what_actions_do_once_they_arrive():
    assert aim(LATE) > 0.95
    assert aim(0) < 0.8
