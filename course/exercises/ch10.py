"""Exercises of chapter 10: what choosing adds to a success rate, and what data tell of parameters."""

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


def one_rate(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a success rate."""
    return wrong_array(result, (), "f", "one number, as a float")


def _best(expected_best: Function, cases: list[tuple[list[float], int, float]]) -> Counterexample | None:
    """A counterexample for the first failing case (rates, episodes, what is due)."""
    for rates, episodes, due in cases:
        if found := disagreement(expected_best, {"rates": np.array(rates), "episodes": episodes}, due):
            return found
    return None


@as_property(
    "one policy alone is seen as it is on average",
    equation="n = 1: E[K / m] = p",
    hint="Nothing was chosen. What is the mean of a binomial number, and what is it divided by?",
)
def _alone(expected_best: Function) -> Counterexample | None:
    return _best(expected_best, [([0.3], 1, 0.3), ([0.3], 7, 0.3), ([0.9], 100, 0.9)])


@as_property(
    "the better of two coins after one toss each shows heads three times of four",
    equation="E[max] = 1 - (1 - p)^2 = 3/4 for p = 1/2",
    hint="It is the mean of the highest, not the highest of the means.",
)
def _coins(expected_best: Function) -> Counterexample | None:
    return _best(expected_best, [([0.5, 0.5], 1, 0.75), ([0.5] * 3, 1, 0.875)])


@as_property(
    "with two tosses each it is 11/16, which no bell curve gives",
    equation="P(max >= 1) = 1 - (1/4)^2, P(max >= 2) = 1 - (3/4)^2: their mean is 11/16",
    hint="The sum over k from 1 to m of P(max >= k), divided by m. P(max < k) is a product.",
)
def _tosses(expected_best: Function) -> Counterexample | None:
    return _best(expected_best, [([0.5, 0.5], 2, 11 / 16)])


@as_property(
    "policies may be of different quality",
    equation="P(max < k) = prod over policies of P(K_i < k)",
    hint="Each has a distribution of its own. One that never fails is always the best.",
)
def _different(expected_best: Function) -> Counterexample | None:
    return _best(expected_best, [([0.2, 0.6], 1, 1 - 0.8 * 0.4), ([0.1, 1.0, 0.5], 5, 1.0), ([0.0, 0.4], 9, 0.4)])


@as_property(
    "a number of a thousand episodes is no trouble",
    equation="twenty policies of 90 %, 1000 episodes each: 91.73 %",
    hint="Powers and factorials of large numbers overflow. SciPy has the distribution: scipy.stats.binom.cdf.",
)
def _large(expected_best: Function) -> Counterexample | None:
    return _best(expected_best, [([0.9] * 20, 1000, 0.9173311)])


def _own_best() -> Function:
    from wellposed.stats import expected_best

    return expected_best


def one_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of half-widths."""
    return wrong_array(result, (np.shape(args[0])[1],), "f", "one half-width for each parameter, as floats")


def _widths(half_widths: Function, slopes: Any, due: list[float], z: float = 1.0, limit: float = 1e3) -> Any:
    """A counterexample if the half-widths for these slopes are not what is due."""
    return disagreement(half_widths, {"slopes": np.array(slopes, float), "z": z, "limit": limit}, due)


@as_property(
    "one parameter is known as well as a mean",
    equation="information = sum of squared slopes, half-width = z / sqrt(information)",
    hint="Twice as large a slope is worth four readings.",
)
def _mean(half_widths: Function) -> Counterexample | None:
    return _widths(half_widths, [[2.0]] * 25, [0.1]) or _widths(half_widths, [[3.0], [-4.0]], [0.4], z=2.0)


@as_property(
    "a second parameter that does something similar widens the first one's interval",
    equation="variance = diagonal of the inverse of J^T J, which exceeds 1 / diagonal of J^T J",
    hint="Invert the matrix, and then take its diagonal.",
)
def _similar(half_widths: Function) -> Counterexample | None:
    slopes = [[1.0, 0.0], [1.0, 1.0]]
    return _widths(half_widths, slopes, [1.0, np.sqrt(2)])


@as_property(
    "two parameters that enter as a product are not told, however many readings there are",
    equation="slopes of log a and log b are the same: J^T J has the null direction (1, -1) / sqrt(2)",
    hint="A pseudo-inverse sets what is not known to zero. Which is the half-width of what is not known?",
)
def _product(half_widths: Function) -> Counterexample | None:
    return _widths(half_widths, [[2.0, 2.0]] * 50, [np.inf, np.inf])


@as_property(
    "a third parameter stays as well known as it is",
    equation="it has no share in the null direction",
    hint="Only parameters that change along the direction without information are not told.",
)
def _third(half_widths: Function) -> Counterexample | None:
    slopes = [[2.0, 2.0, 0.0]] * 4 + [[0.0, 0.0, 5.0]] * 4
    return _widths(half_widths, slopes, [np.inf, np.inf, 0.1])


@as_property(
    "what is hardly told counts as not told",
    equation="half-width > limit: infinite",
    hint="Rounding never leaves an eigenvalue at exactly zero. `limit` says from which half-width on nothing is known.",
)
def _hardly(half_widths: Function) -> Counterexample | None:
    slopes = [[1.0, 1.0], [1.0, 1.0 + 1e-7]]
    return _widths(half_widths, slopes, [np.inf, np.inf]) or _widths(
        half_widths, [[0.5, 0.0], [0.0, 10.0]], [np.inf, 0.1], limit=1.5
    )


def _own_widths() -> Function:
    from wellposed.identify import half_widths

    return half_widths


EXERCISES = (
    Write(
        id="10.1",
        title="What choosing adds",
        function="expected_best",
        parameters=("rates", "episodes"),
        task="""
The mean of the highest success that is seen where several policies play, each on episodes of its own.

rates: [n] true success of each policy.
episodes: m, how many each of them plays, at least 1.
Returns a float: E[max over policies of K_i / m], where K_i is the number of successes of policy i, binomial with m
trials and the probability rates[i], independent of the others. For a number K in 0, ..., m

    E[K] = sum over k = 1, ..., m of P(K >= k)
""",
        properties=(_alone, _coins, _tosses, _different, _large),
        form=one_rate,
        own=_own_best,
        put=in_place_of("wellposed.stats.expected_best"),
        trial=trials.choose_policies,
    ),
    Write(
        id="10.2",
        title="What data tell of parameters",
        function="half_widths",
        parameters=("slopes", "z", "limit"),
        task="""
Half-widths of the intervals of parameters that were fitted to readings; infinite for what these do not tell.

slopes: [m, p] by how much each reading changes with each parameter, in standard deviations of a reading.
z: half-width of an interval in standard errors.
limit: a direction of parameters along which the half-width exceeds this is not told.
Returns floats [p]. Along the eigenvector v of J^T J (J: slopes) with the eigenvalue w the half-width is
z / sqrt(w). A parameter that has more than a hundredth of its square along directions that are not told has an
infinite one; for others the directions that are told add up, in squares.
""",
        properties=(_mean, _similar, _product, _third, _hardly),
        form=one_each,
        own=_own_widths,
        put=in_place_of("wellposed.identify.half_widths"),
        trial=trials.identify_drive,
    ),
)
