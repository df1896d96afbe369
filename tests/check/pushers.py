"""Pushing a disc on a plane, with symmetries that are known: sound, shown otherwise, or broken one by one."""

from typing import Any

import gymnasium as gym
import numpy as np

from tests.check.point import box

HAND, PUCK = 0.03, 0.05  # radii in metres


class Pusher(gym.Env):
    """A hand pushes a puck. Observation: hand, puck, velocity of the hand, way from hand to puck."""

    max_episode_steps: int | None = 50
    unit = 1.0  # of what is shown, per metre
    radius = 0.05  # of success, in metres

    def __init__(self) -> None:
        self.observation_space = self.shows(8)
        self.action_space = gym.spaces.Box(-1, 1, (2,), np.float32)

    @staticmethod
    def shows(size: int) -> gym.spaces.Dict:
        return gym.spaces.Dict({"observation": box(size), "achieved_goal": box(2), "desired_goal": box(2)})

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        rng, self.steps = self.np_random, 0
        self.hand, self.velocity = rng.uniform(-0.5, 0.5, 2), np.zeros(2)
        self.puck, self.goal = rng.uniform(-0.3, 0.3, 2), rng.uniform(-0.4, 0.4, 2)
        while np.linalg.norm(self.puck - self.hand) < 0.1:
            self.puck = rng.uniform(-0.3, 0.3, 2)
        return self.observe(), {}

    def move(self, action: np.ndarray) -> np.ndarray:
        """How far the hand goes in a quarter of a step."""
        return 0.0125 * action

    def drift(self) -> np.ndarray:
        """How far the puck goes by itself in a quarter of a step."""
        return np.zeros(2)

    def allowed(self, place: np.ndarray) -> np.ndarray:
        """The nearest place at which a disc may be."""
        return np.clip(place, -1, 1)

    def step(self, action) -> Any:
        before = self.hand
        for _ in range(4):
            self.hand = self.allowed(self.hand + self.move(np.clip(action, -1, 1).astype(float)))
            self.puck = self.allowed(self.puck + self.drift())
            way = self.puck - self.hand
            if (distance := np.linalg.norm(way)) < HAND + PUCK:
                self.puck = self.allowed(self.hand + way / max(distance, 1e-9) * (HAND + PUCK))
        self.velocity = self.hand - before
        self.steps += 1
        obs = self.observe()
        reward = self.compute_reward(obs["achieved_goal"], obs["desired_goal"], {})
        return obs, float(reward), False, self.steps >= 50, {"is_success": bool(reward == 0)}

    def numbers(self) -> list[np.ndarray]:
        return [self.hand, self.puck, self.velocity, self.puck - self.hand]

    def shown(self, vector: np.ndarray) -> np.ndarray:
        return self.unit * vector

    def observe(self) -> Any:
        numbers = np.concatenate([self.shown(vector) for vector in self.numbers()])
        return {"observation": numbers, "achieved_goal": self.shown(self.puck), "desired_goal": self.shown(self.goal)}

    def compute_reward(self, achieved, desired, info) -> Any:
        return -(np.linalg.norm(achieved - desired, axis=-1) > self.radius * self.unit).astype(np.float64)


# --- shown otherwise


class NoWay(Pusher):
    """The way from hand to puck is not shown."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = self.shows(6)

    def numbers(self):
        return super().numbers()[:3]


class Hidden(Pusher):
    """The state can't be written: it is not among the attributes."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[str, np.ndarray] = {}

    def __setattr__(self, name, value):
        if name in ("hand", "puck", "velocity", "goal"):
            self._kept[name] = value
        else:
            super().__setattr__(name, value)

    def __getattr__(self, name):
        if name in ("hand", "puck", "velocity", "goal"):
            return self.__dict__["_kept"][name]
        raise AttributeError(name)


class Sealed(Hidden, NoWay):
    """Neither the way nor the state."""


class Millimetres(Pusher):
    unit = 1000.0


class Turned(Pusher):
    """All that is shown is turned by 30 degrees; actions are not."""

    angle = np.radians(30)

    def shown(self, vector):
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]]) @ vector


class Permuted(Pusher):
    order = (5, 2, 0, 7, 3, 1, 6, 4)

    def observe(self):
        obs = super().observe()
        return {**obs, "observation": obs["observation"][list(self.order)]}


