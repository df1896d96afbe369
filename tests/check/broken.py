"""Goal environments with one thing wrong each, by the name of the condition that has to say so.

`BROKEN[name]` lists environments; a condition that only warns is in `WARNED`.
"""

import random
import time
from typing import TypeVar

import gymnasium as gym
import numpy as np

from tests.check.point import Point, box, picture

BROKEN: dict[str, list[type[gym.Env]]] = {}
T = TypeVar("T", bound=type[gym.Env])


def breaks(condition: str):
    def enter(env: T) -> T:
        BROKEN.setdefault(condition, []).append(env)
        return env

    return enter


def spaces(env: Point, **changed: gym.Space) -> None:
    env.observation_space = gym.spaces.Dict({**env.observation_space.spaces, **changed})  # type: ignore[attr-defined]


# --- interface


@breaks("goals apart")
class OneVector(Point):
    def __init__(self):
        super().__init__()
        self.observation_space = box(8)

    def observe(self):
        return np.concatenate(list(super().observe().values()))


@breaks("goals apart")
class NoAchievedGoal(Point):
    def __init__(self):
        super().__init__()
        self.observation_space = gym.spaces.Dict({"observation": box(4), "desired_goal": box(2)})


@breaks("flat numbers")
class GoalsOfTwoSizes(Point):
    def __init__(self):
        super().__init__()
        spaces(self, desired_goal=box(3))


@breaks("flat numbers")
class CellsForGoals(Point):
    def __init__(self):
        super().__init__()
        cells = gym.spaces.Box(-10, 10, (2,), np.int64)
        spaces(self, desired_goal=cells, achieved_goal=cells)


@breaks("flat numbers")
class Picture(Point):
    def __init__(self):
        super().__init__()
        spaces(self, observation=gym.spaces.Box(0, 255, (8, 8), np.uint8))


@breaks("flat numbers")
class Words(Point):
    def __init__(self):
        super().__init__()
        spaces(self, task=gym.spaces.Discrete(3))

    def observe(self):
        return {**super().observe(), "task": 1}


@breaks("bounded actions")
class FourDirections(Point):
    def __init__(self):
        super().__init__()
        self.action_space = gym.spaces.Discrete(4)


@breaks("bounded actions")
class AnyForce(Point):
    def __init__(self):
        super().__init__()
        self.action_space = box(2)


@breaks("steps")
class OldInterface(Point):
    def step(self, action):
        obs, reward, _, over, info = super().step(action)
        return obs, reward, over, info


@breaks("steps")
class RewardInAnArray(Point):
    def reward_of(self, obs, action):
        return np.array([super().reward_of(obs, action)])


@breaks("steps")
class ListsForArrays(Point):
    def observe(self):
        return {key: list(array) for key, array in super().observe().items()}


@breaks("steps")
class GoalComesLater(Point):
    def reset(self, *, seed=None, options=None):
        obs, info = super().reset(seed=seed)
        return {key: obs[key] for key in ("observation", "achieved_goal")}, info


@breaks("steps")
class BreaksDown(Point):
    def move(self, action):
        if self.steps > 30:
            raise RuntimeError("the simulation is unstable")
        super().move(action)


@breaks("steps")
class OtherShape(Point):
    def observe(self):
        return {**super().observe(), "observation": self.position.copy()}


@breaks("honest spaces")
class OtherPrecision(Point):
    def __init__(self):
        super().__init__()
        spaces(self, observation=box(4, dtype=np.float32))


@breaks("honest spaces")
class LeavesItsBounds(Point):
    def __init__(self):
        super().__init__()
        spaces(self, achieved_goal=box(2, 0.4))


@breaks("own arrays")
class OneBuffer(Point):
    """Hands out the same array at every step."""

    def __init__(self):
        super().__init__()
        self.buffer = np.zeros(4)

    def observe(self):
        self.buffer[:] = np.concatenate([self.position, self.velocity])
        return {**super().observe(), "observation": self.buffer}


@breaks("own arrays")
class HandsOutItsState(Point):
    def observe(self):
        return {**super().observe(), "achieved_goal": self.position}


@breaks("kept actions")
class ScalesTheCallersAction(Point):
    def move(self, action):
        super().move(0.5 * action)

    def step(self, action):
        action *= 0.5
        return super().step(2 * action)


