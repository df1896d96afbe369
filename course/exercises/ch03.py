"""Exercises of chapter 3: the soft Bellman target, and the temperature."""

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
    show_all,
    wrong_array,
)

SOFT = (
    "y = r + gamma (1 - terminated) (min_i Q'_i(s', a') - temperature log pi(a'|s')) "
    "(Haarnoja et al. 2018, arXiv 1812.05905, equations 2 and 3)"
)
SLOPE = (
    "dJ / d log(temperature) = -(mean log pi(a|s) + target entropy) (arXiv 1812.05905, equation 18, in the logarithm)"
)


def one_target_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of targets."""
    return wrong_array(result, args[0].shape, "f", "one target for each transition, as floats")


def _transitions(
    reward: list[float], terminated: list[float], next_q: list[list[float]], log_prob: list[float], temperature: float
) -> dict[str, Any]:
    """Arguments of the soft target, at gamma = 0.5, for two transitions, because JAX compiles once per length."""
    import jax.numpy as jnp

    arrays = {"reward": reward, "terminated": terminated, "next_q": next_q, "next_log_prob": log_prob}
    return {name: jnp.array(value) for name, value in arrays.items()} | {"gamma": 0.5, "temperature": temperature}


@as_property(
    "it can be compiled",
    equation="y is a function of its arguments alone",
    hint="The trainer compiles the function. Write it with jax.numpy, without `if` on values, without NumPy and "
    "without float().",
)
def _compiles(soft_target: Function) -> Counterexample | None:
    import jax.numpy as jnp

    given = _transitions([1.0, 2.0], [0.0, 1.0], [[4.0, 3.0], [2.0, 5.0]], [-1.0, 1.0], 0.5)
    soft_target.compile(*map(jnp.asarray, given.values()))
    return None  # otherwise tracing has raised


@as_property(
    "where the next state has no future, the reward is all",
    equation="terminated = 1: y = r",
    hint="Everything that is hoped for after the transition is multiplied by (1 - terminated): the value, and the "
    "entropy too, for a policy that does not act any more has none.",
)
def _terminal(soft_target: Function) -> Counterexample | None:
    return disagreement(
        soft_target,
        _transitions([-1.0, 2.0], [1.0, 1.0], [[4.0, 4.0], [6.0, 2.0]], [-2.0, 1.0], 0.5),
        [-1.0, 2.0],
        1e-5,
    )


@as_property(
    "of the two critics the lower one is believed",
    equation="temperature = 0: y = r + gamma min(Q'_1, Q'_2), for each transition",
    hint="A policy that maximises over critics that err finds the errors upwards. The minimum errs to the other side. "
    "It is taken between the critics, transition by transition; they lie along the first axis of next_q.",
)
def _minimum(soft_target: Function) -> Counterexample | None:
    given = _transitions([1.0, 0.0], [0.0, 0.0], [[4.0, 8.0], [6.0, 2.0]], [-2.0, 1.0], 0.0)
    return disagreement(soft_target, given, [3.0, 1.0], 1e-5)


@as_property(
    "an improbable action is worth more, and from the next step on",
    equation="y = r + gamma (min_i Q'_i - temperature log pi): entropy is -log pi in the mean",
    hint="The soft value adds what the policy leaves open. log pi is negative where an action is improbable: which "
    "sign makes that a bonus? And the bonus belongs to the next state, so it is discounted like its value.",
)
def _bonus(soft_target: Function) -> Counterexample | None:
    given = _transitions([1.0, 1.0], [0.0, 0.0], [[4.0, 4.0], [4.0, 4.0]], [-2.0, 2.0], 0.5)
    return disagreement(soft_target, given, [3.5, 2.5], 1e-5)


@as_property(
    "everything together",
    equation=SOFT,
    hint="Each part was right alone; look at which factor stands before which bracket, and whether anything else "
    "(a bound, a scale) has crept in.",
)
def _together(soft_target: Function) -> Counterexample | None:
    given = _transitions([1.0, 40.0], [0.0, 0.0], [[4.0, 90.0], [6.0, 80.0]], [-2.0, 0.5], 0.2)
    return disagreement(soft_target, given, [1 + 0.5 * 4.4, 40 + 0.5 * 79.9], 1e-5)


def _own_soft_target() -> Function:
    from wellposed.agents.sac import soft_bellman

    return soft_bellman


def one_number(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of a loss."""
    return wrong_array(result, (), "f", "one number, the mean over the minibatch, as a float")


def _case(log_temperature: float, log_prob: list[float], target_entropy: float) -> dict[str, Any]:
    import jax.numpy as jnp

    return {
        "log_temperature": jnp.array(log_temperature),
        "log_prob": jnp.array(log_prob),
        "target_entropy": target_entropy,
    }


def _wrong_slope(loss: Function, given: dict[str, Any], due: float) -> Counterexample | None:
    slope = loss.slope(*given.values())
    if np.isclose(slope, due, rtol=1e-5, atol=1e-6):
        return None
    return Counterexample(show_all(given), f"dJ / d log_temperature = {show(due)}", show(slope))