class Two(NoWay):
    """A second puck, which passes through the first; the goal is a place for each. It is observed last."""

    def __init__(self) -> None:
        super().__init__()
        self.observation_space = gym.spaces.Dict(
            {"observation": box(8), "achieved_goal": box(4), "desired_goal": box(4)}
        )
        self.second = self.second_goal = np.zeros(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.second = self.second_goal = self.np_random.uniform(-0.3, 0.3, 2)
        while np.linalg.norm(self.second - self.hand) < 0.1:
            self.second = self.np_random.uniform(-0.3, 0.3, 2)
        self.second_goal = self.np_random.uniform(-0.4, 0.4, 2)
        return self.observe(), {}

    def allows_second(self, place: np.ndarray) -> np.ndarray:
        return np.clip(place, -1, 1)

    def step(self, action) -> Any:
        _, _, terminated, truncated, _ = super().step(action)
        way = self.second - self.hand
        if (distance := np.linalg.norm(way)) < HAND + PUCK:
            self.second = self.allows_second(self.hand + way / max(distance, 1e-9) * (HAND + PUCK))
        obs = self.observe()
        reward = self.compute_reward(obs["achieved_goal"], obs["desired_goal"], {})
        return obs, float(reward), terminated, truncated, {"is_success": bool(reward == 0)}

    def observe(self):
        achieved, desired = np.concatenate([self.puck, self.second]), np.concatenate([self.goal, self.second_goal])
        seen = np.concatenate([self.hand, self.puck, self.velocity, self.second])
        return {"observation": seen, "achieved_goal": achieved, "desired_goal": desired}

    def compute_reward(self, achieved, desired, info) -> Any:
        away = [np.linalg.norm((achieved - desired)[..., part], axis=-1) for part in (slice(2), slice(2, 4))]
        return -(np.max(away, axis=0) > self.radius).astype(np.float64)


class Dropped(Two):
    """The second puck slides for two steps after each reset, as a cube does that is let fall."""

    def step(self, action) -> Any:
        if self.steps < 2:
            self.second = self.second + 0.02
        return super().step(action)


# --- broken


class SecondWalled(Two):
    """Only the second puck meets the wall at x = 0.1. Shifts along y and the mirror image in y hold."""

    def allows_second(self, place):
        return np.array([min(place[0], 0.1), place[1]])


class Windy(Pusher):
    """A wind in x blows on the puck where y > 0. No symmetry but shifts along x."""

    def drift(self):
        return np.array([0.002 * (self.puck[1] > 0), 0.0])


class Walled(Pusher):
    """Nothing gets beyond a wall at x = 0.1. Shifts along y and the mirror image in y hold."""

    def allowed(self, place):
        return np.array([min(place[0], 0.1), place[1]])


class Sloped(Pusher):
    """The puck slides down in x. Both shifts and the mirror image in y hold."""

    def drift(self):
        return np.array([0.001, 0.0])


class OffCentre(Pusher):
    """The hand is on an arm whose base stands beside the goals, and is the slower the farther it is stretched."""

    base = np.array([-0.6, -0.35])

    def move(self, action):
        way = self.hand - self.base
        reach = np.linalg.norm(way)
        turn = np.array([[way[0], -way[1]], [way[1], way[0]]]) / reach  # along the arm and across it
        return 0.0125 * turn @ (np.array([1 - 0.5 * reach, 1.0]) * (turn.T @ action))


class Unlabelled(Pusher):
    """Positions are shown in a frame of their own, curved; those of goals in polar coordinates about a corner."""

    def observe(self):
        obs = super().observe()
        curved = np.concatenate([np.sinh(2 * self.hand), np.cbrt(self.puck), self.velocity, self.velocity**3])
        polar = [np.array([np.hypot(*(p + 1)), np.arctan2(*(p + 1))]) for p in (self.puck, self.goal)]
        return {**obs, "observation": curved, "achieved_goal": polar[0], "desired_goal": polar[1]}


class HiddenWindy(Hidden, Windy):
    pass


class HiddenWalled(Hidden, Walled):
    pass


class HiddenSloped(Hidden, Sloped):
    pass


class HiddenOffCentre(Hidden, OffCentre):
    pass


SOUND = (Pusher, NoWay, Sealed, Millimetres, Turned, Permuted)  # all shifts and mirror images hold
BROKEN = {  # what holds of them
    Windy: ("shift 0",),
    Walled: ("shift 1", "mirror 1"),
    Sloped: ("shift 0", "shift 1", "mirror 1"),
    OffCentre: (),
    Unlabelled: (),
}
HIDDEN = (HiddenWindy, HiddenWalled, HiddenSloped, HiddenOffCentre)  # of them nothing need be found