@breaks("acting")
class Adrift(Point):
    def move(self, action):
        super().move(self.np_random.uniform(-1, 1, 2))


# --- resets and chance


@breaks("seeded resets")
class SeedIgnored(Point):
    def start(self):
        self._np_random = np.random.default_rng(time.perf_counter_ns())
        super().start()


@breaks("varied resets")
class OneEpisode(Point):
    def start(self):
        super().start()
        self.position, self.goal = np.array([0.1, 0.2]), np.array([-0.3, 0.1])


@breaks("varied resets")
class SeedsItselfAgain(Point):
    def reset(self, *, seed=None, options=None):
        return super().reset(seed=0 if seed is None else seed)


@breaks("repeatable steps")
class WindOfNoSeed(Point):
    wind = np.random.default_rng(0)

    def move(self, action):
        super().move(action)
        self.position = self.position + 0.01 * self.wind.normal(size=2)


@breaks("clean resets")
class KeepsItsSpeed(Point):
    def start(self):
        before = getattr(self, "velocity", np.zeros(2))
        super().start()
        self.velocity = before


@breaks("clean resets")
class WearsOut(Point):
    """Friction grows with every step ever taken."""

    taken = 0

    def move(self, action):
        self.taken += 1
        super().move(np.asarray(action) / (1 + 0.001 * self.taken))


@breaks("clean resets")
class FaintTrace(Point):
    """So faint that training goes on, with a warning."""

    taken = 0

    def move(self, action):
        self.taken += 1
        super().move(np.asarray(action) * (1 + 1e-7 * self.taken))


@breaks("clean resets")
class FaintUntilContact(FaintTrace):
    """A faint trace that the end of an episode makes large, as contacts do."""

    def move(self, action):
        super().move(action)
        if self.steps == 30:
            self.velocity = self.velocity + 1e-4 * min(self.taken, 100)


@breaks("instances apart")
class StateOfTheClass(Point):
    shared = np.zeros(2)

    def start(self):
        super().start()
        StateOfTheClass.shared = self.velocity

    def move(self, action):
        self.velocity = StateOfTheClass.shared
        super().move(action)
        StateOfTheClass.shared = self.velocity


@breaks("own randomness")
class GlobalGenerator(Point):
    def reset(self, *, seed=None, options=None):
        if seed is not None:
            np.random.seed(seed)
        return super().reset(seed=seed)

    def move(self, action):
        super().move(action)
        self.position = self.position + 0.01 * np.random.normal(size=2)


@breaks("own randomness")
class StandardLibrary(Point):
    def start(self):
        super().start()
        random.random()


# --- reward and termination


@breaks("finite numbers")
class SometimesNaN(Point):
    def observe(self):
        obs = super().observe()
        if self.steps == 37:
            obs["observation"][3] = np.nan
        return obs


@breaks("reward for any goal")
class NoComputeReward(Point):
    compute_reward = None  # type: ignore[assignment]

    def reward_of(self, obs, action):
        return -float(self.distance(obs["achieved_goal"], obs["desired_goal"]) >= self.radius)


@breaks("reward for any goal")
class RewardOfTwoArguments(Point):
    def compute_reward(self, achieved, desired):  # type: ignore[override]
        return super().compute_reward(achieved, desired, {})

    def reward_of(self, obs, action):
        return self.compute_reward(obs["achieved_goal"], obs["desired_goal"])


@breaks("reward of goals alone")
class RewardNeedsInfo(Point):
    def told(self, obs):
        return {**super().told(obs), "away": self.distance(obs["achieved_goal"], obs["desired_goal"])}

    def reward_of(self, obs, action):
        return self.compute_reward(obs["achieved_goal"], obs["desired_goal"], self.told(obs))

    def compute_reward(self, achieved, desired, info):
        return -float(info["away"] >= self.radius)

    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < self.radius


@breaks("reward without chance")
class NoisyReward(Point):
    noise = np.random.default_rng(0)

    def compute_reward(self, achieved, desired, info):
        return -self.distance(achieved, desired) + 0.01 * self.noise.normal()

    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < self.radius


@breaks("reward without memory")
class RewardOfWhereItIs(Point):
    """Reads the present position in place of the achieved goal."""

    def compute_reward(self, achieved, desired, info):
        return super().compute_reward(np.broadcast_to(self.position, np.shape(achieved)), desired, info)

    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < self.radius


