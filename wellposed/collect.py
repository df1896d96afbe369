"""Experience on its way from the environments to the learner: behaviour, one step of all copies, episode statistics."""

from typing import Any, NamedTuple

import numpy as np

from wellposed import seeding
from wellposed.arrays import Arrays, check_arrays, merged, part_of
from wellposed.envs.policies import RandomPolicy
from wellposed.errors import UserError
from wellposed.recipe import RunConfig
from wellposed.types import Agent, GoalObs, GoalVecEnv, Metrics, successor

MOVED = 0.01  # metres (goal units) from its start at which an achieved goal counts as moved


class Explorer:
    """Behaviour while training: uniform actions at first, then the policy's own noise with uniform actions mixed in."""

    def __init__(self, config: RunConfig, agent: Agent, action_dim: int):
        self.config, self.agent = config, agent
        self.rng = seeding.generator(config.seed, "random actions")
        self._uniform = RandomPolicy(action_dim, self.rng)

    def act(self, obs: GoalObs, step: int) -> np.ndarray:
        """Actions [n, action_dim] at environment step `step` of the run."""
        actions = self._uniform.act(obs)
        if step < self.config.random_steps:
            return actions
        keep = self.rng.random((len(actions), 1)) >= self.config.random_share
        return np.where(keep, self.agent.act(obs, deterministic=False), actions)


class Step(NamedTuple):
    """One step of all copies, [n, ...]: `after` holds the true successors, `obs` what the next step goes on from."""

    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    success: np.ndarray
    after: GoalObs
    obs: GoalObs
    warnings: dict[str, int]  # what the simulator complained of, by name

    def arrays(self) -> Arrays:
        """The step as named arrays."""
        flat = {name: getattr(self, name) for name in self._fields[:5]}
        warnings = {name: np.array(count) for name, count in self.warnings.items()}
        return flat | merged(after=self.after, obs=self.obs, warnings=warnings)

    @classmethod
    def from_arrays(cls, arrays: Arrays, obs: GoalObs, action_dim: int) -> "Step":
        """Read what `arrays` returned, of copies that observe `obs` and take actions [n, action_dim].

        Raises:
            UserError: if it is not a step of theirs.
        """
        n = len(obs["observation"])
        flags = (np.zeros(n, bool), np.zeros(n, bool), np.zeros(n, bool))
        counts = part_of(arrays, "warnings")
        template = cls(np.zeros((n, action_dim), np.float32), np.zeros(n), *flags, obs, obs, numbers(counts, int))
        check_arrays(template.arrays(), arrays)
        flat = {name: arrays[name] for name in cls._fields[:5]}
        return cls(**flat, after=part_of(arrays, "after"), obs=part_of(arrays, "obs"), warnings=template.warnings)


def numbers(arrays: Arrays, kind: type) -> dict[str, Any]:
    """Scalars that were put down as arrays [], by name.

    Raises:
        UserError: if one is not a number of that kind.
    """
    for name, array in arrays.items():
        if array.shape != () or array.dtype != np.dtype(kind):
            raise UserError(f"What was saved as {name!r} is not one number.")
    return {name: kind(array) for name, array in arrays.items()}


def take_step(env: GoalVecEnv, actions: np.ndarray) -> Step:
    """Step all copies with actions [n, action_dim]."""
    obs, reward, terminated, truncated, info = env.step(actions)
    after, success = successor(obs, info), np.asarray(info["is_success"])
    applied, warnings = info["applied_action"], info["physics_warnings"]
    return Step(applied, reward, terminated, truncated, success, after, obs, warnings)


class Rollouts:
    """Statistics of the training episodes that ended since the last row; exploration noise included."""

    def __init__(self, obs: GoalObs):
        self._start, self._returns = obs["achieved_goal"].copy(), np.zeros(len(obs["achieved_goal"]))
        self._moved = np.zeros(len(self._returns), bool)
        self._ended: list[tuple[float, float, float]] = []

    def add(self, step: Step) -> None:
        """Take in one step."""
        self._returns += step.reward
        self._moved |= np.linalg.norm(step.after["achieved_goal"] - self._start, axis=1) > MOVED
        for i in np.flatnonzero(step.terminated | step.truncated):
            self._ended.append((float(step.success[i]), self._returns[i], float(self._moved[i])))
            self._start[i], self._returns[i], self._moved[i] = step.obs["achieved_goal"][i], 0.0, False

    def drain(self) -> Metrics:
        """Means over the ended episodes; empty if none ended."""
        if not self._ended:
            return {}
        means = np.mean(self._ended, axis=0)
        self._ended.clear()
        names = ("rollout/success_rate", "rollout/return", "rollout/moved_rate")
        return dict(zip(names, means.tolist(), strict=True))

    def state(self) -> Arrays:
        """Everything as named arrays; `ended` is [episodes, 3]."""
        ended = np.array(self._ended).reshape(-1, 3)
        return {"start": self._start, "returns": self._returns, "moved": self._moved, "ended": ended}

    def load_state(self, state: Arrays) -> None:
        """Take over what `state` returned.

        Raises:
            UserError: if it is of another number of copies or another goal.
        """
        ended = state.get("ended", np.zeros((0, 3)))
        check_arrays(self.state() | {"ended": ended.reshape(-1, 3)}, state)
        self._start, self._returns, self._moved = (state[name].copy() for name in ("start", "returns", "moved"))
        self._ended = [(row[0], row[1], row[2]) for row in ended.tolist()]
