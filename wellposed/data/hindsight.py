"""Hindsight relabelling: which state's achieved goal becomes the goal, as index arithmetic, and what changes with it.

An episode of L transitions has states 0..L; transition t leads from state t to state t + 1. Given transition times and
episode lengths, each strategy returns the state whose achieved goal becomes the desired goal.

Source: Andrychowicz et al. (2017), "Hindsight Experience Replay", arXiv 1707.01495, section 4.5.
"""

from collections.abc import Callable

import numpy as np

from wellposed.arrays import Arrays
from wellposed.errors import UserError
from wellposed.registry import Registry
from wellposed.types import Batch, Spec

GoalTimes = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]
GoalFunction = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (achieved [..., g], desired [..., g]) -> [...]


def future(t: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A state strictly later than t, uniform over t + 1 .. L.

    t + 1 is included: a transition relabelled with what it achieved itself is a success.
    """
    return t + 1 + (rng.random(t.shape) * (length - t)).astype(np.int64)


def final(t: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The episode's last state, L."""
    del t, rng
    return length


def episode(t: np.ndarray, length: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Any state that a transition of the episode led to, uniform over 1 .. L, before t or after."""
    return 1 + (rng.random(t.shape) * length).astype(np.int64)


STRATEGIES: Registry[GoalTimes] = Registry("strategy", "wellposed.strategies")
STRATEGIES.register("future", future)
STRATEGIES.register("final", final)
STRATEGIES.register("episode", episode)


def relabelled_share(k: int) -> float:
    """k hindsight goals for each original one: the share k / (k + 1) of a batch is relabelled."""
    return k / (k + 1)


def whole_goal(spec: Spec) -> list[list[int]]:
    """A goal as one part: all its numbers are relabelled with what one moment achieved."""
    return [list(range(spec.size("desired_goal")))]


def require_parts(spec: Spec) -> list[list[int]]:
    """The parts of a goal, each of which hindsight relabels with what it achieved at a moment of its own.

    Raises:
        UserError: if nothing says what the parts are.
    """
    if not spec.goal_parts:
        raise UserError(
            f"--replay.relabel parts: nothing says which of the {spec.size('desired_goal')} numbers of a goal are of "
            "one thing. Say it with --env.goal-parts, as '[[0, 1, 2], [3, 4, 5]]' for two blocks, or relabel the whole."
        )
    return [list(part) for part in spec.goal_parts]


def relabel(batch: Batch, goal: np.ndarray, compute_reward: GoalFunction, compute_terminated: GoalFunction) -> Batch:
    """Transitions [...] with other goals [..., g].

    The environment computes reward and termination for the true successor of each transition; all else stays.
    """
    pair = (batch.next_truth or batch.next_obs)["achieved_goal"], goal
    return batch._replace(
        obs=with_goal(batch.obs, goal),
        next_obs=with_goal(batch.next_obs, goal),
        truth=with_goal(batch.truth, goal),
        next_truth=with_goal(batch.next_truth, goal),
        reward=compute_reward(*pair),
        terminated=compute_terminated(*pair),
    )


def with_goal(arrays: Arrays, goal: np.ndarray) -> Arrays:
    """The arrays with another desired goal, if one is among them."""
    return arrays | {"desired_goal": goal} if "desired_goal" in arrays else arrays
