"""Exercises of chapter 7: what hindsight learns under noise, and a curve that never rises."""

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

BIAS = "sum p y (rho + k w) / sum p (rho + k w) - sum p y = k Cov(y, w) / (rho + k E[w])"


def one_number(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a bias."""
    return wrong_array(result, (), "f", "one number, as a float")


def _bias(function: Function, k: float, rho: float, outcomes: tuple[list, list, list], due: float) -> Any:
    """A counterexample if the bias of outcomes (y, w, p) is not what is due."""
    y, w, p = (np.array(one, float) for one in outcomes)
    return disagreement(function, {"k": float(k), "rho": rho, "y": y, "w": w, "p": p}, due)


@as_property(
    "without relabelled goals nothing is off",
    equation="k = 0: sum p y rho / rho = E[y]",
    hint="What is k a factor of, in the numerator?",
)
def _no_hindsight(hindsight_bias: Function) -> Counterexample | None:
    return _bias(hindsight_bias, 0, 1.0, ([1, 0], [2, 1], [0.3, 0.7]), 0.0)


@as_property(
    "an action with one outcome is learnt as it is",
    equation="one outcome: Cov(y, w) = 0",
    hint="A covariance is about deviations from the mean. There are none here, however large y and w are.",
)
def _one_outcome(hindsight_bias: Function) -> Counterexample | None:
    return _bias(hindsight_bias, 4, 1.0, ([0.5], [3], [1]), 0.0)


@as_property(
    "a goal that tells nothing about the outcome is a sound one",
    equation="w the same for all outcomes: Cov(y, w) = 0",
    hint="All means are over what may happen, each outcome with its probability.",
)
def _independent(hindsight_bias: Function) -> Counterexample | None:
    return _bias(hindsight_bias, 4, 1.0, ([1, 0, 0.5], [2, 2, 2], [0.1, 0.7, 0.2]), 0.0)


@as_property(
    "the gamble of chapter 4 looks better than it is",
    equation="y = w, hit with probability q: (k + 1) q / (1 + k q) - q",
    hint="Each hit is replayed k + 1 times as a success. Are the means weighted with the probabilities?",
)
def _gamble(hindsight_bias: Function) -> Counterexample | None:
    for k, q in ((4, 0.1), (1, 0.3)):
        due = (k + 1) * q / (1 + k * q) - q
        if found := _bias(hindsight_bias, k, 1.0, ([1, 0], [1, 0], [q, 1 - q]), due):
            return found
    return None


@as_property(
    "goals that are pursued count too",
    equation=BIAS,
    hint="All transitions with this goal have a weight: rho for those that pursued it, k w for those given it.",
)
def _pursued(hindsight_bias: Function) -> Counterexample | None:
    for rho in (2.0, 0.5):
        if found := _bias(hindsight_bias, 2, rho, ([1, 0], [3, 1], [0.5, 0.5]), 2 * 0.5 / (rho + 4)):
            return found
    return None


@as_property(
    "what succeeds and is replayed less looks worse than it is",
    equation="Cov(y, w) may be negative",
    hint="Optimism is the rule and no law. Is there an absolute value or a maximum?",
)
def _pessimism(hindsight_bias: Function) -> Counterexample | None:
    return _bias(hindsight_bias, 4, 1.0, ([1, 0], [0, 1], [0.5, 0.5]), -1 / 3)


def _own_bias() -> Function:
    from wellposed.analysis.perturbation import hindsight_bias

    return hindsight_bias


def as_many(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of rates."""
    return wrong_array(result, (len(args[0]),), "f", "one rate for each level, as floats")


def _falls(falling: Function, cases: list[tuple[list[float], list[float]]]) -> Counterexample | None:
    """A counterexample for the first failing case (rates, what is due)."""
    for rates, due in cases:
        if found := disagreement(falling, {"rates": np.array(rates)}, due):
            return found
    return None


@as_property(
    "a curve that falls stays as it is",
    equation="r[0] >= r[1] >= ...: f = r",
    hint="The nearest curve that never rises is then the curve itself.",
)
def _stays(falling: Function) -> Counterexample | None:
    return _falls(falling, [([0.9, 0.4, 0.4, 0.1], [0.9, 0.4, 0.4, 0.1]), ([0.7], [0.7])])


@as_property(
    "two levels of which the second is higher become their mean",
    equation="least sum of (f - r)^2 with f[0] >= f[1]: f[0] = f[1] = (r[0] + r[1]) / 2",
    hint="Neither of the two is to be believed more than the other: what minimises the sum of both squares?",
)
def _pools(falling: Function) -> Counterexample | None:
    return _falls(falling, [([0.4, 0.6], [0.5, 0.5]), ([0.9, 0.4, 0.6], [0.9, 0.5, 0.5])])


@as_property(
    "a mean that is higher than what comes before it is pooled with that, each level with the same weight",
    equation="a block has the mean of all its levels",
    hint="After two levels became one, look back. A block of two levels counts twice.",
)
def _looks_back(falling: Function) -> Counterexample | None:
    return _falls(falling, [([0.9, 0.5, 0.2, 0.9], [0.9] + [1.6 / 3] * 3), ([0.2, 0.4, 0.9], [0.5, 0.5, 0.5])])


@as_property(
    "what lies behind a block and below it stays",
    equation="f[i] = min over a <= i of max over b >= i of the mean of r[a], ..., r[b]",
    hint="A block ends before the first level that is lower than its mean.",
)
def _stands_apart(falling: Function) -> Counterexample | None:
    rising_twice = [0.3, 0.5, 0.9, 0.8, 0.1, 0.2]
    return _falls(
        falling, [([1.0, 0.5, 0.7, 0.2], [1.0, 0.6, 0.6, 0.2]), (rising_twice, [0.625] * 4 + [0.15] * 2)]
    )  # fmt: skip


def _own_falling() -> Function:
    from wellposed.analysis.robustness import falling

    return falling


EXERCISES = (
    Write(
        id="7.1",
        title="What hindsight learns under noise",
        function="hindsight_bias",
        parameters=("k", "rho", "y", "w", "p"),
        task="""
By how much a mean over relabelled transitions is off, for one state, one action and one goal.

k: goals in hindsight for each one that was pursued.
rho: density of the goal among the goals that are pursued.
y: [o] what is averaged, for each outcome of the action: 1 for a success, for example.
w: [o] density of the goal among those that a transition with this outcome is relabelled with.
p: [o] probability of each outcome; they add up to 1.
Returns a float: the mean of y over transitions with this goal, less its true mean E[y]. An outcome stands in a
minibatch with this goal in proportion to p (rho + k w).
""",
        properties=(_no_hindsight, _one_outcome, _independent, _gamble, _pursued, _pessimism),
        form=one_number,
        own=_own_bias,
        put=in_place_of("course.measure.perturbation.hindsight_bias"),
        trial=trials.learn_under_noise,
    ),
    Write(
        id="7.2",
        title="A curve that never rises",
        function="falling",
        parameters=("rates",),
        task="""
The nearest curve to measured success rates that never rises: more noise does not help, so what rises is chance.

rates: [k] success rates at rising levels of a disturbance, each of as many episodes.
Returns the curve [k] as floats: of all f with f[0] >= f[1] >= ... >= f[k - 1] the one with the least

    sum over i of (f[i] - rates[i])^2
""",
        properties=(_stays, _pools, _looks_back, _stands_apart),
        form=as_many,
        own=_own_falling,
        put=in_place_of("wellposed.analysis.robustness.falling"),
        trial=trials.tolerate_noise,
    ),
)
