"""Exercises of chapter 0: the confidence interval of a rate, and bit-for-bit equality."""

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
    show,
    show_all,
)

Z = 1.959963984540054  # the standard normal quantile of 97.5 %
WILSON = "the ends are the rates q with |k/n - q| = z sqrt(q (1 - q) / n), z = 1.96 (Wilson 1927, JASA 22)"


def pair_of_numbers(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of an interval."""
    if result is None:
        return "returns None, expected the pair (low, high): is there a `return`?"
    if not isinstance(result, tuple) or len(result) != 2 or any(np.ndim(end) for end in result):
        return f"returns {show(result)}, expected the pair (low, high) of two numbers"
    if not all(isinstance(end, (int, float, np.number)) and np.isfinite(end) for end in result):
        return f"returns {show(result)}, expected two finite numbers"
    return None


@as_property(
    "the interval holds the observed rate and stays within [0, 1]",
    equation="0 <= low <= k/n <= high <= 1, because each end is itself a rate",
    hint="Which rates q could have given k of n? Judge each q by its own standard error, sqrt(q (1 - q) / n), and not "
    "by that of the observed rate: then no q outside [0, 1] is ever a candidate.",
)
def _inside(wilson: Function) -> Counterexample | None:
    for n in (1, 2, 5, 20):
        for k in range(n + 1):
            low, high = wilson(k, n)
            if not -1e-9 <= low <= k / n + 1e-9 or not k / n - 1e-9 <= high <= 1 + 1e-9:
                given = {"successes": k, "trials": n}
                return Counterexample(show_all(given), f"0 <= low <= {k / n:.4g} <= high <= 1", show((low, high)))
    return None


@as_property(
    "0 of n, and n of n, leave doubt",
    equation="at k = 0 the equation of the ends is q = z sqrt(q (1 - q) / n), so low = 0, high = z^2 / (n + z^2)",
    hint="Ten failures in ten trials do not prove that success is impossible. Put k = 0 into your formula by hand: a "
    "standard error that vanishes there was taken at the observed rate.",
)
def _doubt(wilson: Function) -> Counterexample | None:
    for n in (1, 10, 100):
        doubt = Z**2 / (n + Z**2)
        for k, ends in ((0, (0.0, doubt)), (n, (1 - doubt, 1.0))):
            if found := disagreement(wilson, {"successes": k, "trials": n}, ends, 5e-5):
                return found
    return None


@as_property(
    "failures and successes are treated alike",
    equation="the interval of n - k of n is (1 - high, 1 - low) of the interval of k of n",
    hint="Rename success to failure: nothing about the uncertainty has changed. Something in the formula has not "
    "followed, often a correction with the wrong sign.",
)
def _mirror(wilson: Function) -> Counterexample | None:
    for k, n in ((1, 5), (80, 100)):
        low, high = wilson(k, n)
        if found := disagreement(wilson, {"successes": n - k, "trials": n}, (1 - high, 1 - low), 1e-6):
            return found
    return None


@as_property(
    "both ends solve Wilson's equation",
    equation=WILSON,
    hint="Square the equation of the ends and sort by powers of q: it is quadratic, and its two roots are the ends. "
    "For 95 % the quantile is 1.96: neither 2, nor 1.645, which leaves 5 % on one side.",
)
def _equation(wilson: Function) -> Counterexample | None:
    for k, n in ((80, 100), (1, 5), (7, 10), (499, 500)):
        p = k / n
        ends = np.sort(np.roots([1 + Z**2 / n, -2 * p - Z**2 / n, p**2]))  # (p - q)^2 = z^2 q (1 - q) / n
        if found := disagreement(wilson, {"successes": k, "trials": n}, tuple(ends), 5e-5):
            return found
    return None


@as_property(
    "what is certain is exact",
    equation="at k = 0 low = 0, at k = n high = 1, to the last bit; and never low < 0 or high > 1",
    hint="The formula gives these two ends up to rounding, a hair beside 0 or 1 and on either side of it. What is "
    "known without computing need not be computed.",
)
def _exact(wilson: Function) -> Counterexample | None:
    for n in range(1, 60):
        for k in (0, n):
            low, high = wilson(k, n)
            if (low if k == 0 else high) != k / n or not 0 <= low <= high <= 1:
                due = "low = 0" if k == 0 else "high = 1"
                given = {"successes": k, "trials": n}
                return Counterexample(show_all(given), f"exactly {due}, and both within [0, 1]", repr((low, high)))
    return None


def _wilson() -> Function:
    from wellposed.stats import wilson

    return wilson


def _own_wilson() -> Function:
    wilson = _wilson()
    return lambda successes, trials: tuple(wilson(successes, trials)[1:])


def _put_wilson(function: Function) -> AbstractContextManager[Any]:
    """Wraps the reader's function: the laboratory's also validates its arguments and returns the rate."""
    from wellposed import stats

    original = stats.wilson

    def wilson(successes: int, trials: int, confidence: float = 0.95) -> stats.Interval:
        if confidence != 0.95:
            return original(successes, trials, confidence)
        low, high = function(successes, trials)
        return stats.Interval(original(successes, trials).estimate, float(low), float(high))

    return patch.object(stats, "wilson", wilson)


def truth(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a yes or no."""
    return None if isinstance(result, (bool, np.bool_)) else f"returns {show(result)}, expected True or False"


def _state() -> dict[str, np.ndarray]:
    """A small state with the kinds of arrays that a checkpoint holds."""
    return {
        "weights": np.array([[0.5, -1.25, 3.0], [2.0, 0.0, 1.0]], np.float32),
        "updates": np.array(640),
        "key": np.array([7, 11], np.uint32),
        "nothing": np.zeros((0, 3)),
    }


def _compare(function: Function, one: dict, other: dict, same: bool, difference: str) -> Counterexample | None:
    """A counterexample if the function gives the wrong answer for two states."""
    found = function(one, other)
    return None if bool(found) == same else Counterexample(difference, str(same), str(found))


def _changed(name: str, array: np.ndarray) -> dict[str, np.ndarray]:
    return _state() | {name: array}


@as_property(
    "a state is the same as its copy, in whatever order its names are",
    equation="same(x, y) if and only if names(x) = names(y) and bits(x[name]) = bits(y[name]) for every name",
    hint="A dictionary is a set of pairs: its order means nothing. Arrays without numbers, and single numbers, are "
    "arrays too.",
)
def _copy(same_bits: Function) -> Counterexample | None:
    turned = dict(reversed(_state().items()))
    return _compare(same_bits, _state(), turned, True, f"one = {show(_state())}, other = the same, names in reverse")


@as_property(
    "names that only one state has are a difference",
    equation="names(x) = names(y), as sets",
    hint="A walk over the names of one state sees nothing of a name that only the other has. And a state without any "
    "name is not the same as one with some.",
)
def _names(same_bits: Function) -> Counterexample | None:
    more, less = _changed("extra", np.zeros(2)), {}
    return (
        _compare(same_bits, _state(), more, False, "other has one array more, 'extra'")
        or _compare(same_bits, more, _state(), False, "one has one array more, 'extra'")
        or _compare(same_bits, less, _state(), False, "one = {}, other has four arrays")
    )


@as_property(
    "the last bit of a single number is a difference",
    equation="bits(x) = bits(y): nothing is close, it is equal or not",
    hint="A tolerance hides the very thing that is looked for: training amplifies one last bit into another policy.",
)
def _last_bit(same_bits: Function) -> Counterexample | None:
    weights = _state()["weights"]
    weights[1, 2] = np.nextafter(weights[1, 2], np.float32(2))
    given = f"the last of 'weights' is {_state()['weights'][1, 2]!r} in one and {weights[1, 2]!r} in the other"
    return _compare(same_bits, _state(), _changed("weights", weights), False, given)


@as_property(
    "the same NaN is the same",
    equation="bits(x) = bits(y), although NaN = NaN is false in floating point (IEEE 754)",
    hint="Equality of numbers is not equality of bits. A state that holds a NaN must still equal its own copy; compare "
    "what is stored, not what it stands for.",
)
def _nan(same_bits: Function) -> Counterexample | None:
    holed = np.array([1.0, np.nan])
    one, other = _changed("statistics", holed), _changed("statistics", holed.copy())
    return _compare(same_bits, one, other, True, "both hold statistics = [1. nan], the same bits")


@as_property(
    "the number type is part of the state",
    equation="type(x[name]) = type(y[name])",
    hint="1.0 as float32 and 1.0 as float64 compare equal, and eight bytes of zeros are the integer 0 as well as 0.0. "
    "Whoever goes on from such a state computes something else.",
)
def _type(same_bits: Function) -> Counterexample | None:
    wide = _state()["weights"].astype(np.float64)
    return _compare(
        same_bits, _state(), _changed("weights", wide), False, "'weights' is float32 in one, float64 in the other"
    ) or _compare(
        same_bits, {"n": np.zeros(2, np.int64)}, {"n": np.zeros(2)}, False, "n = [0 0], int64 in one, float64 in other"
    )


@as_property(
    "the shape is part of the state",
    equation="shape(x[name]) = shape(y[name])",
    hint="The same six numbers in two rows or in three are different arrays; a comparison that broadcasts, and one of "
    "bytes alone, both miss it.",
)
def _shape(same_bits: Function) -> Counterexample | None:
    weights = _state()["weights"]
    ones, row = {"w": np.ones((2, 3))}, {"w": np.ones(3)}
    return _compare(
        same_bits,
        _state(),
        _changed("weights", weights.reshape(3, 2)),
        False,
        "the same six numbers as [2, 3] and [3, 2]",
    ) or _compare(same_bits, ones, row, False, "ones of shape [2, 3] in one, [3] in the other")


@as_property(
    "minus zero is not zero",
    equation="bits(-0.0) != bits(0.0), although -0.0 = 0.0 in floating point (IEEE 754)",
    hint="1 / 0.0 and 1 / -0.0 are infinities of opposite sign, so the two do not always lead on to the same numbers. "
    "An array knows its own bytes.",
)
def _zero(same_bits: Function) -> Counterexample | None:
    one, other = {"v": np.array([0.0])}, {"v": np.array([-0.0])}
    return _compare(same_bits, one, other, False, "v = [0.] in one, [-0.] in the other")


def _own_same_bits() -> Function:
    from wellposed.arrays import same_bits

    return same_bits


EXERCISES = (
    Write(
        id="0.1",
        title="What a rate says",
        function="wilson",
        parameters=("successes", "trials"),
        imports="import math",
        task="""
The 95 % Wilson score interval of a success rate.

successes: k, an integer from 0 to n.   trials: n, an integer of at least 1.
Returns the pair (low, high) of floats: the two rates q that are exactly z = 1.96 of their own
standard errors away from the observed rate k/n,

    |k/n - q| = z sqrt(q (1 - q) / n).
""",
        properties=(_inside, _doubt, _mirror, _equation, _exact),
        form=pair_of_numbers,
        own=_own_wilson,
        put=_put_wilson,
        trial=trials.train("FetchReach-v4"),
        solution=_wilson,
    ),
    Write(
        id="0.2",
        title="The same, bit for bit",
        function="same_bits",
        parameters=("one", "other"),
        task="""
Whether two states are the same to the last bit.

one, other: dictionaries of NumPy arrays, name -> array of any shape and number type.
Returns True or False. They are the same if they hold the same names and, under each name, arrays
of the same number type, the same shape and the same bits: NaN equals itself then, and -0.0 is not 0.0.
""",
        properties=(_copy, _names, _last_bit, _nan, _type, _shape, _zero),
        form=truth,
        own=_own_same_bits,
        put=in_place_of("wellposed.arrays.same_bits"),
        trial=trials.compare_states,
    ),
)