@as_property(
    "it can be compiled and differentiated",
    equation="dJ / d log(temperature) is a finite number",
    hint="The trainer takes the gradient by log_temperature, compiled. Write the function with jax.numpy, without `if` "
    "on values, without NumPy and without float().",
)
def _differentiable(temperature_loss: Function) -> Counterexample | None:
    temperature_loss.compile(*_case(-1.0, [1.0, 2.0], -4.0).values(), slope=True)
    return None  # otherwise tracing has raised


@as_property(
    "at the target entropy the temperature rests",
    equation="mean log pi = -target entropy: dJ / d log(temperature) = 0",
    hint="The entropy is minus the mean of log pi. With what sign must the target enter, so that the two cancel where "
    "they are equal?",
)
def _rest(temperature_loss: Function) -> Counterexample | None:
    return _wrong_slope(temperature_loss, _case(-1.0, [3.0, 5.0], -4.0), 0.0)


@as_property(
    "too little entropy raises the temperature, too much lowers it",
    equation="-mean log pi < target entropy: dJ / d log(temperature) < 0, so that a step downhill goes up",
    hint="The optimiser walks against the gradient. A policy that has become too certain should be paid more for being "
    "uncertain: which sign of the slope brings that about?",
)
def _direction(temperature_loss: Function) -> Counterexample | None:
    for log_prob, sign in (([5.0, 7.0], -1), ([1.0, 1.0], 1)):
        given = _case(-1.0, log_prob, -4.0)
        if np.sign(slope := temperature_loss.slope(*given.values())) != sign:
            entropy = -float(np.mean(log_prob))
            due = (
                f"{'a negative' if sign < 0 else 'a positive'} slope, for the entropy is {entropy:g} and its target -4"
            )
            return Counterexample(show_all(given), due, f"a slope of {slope:g}")
    return None


@as_property(
    "the slope is the mean shortfall, whatever the temperature is",
    equation=SLOPE,
    hint="The loss is linear in log_temperature: exponentiating it would all but stop learning where the temperature "
    "is small. And it is a mean: twice the minibatch is not twice the slope.",
)
def _proportion(temperature_loss: Function) -> Counterexample | None:
    for log_temperature in (-1.0, 0.0, -5.0):
        if found := _wrong_slope(temperature_loss, _case(log_temperature, [5.0, 7.0], -4.0), -2.0):
            return found
    return None


@as_property(
    "its value is the one that is logged",
    equation="J = -mean(log(temperature) (log pi(a|s) + target entropy))",
    hint="The gradient is right already; only what is added to it, or left out, does not depend on the temperature.",
)
def _value(temperature_loss: Function) -> Counterexample | None:
    return disagreement(temperature_loss, _case(-2.0, [5.0, 7.0], -4.0), 4.0, 1e-5)


def _own_temperature_loss() -> Function:
    from wellposed.agents.sac import temperature_loss

    return temperature_loss


EXERCISES = (
    Write(
        id="3.1",
        title="The soft target",
        function="soft_target",
        parameters=("reward", "terminated", "next_q", "next_log_prob", "gamma", "temperature"),
        imports="import jax.numpy as jnp",
        task="""
What SAC's critics are drawn to: the right side of the soft Bellman equation, at one draw a' ~ pi.

reward: array [b] of JAX.   terminated: 1 where s' has no future, else 0, array [b] of JAX.
next_q: the values Q'_i(s', a') of the two target critics, array [2, b] of JAX.
next_log_prob: log pi(a'|s'), array [b] of JAX.   gamma, temperature: numbers of at least 0.
Returns the targets, array [b] of JAX:

    y = r + gamma (1 - terminated) (min_i Q'_i(s', a') - temperature log pi(a'|s')).
""",
        properties=(_compiles, _terminal, _minimum, _bonus, _together),
        form=one_target_each,
        own=_own_soft_target,
        put=in_place_of("wellposed.agents.sac.soft_bellman"),
        trial=trials.train("FetchReachDense-v4"),
    ),
    Write(
        id="3.2",
        title="The temperature's loss",
        function="temperature_loss",
        parameters=("log_temperature", "log_prob", "target_entropy"),
        imports="import jax.numpy as jnp",
        task="""
The loss whose minimiser holds the policy's entropy at its target.

log_temperature: the logarithm of the temperature, array [] of JAX; the gradient is taken by it.
log_prob: log pi(a|s) of the policy's own actions, array [b] of JAX.   target_entropy: a float.
Returns one number, array [] of JAX, to be minimised:

    J = -mean over the minibatch of  log(temperature) (log pi(a|s) + target entropy).
""",
        properties=(_differentiable, _rest, _direction, _proportion, _value),
        form=one_number,
        own=_own_temperature_loss,
        put=in_place_of("wellposed.agents.sac.temperature_loss"),
        trial=trials.train("FetchReachDense-v4", {"agent.learn_temperature": True}),
    ),
)
