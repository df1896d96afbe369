"""Exercise 2.4: all of a PPO update, from the advantages of a rollout to one step of actor and critic."""

from typing import Any

import numpy as np

from course.exercises import ch02
from course.exercises.builds.together import as_laboratory, new_networks, one_number, own, ppo_case, wrong_slope
from course.exercises.exercise import (
    Build,
    Counterexample,
    Function,
    Written,
    as_property,
    disagreement,
    show,
    wrong_array,
)

NORMAL = 0.5 * np.log(2 * np.pi)  # -log of the standard normal density at 0
GAUSSIAN = "log pi(a|s) = -sum over components of ((a - mean)^2 / (2 std^2) + log_std + log(2 pi) / 2)"
SCALED = "A := (A - mean) / (standard deviation + 1e-8), with b - 1 degrees of freedom, as Stable-Baselines3 has it"
LOSS = "loss = -(L^CLIP + entropy_weight x entropy) (Schulman et al. 2017, arXiv 1707.06347, equation 9)"


def one_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of advantages."""
    return wrong_array(result, args[0].shape, "f", "one advantage for each transition, as floats")


def _advantages(*values: float) -> dict[str, Any]:
    import jax.numpy as jnp

    return {"advantage": jnp.array(values)}


@as_property(
    "the mean is 0",
    equation=SCALED,
    hint="Whatever all advantages of a minibatch have in common says nothing about which action was better.",
)
def _centred(normalised: Function) -> Counterexample | None:
    given = _advantages(3.0, 5.0, 10.0)
    mean = float(np.mean(np.asarray(normalised(*given.values()))))
    return None if abs(mean) < 1e-5 else Counterexample(f"advantage = {show(given['advantage'])}", "mean 0", show(mean))


@as_property(
    "the standard deviation is 1",
    equation=SCALED + ": of 1, 3, 5 it is 2",
    hint="It is the root of the variance, and of an estimate from b numbers with their own mean: what is the sum of "
    "squares divided by?",
)
def _scaled(normalised: Function) -> Counterexample | None:
    return disagreement(normalised, _advantages(1.0, 3.0, 5.0), [-1.0, 0.0, 1.0], 1e-5)


@as_property(
    "where all are alike nothing is divided by 0",
    equation=SCALED + ": of 2, 2, 2 they are 0, 0, 0",
    hint="The small number in the denominator is there for this.",
)
def _alike(normalised: Function) -> Counterexample | None:
    return disagreement(normalised, _advantages(2.0, 2.0, 2.0), [0.0, 0.0, 0.0], 1e-5)


def density_back(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the form of log densities."""
    return wrong_array(result, args[0].shape[:-1], "f", "one log density for each action, as floats")


def _drawn(log_std: list[float], action: list[float]) -> dict[str, Any]:
    import jax.numpy as jnp

    return {"mean": jnp.array([[0.5, -1.0]]), "log_std": jnp.array(log_std), "action": jnp.array([action])}


@as_property(
    "at the mean it is minus the logarithm of the width",
    equation=GAUSSIAN + ", at a = mean",
    hint="A wide density is low. log_std is a logarithm already, and components are independent: what becomes of their "
    "logarithms?",
)
def _at_mean(log_density: Function) -> Counterexample | None:
    return disagreement(log_density, _drawn([1.0, -3.0], [0.5, -1.0]), [2 - 2 * NORMAL], 1e-5)


@as_property(
    "it falls with the squared distance, in standard deviations",
    equation=GAUSSIAN + ": distances 1 and 4, standard deviations 1 and 2",
    hint="Divide the distance by the standard deviation before you square it.",
)
def _away(log_density: Function) -> Counterexample | None:
    double = float(np.log(2.0))
    return disagreement(log_density, _drawn([0.0, double], [1.5, 3.0]), [-0.5 - 2.0 - double - 2 * NORMAL], 1e-5)


def _widths(*log_std: float) -> dict[str, Any]:
    import jax.numpy as jnp

    return {"log_std": jnp.array(log_std)}


@as_property(
    "it is that of the standard normal in each component",
    equation="H = sum over components of (log_std + log(2 pi e) / 2): 1.41894 each, where log_std = 0",
    hint="Of independent components the entropies are added. Besides the constant of the density, the mean of the "
    "squared distance counts, a half in each.",
)
def _standard(entropy: Function) -> Counterexample | None:
    return disagreement(entropy, _widths(0.0, 0.0), 2 * NORMAL + 1, 1e-5)


