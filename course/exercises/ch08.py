"""Exercises of chapter 8: what a mirror does to an observation, and when all things are in their places."""

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
    show,
    wrong_array,
)

NUMBERS = {"vector": 3, "turning": 3, "number": 1}


def one_sign_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of signs."""
    return wrong_array(result, (sum(NUMBERS[kind] for kind in args[0]),), "if", "one sign for each number")


def _signs(mirror_signs: Function, cases: list[tuple[tuple[str, ...], int, list[int]]]) -> Counterexample | None:
    """A counterexample for the first failing case (kinds, axis, signs)."""
    for kinds, axis, due in cases:
        if found := disagreement(mirror_signs, {"kinds": kinds, "axis": axis}, due):
            return found
    return None


@as_property(
    "a vector along the axis is turned round, one across it stays",
    equation="the mirror at x_axis = 0: x -> M x, M = diag(1, .., -1, .., 1)",
    hint="Hold a pen against a mirror, and then along it. Which of the two points elsewhere in the image?",
)
def _vectors(mirror_signs: Function) -> Counterexample | None:
    return _signs(mirror_signs, [(("vector",), axis, list(1 - 2 * np.eye(3, dtype=int)[axis])) for axis in range(3)])


@as_property(
    "a mirrored body moves as the image of the body does",
    equation="v = w x r: M (w x r) = w' x (M r), so w' = -M w",
    hint="A point at r of a body that turns with w has the velocity w x r. Which w' gives its image the mirrored one?",
)
def _turning(mirror_signs: Function) -> Counterexample | None:
    w, r = np.array([0.3, -0.7, 1.1]), np.array([0.5, 0.2, -0.4])
    for axis in range(3):
        vector, turning = (np.asarray(mirror_signs((kind,), axis), float) for kind in ("vector", "turning"))
        due, found = vector * np.cross(w, r), np.cross(turning * w, vector * r)
        if not np.allclose(due, found):
            given = f"axis = {axis}, w = {show(w)}, r = {show(r)}"
            return Counterexample(given, f"the velocity {show(due)}", f"{show(found)} from the mirrored w and r")
    return None


@as_property(
    "a number without a direction stays",
    equation="a width, a time, a share: x -> x",
    hint="It is one number, not three.",
)
def _numbers(mirror_signs: Function) -> Counterexample | None:
    return _signs(mirror_signs, [(("number", "number"), 1, [1, 1]), (("vector", "number"), 0, [-1, 1, 1, 1])])


@as_property(
    "signs stand in the order of the observation",
    equation="kinds = (turning, number, vector), axis 1: -1, 1, -1 | 1 | 1, -1, 1",
    hint="Go through the kinds one after another and put their signs end to end.",
)
def _in_order(mirror_signs: Function) -> Counterexample | None:
    return _signs(mirror_signs, [(("turning", "number", "vector"), 1, [-1, 1, -1, 1, 1, -1, 1])])


def _own_signs() -> Function:
    from wellposed.envs.geometry import mirror_signs

    return mirror_signs


def one_answer_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of successes."""
    return wrong_array(result, np.shape(args[0])[:-1], "b", "one bool for each pair of goals")


def _judged(
    all_in_place: Function,
    offsets: list,
    due: Any,
    parts: tuple[tuple[int, ...], ...] = ((0, 1), (2, 3)),
    tolerances: tuple[float, ...] = (1.0, 1.0),
) -> Counterexample | None:
    """A counterexample if goals that are off by these offsets [..., g] are judged otherwise than is due [...]."""
    achieved = np.array(offsets, float) + 0.25
    given = {
        "achieved_goal": achieved,
        "desired_goal": np.full_like(achieved, 0.25),
        "parts": parts,
        "tolerances": tolerances,
    }
    return disagreement(all_in_place, given, due)


@as_property(
    "what is exactly where it should be is in its place",
    equation="a = d: true, also where the tolerance is small",
    hint="The distance is 0 then. The answer is a bool, or an array of them.",
)
def _exactly(all_in_place: Function) -> Counterexample | None:
    return _judged(all_in_place, [[0, 0, 0, 0], [3, 0, 0, 3]], [True, False], tolerances=(1e-9, 1e-9))


@as_property(
    "the distance of a part is Euclidean",
    equation="|a - d| = sqrt(sum of squares over the numbers of the part)",
    hint="3 and 4 make 5, not 4 and not 7.",
)
def _euclidean(all_in_place: Function) -> Counterexample | None:
    whole = ((0, 1, 2, 3),)
    return _judged(all_in_place, [[3, 4, 0, 0]], [True], whole, (5.1,)) or _judged(
        all_in_place, [[3, -4, 0, 0]], [False], whole, (4.9,)
    )


