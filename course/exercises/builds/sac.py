"""Exercise 3.4: all of a SAC update, from the density of its policy to one step of every network."""

from typing import Any

import numpy as np

from course.exercises import ch03
from course.exercises.builds.together import as_laboratory, new_networks, one_number, own, sac_case, wrong_slope
from course.exercises.exercise import (
    Build,
    Counterexample,
    Function,
    Written,
    as_property,
    disagreement,
    show,
    wrong_array,
    wrong_arrays,
)

DENSITY = (
    "log pi(a) = sum over components of log N(u; mean, std) - log(1 - tanh(u)^2), u = mean + std noise "
    "(Haarnoja et al. 2018, arXiv 1812.05905, appendix C)"
)
NORMAL = 0.5 * np.log(2 * np.pi)  # -log of the standard normal density at 0


def action_and_density(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of actions and log densities."""
    if not isinstance(result, tuple) or len(result) != 2:
        return f"returns {show(result):.60}, expected two arrays: actions and log densities"
    shape = args[0].shape
    return wrong_array(result[0], shape, "f", "one action for each mean, as floats") or wrong_array(
        result[1], shape[:-1], "f", "one log density for each action, as floats"
    )


def _gaussian(mean: list[float], log_std: list[float], noise: list[float]) -> dict[str, Any]:
    import jax.numpy as jnp

    arrays = {"mean": mean, "log_std": log_std, "noise": noise}
    return {name: jnp.array([value]) for name, value in arrays.items()}


def _asked(function: Function, given: dict[str, Any], part: int, due: list[Any]) -> Counterexample | None:
    """A counterexample if a part of what is returned differs from what is due."""
    return disagreement(lambda *args: function(*args)[part], given, due, 1e-5)


@as_property(
    "the action is drawn, then squashed",
    equation="a = tanh(mean + exp(log_std) noise)",
    hint="log_std is a logarithm. The noise is standard normal: stretched by the standard deviation and shifted by the "
    "mean it is a draw of the Gaussian, and tanh brings that into (-1, 1).",
)
def _squashed(squashed_gaussian: Function) -> Counterexample | None:
    given = _gaussian([0.5, -1.0], [0.0, float(np.log(2.0))], [1.0, 1.0])
    return _asked(squashed_gaussian, given, 0, [[np.tanh(1.5), np.tanh(1.0)]])


@as_property(
    "at u = 0 the density is the Gaussian's",
    equation=DENSITY + ": at mean = noise = 0 minus the sum of log_std + log(2 pi) / 2",
    hint="At 0 the slope of tanh is 1, so only the normal density is left, with its constant. Components are "
    "independent: what becomes of their logarithms?",
)
def _constant(squashed_gaussian: Function) -> Counterexample | None:
    return _asked(squashed_gaussian, _gaussian([0.0, 0.0], [1.0, -3.0], [0.0, 0.0]), 1, [2 - 2 * NORMAL])


@as_property(
    "an unlikely draw has a small density",
    equation="log N(u; mean, std) = -noise^2 / 2 - log_std - log(2 pi) / 2",
    hint="The squared distance from the mean in standard deviations is the square of the noise.",
)
def _distance(squashed_gaussian: Function) -> Counterexample | None:
    return _asked(squashed_gaussian, _gaussian([-1.0, -2.0], [0.0, 0.0], [1.0, 2.0]), 1, [-2.5 - 2 * NORMAL])


@as_property(
    "where tanh compresses, the density rises",
    equation="log pi(a) = log N(u) - log(da / du), da / du = 1 - tanh(u)^2",
    hint="As much probability as before lies in an interval that tanh has made shorter by its slope. In which "
    "direction does that change the density?",
)
def _compressed(squashed_gaussian: Function) -> Counterexample | None:
    due = -2 * NORMAL - 2 * np.log(1 - np.tanh(1.0) ** 2)
    return _asked(squashed_gaussian, _gaussian([1.0, -1.0], [0.0, 0.0], [0.0, 0.0]), 1, [due])


@as_property(
    "far out nothing cancels",
    equation="log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u))",
    hint="In 32 bits tanh(20) is 1, and the logarithm of 1 - 1 is lost; adding a small number hides that and is wrong. "
    "Write 1 - tanh(u)^2 with exponentials and take the logarithm on paper.",
)
def _far(squashed_gaussian: Function) -> Counterexample | None:
    due = -2 * NORMAL - 2 * (np.log(2.0) - 20)  # softplus(-40) is 4e-18
    return _asked(squashed_gaussian, _gaussian([20.0, 0.0], [0.0, 0.0], [0.0, 0.0]), 1, [due])


def _two(parameters: Any, obs: dict[str, Any], action: Any) -> Any:
    """Two critics of toys: one multiplies the observation, the other the action."""
    import jax.numpy as jnp

    return parameters * jnp.stack([obs["observation"][:, 0], action[:, 0]])


def _judged(seen: list[float], acted: list[float], target: list[float]) -> dict[str, Any]:
    """Transitions that the critics of toys value as `seen` and as `acted`, at the parameter 1."""
    import jax.numpy as jnp

    return {
        "parameters": jnp.array(1.0), "critics": _two, "obs": {"observation": jnp.array(seen)[:, None]},
        "action": jnp.array(acted)[:, None], "target": jnp.array(target),
    }  # fmt: skip


Q_LOSS = "J_Q = sum over critics of 1/2 mean (Q_i(s, a) - y)^2 (arXiv 1812.05905, equation 5)"


@as_property(
    "both critics pay for their own errors",
    equation=Q_LOSS + ": values 3 and 5, target 3: 1/2 (0 + 4) = 2",
    hint="The lower of two critics is believed where a target is formed. Here both are drawn to it, each by its own "
    "error, and the losses are added.",
)
def _both(critic_loss: Function) -> Counterexample | None:
    return disagreement(critic_loss, _judged([3.0], [5.0], [3.0]), 2.0, 1e-5)


@as_property(
    "it is the mean over the minibatch",
    equation=Q_LOSS,
    hint="With a sum the gradient would grow with the minibatch. The critics lie along the first axis, the transitions "
    "along the second: over which is the mean, over which the sum?",
)
def _mean(critic_loss: Function) -> Counterexample | None:
    return disagreement(critic_loss, _judged([1.0, 2.0], [2.0, 4.0], [2.0, 3.0]), 0.75, 1e-5)


@as_property(
    "its gradient is that of the critics",
    equation="d J_Q / d parameters = sum over critics of mean (Q_i - y) dQ_i / d parameters",
    hint="The target is a number here, the critics are not: their values must come from `critics(parameters, ...)` by "
    "jax.numpy, without stop_gradient.",
)
def _critics_slope(critic_loss: Function) -> Counterexample | None:
    return wrong_slope(critic_loss, _judged([1.0, 2.0], [2.0, 4.0], [2.0, 3.0]), 0.5)


def _straight(parameters: Any, obs: dict[str, Any]) -> tuple[Any, Any]:
    """A toy's policy: the mean is a multiple of the observation, the standard deviation 1."""
    return parameters * obs["observation"], 0.0 * obs["observation"]


def _each(parameters: Any, _obs: dict[str, Any], action: Any) -> Any:
    """Two critics of toys, each a multiple of the action."""
    return parameters[:, None] * action[:, 0]


def _acting(seen: list[float], weights: list[float], temperature: float) -> dict[str, Any]:
    """States in which the toy acts tanh(seen), without noise, and the critics value that by `weights`."""
    import jax.numpy as jnp

    obs = jnp.array(seen)[:, None]
    return {
        "parameters": jnp.array(1.0), "actor": _straight, "critic_parameters": jnp.array(weights), "critics": _each,
        "obs": {"observation": obs}, "noise": 0 * obs, "temperature": temperature,
    }  # fmt: skip


PI_LOSS = "J_pi = mean (temperature log pi(a|s) - min_i Q_i(s, a)), a ~ pi(s) (arXiv 1812.05905, equation 9)"
SEEN = [1.0, -0.5, 0.5]


@as_property(
    "of the two critics the lower one is believed, in each state",
    equation=PI_LOSS + ", at temperature 0",
    hint="What is maximised is the value, so the loss is its negative. The minimum is over the critics, the first "
    "axis, and then comes the mean over the states.",
)
def _lower(actor_loss: Function) -> Counterexample | None:
    value = np.tanh(SEEN)
    return disagreement(actor_loss, _acting(SEEN, [2.0, -3.0], 0.0), -np.minimum(2 * value, -3 * value).mean(), 1e-5)


@as_property(
    "certainty costs",
    equation=PI_LOSS + ", with critics that say 0: temperature x mean log pi",
    hint="The entropy is minus the mean of log pi. It is wanted, so log pi is charged at the price of the temperature.",
)
def _certainty(actor_loss: Function) -> Counterexample | None:
    return disagreement(actor_loss, _acting([0.0, 0.0, 0.0], [0.0, 0.0], 0.5), -0.5 * NORMAL, 1e-5)


@as_property(
    "the gradient goes through the action into the policy",
    equation="d J_pi / d parameters = mean (temperature d log pi - dQ/da da) / d parameters",
    hint="The action is a function of the policy's parameters once the noise is given. Nothing on the way from the "
    "parameters to the value may stop the gradient.",
)
def _reparameterised(actor_loss: Function) -> Counterexample | None:
    seen = np.array(SEEN)
    weight = np.where(seen > 0, -3.0, 2.0)  # of the lower critic
    due = -(weight * (1 - np.tanh(seen) ** 2) * seen).mean()
    return wrong_slope(actor_loss, _acting(SEEN, [2.0, -3.0], 0.0), due)


def same_names(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of a target network."""
    return wrong_arrays(result, args[0])


def _pair(tau: float) -> dict[str, Any]:
    import jax.numpy as jnp

    return {"target": {"weight": jnp.array([1.0, 2.0])}, "online": {"weight": jnp.array([11.0, -8.0])}, "tau": tau}


def _mixed(polyak: Function, tau: float, due: list[float]) -> Counterexample | None:
    return disagreement(lambda *given: polyak(*given)["weight"], _pair(tau), due, 1e-5)


@as_property(
    "with tau = 0 the target stays",
    equation="tau = 0: target := target",
    hint="tau is the share of the online network that enters the target: the target follows slowly.",
)
def _stays(polyak: Function) -> Counterexample | None:
    return _mixed(polyak, 0.0, [1.0, 2.0])


@as_property(
    "it goes the share tau of the way",
    equation="target := (1 - tau) target + tau online: of 1 and 11 at tau = 0.1 it is 2",
    hint="The two weights add up to 1: a target that equals the online network stays where it is.",
)
def _share(polyak: Function) -> Counterexample | None:
    return _mixed(polyak, 0.1, [2.0, 1.0])


TOGETHER = (
    as_laboratory(
        sac_case,
        "log_temperature",
        name="the temperature takes a step",
        equation="log(temperature) := one step downhill by its loss, log pi of a drawn at s with noise[1]",
        hint="It is the entropy of the policy that is in `nets`, at the observed states, with the noise that is for s.",
    ),
    as_laboratory(
        sac_case,
        "critics",
        name="the critics take a step",
        equation="critics := one step downhill by J_Q, the target from the target critics at s', a' drawn by noise[0], "
        "with the temperature before its step",
        hint="Of the target everything is from before this update: policy, target critics, temperature. It is at the "
        "next observation; the critics' own values are at the observation and the action that was taken.",
    ),
    as_laboratory(
        sac_case,
        "actor",
        name="the actor takes a step",
        equation="actor := one step downhill by J_pi with the critics after their step, a drawn at s by noise[1], with "
        "the temperature before its step",
        hint="The policy learns from the critics after their step; only its own parameters get a gradient.",
    ),
    as_laboratory(
        sac_case,
        "target_critics",
        name="the targets follow",
        equation="target critics := (1 - tau) target critics + tau critics, with the critics after their step",
        hint="They follow the online critics of after the update, by the share tau.",
    ),
)


SOFT_TARGET, TEMPERATURE_LOSS = ch03.EXERCISES
EXERCISE = Build(
    id="3.4",
    title="All of a SAC update",
    about="""
Seven functions in the order of the chapter; the last one puts the others together. `wellposed exercise check` goes step
by step and stops at the first that is not right yet. Steps 2 and 5 are exercises 3.1 and 3.2: copy yours.
""",
    imports="import jax\nimport jax.numpy as jnp",
    steps=(
        Written(
            function="squashed_gaussian",
            parameters=("mean", "log_std", "noise"),
            task="""
Actions of the squashed Gaussian, and their log densities.

mean, log_std: of the Gaussian before it is squashed, arrays [b, a].   noise: standard normal, array [b, a].
Returns two arrays, the actions [b, a] and the log densities [b]:

    u = mean + exp(log_std) noise,   a = tanh(u),
    log pi(a) = sum over components of  log N(u; mean, std) - log(1 - tanh(u)^2),

finite for u = 20, too.
""",
            properties=(_squashed, _constant, _distance, _compressed, _far),
            form=action_and_density,
            own=own("wellposed.nn.networks", "squashed_gaussian"),
        ),
        SOFT_TARGET,
        Written(
            function="critic_loss",
            parameters=("parameters", "critics", "obs", "action", "target"),
            task="""
The loss of both critics, by whose gradient they learn.

parameters: of the critics; the gradient is taken by them.
critics: a function (parameters, obs, action) -> values [2, b].
obs: the observation, a dictionary of arrays [b, ...].   action: array [b, a].   target: y, array [b].
Returns one number, array []:

    J_Q = sum over critics of  1/2 mean over the minibatch of (Q_i(s, a) - y)^2.
""",
            properties=(_both, _mean, _critics_slope),
            form=one_number,
            own=own("wellposed.agents.sac", "critic_loss"),
        ),
        Written(
            function="actor_loss",
            parameters=("parameters", "actor", "critic_parameters", "critics", "obs", "noise", "temperature"),
            task="""
The loss of the policy, by whose gradient it learns.

parameters: of the actor; the gradient is taken by them.
actor: a function (parameters, obs) -> mean [b, a], log_std [b, a].
critic_parameters, critics: critics(critic_parameters, obs, action) -> values [2, b].
obs: a dictionary of arrays [b, ...].   noise: standard normal, array [b, a].   temperature: a number.
Returns one number, array []:

    J_pi = mean over the minibatch of  temperature log pi(a|s) - min_i Q_i(s, a),   a as squashed_gaussian draws it.
""",
            properties=(_lower, _certainty, _reparameterised),
            form=one_number,
            own=own("wellposed.agents.sac", "actor_loss"),
        ),
        TEMPERATURE_LOSS,
        Written(
            function="polyak",
            parameters=("target", "online", "tau"),
            task="""
Target parameters that follow the online ones slowly.

target, online: dictionaries of arrays with the same names.   tau: a float in [0, 1].
Returns a new dictionary with the same names:

    target := (1 - tau) target + tau online.
""",
            properties=(_stays, _share),
            form=same_names,
            own=own("wellposed.nn.networks", "polyak"),
        ),
        Written(
            function="update",
            parameters=(
                "nets",
                "batch",
                "noise",
                "actor",
                "critics",
                "descend",
                "gamma",
                "tau",
                "target_entropy",
            ),
            task="""
One update of temperature, critics, actor and targets, in this order.

nets: a dictionary: the parameters "actor", "critics" and "target_critics", each a dictionary of arrays by name, and
"log_temperature", array [].
batch: a wellposed.types.Batch of arrays [b, ...]: obs, action, reward, next_obs, terminated.
noise: standard normal, array [2, b, a]: noise[0] for the policy at s', noise[1] for the policy at s.
actor, critics: the functions of the steps before.
descend: a function (name, gradient) -> nets[name] after one step of the optimiser; the gradient has the form of
nets[name].
gamma, tau, target_entropy: floats.
Returns a dictionary like nets. The temperature that enters losses and target is the one before the update; the
actor's loss is taken with the new critics, and the targets follow the new critics.
""",
            properties=TOGETHER,
            form=new_networks,
            own=own("wellposed.agents.sac", "update_step"),
        ),
    ),
)
