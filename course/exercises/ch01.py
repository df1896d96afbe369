"""Exercises of chapter 1: the sparse reward, and the displacement per action."""

from typing import Any

import numpy as np

from course.exercises import trials
from course.exercises.exercise import (
    Counterexample,
    Function,
    Write,
    as_property,
    disagreement,
    in_place_of,
    wrong_array,
)

REWARD = (
    "r = 0 where ||achieved - desired|| <= threshold, else -1 (Plappert et al. 2018, arXiv 1802.09464, section 1.4)"
)
SLOPE = "G_j = sum_i a_ij d_ij / sum_i a_ij^2, with d = next_hand - hand: it minimises sum_i (d_ij - G_j a_ij)^2"


def one_reward_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of rewards."""
    return wrong_array(result, np.shape(args[0])[:-1], "f", "one reward for each pair of goals, as floats")


def _pair(offset: list[float], threshold: float = 0.05) -> dict[str, Any]:
    """One pair of goals [1, 3] at a given offset."""
    desired = np.array([[1.25, 0.75, 0.5]])  # exact in floating point, as are the sums below
    return {"achieved": desired + np.array([offset]), "desired": desired, "threshold": threshold}


@as_property(
    "0 where the goal is reached, -1 where it is not",
    equation=REWARD,
    hint="The reward is no prize for success: it is a price for every step that has not succeeded yet.",
)
def _values(reward: Function) -> Counterexample | None:
    return disagreement(reward, _pair([0.0, 0.0, 0.0]), [0.0]) or disagreement(reward, _pair([0.5, 0.0, 0.0]), [-1.0])


@as_property(
    "the distance is the length of the difference",
    equation="||d|| = sqrt(d_x^2 + d_y^2 + d_z^2), over the last axis",
    hint="Three coordinates make one distance. Being within the threshold on every axis is not enough, and the sum of "
    "what the axes are off is too strict.",
)
def _euclidean(reward: Function) -> Counterexample | None:
    return disagreement(reward, _pair([0.04, 0.04, 0.04]), [-1.0]) or disagreement(
        reward, _pair([0.03, -0.035, 0.0]), [0.0]
    )


@as_property(
    "the threshold is the one that is handed in",
    equation=REWARD,
    hint="The 5 cm of Fetch belong to the environment, not to the reward: other tasks come with another threshold.",
)
def _threshold(reward: Function) -> Counterexample | None:
    return disagreement(reward, _pair([0.1, 0.0, 0.0], 0.2), [0.0]) or disagreement(
        reward, _pair([0.02, 0.0, 0.0], 0.01), [-1.0]
    )


@as_property(
    "every pair of goals has its own reward, on any number of axes",
    equation="reward[i, j] depends on achieved[i, j] and desired[i, j] alone",
    hint="Hindsight asks for thousands of rewards in one call. Reduce over the last axis only, and write nothing that "
    "counts the others.",
)
def _vectorised(reward: Function) -> Counterexample | None:
    desired = np.zeros((2, 3, 3))
    achieved = desired.copy()
    achieved[0, 1], achieved[1, 2] = [0.0, 0.2, 0.0], [0.0, 0.0, -0.3]
    given = {"achieved": achieved, "desired": desired, "threshold": 0.05}
    alone = {"achieved": achieved[0, 1], "desired": desired[0, 1], "threshold": 0.05}
    return disagreement(reward, given, [[0, -1, 0], [0, 0, -1]]) or disagreement(reward, alone, -1.0)


@as_property(
    "at exactly the threshold the goal is reached",
    equation=REWARD,
    hint="The equation has <=, not <. It matters to whoever recomputes rewards: with the other sign they disagree with "
    "what the environment returned.",
)
def _at_threshold(reward: Function) -> Counterexample | None:
    return disagreement(reward, _pair([0.0, 0.25, 0.0], 0.25), [0.0])


def _own_reward() -> Function:
    from wellposed.envs.goals import sparse_reward

    return sparse_reward


def one_gain_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a displacement per action."""
    return wrong_array(result, (args[0].shape[1],), "f", "one number of metres for each axis")


def _transitions(action: np.ndarray, displacement: np.ndarray) -> dict[str, Any]:
    """Transitions [n] whose hand starts at different places."""
    hand = np.array([1.25, 0.75, 0.5]) + 0.125 * np.arange(len(action))[:, None]
    return {"hand": hand, "action": action, "next_hand": hand + displacement}


