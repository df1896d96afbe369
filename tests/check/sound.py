"""Goal environments that differ in everything that is left to them, and in which nothing is wrong."""

from typing import TypeVar

import gymnasium as gym
import numpy as np

from tests.check.point import Point, box, picture

T = TypeVar("T", bound=type[gym.Env])
SOUND: list[type[gym.Env]] = [Point]


def sound(env: T) -> T:
    SOUND.append(env)
    return env


class OwnTest(Point):
    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < self.radius


@sound
class Dense(OwnTest):
    def compute_reward(self, achieved, desired, info):
        return -self.distance(achieved, desired)


@sound
class DenseWithInfoOnly(Point):
    def compute_reward(self, achieved, desired, info):
        return np.exp(-self.distance(achieved, desired))


@sound
class OneForSuccess(Point):
    def compute_reward(self, achieved, desired, info):
        return (self.distance(achieved, desired) < self.radius).astype(np.float64)

    def told(self, obs):
        return {"success": self.distance(obs["achieved_goal"], obs["desired_goal"]) < self.radius}


@sound
class OneForSuccessAtTheEnd(OneForSuccess):
    def ends(self, obs):
        return bool(self.told(obs)["success"])


@sound
class EndsAtTheGoal(Point):
    """Terminates at success and has no method that says so."""

    def ends(self, obs):
        return bool(self.told(obs)["is_success"])


@sound
class SaysWhereItEnds(EndsAtTheGoal):
    def compute_terminated(self, achieved, desired, info):
        return bool(self.distance(achieved, desired) < self.radius)


@sound
class WindOfItsSeed(Point):
    def move(self, action):
        super().move(action)
        self.position = self.position + 0.005 * self.np_random.normal(size=2)


@sound
class SinglePrecision(Point):
    def __init__(self):
        super().__init__()
        spaces = {"observation": 4, "achieved_goal": 2, "desired_goal": 2}
        self.observation_space = gym.spaces.Dict({k: box(n, 1e3, np.float32) for k, n in spaces.items()})

    def observe(self):
        return {key: value.astype(np.float32) for key, value in super().observe().items()}


@sound
class OtherBounds(Point):
    """Actions between 1 and 4 in the first number, -9 and 0 in the second."""

    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.Box(np.array([1, -9], np.float32), np.array([4, 0], np.float32))

    def step(self, action):
        low, high = self.action_space.low, self.action_space.high  # type: ignore[attr-defined]
        return super().step(2 * (np.asarray(action) - low) / (high - low) - 1)


@sound
class Square(Point):
    def distance(self, achieved, desired):
        return np.abs(achieved - desired).max(axis=-1)


@sound
class Ellipse(Point):
    def distance(self, achieved, desired):
        return np.linalg.norm((achieved - desired) * [1.0, 0.5], axis=-1)


@sound
class OneAxisMatters(Point):
    def distance(self, achieved, desired):
        return np.abs(achieved[..., 0] - desired[..., 0])


@sound
class Limited(gym.Wrapper):
    """Its limit comes from Gymnasium's own wrapper."""

    def __init__(self):
        env = Point()
        env.max_episode_steps = None
        step = env.step
        env.step = lambda action: (*step(action)[:3], False, {})  # type: ignore[method-assign]
        super().__init__(gym.wrappers.TimeLimit(env, 40))


@sound
class SuccessOfThePresent(Point):
    """Its method of that name takes no goals, so it is no rule for any."""

    def is_success(self):
        return bool(self.distance(self.position, self.goal) < self.radius)


@sound
class TellsSuccessAtTheEnd(Point):
    """Info holds arrays of changing length, and tells of success in an array, at the last step only."""

    def told(self, obs):
        success = super().told(obs)["is_success"]
        told = np.array([success]) if self.steps == 50 else None
        return {"is_success": told, "contacts": np.arange(self.steps % 4)}


@sound
class KnowsItsTable(Point):
    """Looks rewards up in a table, which has no room for places outside of it."""

    table = np.zeros((60, 60))

    def move(self, action):
        super().move(action)
        self.position = np.clip(self.position, -1.49, 1.49)

    def compute_reward(self, achieved, desired, info):
        cell = np.floor(20 * (np.asarray(achieved) + 1.5)).astype(int)
        return super().compute_reward(achieved, desired, info) + self.table[cell[..., 0], cell[..., 1]]


@sound
class OneStep(Point):
    """An episode is one throw."""

    max_episode_steps = 1

    def move(self, action):
        self.position = np.asarray(action, np.float64)

    def step(self, action):
        obs, reward, over, _, info = super().step(action)
        return obs, reward, over, True, info


@sound
class TwoVectors(Point):
    """Places under one name, velocities under another."""

    def __init__(self):
        super().__init__()
        spaces = {"places": 2, "velocities": 2, "achieved_goal": 2, "desired_goal": 2}
        self.observation_space = gym.spaces.Dict({key: box(size) for key, size in spaces.items()})

    def observe(self):
        goals = {key: seen for key, seen in super().observe().items() if key != "observation"}
        return {"velocities": self.velocity.copy(), "places": self.position.copy(), **goals}


@sound
class OnlyGoals(TwoVectors):
    """Shows nothing but where it is and where it should be."""

    shown: tuple[tuple[str, gym.Space], ...] = ()

    def __init__(self):
        super().__init__()
        self.observation_space = gym.spaces.Dict({**dict(self.shown), "achieved_goal": box(2), "desired_goal": box(2)})

    def observe(self):
        return {key: seen for key, seen in super().observe().items() if key.endswith("goal")}


@sound
class OnlyCamera(OnlyGoals):
    """Shows an image beside the goals, and no vector."""

    shown = (("camera", gym.spaces.Box(0, 255, (8, 8, 1), np.uint8)),)

    def observe(self):
        return {**super().observe(), "camera": picture(self.position)}
