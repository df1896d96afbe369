"""Exercises of chapter 2: generalised advantage estimation, and the clipped objective of PPO."""

from dataclasses import replace
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

GAE = (
    "delta_t = r_t + gamma (1 - terminated_t) V(s_t+1) - V(s_t), A_t = delta_t + gamma lam (1 - ended_t) A_t+1 "
    "(Schulman et al. 2016, arXiv 1506.02438, equations 11 and 16)"
)
CLIPPED = "L = mean min(r A, clip(r, 1 - eps, 1 + eps) A) (Schulman et al. 2017, arXiv 1707.06347, equation 7)"


def one_advantage_each(args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of advantages."""
    return wrong_array(result, args[0].shape, "f", "one advantage for each transition, as floats")


def _rollout(
    rewards: list[list[float]], values: list[list[float]], gamma: float, lam: float, **ends: Any
) -> dict[str, Any]:
    """Transitions [t, n] in which V(s_t+1) is the value of the row below; after the last row it is 0.5."""
    r, v = np.array(rewards), np.array(values)
    nothing = np.zeros(r.shape)
    return {
        "rewards": r,
        "values": v,
        "next_values": np.array(ends["next_values"])
        if "next_values" in ends
        else np.vstack([v[1:], nothing[:1] + 0.5]),
        "terminated": np.array(ends["terminated"], bool) if "terminated" in ends else nothing > 0,
        "ended": np.array(ends["ended"], bool) if "ended" in ends else nothing > 0,
        "gamma": gamma,
        "lam": lam,
    }


REWARDS, VALUES = [[1.0], [2.0], [4.0]], [[3.0], [1.0], [2.0]]


@as_property(
    "with lam = 0 it is the one-step surprise",
    equation="A_t = delta_t = r_t + gamma V(s_t+1) - V(s_t)",
    hint="lam decides how much of the later surprises counts. At 0 nothing of them does, and what is left is how much "
    "better one step was than the value had said.",
)
def _one_step(gae: Function) -> Counterexample | None:
    return disagreement(gae, _rollout(REWARDS, VALUES, 0.5, 0.0), [[-1.5], [2.0], [2.25]])


@as_property(
    "with lam = 1 it is the discounted return minus the value",
    equation="A_t = r_t + gamma r_t+1 + ... + gamma^(T-t) V(s_T) - V(s_t): the values in between cancel",
    hint="Write down two neighbouring deltas with their discounts: the value of the state between them appears twice, "
    "with opposite signs. If it does not cancel, a discount is missing or the sum runs the wrong way.",
)
def _all_steps(gae: Function) -> Counterexample | None:
    return disagreement(gae, _rollout(REWARDS, VALUES, 0.5, 1.0), [[3.0625 - 3.0], [4.125 - 1.0], [4.25 - 2.0]])


@as_property(
    "in between, each later surprise counts (gamma lam) times less than the one before",
    equation="A_t = sum over l of (gamma lam)^l delta_t+l",
    hint="Both factors belong to each step of the sum: gamma because the surprise comes later, lam because it is "
    "trusted less.",
)
def _in_between(gae: Function) -> Counterexample | None:
    return disagreement(
        gae, _rollout(REWARDS, VALUES, 0.5, 0.5), [[-1.5 + 2.0 / 4 + 2.25 / 16], [2.0 + 2.25 / 4], [2.25]]
    )


@as_property(
    "a terminal state has no value",
    equation="terminated_t = 1: delta_t = r_t - V(s_t)",
    hint="Where the episode terminates there is no next state to hope for, whatever number stands in next_values.",
)
def _terminal(gae: Function) -> Counterexample | None:
    given = _rollout(REWARDS, VALUES, 0.5, 0.5, terminated=[[0], [0], [1]], ended=[[0], [0], [1]])
    return disagreement(gae, given, [[-1.5 + 2.0 / 4 + 2.0 / 16], [2.0 + 2.0 / 4], [2.0]])


@as_property(
    "nothing leaks from one episode into the one before",
    equation="ended_t = 1: A_t = delta_t, because s_t+1 and the row below belong to different episodes",
    hint="The rows of a rollout follow each other in time, not in one episode. Whatever ended the episode, the sum "
    "stops there: a time limit as well as a terminal state.",
)
def _leak(gae: Function) -> Counterexample | None:
    for terminated in (0, 1):
        ends = {"terminated": [[0], [terminated], [0]], "ended": [[0], [1], [0]]}
        given = _rollout(REWARDS, VALUES, 0.5, 0.5, **ends)
        other = given | {"rewards": np.array([[1.0], [2.0], [400.0]])}
        before, after = np.asarray(gae(*given.values())), np.asarray(gae(*other.values()))
        if not np.allclose(before[:2], after[:2], rtol=1e-6):
            due = f"the advantages of t = 0 and 1 are those with rewards[2] = 4, {show(before[:2, 0])}"
            return Counterexample(show_all(other), due, show(after[:2, 0]))
    return None


@as_property(
    "at a time limit the future keeps its value, and it is that of the true successor",
    equation="ended_t = 1, terminated_t = 0: A_t = r_t + gamma V(s_t+1) - V(s_t), V(s_t+1) = next_values[t]",
    hint="A time limit ends the bookkeeping, not the world: the state that was reached still has a future. Its value "
    "is in next_values; the row below holds the first state of another episode.",
)
def _time_limit(gae: Function) -> Counterexample | None:
    ends = {"ended": [[0], [1], [0]], "next_values": [[1.0], [8.0], [0.5]]}
    return disagreement(gae, _rollout(REWARDS, VALUES, 0.5, 0.5, **ends), [[-1.5 + 5.0 / 4], [5.0], [2.25]])


@as_property(
    "the envs do not mix",
    equation=GAE + ", for each column alone",
    hint="Time runs down the rows; the columns are envs that never meet.",
)
def _columns(gae: Function) -> Counterexample | None:
    rng = np.random.default_rng(0)
    r, v, after = rng.normal(size=(3, 6, 3))
    terminated, cut = rng.random((2, 6, 3)) < 0.2
    given = {"rewards": r, "values": v, "next_values": after, "terminated": terminated, "ended": terminated | cut}
    alone = [gae(*(array[:, i : i + 1] for array in given.values()), 0.9, 0.8) for i in range(3)]
    given |= {"gamma": 0.9, "lam": 0.8}
    return disagreement(gae, given, np.hstack(alone))


def one_number(_args: tuple[Any, ...], result: Any) -> str | None:
    """What is wrong with the type or shape of an objective."""
    return wrong_array(result, (), "f", "one number, the mean over the minibatch, as a float")


def _objective(ratio: list[float], advantage: list[float], epsilon: float) -> dict[str, Any]:
    """Arguments of the objective; repeated to four transitions, because JAX compiles once per length."""
    import jax.numpy as jnp

    arrays = {"ratio": ratio, "advantage": advantage}
    return {name: jnp.tile(jnp.array(value), 4 // len(value)) for name, value in arrays.items()} | {"epsilon": epsilon}


@as_property(
    "it can be compiled and differentiated",
    equation="d L / d ratio exists wherever ratio is not 1 - eps or 1 + eps",
    hint="The trainer compiles the function and takes its gradient. Write it with jax.numpy, without `if` on values, "
    "without NumPy and without float().",
)
def _compiles(clipped_objective: Function) -> Counterexample | None:
    given = _objective([0.9, 1.1, 1.0, 1.0], [1.0, -1.0, 1.0, 1.0], 0.2)
    clipped_objective.compile(*given.values(), slope=True)
    return None  # otherwise tracing has raised


@as_property(
    "at a ratio of 1 it is the mean advantage",
    equation=CLIPPED + ", at r = 1",
    hint="Before the first update of an epoch the new policy is the old one: every ratio is 1, nothing is clipped, and "
    "what is maximised is the mean of the advantages. A loss would be its negative; that is the trainer's affair.",
)
def _ratio_one(clipped_objective: Function) -> Counterexample | None:
    return disagreement(clipped_objective, _objective([1.0, 1.0, 1.0, 1.0], [1.0, -4.0, 6.0, 1.0], 0.2), 1.0, 1e-5)


@as_property(
    "between 1 - eps and 1 + eps it is the plain surrogate",
    equation="L = mean(r A) where 1 - eps <= r <= 1 + eps",
    hint="Clipping must not touch what is inside: look at the order of its two bounds.",
)
def _inside(clipped_objective: Function) -> Counterexample | None:
    return disagreement(clipped_objective, _objective([0.9, 1.1], [2.0, 4.0], 0.2), 3.1, 1e-5)


@as_property(
    "beyond the interval nothing more is to be gained",
    equation="A > 0, r > 1 + eps: (1 + eps) A;  A < 0, r < 1 - eps: (1 - eps) A",
    hint="A good action that is already more likely by the factor 1 + eps earns nothing for becoming likelier still. "
    "Of the two terms r A and clip(r) A the objective takes one: which one leaves no incentive here?",
)
def _no_gain(clipped_objective: Function) -> Counterexample | None:
    for ratio, advantage, epsilon, due in ((2.0, 3.0, 0.2, 3.6), (0.5, -3.0, 0.2, -2.4), (2.0, 1.0, 0.5, 1.5)):
        if found := disagreement(clipped_objective, _objective([ratio], [advantage], epsilon), due, 1e-5):
            return found
    return None


@as_property(
    "a loss is never clipped away",
    equation="A > 0, r < 1 - eps: r A;  A < 0, r > 1 + eps: r A, so that L <= mean(r A) everywhere",
    hint="A good action that has become rare, and a bad one that has become frequent, are mistakes, and there the "
    "gradient must go on pulling. Clipping alone would lose it; the minimum with the unclipped term keeps it.",
)
def _loss_kept(clipped_objective: Function) -> Counterexample | None:
    for ratio, advantage, due in ((0.5, 3.0, 1.5), (2.0, -3.0, -6.0)):
        if found := disagreement(clipped_objective, _objective([ratio], [advantage], 0.2), due, 1e-5):
            return found
    return None


@as_property(
    "the minimum is taken for each transition, then the mean",
    equation=CLIPPED,
    hint="A minimum of two means is not the mean of minima: one transition's loss would pay for another's gain.",
)
def _elementwise(clipped_objective: Function) -> Counterexample | None:
    given = _objective([2.0, 0.5, 2.0, 1.0], [1.0, 1.0, -1.0, 1.0], 0.2)
    return disagreement(clipped_objective, given, (1.2 + 0.5 - 2.0 + 1.0) / 4, 1e-5)


def _own_gae() -> Function:
    from wellposed.data.rollout import gae

    return gae


def _own_clipped_objective() -> Function:
    from wellposed.agents.ppo import clipped_objective

    return clipped_objective


ADVANTAGE = Write(
    id="2.1",
    title="The advantage, over many steps",
    function="gae",
    parameters=("rewards", "values", "next_values", "terminated", "ended", "gamma", "lam"),
    task="""
Generalised advantage estimates of a rollout of t steps in n envs.

rewards, values, next_values: r, V(s) and V(s') of each transition, arrays [t, n]. V(s') is the value
of the state that the transition led to, also where the row below belongs to another episode.
terminated: whether s' has no future, bools [t, n].
ended: whether the episode was over after the transition, terminated or cut by a time limit, bools [t, n].
gamma, lam: the discount and the weight lambda, floats in [0, 1].
Returns the advantages [t, n]:

    delta_t = r_t + gamma (1 - terminated_t) V(s_t+1) - V(s_t)
    A_t     = delta_t + gamma lam (1 - ended_t) A_t+1,   and A = 0 after the last row.
""",
    properties=(_one_step, _all_steps, _in_between, _terminal, _leak, _time_limit, _columns),
    form=one_advantage_each,
    own=_own_gae,
    put=in_place_of("wellposed.data.rollout.gae"),
    trial=trials.train("FetchReachDense-v4", {"algo": "ppo"}),
)
FAULTY_ADVANTAGE = """
advantages = np.zeros(rewards.shape)
later = np.zeros(rewards.shape[1:])
for t in reversed(range(len(rewards))):
    goes_on = 1.0 - terminated[t]
    surprise = rewards[t] + gamma * goes_on * next_values[t] - values[t]
    later = surprise + gamma * lam * goes_on * later
    advantages[t] = later
return advantages
"""

EXERCISES = (
    ADVANTAGE,
    Write(
        id="2.2",
        title="The clipped objective",
        function="clipped_objective",
        parameters=("ratio", "advantage", "epsilon"),
        imports="import jax.numpy as jnp",
        task="""
What PPO maximises instead of the surrogate mean(ratio * advantage).

ratio: pi_new(a|s) / pi_old(a|s) of each transition, array [b] of JAX.
advantage: its advantage, array [b] of JAX.   epsilon: how far the ratio may pay, a float.
Returns the mean over the minibatch, an array [] of JAX, to be maximised:

    L = mean over the minibatch of  min(r A, clip(r, 1 - epsilon, 1 + epsilon) A).
""",
        properties=(_compiles, _ratio_one, _inside, _no_gain, _loss_kept, _elementwise),
        form=one_number,
        own=_own_clipped_objective,
        put=in_place_of("wellposed.agents.ppo.clipped_objective"),
        trial=trials.train("FetchReachDense-v4", {"algo": "ppo"}),
    ),
    replace(
        ADVANTAGE,
        id="2.5",
        title="A fault that raises no error",
        task=ADVANTAGE.task.partition(":\n\n    delta_t")[0] + ", where A = 0 after the last row.",
        body=FAULTY_ADVANTAGE,
    ),
)