def _one_axis_at_a_time(sizes: list[float]) -> np.ndarray:
    """Actions [3 * len(sizes), 4] that move along one axis each, so that no axis explains another's displacement."""
    action = np.zeros((3 * len(sizes), 4))
    for axis in range(3):
        action[axis::3, axis] = sizes
    return action


GAIN = np.array([0.03, 0.02, 0.01])


@as_property(
    "a hand that follows exactly gives its gain, axis by axis",
    equation=SLOPE,
    hint="The displacement is what came after minus what was before. Each axis has a gain of its own, from its own "
    "column of the actions.",
)
def _exact(displacement_per_action: Function) -> Counterexample | None:
    action = _one_axis_at_a_time([1.0, -0.5])
    return disagreement(displacement_per_action, _transitions(action, action[:, :3] * GAIN), GAIN)


@as_property(
    "the fourth component does not move the hand",
    equation="an action is (x, y, z, fingers); d_j is set against a_j for j in x, y, z",
    hint="The last component opens and closes the fingers. It may be anything here, and the answer has three numbers.",
)
def _fingers(displacement_per_action: Function) -> Counterexample | None:
    action = _one_axis_at_a_time([1.0, -0.5])
    action[:, 3] = [1.0, -1.0, 1.0, 1.0, -1.0, -1.0]
    return disagreement(displacement_per_action, _transitions(action, action[:, :3] * GAIN), GAIN)


@as_property(
    "an action of zero tells nothing, and a tiny one next to nothing",
    equation=SLOPE,
    hint="Dividing each displacement by its own action lets the smallest actions speak loudest: there the ratio is "
    "nearly all noise, or 0/0. In least squares every transition has the weight a^2.",
)
def _small_actions(displacement_per_action: Function) -> Counterexample | None:
    action = _one_axis_at_a_time([1.0, -1.0, 0.001, 0.0])
    moved = action[:, :3] * GAIN
    moved[6:9] += 0.002 * np.eye(3)  # a drift of 2 mm, much larger than the effect of the tiny actions
    weight = (action[:, :3] ** 2).sum(axis=0)
    return disagreement(
        displacement_per_action, _transitions(action, moved), (action[:, :3] * moved).sum(axis=0) / weight
    )


@as_property(
    "the line goes through the origin",
    equation=SLOPE,
    hint="No action, no displacement: that is part of the model. A line with an intercept, a covariance or a "
    "correlation answers another question as soon as the actions do not average to zero.",
)
def _origin(displacement_per_action: Function) -> Counterexample | None:
    action = _one_axis_at_a_time([1.0, 0.5])
    moved = np.zeros((6, 3))
    moved[:3], moved[3:] = np.diag([0.03, 0.03, 0.03]), np.diag([0.03, 0.02, 0.01])
    return disagreement(displacement_per_action, _transitions(action, moved), [0.036, 0.032, 0.028])


def _own_displacement() -> Function:
    from wellposed.anatomy.motion import displacement_per_action

    return displacement_per_action


EXERCISES = (
    Write(
        id="1.1",
        title="The sparse reward",
        function="reward",
        parameters=("achieved", "desired", "threshold"),
        task="""
The sparse reward of having achieved one goal when another was desired.

achieved, desired: positions in metres, arrays [..., 3] of one shape, with any number of leading axes.
threshold: metres, a float.
Returns floats [...], one for each pair of goals:

    r = 0   where ||achieved - desired|| <= threshold,
    r = -1  elsewhere.
""",
        properties=(_values, _euclidean, _threshold, _vectorised, _at_threshold),
        form=one_reward_each,
        own=_own_reward,
        put=in_place_of("wellposed.envs.goals.sparse_reward"),
        trial=trials.train("FetchReach-v4"),
    ),
    Write(
        id="1.2",
        title="What an action does",
        function="displacement_per_action",
        parameters=("hand", "action", "next_hand"),
        task="""
How far the hand moves within one environment step for each unit of an action.

hand, next_hand: positions of the hand before and after the step, metres, arrays [n, 3].
action: (x, y, z, fingers), each in [-1, 1], array [n, 4].
Returns metres per unit of action [3], axis by axis: the slope of the line through the origin that
fits the displacements best in the sense of least squares,

    G_j = argmin over g of  sum over i of ((next_hand - hand)[i, j] - g action[i, j])^2.
""",
        properties=(_exact, _fingers, _small_actions, _origin),
        form=one_gain_each,
        own=_own_displacement,
        put=in_place_of("wellposed.anatomy.motion.displacement_per_action"),
        trial=trials.measure_displacement,
    ),
)
