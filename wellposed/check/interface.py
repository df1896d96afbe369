"""Conditions on the interface: what goes in and out of an environment."""

from typing import Any

import numpy as np

from wellposed.check.findings import Outcome, answer, condition
from wellposed.envs import rules
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import join_moments, observations


@condition(
    "Without an achieved and a desired goal of their own, no transition can be given another goal afterwards.",
    "Make the observation a gymnasium.spaces.Dict with achieved_goal, desired_goal, and what else the policy sees.",
)
def goals_apart(ev: Evidence) -> Outcome:
    """Goals stand apart from states."""
    fault = rules.goals_fault(ev.env)
    return answer(fault or f"the observation holds {', '.join(ev.spaces)}", fails=fault)


@condition(
    "Goals that are no vectors of one space have no distance, so nothing is ever near a goal.",
    "Flatten them into gymnasium.spaces.Box vectors of a floating type; both goals in the same numbers and units.",
    needs=(goals_apart,),
)
def flat_numbers(ev: Evidence) -> Outcome:
    """What is observed are vectors of real numbers, or images; both goals are vectors of one size."""
    fault = rules.vectors_fault(ev.env)
    return answer(fault or ", ".join(f"{key} {box.shape} {box.dtype}" for key, box in ev.spaces.items()), fails=fault)


@condition(
    "The actor's output is squashed into a box; without bounds there is nothing to squash it into.",
    "Declare a gymnasium.spaces.Box with finite bounds and scale inside the environment.",
)
def bounded_actions(ev: Evidence) -> Outcome:
    """Actions are a vector of real numbers between finite bounds."""
    fault, box = rules.actions_fault(ev.env), ev.actions
    return answer(fault or f"{box.shape[0]} numbers between {box.low.min():g} and {box.high.max():g}", fails=fault)


@condition(
    "What is stored would be something else than what happened.",
    "Return (observation, info) and (observation, reward, terminated, truncated, info), as Gymnasium documents it.",
    needs=(flat_numbers, bounded_actions),
)
def steps(ev: Evidence) -> Outcome:
    """reset and step answer as Gymnasium's interface says."""
    env = ev.fresh()
    fault = _fault_of(env.reset(seed=0), env.step(ev.random_actions(10, 1)[0]), ev.spaces)
    if fault:
        return answer(fault, fails=True)
    return answer(f"{len(ev.all):,} steps of {len(ev.all.ends)} episodes were taken", steps=len(ev.all))


def _fault_of(start: Any, step: Any, spaces: dict[str, Any]) -> str:
    """What is wrong with the answers of `reset` and `step`; "" if nothing is."""
    if not (isinstance(start, tuple) and len(start) == 2 and isinstance(start[1], dict)):
        return "reset does not return an observation and a dict"
    if not (isinstance(step, tuple) and len(step) == 5 and isinstance(step[4], dict)):
        return "step does not return observation, reward, terminated, truncated and a dict"
    obs, reward, *ends, _ = step
    if np.shape(reward) != () or not np.isreal(reward):
        return f"the reward of a step is {reward!r}, not one number"
    if not all(isinstance(flag, bool | np.bool_) for flag in ends):
        return f"terminated and truncated are {ends[0]!r} and {ends[1]!r}, not true or false"
    for when, seen in (("reset", start[0]), ("step", obs)):
        if not isinstance(seen, dict) or not spaces.keys() <= seen.keys():
            return f"the observation of {when} is no dict of {', '.join(spaces)}"
        if other := [key for key in spaces if not isinstance(seen[key], np.ndarray)]:
            return f"{other[0]} of {when} is a {type(seen[other[0]]).__name__}, not a NumPy array"
    shapes = {key: np.shape(obs[key]) for key in spaces}
    wrong = [f"{key} of a step has shape {shapes[key]}" for key, box in spaces.items() if shapes[key] != box.shape]
    return f"{', '.join(wrong)}, its space says otherwise" if wrong else ""


@condition(
    "One NaN in the replay makes every weight a NaN.",
    "Find what is divided by zero or left uninitialised; end the episode where the simulation breaks.",
    needs=(steps,),
)
def finite_numbers(ev: Evidence) -> Outcome:
    """Observations, goals and rewards are finite numbers."""
    parts = {"of a step": ev.all.after, "at reset": ev.resets}
    arrays = {f"{key} {when}": array for when, seen in parts.items() for key, array in seen._asdict().items()}
    bad = {name: int((~np.isfinite(array)).sum()) for name, array in {**arrays, "reward": ev.all.reward}.items()}
    told = [f"{name} {count} times" for name, count in bad.items() if count]
    sound = f"{len(ev.all):,} steps and {len(ev.resets.desired)} resets are finite numbers"
    return answer(f"not finite: {', '.join(told)}" if told else sound, fails=told)


@condition(
    "Whoever scales inputs by the declared bounds, or stores them in the declared type, distorts them.",
    "Declare what is returned: the type it has, and bounds it keeps (or infinite ones).",
    needs=(finite_numbers,),
)
def honest_spaces(ev: Evidence) -> Outcome:
    """Observations are of the declared type and inside the declared bounds."""
    few = list(observations(ev.fresh(), ev.random_actions(11, 30), 0))
    types = {key: sorted({str(np.asarray(obs[key]).dtype) for obs in few}) for key in ev.spaces}
    bad = [
        f"{key} is declared as {box.dtype} and comes as {', '.join(types[key])}"
        for key, box in ev.spaces.items()
        if types[key] != [str(box.dtype)]
    ]
    seen = join_moments([ev.all.before, ev.all.after, ev.resets])
    vectors = rules.by_vector(ev.fields, seen.observation) | {
        "achieved_goal": seen.achieved,
        "desired_goal": seen.desired,
    }
    for key, values in vectors.items():
        low, high = ev.spaces[key].low, ev.spaces[key].high
        out = (values < low - 1e-6 * np.abs(low)) | (values > high + 1e-6 * np.abs(high))
        if out.any():
            worst = values[out][np.abs(values[out]).argmax()]
            bad.append(f"{key} left its bounds in {out.any(axis=1).mean():.1%} of all observations, up to {worst:.4g}")
    return answer("; ".join(bad) or f"{len(ev.all):,} observations of the declared type, inside bounds", warns=bad)


@condition(
    "The replay would hold the clipped or scaled action while the policy's density is of the one it drew.",
    "Copy the action before you clip or scale it: action = np.clip(action, low, high).",
    needs=(steps,),
)
def kept_actions(ev: Evidence) -> Outcome:
    """step leaves the action that it is given as it is."""
    changed = ev.all.overwritten
    return answer(f"step wrote into {changed.sum()} of {len(changed):,} actions", warns=changed.any())
