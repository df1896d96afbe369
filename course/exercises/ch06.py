"""Exercises of chapter 6: the phase that an interface costs, and the errors of a loop around the hand."""

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import numpy as np

from course.exercises import trials
from course.exercises.exercise import (
    Counterexample,
    Function,
    Write,
    as_property,
    disagreement,
    in_place_of,
    show_all,
    wrong_array,
)

RESPONSE = "F(w) = (1 - s) / (1 - s e^{-iw}) e^{-i d w}, and the cost is minus its angle"
LOOP = "error = target - place; asked = (1 - s) gain error / length + s asked before"
STEP = "place' = place + first a + coast w;  w' = kick a + kept w;  a = asked, `delay` steps late"


def one_angle(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a phase."""
    return wrong_array(result, (), "f", "one angle in radians, as a float")


def _phase(phase_cost: Function, cases: list[tuple[float, float, int]]) -> Counterexample | None:
    """A counterexample for the first failing case (frequency, smoothing, delay)."""
    for frequency, smoothing, delay in cases:
        answer = (1 - smoothing) / (1 - smoothing * np.exp(-1j * frequency))
        expected = -np.angle(answer) + delay * frequency
        given = {"frequency": frequency, "smoothing": smoothing, "delay": delay}
        if found := disagreement(phase_cost, given, expected):
            return found
    return None


@as_property(
    "an interface that is not there costs nothing",
    equation="s = 0, d = 0: F = 1",
    hint="The angle of the number 1 is 0, at every frequency.",
)
def _nothing(phase_cost: Function) -> Counterexample | None:
    return _phase(phase_cost, [(0.1, 0.0, 0), (2.0, 0.0, 0)])


@as_property(
    "a delay costs its steps times the frequency",
    equation="s = 0: F = e^{-i d w}, cost d w",
    hint="Frequencies are in radians per step and delays in steps, so no other unit is needed. A cost is a lag, and a "
    "lag is positive.",
)
def _delay(phase_cost: Function) -> Counterexample | None:
    return _phase(phase_cost, [(0.1, 0.0, 1), (0.3, 0.0, 2), (1.0, 0.0, 4)])


@as_property(
    "a slow motion loses s / (1 - s) steps to the filter",
    equation="w -> 0: F = 1 - i w s / (1 - s) + ...",
    hint="The filter's answer to an impulse is (1 - s), (1 - s) s, (1 - s) s^2, ...: how late is it on average?",
)
def _slow(phase_cost: Function) -> Counterexample | None:
    return _phase(phase_cost, [(1e-3, 0.5, 0), (1e-3, 0.8, 0)])


@as_property(
    "a fast motion loses what the frequency response says",
    equation="d = 0: cost = atan2(s sin w, 1 - s cos w)",
    hint="Draw 1 - s e^{-iw} in the plane: its angle is what the filter costs. At w = pi it is none.",
)
def _fast(phase_cost: Function) -> Counterexample | None:
    return _phase(phase_cost, [(0.5, 0.5, 0), (1.5, 0.7, 0), (3.0, 0.9, 0)])


@as_property(
    "filter and delay add up",
    equation=RESPONSE,
    hint="Responses of stages in a row are multiplied. What happens to their angles?",
)
def _both(phase_cost: Function) -> Counterexample | None:
    return _phase(phase_cost, [(0.2, 0.5, 1), (0.7, 0.8, 3)])


def _own_phase() -> Function:
    from wellposed.analysis.closed_loop import phase_cost

    return phase_cost


IDEAL = np.array([0.05, 0.0, 0.0, 0.0])  # a hand that goes where it is asked to, in one step
COASTING = np.array([0.03, 0.2, 0.01, -0.1])


def errors_of_all(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of errors."""
    return wrong_array(result, (len(args[0]),), "f", "one error for each target, as floats")


def _given(
    targets: Any, gain: float = 0.5, smoothing: float = 0.0, delay: int = 0, hand: np.ndarray = IDEAL
) -> dict[str, Any]:
    targets = np.asarray(targets, float)
    return {
        "targets": targets,
        "length": 0.05,
        "gain": gain,
        "smoothing": smoothing,
        "delay": delay,
        "hand": hand,
    }


@as_property(
    "an error is what the controller sees, before it acts",
    equation="error[0] = target[0], from a hand at rest at 0",
    hint="At each step the controller looks first, and then the hand moves.",
)
def _first(errors: Function) -> Counterexample | None:
    return disagreement(errors, _given([0.01]), [0.01]) or disagreement(errors, _given([-0.02], gain=1.0), [-0.02])


@as_property(
    "an ideal hand leaves 1 - gain of the error in each step",
    equation="no filter, no delay, first = length: error' = (1 - gain) error",
    hint="An action of 1 asks for a displacement of `length`. Which action asks for `gain` times the error?",
)
def _ideal(errors: Function) -> Counterexample | None:
    for gain in (0.5, 1.5):
        if found := disagreement(errors, _given(np.full(5, 0.01), gain), 0.01 * (1 - gain) ** np.arange(5)):
            return found
    return None


@as_property(
    "with a delay of d steps nothing happens for d steps",
    equation="a[t] = asked[t - d], 0 before",
    hint="The action of step t moves the hand in step t + d, so the error of step t + d + 1 is the first to show it.",
)
def _late(errors: Function) -> Counterexample | None:
    for delay, expected in ((1, [1, 1, 0.5, 0, -0.25]), (2, [1, 1, 1, 0.5, 0])):
        if found := disagreement(errors, _given(np.full(5, 0.01), delay=delay), 0.01 * np.array(expected)):
            return found
    return None


@as_property(
    "the filter lets 1 - s of a new wish through, and keeps s of the old",
    equation=LOOP,
    hint="A filter that is fed a constant must come to that constant: what do its two weights add up to?",
)
def _smooth(errors: Function) -> Counterexample | None:
    first, second = 0.4 * 0.5, 0.4 * 0.5 * 0.8 + 0.6 * 0.4 * 0.5
    expected = 0.01 * np.array([1, 1 - first, 1 - first - second])
    return disagreement(errors, _given(np.full(3, 0.01), smoothing=0.6), expected)


@as_property(
    "a hand that was moved coasts on",
    equation=STEP,
    hint="Its velocity before the step moves it in the step; its velocity after the step is for the next one.",
)
def _coasts(errors: Function) -> Counterexample | None:
    first, coast, kick, kept = COASTING
    place, speed, expected = 0.0, 0.0, []
    for target in (0.01, 0.01, 0.02, 0.0):
        expected.append(target - place)
        action = 0.5 * expected[-1] / 0.05
        place, speed = place + first * action + coast * speed, kick * action + kept * speed
    return disagreement(errors, _given([0.01, 0.01, 0.02, 0.0], hand=COASTING), expected, tolerance=1e-9)


@as_property(
    "twice the target causes twice the error",
    equation="the loop is linear",
    hint="Real actions end at -1 and 1, and a linear theory knows nothing of it: that is where its bound ends.",
)
def _linear(errors: Function) -> Counterexample | None:
    small, large = (_given(size * np.array([1.0, 1.0, -2.0, 0.5]), 0.8, 0.3, 1, COASTING) for size in (0.01, 1.0))
    due = 100 * np.asarray(errors(*small.values()))
    found = np.asarray(errors(*large.values()))
    return None if np.allclose(found, due, rtol=1e-6) else Counterexample(show_all(large), str(due), str(found))


def _errors_of_the_laboratory() -> Function:
    from wellposed.analysis.closed_loop import Loop

    return Loop.errors


def _own_errors() -> Function:
    from wellposed.analysis.closed_loop import Hand, Loop

    return lambda targets, length, gain, smoothing, delay, hand: Loop(
        Hand(*map(float, hand)), length, gain, smoothing, delay
    ).errors(targets)


def _put_errors(function: Function) -> AbstractContextManager[Any]:
    """The laboratory's loop with the reader's errors."""

    def errors(loop: Any, targets: np.ndarray) -> np.ndarray:
        return function(targets, loop.length, loop.gain, loop.smoothing, loop.delay, np.array(loop.hand))

    return patch("wellposed.analysis.closed_loop.Loop.errors", errors)


EXERCISES = (
    Write(
        id="6.1",
        title="What an interface costs in phase",
        function="phase_cost",
        parameters=("frequency", "smoothing", "delay"),
        task="""
The phase by which what arrives lags behind a sinusoidal action, through a filter and a delay.

frequency: w, radians per step, above 0 and below pi.
smoothing: s, the share of the action before that the filter keeps, 0 <= s < 1.
delay: d, whole steps.
Returns the lag as a float, in radians, positive: minus the angle of the frequency response

    F(w) = (1 - s) / (1 - s e^{-iw}) e^{-i d w}

for the filter, between 0 and pi / 2, plus that of the delay, which may be more than a turn.
""",
        properties=(_nothing, _delay, _slow, _fast, _both),
        form=one_angle,
        own=_own_phase,
        put=in_place_of("wellposed.analysis.closed_loop.phase_cost"),
        trial=trials.measure_phase,
    ),
    Write(
        id="6.2",
        title="The errors of a loop around the hand",
        function="errors",
        parameters=("targets", "length", "gain", "smoothing", "delay", "hand"),
        task="""
The error at each step of a hand that begins at rest at 0 and is led to targets by a proportional controller.

targets: [t] metres, the target at each step.
length: metres for which an action of 1 asks.
gain: share of the error for which the controller asks in a step.
smoothing: s, the share of the action before that the filter keeps; it begins at 0.
delay: d, steps by which actions arrive late; before the first one arrives the action is 0.
hand: [4] first, coast, kick, kept: how an action a moves a hand at `place` with the velocity w.
Returns the errors [t] in metres, each before the action of its step:

    error   = target - place
    asked   = (1 - s) gain error / length + s asked before
    a       = asked d steps ago
    place'  = place + first a + coast w
    w'      = kick a + kept w
""",
        properties=(_first, _ideal, _late, _smooth, _coasts, _linear),
        form=errors_of_all,
        own=_own_errors,
        put=_put_errors,
        trial=trials.track,
        solution=_errors_of_the_laboratory,
    ),
)