@breaks("reward without memory")
class RewardGrowsStricter(Point):
    def compute_reward(self, achieved, desired, info):
        return -(self.distance(achieved, desired) >= 0.3 - 0.005 * self.steps).astype(np.float64)

    def told(self, obs):
        return {"is_success": self.distance(obs["achieved_goal"], obs["desired_goal"]) < 0.1}

    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < self.radius


@breaks("reward without effect")
class RewardWritesIntoGoals(Point):
    def compute_reward(self, achieved, desired, info):
        achieved -= desired
        return -(np.linalg.norm(achieved, axis=-1) >= self.radius).astype(np.float64)

    def reward_of(self, obs, action):
        return self.compute_reward(obs["achieved_goal"].copy(), obs["desired_goal"], {})


@breaks("reward without effect")
class RewardMovesTheSimulation(Point):
    def compute_reward(self, achieved, desired, info):
        self.velocity = 0.9 * self.velocity
        return super().compute_reward(achieved, desired, info)


@breaks("reward of what came out")
class RewardOneStepLate(Point):
    def step(self, action):
        late = self.compute_reward(self.position, self.goal, {})
        obs, _, *rest = super().step(action)
        return obs, late, *rest


@breaks("reward recomputable")
class ActionCosts(Point):
    def reward_of(self, obs, action):
        return super().reward_of(obs, action) - 0.1 * float(np.square(action).sum())


@breaks("reward recomputable")
class TwoThresholds(Point):
    def reward_of(self, obs, action):
        return -float(self.distance(obs["achieved_goal"], obs["desired_goal"]) >= 0.15)


@breaks("reward in batches")
class NormOfTheBatch(Point):
    def distance(self, achieved, desired):
        return np.linalg.norm(achieved - desired)


@breaks("reward in batches")
class FirstRowForAll(Point):
    def distance(self, achieved, desired):
        return np.hypot(achieved[..., 0] - desired[..., 0], (achieved - desired).reshape(-1, 2)[0, 1])


@breaks("reward in batches")
class AnyOfTheBatch(Point):
    """Keeps the shape of the batch and rewards all of it where one pair is a success."""

    def compute_reward(self, achieved, desired, info):
        away = np.asarray(self.distance(achieved, desired))
        return np.full(away.shape, 0.0 if (away < self.radius).any() else -1.0)


@breaks("reward in batches")
class RewardInAColumn(Point):
    def compute_reward(self, achieved, desired, info):
        return super().compute_reward(np.atleast_2d(achieved), np.atleast_2d(desired), info)[:, None]

    def reward_of(self, obs, action):
        return float(super().reward_of(obs, action)[0, 0])


@breaks("reward in batches")
class OnePairAtATime(Point):
    def compute_reward(self, achieved, desired, info):
        if np.ndim(achieved) > 1:
            raise ValueError("one goal, please")
        return super().compute_reward(achieved, desired, info)


@breaks("reward that tells")
class OneRewardForAll(Point):
    def compute_reward(self, achieved, desired, info):
        return np.zeros(np.shape(achieved)[:-1]) - 1.0

    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < self.radius


@breaks("reward that tells")
class TinyReward(Point):
    def compute_reward(self, achieved, desired, info):
        return 1e-6 * super().compute_reward(achieved, desired, info)


@breaks("reward that tells")
class HugeReward(Point):
    def compute_reward(self, achieved, desired, info):
        return 1e5 * super().compute_reward(achieved, desired, info)


@breaks("best at the goal")
class WrongSign(Point):
    def compute_reward(self, achieved, desired, info):
        return self.distance(achieved, desired)

    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < self.radius


@breaks("best at the goal")
class CornerIsWorthLess(WrongSign):
    """A dense reward that is wrong at few goals, as where a rotation by 360 degrees is taken for a long way."""

    def compute_reward(self, achieved, desired, info):
        distance = self.distance(achieved, desired)
        return -distance - 1.0 * ((np.asarray(desired)[..., 0] > 0.46) & (distance < 0.02))


@breaks("termination recomputable")
class FallsOff(Point):
    def ends(self, obs):
        return bool(np.abs(self.position).max() > 0.6)