@as_property(
    "a wider policy has more of it",
    equation="H = sum over components of (log_std + log(2 pi e) / 2)",
    hint="Twice the standard deviation is log 2 nats more, in each component.",
)
def _wider(entropy: Function) -> Counterexample | None:
    return disagreement(entropy, _widths(1.0, -0.5), 2 * NORMAL + 1.5, 1e-5)


def _around(parameters: Any, obs: dict[str, Any]) -> tuple[Any, Any]:
    """A toy's policy: the mean is a multiple of the observation, the standard deviation 1."""
    return parameters * obs["observation"], 0.0 * obs["observation"][0]


def _steps(ratio: list[float], entropy_weight: float) -> dict[str, Any]:
    """Two steps, with the advantages 1 and 3, that the policy takes `ratio` times as often as the one that acted."""
    import jax.numpy as jnp

    now = -0.5 - NORMAL  # log densities of actions that lie one standard deviation from the mean
    return {
        "parameters": jnp.array(0.0), "actor": _around, "obs": {"observation": jnp.ones((2, 1))},
        "action": jnp.array([[1.0], [-1.0]]), "advantage": jnp.array([1.0, 3.0]),
        "old_log_density": now - jnp.log(jnp.array(ratio)), "clip": 0.2, "entropy_weight": entropy_weight,
    }  # fmt: skip


@as_property(
    "at first its gradient is that of the policy gradient, with normalised advantages",
    equation="ratio = 1: d loss = -mean(A d log pi(a|s)), A normalised: of 1 and 3 they are -0.7071 and 0.7071",
    hint="The advantages of the minibatch are normalised in this loss. The ratio is 1 here, but it depends on the "
    "parameters; the loss is minimised.",
)
def _first(actor_loss: Function) -> Counterexample | None:
    return wrong_slope(actor_loss, _steps([1.0, 1.0], 0.0), np.sqrt(0.5))


@as_property(
    "the ratio is of new to old probability, and clipped",
    equation="ratio = exp(log pi(a|s) - log pi_old(a|s)), L^CLIP = mean min(ratio A, clip(ratio, 1 - eps, 1 + eps) A)",
    hint="A difference of logarithms is the logarithm of a ratio. Beyond 1 + clip a good action earns nothing more.",
)
def _clips(actor_loss: Function) -> Counterexample | None:
    return disagreement(actor_loss, _steps([1.0, 1.5], 0.0), -np.sqrt(0.5) * (1.2 - 1.0) / 2, 1e-5)


@as_property(
    "entropy is paid for",
    equation=LOSS,
    hint="It is wanted, so it lowers the loss.",
)
def _paid(actor_loss: Function) -> Counterexample | None:
    return disagreement(actor_loss, _steps([1.0, 1.0], 0.5), -0.5 * (NORMAL + 0.5), 1e-5)


def _line(parameters: Any, obs: dict[str, Any]) -> Any:
    """A toy's value: a multiple of the observation."""
    return parameters * obs["observation"][:, 0]


def _valued() -> dict[str, Any]:
    import jax.numpy as jnp

    obs = {"observation": jnp.array([[1.0], [2.0]])}
    return {"parameters": jnp.array(1.0), "critic": _line, "obs": obs, "target": jnp.array([2.0, 4.0])}


@as_property(
    "it is the mean squared error",
    equation="L^VF = mean (V(s) - target)^2 (arXiv 1707.06347, equation 9): values 1 and 2, targets 2 and 4: 2.5",
    hint="Squared, a mean, and without a half.",
)
def _squares(value_loss: Function) -> Counterexample | None:
    return disagreement(value_loss, _valued(), 2.5, 1e-5)


@as_property(
    "its gradient is that of the critic",
    equation="d L^VF = 2 mean (V(s) - target) dV(s)",
    hint="The target is a number here. The value must come from `critic(parameters, obs)` by jax.numpy, without "
    "stop_gradient.",
)
def _critic_slope(value_loss: Function) -> Counterexample | None:
    return wrong_slope(value_loss, _valued(), -5.0)


