"""Exercise 4.4: all of hindsight, from rows of a store of episodes to a minibatch that has other goals."""

from typing import Any

import numpy as np

from course.exercises.builds.together import Numbers, below, own, passed, replay_case
from course.exercises.ch04 import FUTURE
from course.exercises.exercise import (
    Build,
    Counterexample,
    Function,
    Property,
    Written,
    as_property,
    disagreement,
    show,
    wrong_array,
    wrong_arrays,
)


def rows_back(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of drawn rows."""
    return wrong_array(result, (args[2],), "iu", "one row for each transition, as integers")


def _rows(draw_transitions: Function, drawn: list[int], due: list[int]) -> Counterexample | None:
    """Rows of a store that holds episodes of 2 and of 1 transitions; its rows 2 and 4 are final states."""
    time, length, n = np.array([0, 1, 2, 0, 1]), np.array([2, 2, 2, 1, 1]), len(due)
    found = np.asarray(draw_transitions(time, length, n, Numbers(*drawn).integers))
    if np.array_equal(found, due):
        return None
    given = f"time = {show(time)}, length = {show(length)}, n = {n}, and draw gives one after another {drawn}"
    return Counterexample(given, show(np.array(due)), show(found))


@as_property(
    "rows that start a transition are taken as they are drawn",
    equation="an episode of L transitions has L + 1 rows, the states 0 .. L; row t starts transition t, if t < L",
    hint="`draw` gives rows of the whole store. Which of them can be used at once?",
)
def _taken(draw_transitions: Function) -> Counterexample | None:
    return _rows(draw_transitions, [3, 0, 1, 0], [3, 0, 1, 0])


@as_property(
    "a final state starts no transition",
    equation="time = length: the row is drawn again, the others stay",
    hint="After the last state of an episode comes the first of another: nobody acted between them. Only the rows that "
    "cannot be used are drawn again, and what comes takes their places.",
)
def _no_final(draw_transitions: Function) -> Counterexample | None:
    return _rows(draw_transitions, [2, 0, 4, 1, 3, 1], [3, 0, 1, 1])


@as_property(
    "it goes on until none is left",
    equation="as long as any has time = length",
    hint="What is drawn again may be a final state again.",
)
def _until(draw_transitions: Function) -> Counterexample | None:
    return _rows(draw_transitions, [2, 4, 0, 4, 2, 2, 1, 3], [3, 1, 0])


def moments_back(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of moments."""
    return wrong_array(result, args[0].shape, "iu", "one moment for each transition, as integers")


def _moments(future: Function, t: list[int], length: list[int], u: list[float], due: list[int]) -> Any:
    given = {"t": np.array(t), "length": np.array(length), "u": np.array(u)}
    return disagreement(future, given, due)


@as_property(
    "the earliest moment is the one that the transition led to",
    equation="u = 0: t + 1",
    hint="Transition t leads from state t to state t + 1. It has a part in what comes after, not in what was before.",
)
def _earliest(future: Function) -> Counterexample | None:
    return _moments(future, [0, 3, 4], [5, 5, 5], [0.0, 0.0, 0.0], [1, 4, 5])


@as_property(
    "the latest is the last state of its episode",
    equation="u just below 1: L",
    hint="The states are 0 .. L. How many are later than t?",
)
def _latest(future: Function) -> Counterexample | None:
    return _moments(future, [0, 3, 2], [5, 5, 9], [0.999, 0.999, 0.999], [5, 5, 9])


@as_property(
    "equal parts of [0, 1) lead to each moment in between",
    equation="t + 1 + floor(u (L - t)): " + FUTURE,
    hint="Cut [0, 1) into L - t equal pieces, one for each later state. Rounding to the nearest makes those at the "
    "ends half as wide.",
)
def _equal(future: Function) -> Counterexample | None:
    u = [0.0, 0.24, 0.26, 0.49, 0.51, 0.74, 0.76, 0.99]
    return _moments(future, [2] * 8, [6] * 8, u, [3, 3, 4, 4, 5, 5, 6, 6])


def goals_back(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of goals."""
    shape = (len(args[1]), args[0].shape[1])
    return wrong_array(result, shape, "f", "one goal for each transition, as floats")


def _goals(goals: Function, row: list[int], t: list[int], moment: list[int], due: list[float]) -> Any:
    """Goals out of a store of six rows, whose achieved goals are 0, 10, ... 50."""
    achieved = 10.0 * np.arange(6.0)[:, None]
    given = {"achieved": achieved, "row": np.array(row), "t": np.array(t), "moment": np.array(moment)}
    return disagreement(goals, given, np.array(due)[:, None])


@as_property(
    "the row of a moment is as far ahead as the moment",
    equation="the state of moment m lies m - t rows after the row of transition t",
    hint="Moments count from the beginning of an episode, rows from the beginning of the store. What they have in "
    "common is their difference.",
)
def _ahead(goals: Function) -> Counterexample | None:
    return _goals(goals, [1, 1, 3], [0, 0, 2], [1, 3, 3], [20.0, 40.0, 40.0])


@as_property(
    "behind the last row comes the first",
    equation="row := (row + m - t) modulo the number of rows",
    hint="The store is a ring: an episode that reaches its end goes on at its beginning.",
)
def _ring(goals: Function) -> Counterexample | None:
    return _goals(goals, [5, 4, 4], [1, 0, 0], [2, 2, 3], [0.0, 0.0, 10.0])


def count_back(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of a number of transitions."""
    whole = isinstance(result, (int, np.integer)) and not isinstance(result, bool)
    return None if whole else f"returns {show(result):.60}, expected one whole number of transitions"


@as_property(
    "without hindsight none is relabelled",
    equation="k = 0: 0",
    hint="k hindsight goals come to each original one. Which share is that?",
)
def _none(relabelled: Function) -> Counterexample | None:
    return disagreement(relabelled, {"b": 256, "k": 0}, 0)


@as_property(
    "k goals in hindsight for each original one",
    equation="k / (k + 1) of the minibatch: of 10 transitions 5 with k = 1, 8 with k = 4",
    hint="One of k + 1 keeps its goal.",
)
def _ratio(relabelled: Function) -> Counterexample | None:
    return disagreement(relabelled, {"b": 10, "k": 1}, 5) or disagreement(relabelled, {"b": 10, "k": 4}, 8)


@as_property(
    "it is the nearest whole number",
    equation="round(b k / (k + 1)): 204.8 of 256 are 205",
    hint="Cutting off the decimals always relabels too few.",
)
def _nearest(relabelled: Function) -> Counterexample | None:
    return disagreement(relabelled, {"b": 256, "k": 4}, 205)


def outcomes_back(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of rewards and terminations."""
    if not isinstance(result, tuple) or len(result) != 2:
        return f"returns {show(result):.60}, expected two arrays: rewards and whether they terminated"
    shape = args[2].shape
    return wrong_array(result[0], shape, "f", "one reward for each transition, as floats") or wrong_array(
        result[1], shape, "fbiu", "0 or 1 for each transition"
    )


def _never(achieved: np.ndarray, _desired: np.ndarray) -> np.ndarray:
    """An environment that goes on at its goal."""
    return np.zeros(achieved.shape[:-1], bool)


def _outcome(outcomes: Function, part: int, failed: list[float], due: list[float], ends: Any = _never) -> Any:
    given = {
        "next_achieved": np.array([[1.0], [2.0], [3.0]]), "goal": np.array([[1.0], [5.0], [2.0]]),
        "failed": np.array(failed), "compute_reward": below, "compute_terminated": ends,
    }  # fmt: skip
    return disagreement(lambda *args: outcomes(*args)[part], given, due)


@as_property(
    "the reward is that of the new goal",
    equation="r := r(s', g'), asked as compute_reward(achieved, desired) (arXiv 1707.01495, algorithm 1)",
    hint="Not every goal of the future is reached by the transition itself. The environment says which, and it wants "
    "to know first what was achieved.",
)
def _judged(outcomes: Function) -> Counterexample | None:
    return _outcome(outcomes, 0, [0.0, 0.0, 0.0], [0.0, -1.0, 0.0])


@as_property(
    "termination is that of the new goal",
    equation="terminated := terminated(s', g')",
    hint="The environment says whether an episode ends there under the new goal. Where it goes on at its goal, "
    "reaching it ends nothing: the reward is no answer.",
)
def _ends(outcomes: Function) -> Counterexample | None:
    nothing = [0.0, 0.0, 0.0]
    return _outcome(outcomes, 1, nothing, [0, 0, 1], passed) or _outcome(outcomes, 1, nothing, nothing)


@as_property(
    "a failure stays a failure",
    equation="failed = 1: terminated = 1, whatever the goal is",
    hint="What broke or fell has no future under another goal either: its value must not be hoped for.",
)
def _fails(outcomes: Function) -> Counterexample | None:
    return _outcome(outcomes, 1, [0.0, 1.0, 1.0], [0, 1, 1], passed)


def minibatch_back(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of a minibatch."""
    store, b = args[0], args[1]
    shapes = {"observation": "observation", "action": "action", "next_observation": "observation",
              "desired_goal": "desired_goal", "reward": "reward", "terminated": "terminated"}  # fmt: skip
    return wrong_arrays(result, {name: np.zeros((b, *store[of].shape[1:])) for name, of in shapes.items()})


def _as_replay(*names: str, name: str, equation: str, hint: str) -> Property:
    """The property that entries of the minibatch are those of the laboratory's replay."""

    def search(sample: Function) -> Counterexample | None:
        given, places, due = replay_case()
        draw = Numbers(*places, *[_beginning(given["store"])] * 1000).integers
        found = sample(*(given | {"draw": draw}).values())
        for one in names:
            wrong = ~np.isclose(np.asarray(found[one], float), due[one], rtol=1e-6).reshape(given["b"], -1).all(axis=1)
            if wrong.any():
                i = int(np.flatnonzero(wrong)[0])
                what = f"a store of {len(given['store']['time'])} rows, b = {given['b']}, k = {given['k']}"
                return Counterexample(what, f"{one}[{i}] = {show(due[one][i])}", show(np.asarray(found[one])[i]))
        return None

    return Property(name, equation, hint, search)


def _beginning(store: dict[str, np.ndarray]) -> int:
    """A row that starts a transition."""
    return int(np.flatnonzero(store["time"] == 0)[0])


TOGETHER = (
    _as_replay(
        "observation",
        "action",
        "next_observation",
        name="it holds what was done",
        equation="s and a of the row that was drawn, s' of the next row, on the ring",
        hint="Hindsight changes none of these. The successor of the last row is the first.",
    ),
    _as_replay(
        "desired_goal",
        name="the first of them pursue what was achieved later",
        equation="i < round(b k / (k + 1)): g := achieved goal of the moment that u[i] chooses; else g of the row",
        hint="Each transition has a number of its own in u, in the same order, also those that keep their goals.",
    ),
    _as_replay(
        "reward",
        name="their rewards are those of their goals",
        equation="i < round(b k / (k + 1)): r := r(s', g); else r of the row",
        hint="It is asked with what the next row achieved.",
    ),
    _as_replay(
        "terminated",
        name="so are their terminations, and failures stay",
        equation="i < round(b k / (k + 1)): terminated := terminated(s', g) or failed; else that of the row",
        hint="Whether a row failed stands in the store.",
    ),
)
EPISODES, HINDSIGHT = "wellposed.data.episodes", "wellposed.data.hindsight"
EXERCISE = Build(
    id="4.4",
    title="All of hindsight",
    about="""
Six functions on the way from a store of episodes to a relabelled minibatch; the last one puts the others together.
`wellposed exercise check` goes step by step and stops at the first that is not right yet. Random numbers are handed in,
so that your minibatch must be the laboratory's, number by number.

The store is a ring of rows: an episode of L transitions lies in L + 1 rows that follow each other, its states 0 .. L.
The last row of an episode holds its final state alone; the first row of the store follows the last one.
""",
    imports="import numpy as np",
    steps=(
        Written(
            function="draw_transitions",
            parameters=("time", "length", "n", "draw"),
            task="""
Rows of n transitions, uniform over all that the store holds.

time: the moment t of the state in each row, integers [rows].   length: L of its episode, integers [rows].
draw: a function of m that returns m random rows of the store, integers [m].
Returns rows, integers [n]: n are drawn; as long as some of them are final states, time = length, these are drawn
again, all of them at once, each into its place.
""",
            properties=(_taken, _no_final, _until),
            form=rows_back,
            own=own(EPISODES, "ReplayBuffer.draw"),
        ),
        Written(
            function="future",
            parameters=("t", "length", "u"),
            task="""
For each transition the moment whose achieved goal becomes its goal: strategy `future`.

t: of the transitions, integers [n]; transition t leads from state t to state t + 1.   length: L, integers [n].
u: random numbers, uniform in [0, 1), floats [n].
Returns moments, integers [n]: t + 1 .. L, to each of which an equally large part of [0, 1) leads, in this order.
""",
            properties=(_earliest, _latest, _equal),
            form=moments_back,
            own=own(HINDSIGHT, "future"),
        ),
        Written(
            function="goals",
            parameters=("achieved", "row", "t", "moment"),
            task="""
What was achieved at these moments.

achieved: the achieved goal in each row of the store, floats [rows, g].
row, t: of the transitions, integers [n].   moment: of the same episodes, integers [n].
Returns the goals, floats [n, g]. The store is a ring.
""",
            properties=(_ahead, _ring),
            form=goals_back,
            own=own(EPISODES, "ReplayBuffer._goals_of"),
        ),
        Written(
            function="relabelled",
            parameters=("b", "k"),
            task="""
How many of b transitions get a goal in hindsight, if k do for each that keeps its own.

b, k: whole numbers, b > 0, k >= 0.
Returns a whole number, the nearest to the share k / (k + 1).
""",
            properties=(_none, _ratio, _nearest),
            form=count_back,
            own=own(HINDSIGHT, "relabelled_share"),
        ),
        Written(
            function="outcomes",
            parameters=("next_achieved", "goal", "failed", "compute_reward", "compute_terminated"),
            task="""
Reward and termination of transitions under their new goals.

next_achieved: what the successors achieved, floats [n, g].   goal: the new goals, floats [n, g].
failed: 1 where the episode ended there by failure, else 0, floats [n].
compute_reward, compute_terminated: the environment's functions (achieved, desired) -> [n].
Returns two arrays, the rewards [n] and whether they terminated [n].
""",
            properties=(_judged, _ends, _fails),
            form=outcomes_back,
            own=own(HINDSIGHT, "relabel"),
        ),
        Written(
            function="sample",
            parameters=("store", "b", "k", "draw", "u", "compute_reward", "compute_terminated"),
            task="""
A minibatch of b transitions, the first of which pursue in hindsight what was achieved later.

store: a dictionary of arrays [rows, ...]: observation, achieved_goal, desired_goal, action, reward, terminated,
failed, time, length.   b, k: whole numbers.   draw: as in step 1.   u: as in step 2, one for each transition.
compute_reward, compute_terminated: as in step 5.
Returns a dictionary of arrays [b, ...]: observation, action, next_observation, desired_goal, reward, terminated.
The first relabelled(b, k) have goals in hindsight, with their rewards and terminations; the others are as recorded.
""",
            properties=TOGETHER,
            form=minibatch_back,
            own=own(EPISODES, "ReplayBuffer.sample"),
        ),
    ),
)