@breaks("termination recomputable")
class FallsOffOrArrives(FallsOff):
    """Ends at its goal too, which other endings must not hide."""

    def ends(self, obs):
        return super().ends(obs) or bool(self.told(obs)["is_success"])


@breaks("termination recomputable")
class TerminatesOtherwise(Point):
    def ends(self, obs):
        return bool(self.distance(obs["achieved_goal"], obs["desired_goal"]) < self.radius)

    def compute_terminated(self, achieved, desired, info):
        return bool(self.distance(achieved, desired) < 0.2)


@breaks("goal worth reaching")
class GoingOnPays(Point):
    """A bonus for every step: 20 steps of it are worth more than the goal, which ends them."""

    bonus = 0.5

    def compute_reward(self, achieved, desired, info):
        return np.where(self.distance(achieved, desired) < self.radius, 1.0, self.bonus)

    def ends(self, obs):
        return bool(self.told(obs)["is_success"])


@breaks("goal worth reaching")
class NearlyThereIsBetter(GoingOnPays):
    """A dense reward: beside the goal a policy is paid for ever."""

    def compute_reward(self, achieved, desired, info):
        return np.exp(-self.distance(achieved, desired))

    def compute_terminated(self, achieved, desired, info):
        return bool(self.distance(achieved, desired) < self.radius)


# --- time


@breaks("limited episodes")
class NeverEnds(Point):
    max_episode_steps = None

    def step(self, action):
        obs, reward, terminated, _, info = super().step(action)
        return obs, reward, terminated, False, info


@breaks("limited episodes")
class DeclaresAnotherLimit(Point):
    max_episode_steps = 60


@breaks("limit is no end")
class LimitTerminates(Point):
    def step(self, action):
        obs, reward, _, over, info = super().step(action)
        return obs, reward, over, False, info


@breaks("last observation")
class ResetsItself(Point):
    def step(self, action):
        obs, reward, terminated, over, info = super().step(action)
        if over:
            self.start()
            obs = self.observe()
        return obs, reward, terminated, over, info


@breaks("far-sighted discount")
class TinySteps(Point):
    radius, force = 0.002, 0.0003


# --- success


@breaks("success stated")
class DenseAndSilent(Point):
    def compute_reward(self, achieved, desired, info):
        return -self.distance(achieved, desired)

    def told(self, obs):
        return {}


@breaks("success told truly")
class SuccessOnceIsAlways(Point):
    def start(self):
        super().start()
        self.once = False

    def told(self, obs):
        self.once |= bool(super().told(obs)["is_success"])
        return {"is_success": self.once}


@breaks("success told truly")
class SuccessAtRest(Point):
    def told(self, obs):
        return {"is_success": super().told(obs)["is_success"] and np.linalg.norm(self.velocity) < 0.02}


@breaks("success at the goal")
class ComparedTheWrongWay(Point):
    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) > self.radius


@breaks("success at the goal")
class EverythingSucceeds(Point):
    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < 100

    def told(self, obs):
        return {"is_success": True}


@breaks("goals resolved")
class FarGoalsInSinglePrecision(Point):
    """Goals are told in a frame that begins far away, in numbers that are 6 cm apart there."""

    def __init__(self):
        super().__init__()
        far = box(2, np.inf, np.float32)
        spaces(self, achieved_goal=far, desired_goal=far)

    def observe(self):
        obs = super().observe()
        return obs | {key: (obs[key] + 1e6).astype(np.float32) for key in ("achieved_goal", "desired_goal")}


@breaks("success geometric")
class ComesBackFartherOut(Point):
    def compute_reward(self, achieved, desired, info):
        away = self.distance(achieved, desired)
        return -((away >= 0.1) & (np.abs(away - 0.5) >= 0.05)).astype(np.float64)

    def told(self, obs):
        return {}


@breaks("success geometric")
class RadiusOfThePlace(Point):
    def compute_reward(self, achieved, desired, info):
        return -(self.distance(achieved, desired) >= 0.05 + 0.2 * np.abs(desired[..., 0])).astype(np.float64)

    def told(self, obs):
        return {}


@breaks("success rewarded")
class JudgedOtherwise(Point):
    def _is_success(self, achieved, desired):
        return self.distance(achieved, desired) < 0.06

    def told(self, obs):
        return {"is_success": self._is_success(obs["achieved_goal"], obs["desired_goal"])}