TOGETHER = (
    as_laboratory(
        ppo_case,
        "actor",
        name="the actor takes a step",
        equation="actor := one step downhill by its loss on the rows, with their advantages of the whole rollout",
        hint="An advantage needs the steps after it, so GAE comes first, over the whole rollout [t, n]; then its axes "
        "are joined and the rows are chosen. What is normalised are the advantages of the minibatch.",
    ),
    as_laboratory(
        ppo_case,
        "critic",
        name="the critic takes a step",
        equation="critic := one step downhill by L^VF on the rows, target = advantage + value (arXiv 1506.02438, "
        "section 5)",
        hint="The target is in units of rewards: the advantage that enters it is the one before it is normalised.",
    ),
)
GAE, CLIPPED = ch02.EXERCISES[:2]
PPO = "wellposed.agents.ppo"
EXERCISE = Build(
    id="2.4",
    title="All of a PPO update",
    about="""
Eight functions in the order of the chapter; the last one puts the others together. `wellposed exercise check` goes step
by step and stops at the first that is not right yet. Steps 1 and 4 are exercises 2.1 and 2.2: copy yours.
""",
    imports="import jax\nimport jax.numpy as jnp\nimport numpy as np",
    steps=(
        GAE,
        Written(
            function="normalised",
            parameters=("advantage",),
            task="""
The advantages of a minibatch, with mean 0 and standard deviation 1.

advantage: array [b] of JAX.
Returns an array [b] of JAX:

    (A - mean) / (standard deviation + 1e-8),   the standard deviation with b - 1 degrees of freedom.
""",
            properties=(_centred, _scaled, _alike),
            form=one_each,
            own=own(PPO, "normalised"),
        ),
        Written(
            function="log_density",
            parameters=("mean", "log_std", "action"),
            task="""
The log density of actions under a Gaussian with independent components.

mean, action: arrays [b, a] of JAX.   log_std: the logarithms of the standard deviations, array [a] of JAX.
Returns an array [b] of JAX:

    log pi(a|s) = -sum over components of  (a - mean)^2 / (2 std^2) + log_std + log(2 pi) / 2.
""",
            properties=(_at_mean, _away),
            form=density_back,
            own=own(PPO, "log_density"),
        ),
        CLIPPED,
        Written(
            function="entropy",
            parameters=("log_std",),
            task="""
The entropy of that Gaussian, which is the same in every state.

log_std: array [a] of JAX.
Returns one number, array [] of JAX, in nats:

    H = sum over components of  log_std + log(2 pi e) / 2.
""",
            properties=(_standard, _wider),
            form=one_number,
            own=own(PPO, "entropy"),
        ),
        Written(
            function="actor_loss",
            parameters=(
                "parameters",
                "actor",
                "obs",
                "action",
                "advantage",
                "old_log_density",
                "clip",
                "entropy_weight",
            ),
            task="""
The loss of the policy on a minibatch, by whose gradient it learns.

parameters: of the actor; the gradient is taken by them.
actor: a function (parameters, obs) -> mean [b, a], log_std [a].
obs: a dictionary of arrays [b, ...].   action: array [b, a].   advantage: array [b], not normalised yet.
old_log_density: log pi_old(a|s) under the policy that acted, array [b].   clip: epsilon.   entropy_weight: a float.
Returns one number, array [], with normalised advantages:

    loss = -(L^CLIP + entropy_weight H),   ratio = pi(a|s) / pi_old(a|s).
""",
            properties=(_first, _clips, _paid),
            form=one_number,
            own=own(PPO, "actor_loss"),
        ),
        Written(
            function="value_loss",
            parameters=("parameters", "critic", "obs", "target"),
            task="""
The loss of the critic on a minibatch, by whose gradient it learns.

parameters: of the critic; the gradient is taken by them.
critic: a function (parameters, obs) -> values [b].
obs: a dictionary of arrays [b, ...].   target: array [b].
Returns one number, array []:

    L^VF = mean over the minibatch of  (V(s) - target)^2.
""",
            properties=(_squares, _critic_slope),
            form=one_number,
            own=own(PPO, "value_loss"),
        ),
        Written(
            function="update",
            parameters=(
                "nets",
                "rollout",
                "rows",
                "actor",
                "critic",
                "descend",
                "gamma",
                "lam",
                "clip",
                "entropy_weight",
            ),
            task="""
One update of actor and critic on a minibatch of a rollout.

nets: a dictionary: the parameters "actor" and "critic", each a dictionary of arrays by name.
rollout: a dictionary of t steps of n envs: obs, a dictionary of arrays [t, n, ...]; action [t, n, a]; log_density
[t, n] of the policy that acted; reward, value, next_value, terminated, ended [t, n], as gae takes them.
rows: which of the t n steps the minibatch holds, integers [b], once the two axes are joined by reshape.
actor, critic: the functions of the steps before.
descend: a function (name, gradient) -> nets[name] after one step of the optimiser; the gradient has the form of
nets[name].
gamma, lam, clip, entropy_weight: floats.
Returns a dictionary like nets. The critic is drawn to advantage + value.
""",
            properties=TOGETHER,
            form=new_networks,
            own=own(PPO, "update_step"),
        ),
    ),
)
