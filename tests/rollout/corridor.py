"""A small environment whose numbers are known, and a policy that remembers how far it is in its script."""

from typing import Any

import numpy as np

from wellposed.types import Field, Moment, Spec, Step

GOALS = (Field("achieved_goal", (1,), "goal"), Field("desired_goal", (1,), "goal"))
SPEC = Spec((Field("observation", (1,)), *GOALS), action_dim=1, max_episode_steps=4)


class Corridor:
    """A point on a line, moved by its action. Env i starts at 0 and wants to be at its seed; it ends after 4 steps,
    or at once (terminated) when the seed is 100 or more and the point has passed 2. It has all of `VecEnv` that
    evaluation uses, and no more. What is seen is the truth plus `bias`."""

    num_envs = 2

    def __init__(self, bias: float = 0.0, kept: bool = False):
        """`kept`: nothing terminates, as after `keep_running`."""
        self.kept, self.capabilities = kept, frozenset({"kept running"} if kept else ())
        self.bias, self.spec = bias, SPEC._replace(truth=SPEC.obs) if bias else SPEC

    def reset(self, *, seed):
        self.position, self.t = np.zeros(2), np.zeros(2, int)
        self.goal = np.array(seed, float)
        self.now = self.moment()
        return self.now

    def moment(self):
        one = lambda x: x[:, None].copy()  # noqa: E731
        truth = {
            "observation": one(self.position), "achieved_goal": one(self.position), "desired_goal": one(self.goal)
        }  # fmt: skip
        return Moment({key: array + self.bias for key, array in truth.items()} if self.bias else truth, truth)

    def is_success(self, achieved, desired):
        return np.abs(achieved - desired)[:, 0] < 0.25

    def compute_terminated(self, achieved, desired):
        return (desired[:, 0] >= 100) & (achieved[:, 0] > 2)

    def goal_kinds(self, desired):
        return ["far" if goal[0] > 5 else "near" for goal in desired]

    def drawn(self):
        return {"pull": self.goal / 2}

    def step(self, actions):
        before, applied = self.now, np.clip(actions, -1, 1)
        self.position = self.position + applied[:, 0]
        self.t += 1
        after = self.moment()
        success = self.is_success(after.truth["achieved_goal"], after.truth["desired_goal"])
        terminated, truncated = (self.goal >= 100) & (self.position > 2) & (not self.kept), self.t >= 4
        ended = terminated | truncated
        self.position, self.t = np.where(ended, 0.0, self.position), np.where(ended, 0, self.t)  # the next episode
        self.now = self.moment()
        reward = np.where(success, 0.0, -1.0)
        return Step(*before, actions, applied, reward, terminated, truncated, success, *after, {})


def corridor(bias: float = 0.0) -> Any:
    return Corridor(bias)


class Script:
    """Plays given actions, [steps]; the same in every env. What it remembers is how many it has played."""

    def __init__(self, *actions: float):
        self.actions = actions

    def initial_carry(self, n):
        return {"played": np.zeros(n, int)}

    def act(self, obs, carry=(), rng=None):
        actions = np.array(self.actions)[carry["played"] % len(self.actions)]
        noise = 0.0 if rng is None else rng.uniform(-0.1, 0.1, len(actions))
        return (actions + noise)[:, None], {"played": carry["played"] + 1}