# --- goals


@breaks("varied goals")
class OneGoal(Point):
    def start(self):
        super().start()
        self.goal = np.array([0.3, 0.1])


@breaks("goals of episodes")
class GoalWanders(Point):
    def step(self, action):
        obs, *rest = super().step(action)
        if self.steps == 25:
            self.goal = self.np_random.uniform(-0.5, 0.5, 2)
            obs = self.observe()
        return obs, *rest


@breaks("goal hidden")
class GoalInTheObservation(Point):
    def observe(self):
        return {**super().observe(), "observation": np.concatenate([self.position, self.velocity, self.goal])}

    def __init__(self):
        super().__init__()
        spaces(self, observation=box(6))


@breaks("goal hidden")
class WayInTheObservation(Point):
    def observe(self):
        way = 3 * (self.goal - self.position)
        return {**super().observe(), "observation": np.concatenate([self.position, self.velocity, way])}

    def __init__(self):
        super().__init__()
        spaces(self, observation=box(6))


@breaks("goal hidden")
class DistanceInTheObservation(Point):
    def observe(self):
        away = [np.linalg.norm(self.goal - self.position)]
        return {**super().observe(), "observation": np.concatenate([self.position, self.velocity, away])}

    def __init__(self):
        super().__init__()
        spaces(self, observation=box(5))


@breaks("achieved goal moves")
class AchievedAtReset(Point):
    def start(self):
        super().start()
        self.first = self.position.copy()

    def observe(self):
        return {**super().observe(), "achieved_goal": self.first.copy()}


@breaks("achieved goal moves")
class SeldomTouched(Point):
    """A stone that lies somewhere and is pushed along by whoever runs into it."""

    def __init__(self):
        super().__init__()
        spaces(self, observation=box(6))

    def start(self):
        super().start()
        self.stone = self.np_random.uniform(-0.5, 0.5, 2)

    def move(self, action):
        super().move(action)
        if np.linalg.norm(self.stone - self.position) < 0.06:
            self.stone = self.stone + 2 * self.velocity

    def observe(self):
        observation = np.concatenate([self.position, self.velocity, self.stone])
        return {"observation": observation, "achieved_goal": self.stone.copy(), "desired_goal": self.goal.copy()}


@breaks("goals in reach")
class GoalsInMillimetres(Point):
    def start(self):
        super().start()
        self.goal = 1000 * self.goal


@breaks("goals in reach")
class GoalsInAnotherFrame(Point):
    def start(self):
        super().start()
        self.goal = self.goal + np.array([0.0, 30.0])


@breaks("unsolved at reset")
class GoalsWhereItIs(Point):
    def start(self):
        super().start()
        self.goal = self.position + self.np_random.uniform(-0.05, 0.05, 2)


@breaks("seldom by chance")
class DrawnToTheGoal(Point):
    def move(self, action):
        super().move(action)
        self.position = self.position + 0.6 * (self.goal - self.position)


# --- observation


@breaks("observation alive")
class Blind(Point):
    def observe(self):
        return {**super().observe(), "observation": np.ones(4)}


@breaks("observation alive")
class FrozenCamera(Point):
    """Shows an image, alone beside the goals, that was taken at the reset."""

    def __init__(self):
        super().__init__()
        image = gym.spaces.Box(0, 255, (8, 8, 1), np.uint8)
        self.observation_space = gym.spaces.Dict({"camera": image, "achieved_goal": box(2), "desired_goal": box(2)})

    def start(self):
        super().start()
        self.image = picture(self.position)

    def observe(self):
        goals = {key: seen for key, seen in super().observe().items() if key != "observation"}
        return {**goals, "camera": self.image.copy()}


@breaks("observation scaled")
class Micrometres(Point):
    def observe(self):
        return {**super().observe(), "observation": 1e6 * np.concatenate([self.position, self.velocity])}


@breaks("observation scaled")
class FarFromTheOrigin(Point):
    def observe(self):
        return {**super().observe(), "observation": 900 + 1e-3 * np.concatenate([self.position, self.velocity])}


@breaks("Markov")
class NoVelocities(Point):
    def __init__(self):
        super().__init__()
        spaces(self, observation=box(2))

    def observe(self):
        return {**super().observe(), "observation": self.position.copy()}
