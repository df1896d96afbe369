"""An environment's own rules for any pair of goals: reward, termination, success."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.envs.gym import SUCCESS_RULES, goal_rule

TOLERANCE = 1e-5  # relative, and absolute in units of the larger of 1 and the reward: float32 arithmetic passes


@dataclass(frozen=True)
class Rules:
    """What an instance of the environment answers, one pair of goals [g] at a time; None where it has no such rule."""

    reward: Callable[[np.ndarray, np.ndarray, Any], float] | None
    terminated: Callable[[np.ndarray, np.ndarray, Any], bool] | None
    success: Callable[[np.ndarray, np.ndarray], bool] | None
    batch: Callable[[np.ndarray, np.ndarray, Any], Any] | None  # compute_reward as it is, for many pairs at once


def rules_of(env: gym.Env, dtype: Any) -> Rules:
    """The rules of one instance; it is handed copies of goals, of the type `dtype`, and may write into them."""
    reward, terminated = goal_rule(env, "compute_reward"), goal_rule(env, "compute_terminated")
    success = goal_rule(env, *SUCCESS_RULES)

    def asked(rule: Callable[..., Any] | None, kind: type) -> Any:
        if rule is None:
            return None
        return lambda a, d, *rest: kind(rule(np.array(a, dtype), np.array(d, dtype), *rest))

    return Rules(asked(reward, float), asked(terminated, bool), asked(success, bool), reward)


def rewards(rules: Rules, achieved: np.ndarray, desired: np.ndarray, infos: list[dict] | None = None) -> np.ndarray:
    """Rewards [n] of pairs of goals [n, g], asked for one by one."""
    assert rules.reward is not None
    return np.array(
        [
            rules.reward(a, d, {} if infos is None else infos[i])
            for i, (a, d) in enumerate(zip(achieved, desired, strict=True))
        ]
    )


def same(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Where two arrays of rewards agree to the precision of float32, elementwise; NaN agrees with NaN."""
    return np.isclose(left, right, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)


def is_sparse(values: np.ndarray) -> bool:
    """Whether rewards take two values only."""
    return len(np.unique(np.round(values, 6))) == 2
