"""Exercises of chapter 11: what guarded moves find, and the way of a search."""

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

MISSED = "missed at cell j: product over t of (1 - draws[t, j]); success = 1 - mean over j"


def one_number(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a success."""
    return wrong_array(result, (), "f", "one number, as a float")


def _finds(probing_success: Function, cases: list[tuple[Any, float]]) -> Counterexample | None:
    """A counterexample for the first failing case (draws, success)."""
    for draws, due in cases:
        if found := disagreement(probing_success, {"draws": np.array(draws, float)}, due):
            return found
    return None


@as_property(
    "one move finds one hole in K",
    equation="T = 1: sum over j of p_j / K = 1 / K",
    hint="The hole is at each cell with the same chance, however uneven the draw is.",
)
def _one_move(probing_success: Function) -> Counterexample | None:
    return _finds(probing_success, [([[1, 0, 0, 0, 0]], 0.2), ([[0.7, 0.3]], 0.5), ([[0.1, 0.2, 0.3, 0.4]], 0.25)])


@as_property(
    "one cell for ever is no better than once",
    equation="p_1 = 1: 1 - (K - 1) / K",
    hint="What was missed there once is missed there again. Do your moves find one hole several times?",
)
def _for_ever(probing_success: Function) -> Counterexample | None:
    return _finds(probing_success, [([[0, 1, 0]] * 4, 1 / 3), ([[1, 0, 0, 0, 0]] * 5, 0.2)])


@as_property(
    "another cell each time finds one hole more",
    equation="min(T, K) / K",
    hint="A hole at a cell that was probed for certain is found for certain.",
)
def _each_once(probing_success: Function) -> Counterexample | None:
    return _finds(probing_success, [(np.eye(5), 1.0), (np.eye(5)[:3], 0.6), (np.eye(4)[[2, 0]], 0.5)])


@as_property(
    "cells that are drawn alike, each move by itself, are missed by all moves with a power",
    equation="p_j = 1/K: 1 - (1 - 1/K)^T, 67.2 % for K = T = 5",
    hint="Moves that are drawn by themselves all miss with the product of their chances to miss.",
)
def _alike(probing_success: Function) -> Counterexample | None:
    return _finds(probing_success, [(np.full((5, 5), 0.2), 0.67232), (np.full((3, 2), 0.5), 0.875)])


@as_property(
    "an uneven draw is worse: the mean is over the holes, of what each is missed with",
    equation=MISSED,
    hint="First the product over the moves, for each cell; then the mean over the cells. Not the other way round.",
)
def _uneven(probing_success: Function) -> Counterexample | None:
    return _finds(probing_success, [([[0.8, 0.2]] * 2, 1 - (0.2**2 + 0.8**2) / 2)])


@as_property(
    "each move may draw in its own way",
    equation="a history of two: cell 1, then the others alike; K = 3, T = 3: 1/3 + 2/3 (1 - (1/2)^2) = 5/6",
    hint="Row t is of move t. Do you raise one row to the power T?",
)
def _in_its_own_way(probing_success: Function) -> Counterexample | None:
    return _finds(probing_success, [([[1, 0, 0], [0, 0.5, 0.5], [0, 0.5, 0.5]], 5 / 6)])


def _own_success() -> Function:
    from wellposed.envs.suites.peg.guarded import probing_success

    return probing_success


def points(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of points."""
    return wrong_array(result, (len(args[0]), 2), "f", "one point [2] for each length, as floats")


def _measured(
    spiral_points: Function, length: np.ndarray, pitch: float, due: Any, what: str, of: Any
) -> Counterexample | None:
    """A counterexample if what is measured of the points is not what is due."""
    found = of(np.asarray(spiral_points(length, pitch), float))
    if np.allclose(found, due, rtol=1e-3, atol=1e-9):
        return None
    given = f"length = {show(length)}, pitch = {show(pitch)}"
    return Counterexample(given, f"{what} {show(np.asarray(due, float))}", show(found))


def _radii(places: np.ndarray) -> np.ndarray:
    return np.linalg.norm(places, axis=1)


@as_property(
    "it begins in the middle",
    equation="s = 0: r = 0",
    hint="Where the hole is said to be is looked at first.",
)
def _begins(spiral_points: Function) -> Counterexample | None:
    return _measured(spiral_points, np.array([0.0]), 6e-4, [0.0], "a radius of", _radii)


@as_property(
    "a length covers an area",
    equation="pitch s = pi r^2",
    hint="A strip as wide as the pitch, s long, covers the disc. How far from the middle does it reach?",
)
def _covers(spiral_points: Function) -> Counterexample | None:
    for pitch in (6e-4, 2e-3):
        length = np.array([0.001, 0.01, 0.07])
        due = np.sqrt(pitch * length / np.pi)
        if found := _measured(spiral_points, length, pitch, due, "radii of", _radii):
            return found
    return None


@as_property(
    "a turn later it is a pitch farther out, in the same direction",
    equation="r = pitch angle / 2 pi",
    hint="The angle grows in proportion to the radius, by 2 pi for each pitch.",
)
def _turns(spiral_points: Function) -> Counterexample | None:
    pitch = 1e-3
    radii = pitch * np.array([1.2, 2.2, 3.2])
    length = np.pi * radii**2 / pitch

    def apart(places: np.ndarray) -> np.ndarray:
        return np.linalg.norm(np.diff(places, axis=0), axis=1)

    return _measured(spiral_points, length, pitch, [pitch, pitch], "points apart by", apart)


@as_property(
    "it turns counterclockwise from the x axis",
    equation="angle = 2 pi r / pitch; r = pitch / 4: a quarter of a turn, on the y axis",
    hint="x is the cosine and y the sine. Which of the two is in front?",
)
def _quarter(spiral_points: Function) -> Counterexample | None:
    pitch = 1e-3
    length = np.pi * (pitch * np.array([0.25, 1.0])) ** 2 / pitch
    due = pitch * np.array([[0, 0.25], [1, 0]])
    return _measured(spiral_points, length, pitch, due, "the points", lambda places: np.round(places, 9))


def _own_points() -> Function:
    from wellposed.envs.suites.peg.oracle import spiral_points

    return spiral_points


EXERCISES = (
    Write(
        id="11.1",
        title="Success of guarded moves",
        function="probing_success",
        parameters=("draws",),
        task="""
The probability that guarded moves find the hole, which lies at each of K cells with the same chance.

draws: [T, K] the probability with which each of T moves draws each cell; each row adds up to 1. Each move is drawn
    by itself, whatever the others drew.
Returns a float: the probability that at least one move draws the cell of the hole.
""",
        properties=(_one_move, _for_ever, _each_once, _alike, _uneven, _in_its_own_way),
        form=one_number,
        own=_own_success,
        put=in_place_of("course.measure.guarded.probing_success"),
        trial=trials.probe_cells,
    ),
    Write(
        id="11.2",
        title="The points of a spiral",
        function="spiral_points",
        parameters=("length", "pitch"),
        task="""
The points of an Archimedean spiral around the middle, which a search follows over the plate.

length: [n] lengths along the spiral in metres, from 0 on.
pitch: how far its turns lie apart, in metres.
Returns points [n, 2] in metres. The angle is 2 pi r / pitch, counterclockwise from the x axis, and the radius r
follows from the area that the length covers, which is a disc:

    pitch length = pi r^2
""",
        properties=(_begins, _covers, _turns, _quarter),
        form=points,
        own=_own_points,
        put=in_place_of("wellposed.envs.suites.peg.oracle.spiral_points"),
        trial=trials.search_hole,
    ),
)