@as_property(
    "each part is judged by itself, and one that is out of its place is enough",
    equation="success = |a_1 - d_1| <= t_1 and |a_2 - d_2| <= t_2",
    hint="Two errors that are both allowed do not add up to one that is not.",
)
def _each(all_in_place: Function) -> Counterexample | None:
    return _judged(all_in_place, [[0.8, 0, 0.8, 0], [0.8, 0, 1.2, 0], [1.2, 0, 0, 0]], [True, False, False])


@as_property(
    "each part has its own tolerance",
    equation="t = (t_1, t_2), in the order of the parts",
    hint="A button is within 0.5 or not; a cube within 4 cm.",
)
def _own_tolerance(all_in_place: Function) -> Counterexample | None:
    return _judged(all_in_place, [[0.5, 0, 0, 2], [2, 0, 0, 0.5]], [True, False], tolerances=(1.0, 3.0))


@as_property(
    "at the tolerance itself it still is in its place",
    equation="<=, as the suite has it",
    hint="An adapter says what the suite says, at the edge too; a test on random states seldom meets the edge.",
)
def _edge(all_in_place: Function) -> Counterexample | None:
    return _judged(all_in_place, [[0, 0.5, 0, 0]], [True], tolerances=(0.5, 0.5))


@as_property(
    "the numbers of a part may stand anywhere in a goal",
    equation="parts = ((0, 3), (1,)): a[0], a[3] are of one thing",
    hint="Take the numbers that the part names; some may belong to none.",
)
def _anywhere(all_in_place: Function) -> Counterexample | None:
    offsets = [[3, 0, 9, 4], [0, 1.5, 0, 0]]
    return _judged(all_in_place, offsets, [True, False], parts=((0, 3), (1,)), tolerances=(5.1, 1.0))


@as_property(
    "it takes one pair of goals, and any number of them",
    equation="[g] -> [], [2, 3, g] -> [2, 3]",
    hint="The numbers of a goal lie along the last axis; all others stay.",
)
def _shapes(all_in_place: Function) -> Counterexample | None:
    block = np.zeros((2, 3, 4))
    block[1, 2, 3] = 2.0
    due = np.ones((2, 3), bool)
    due[1, 2] = False
    return _judged(all_in_place, [0, 0, 0, 0], True) or _judged(all_in_place, block.tolist(), due)


def _own_success() -> Function:
    from wellposed.envs.goals import all_in_place

    return all_in_place


EXERCISES = (
    Write(
        id="8.1",
        title="What a mirror does to an observation",
        function="mirror_signs",
        parameters=("kinds", "axis"),
        task="""
The sign of each number of an observation in a mirror that stands across an axis of space.

kinds: what the observation holds, in order, as a tuple of words: "vector" (a position, a way or a velocity: three
    numbers), "turning" (an angular velocity, or angles about the three axes: three numbers), "number" (one that has
    no direction, such as a width).
axis: 0, 1 or 2. A position x has the image M x, and M turns round the component along this axis.
Returns an array [numbers] of 1 and -1. A point at r of a body that turns with w moves with w x r; the image of the
body must do the same with the images.
""",
        properties=(_vectors, _turning, _numbers, _in_order),
        form=one_sign_each,
        own=_own_signs,
        put=in_place_of("wellposed.envs.geometry.mirror_signs"),
        trial=trials.declare_mirror,
    ),
    Write(
        id="8.2",
        title="When all things are in their places",
        function="all_in_place",
        parameters=("achieved_goal", "desired_goal", "parts", "tolerances"),
        task="""
The success function of an adapter to a suite whose goals are the places of several things.

achieved_goal: [..., g] what is so.
desired_goal: [..., g] what should be.
parts: for each thing the numbers of a goal that are its own, as ((0, 1, 2), (3,)).
tolerances: for each thing the distance up to which it is in its place, itself included.
Returns bools [...]: whether every thing is in its place. The distance of a thing is Euclidean in its own numbers.
""",
        properties=(_exactly, _euclidean, _each, _own_tolerance, _edge, _anywhere, _shapes),
        form=one_answer_each,
        own=_own_success,
        put=in_place_of("wellposed.envs.goals.all_in_place"),
        trial=trials.judge_goals,
    ),
)
