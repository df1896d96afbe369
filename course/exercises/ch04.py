"""Exercises of chapter 4: goals in hindsight, and what they change."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np

from course.exercises import trials
from course.exercises.exercise import (
    Counterexample,
    Function,
    Write,
    as_property,
    in_place_of,
    show,
    show_all,
    wrong_array,
)
from wellposed.arrays import leaves
from wellposed.types import Batch

FUTURE = "the moment is uniform over t + 1 .. L (Andrychowicz et al. 2017, arXiv 1707.01495, section 4.5)"


def one_moment_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of moments."""
    return wrong_array(result, args[0].shape, "iu", "one moment for each transition, as integers")


def _drawn(future_goals: Function, t: Any, length: Any, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """Arguments, with a fresh generator, and the moments that were drawn for them."""
    given = {"t": np.asarray(t), "length": np.asarray(length), "rng": np.random.default_rng(seed)}
    return given, np.asarray(future_goals(*given.values()))


def _mixed() -> tuple[np.ndarray, np.ndarray]:
    """Transitions of episodes of different length, none of them near its end."""
    rng = np.random.default_rng(0)
    length = rng.integers(5, 60, 400)
    return (rng.random(400) * (length - 4)).astype(int), length


def _first(wrong: np.ndarray, t: np.ndarray, length: np.ndarray, due: str, drawn: np.ndarray) -> Counterexample | None:
    """The first of the moments that are wrong, as a counterexample."""
    if not wrong.any():
        return None
    i = int(np.flatnonzero(wrong)[0])
    return Counterexample(f"t = {t[i]}, length = {length[i]} among {len(t)} transitions", due, f"moment {drawn[i]}")


@as_property(
    "a goal comes strictly later than its transition",
    equation="moment > t: transition t leads from state t to state t + 1, and may claim only what came after it",
    hint="What the arm achieved before it acted says nothing about the action. Which is the first state that the "
    "transition has a part in?",
)
def _later(future_goals: Function) -> Counterexample | None:
    t, length = _mixed()
    _, drawn = _drawn(future_goals, t, length)
    return _first(drawn <= t, t, length, "a moment after t", drawn)


@as_property(
    "a goal is of the same episode",
    equation="moment <= L: an episode of L transitions has the states 0 .. L",
    hint="Episodes differ in length, and behind the last state of one begins another. `length` has one entry for each "
    "transition: use it for each.",
)
def _inside(future_goals: Function) -> Counterexample | None:
    t, length = _mixed()
    _, drawn = _drawn(future_goals, t, length)
    return _first(drawn > length, t, length, "a moment of at most length", drawn)


@as_property(
    "each transition draws for itself",
    equation="the moments of different transitions are independent",
    hint="One random number for all of them gives every transition of a minibatch the same share of its future. How "
    "many numbers does the generator have to give?",
)
def _independent(future_goals: Function) -> Counterexample | None:
    t, length = np.full(64, 3), np.full(64, 40)
    given, drawn = _drawn(future_goals, t, length)
    if len(np.unique(drawn)) > 1 or np.array_equal(drawn, _drawn(future_goals, t, length, seed=1)[1]):
        return None
    return Counterexample(show_all(given), "64 draws from 37 moments", f"64 times {drawn[0]}; at the next call others")


def _never_drawn(future_goals: Function, moment: int) -> Counterexample | None:
    """A counterexample if a moment never comes in 200 draws at t = 3 of 5 (two moments), and in 400 at t = 2 of 6."""
    for t, length, n in ((3, 5, 200), (2, 6, 400)):
        _, drawn = _drawn(future_goals, np.full(n, t), np.full(n, length))
        due = length if moment < 0 else t + moment
        if due not in drawn:
            given = f"t = {t}, length = {length}, drawn {n} times"
            return Counterexample(given, f"moment {due} among those drawn", f"only {sorted(set(drawn.tolist()))}")
    return None


@as_property(
    "the last state of the episode can be drawn",
    equation="moment = L has the probability 1 / (L - t)",
    hint="The states are 0 .. L: with the last one there are L - t later than t. A generator that excludes the upper "
    "end of its range, or an index that counts transitions, misses it.",
)
def _last(future_goals: Function) -> Counterexample | None:
    return _never_drawn(future_goals, -1)


@as_property(
    "the state that the transition led to can be drawn",
    equation="moment = t + 1 has the probability 1 / (L - t): the transition then succeeds by what it did itself",
    hint="This is the one relabelling whose reward is sure to tell of success. Without it, what the last action did is "
    "never credited to it.",
)
def _next(future_goals: Function) -> Counterexample | None:
    return _never_drawn(future_goals, 1)


@as_property(
    "before the end there is one moment left",
    equation="t = L - 1: the moment is L",
    hint="Put t = L - 1 into your range by hand: exactly one state is later.",
)
def _only(future_goals: Function) -> Counterexample | None:
    t, length = np.array([0, 4, 49]), np.array([1, 5, 50])
    given, drawn = _drawn(future_goals, t, length)
    return None if np.array_equal(drawn, length) else Counterexample(show_all(given), show(length), show(drawn))


@as_property(
    "all later moments are equally likely",
    equation=FUTURE,
    hint="Count, on paper, how much of [0, 1) leads to each moment. Rounding to the nearest gives the two ends half of "
    "what the others get; rounding down treats all alike.",
)
def _uniform(future_goals: Function) -> Counterexample | None:
    n, t, length = 20_000, 2, 7
    _, drawn = _drawn(future_goals, np.full(n, t), np.full(n, length))
    shares = np.array([np.mean(drawn == moment) for moment in range(t + 1, length + 1)])
    if np.abs(shares - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / n):  # five standard errors
        return None
    given = f"t = {t}, length = {length}, drawn {n} times"
    return Counterexample(given, "shares of about 0.2 for the moments 3, 4, 5, 6, 7", show(shares))


@as_property(
    "all randomness comes from the generator that is handed in",
    equation="equal generators give equal moments, and others give others",
    hint="A run repeats bit for bit because every random stream is its own. A generator made inside, or the global "
    "one, breaks that, or draws the same moments at every call.",
)
def _generator(future_goals: Function) -> Counterexample | None:
    t, length = np.full(20, 1), np.full(20, 50)
    (_, one), (_, again), (_, other) = (_drawn(future_goals, t, length, seed) for seed in (1, 1, 2))
    if not np.array_equal(one, again):
        return Counterexample("two generators of the same seed", show(one), show(again))
    if np.array_equal(one, other):
        return Counterexample("generators of two different seeds", "different moments", f"twice {show(one)}")
    return None


def _own_future_goals() -> Function:
    from wellposed.data.hindsight import future

    return future


def transitions_back(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of relabelled transitions."""
    batch = args[0]
    if not isinstance(result, Batch):
        return f"returns {show(result):.60}, where a Batch is due, as batch._replace gives one"
    before, after = leaves(batch._asdict()), leaves(result._asdict())
    if before.keys() != after.keys():
        return f"returns {', '.join(sorted(after))}, where {', '.join(sorted(before))} are due"
    complaints = (
        wrong_array(after[name], before[name].shape, "fbiu", f"the field `{name}` with numbers for every transition")
        for name in before
    )
    return next((complaint for complaint in complaints if complaint), None)


def _batch(next_achieved: Any, desired: Any, reward: Any, terminated: Any, achieved: Any = None) -> Batch:
    """Transitions with what goals decide; observations and actions are there to be left alone."""
    after, goal = np.array(next_achieved, float), np.array(desired, float)
    before, shape = after.copy() if achieved is None else np.array(achieved, float), after.shape[:-1]
    return Batch(
        obs={"observation": np.full((*shape, 2), 5.0), "achieved_goal": before, "desired_goal": goal},
        action=np.full((*shape, 1), 0.5),
        reward=np.array(reward, float),
        next_obs={"observation": np.full((*shape, 2), 6.0), "achieved_goal": after, "desired_goal": goal},
        terminated=np.array(terminated, float),
        truth={},
        next_truth={},
    )


def _sparse(achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
    """-1 farther than 0.1 from the goal, else 0."""
    return -(np.linalg.norm(achieved - desired, axis=-1) > 0.1).astype(float)


def _never(achieved: np.ndarray, _desired: np.ndarray) -> np.ndarray:
    """An environment that does not end by itself."""
    return np.zeros(achieved.shape[:-1], bool)


def _asked(
    relabel: Function, batch: Batch, goal: Any, name: str, due: Any, reward: Function = _sparse, ends: Function = _never
) -> Counterexample | None:
    """A counterexample if a field of the relabelled transitions is not what is due."""
    goal = np.array(goal, float)
    found = leaves(relabel(batch, goal, reward, ends)._asdict())[name]
    if np.allclose(np.asarray(found, float), due):
        return None
    shown = ("obs/achieved_goal", "next_obs/achieved_goal", "obs/desired_goal", "reward", "terminated")
    given = show_all({field: leaves(batch._asdict())[field] for field in shown} | {"goal": goal})
    return Counterexample(given, f"{name} = {show(np.asarray(due))}", show(found))


@as_property(
    "the goal is the new one",
    equation="g := g'",
    hint="What the learner is shown as the desired goal must be the goal whose reward it gets.",
)
def _goal(relabel: Function) -> Counterexample | None:
    batch = _batch([[0.5], [0.75]], [[0.0], [0.0]], [-1, -1], [0, 0])
    new = [[0.5], [1.0]]
    return _asked(relabel, batch, new, "obs/desired_goal", new) or _asked(
        relabel, batch, new, "next_obs/desired_goal", new
    )


@as_property(
    "the reward is that of the new goal",
    equation="r := r(s', g') (arXiv 1707.01495, algorithm 1)",
    hint="The old reward judged the old goal. Nor is every goal in hindsight reached by this very transition: ask the "
    "environment, which also knows rewards that are not -1 and 0.",
)
def _reward(relabel: Function) -> Counterexample | None:
    batch = _batch([[0.5], [0.5], [0.0]], [[0.0], [0.0], [0.0]], [-1, -1, 0], [0, 0, 0])
    goal = [[0.5], [1.0], [2.0]]
    return _asked(relabel, batch, goal, "reward", [0, -1, -1]) or _asked(
        relabel, batch, goal, "reward", [0, -0.5, -2], reward=lambda a, d: -np.abs(a - d)[..., 0]
    )


@as_property(
    "it is judged by the state that the transition led to",
    equation="r(s', g'): of the next achieved goal",
    hint="The reward of a transition belongs to its end. An achieved goal before the action and one after it are both "
    "in the batch: they differ by exactly what the action did.",
)
def _successor(relabel: Function) -> Counterexample | None:
    batch = _batch([[0.5], [0.75]], [[0.0], [0.0]], [-1, -1], [0, 0], achieved=[[0.25], [0.5]])
    return _asked(relabel, batch, [[0.5], [0.5]], "reward", [0, -1])


@as_property(
    "achieved comes first, desired second",
    equation="compute_reward(achieved, desired)",
    hint="A distance does not mind the order, other rewards do: what is wanted and what was achieved are not the same "
    "thing.",
)
def _order(relabel: Function) -> Counterexample | None:
    batch = _batch([[0.5]], [[0.0]], [-1], [0])
    higher = lambda a, d: (a - d)[..., 0]  # noqa: E731
    return _asked(relabel, batch, [[2.0]], "reward", [-1.5], reward=higher) or _asked(
        relabel, batch, [[2.0]], "terminated", [0], ends=lambda a, d: (a > d)[..., 0]
    )


@as_property(
    "termination is asked anew",
    equation="terminated := terminated(s', g')",
    hint="If reaching the goal ends the episode, a transition that had ended it for the old goal may not for the new "
    "one, and the other way round. If nothing ends it, reaching the goal does not either: the reward is no answer.",
)
def _termination(relabel: Function) -> Counterexample | None:
    batch = _batch([[0.5], [0.5]], [[0.5], [0.0]], [0, -1], [1, 0])
    reached = lambda a, d: np.linalg.norm(a - d, axis=-1) <= 0.1  # noqa: E731
    return _asked(relabel, batch, [[2.0], [0.5]], "terminated", [0, 1], ends=reached) or _asked(
        relabel, batch, [[2.0], [0.5]], "terminated", [0, 0]
    )


@as_property(
    "all else stays as it was",
    equation="s, a, s' do not depend on the goal",
    hint="Hindsight changes what was wanted, not what was done or seen.",
)
def _rest(relabel: Function) -> Counterexample | None:
    batch = _batch([[0.5]], [[0.0]], [-1], [0], achieved=[[0.25]])
    for name, array in leaves(batch._asdict()).items():
        if name.endswith(("reward", "terminated", "desired_goal")):
            continue
        if found := _asked(relabel, batch, [[0.5]], name, array):
            return found
    return None


@as_property(
    "it takes any number of leading axes",
    equation="reward[u, b] depends on the transition [u, b] and its goal alone",
    hint="The trainer relabels several minibatches at once: goals are [u, b, g]. Hand the environment's functions "
    "whole arrays, and let them keep the leading axes.",
)
def _axes(relabel: Function) -> Counterexample | None:
    batch = _batch([[[0.5], [0.5]], [[0.0], [1.0]]], np.zeros((2, 2, 1)), [[-1, -1], [0, -1]], np.zeros((2, 2)))
    return _asked(relabel, batch, [[[0.5], [0.0]], [[1.0], [1.0]]], "reward", [[0, -1], [-1, 0]])


def _own_relabel() -> Function:
    from wellposed.data.hindsight import relabel

    return relabel


RELABEL = Write(
    id="4.2",
    title="What another goal changes",
    function="relabel",
    parameters=("batch", "goal", "compute_reward", "compute_terminated"),
    task="""
Transitions as they would have been recorded had another goal been pursued.

batch: a wellposed.types.Batch, a NamedTuple of arrays with the same leading axes [...]: action, reward, terminated,
and the dictionaries obs and next_obs with "observation", "achieved_goal" and "desired_goal".
goal: the new goals, array [..., g].
compute_reward, compute_terminated: the environment's functions (achieved, desired) -> [...].
Returns a new Batch, as `batch._replace(...)` makes one, with

    g := goal in obs and next_obs,   r := r(s', goal),   terminated := terminated(s', goal),

and all else as it was. The arrays that were handed in are not written to.
""",
    properties=(_goal, _reward, _successor, _order, _termination, _rest, _axes),
    form=transitions_back,
    own=_own_relabel,
    put=in_place_of("wellposed.data.episodes.relabel"),
    trial=trials.train("FetchReach-v4"),
)
TWO_FAULTS = """
reward = compute_reward(batch.obs["achieved_goal"], goal)
terminated = compute_terminated(batch.next_obs["achieved_goal"], goal)
return batch._replace(
    obs=batch.obs | {"desired_goal": goal},
    reward=reward.astype(batch.reward.dtype),
    terminated=terminated.astype(batch.terminated.dtype),
)
"""

EXERCISES = (
    Write(
        id="4.1",
        title="Which moment becomes the goal",
        function="future_goals",
        parameters=("t", "length", "rng"),
        task="""
For each transition of a minibatch, the moment whose achieved goal becomes its goal: strategy `future`.

t: times of the transitions, integers [n]; transition t leads from state t to state t + 1.
length: the number L of transitions of each one's episode, integers [n]; its states are 0 .. L, and t < L.
rng: a NumPy generator; all randomness comes from it.
Returns moments, integers [n], each drawn for itself and

    uniform over t + 1, t + 2, ..., L.
""",
        properties=(_later, _inside, _independent, _last, _next, _only, _uniform, _generator),
        form=one_moment_each,
        own=_own_future_goals,
        put=lambda function: patch.dict("wellposed.data.hindsight.STRATEGIES._entries", future=function),
        trial=trials.train("FetchReach-v4"),
    ),
    RELABEL,
    replace(
        RELABEL,
        id="4.5",
        title="Two faults that raise no error",
        task=RELABEL.task.partition(", with\n\n")[0] + ".",
        body=TWO_FAULTS,
    ),
)
