"""Whether episodes end at their goal, asked of an environment that has no `compute_terminated` to say so.

A relabelled transition needs the termination of a goal that was never pursued. Some environments, panda-gym among them,
end an episode at the step that reaches its goal and tell nobody of the rule. It can be found out: an episode whose goal
is put where it stands either ends there or does not.
"""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

EPISODES = 20  # tried, half of them with the goal put where the episode stands
STEPS = 50  # of each at most; an episode at its goal is decided by the first as a rule
Test = Callable[[np.ndarray, np.ndarray], Any]  # of batches of achieved and desired goals [1, g]


def ends_at_goals(env: gym.Env, reached: Test) -> bool:
    """Whether steps that reach the goal end the episode, all of them and no others, as far as random actions show.

    The episode that the environment is in is lost; it is left in a fresh one.
    """
    env.action_space.seed(0)
    found = [_ends(env, seed, reached) for seed in range(EPISODES)]
    env.reset(seed=0)
    return True in found and False not in found


def _ends(env: gym.Env, seed: int, reached: Test) -> bool | None:
    """Whether one episode ended at its goal; False too if it ended elsewhere, None if it did neither."""
    obs, _ = env.reset(seed=seed)
    if seed % 2:
        _put_goal(env, obs["achieved_goal"])
    for _ in range(STEPS):
        obs, _, ended, truncated, _ = env.step(env.action_space.sample())
        there = bool(np.all(reached(obs["achieved_goal"][None], obs["desired_goal"][None])))
        if ended or there:
            return bool(ended) and there
        if truncated:
            break
    return None


def _put_goal(env: gym.Env, goal: np.ndarray) -> None:
    """Let the episode pursue `goal`, where the environment or its task keeps it under the name of `goal`."""
    for owner in (env.unwrapped, getattr(env.unwrapped, "task", None)):
        if isinstance(found := getattr(owner, "goal", None), np.ndarray) and found.shape == goal.shape:
            owner.goal = np.array(goal)  # type: ignore[union-attr]
