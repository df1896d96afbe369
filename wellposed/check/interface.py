"""Conditions on the interface: what goes in and out of an environment, and whose memory it is."""

from typing import Any

import numpy as np

from wellposed.check.findings import Condition, Outcome, fails, holds, warns
from wellposed.envs import rules
from wellposed.envs.evidence import Evidence
from wellposed.envs.explore import follow
from wellposed.types import GOAL_KEYS

APART = "goals apart"
FLAT = "flat numbers"
ACTIONS = "bounded actions"
STEPS = "steps"
POSED = (APART, FLAT, ACTIONS, STEPS)  # without these nothing can be explored
TWIN_STEPS = 30


def goals_apart(ev: Evidence) -> Outcome:
    """The observation is a dict with the three keys."""
    fault = rules.goals_fault(ev.env)
    return fails(fault) if fault else holds(f"the observation holds {', '.join(GOAL_KEYS)}")


def flat_numbers(ev: Evidence) -> Outcome:
    """All three are vectors of real numbers, and both goals of one size."""
    if fault := rules.vectors_fault(ev.env):
        return fails(fault)
    observation, goals = (ev.env.observation_space[key] for key in ("observation", "desired_goal"))  # type: ignore[index]
    sizes = {"observation": observation.shape[0], "goal": goals.shape[0]}
    return holds(f"observation {sizes['observation']} numbers, goals {sizes['goal']}, {observation.dtype}", **sizes)


def bounded_actions(ev: Evidence) -> Outcome:
    """Actions are a vector of real numbers between finite bounds."""
    if fault := rules.actions_fault(ev.env):
        return fails(fault)
    space = ev.actions
    return holds(f"{space.shape[0]} numbers between {space.low.min():g} and {space.high.max():g}", size=space.shape[0])


def steps(ev: Evidence) -> Outcome:
    """`reset` and `step` answer as Gymnasium says."""
    env = ev.fresh()
    answer: Any = env.reset(seed=0)
    if not (isinstance(answer, tuple) and len(answer) == 2 and isinstance(answer[1], dict)):
        return fails("reset does not return an observation and a dict")
    answer = env.step(ev.random_actions(10, 1)[0])
    if not (isinstance(answer, tuple) and len(answer) == 5 and isinstance(answer[4], dict)):
        return fails("step does not return observation, reward, terminated, truncated and a dict")
    obs, reward, terminated, truncated, _ = answer
    if np.shape(reward) != () or not np.isreal(reward):
        return fails(f"the reward of a step is {reward!r}, not one number")
    if not all(isinstance(flag, bool | np.bool_) for flag in (terminated, truncated)):
        return fails(f"terminated and truncated are {terminated!r} and {truncated!r}, not true or false")
    for key in GOAL_KEYS:
        if key not in obs or np.shape(obs[key]) != ev.env.observation_space[key].shape:  # type: ignore[index]
            return fails(f"{key} of a step has shape {np.shape(obs.get(key))}, its space says otherwise")
    seen = ev.all
    return holds(f"{len(seen):,} steps of {int(seen.episode[-1]) + 1} episodes were taken", steps=len(seen))


def honest_spaces(ev: Evidence) -> Outcome:
    """What comes out is of the declared type and inside the declared bounds."""
    env, space = ev.fresh(), ev.env.observation_space
    seen = [env.reset(seed=seed)[0] for seed in range(4)]
    seen += [env.step(action)[0] for action in ev.random_actions(11, TWIN_STEPS)]
    bad: list[str] = []
    for key in GOAL_KEYS:
        box: Any = space[key]  # type: ignore[index]
        types = {np.asarray(obs[key]).dtype for obs in seen}
        if types != {box.dtype}:
            bad.append(f"{key} is declared as {box.dtype} and comes as {', '.join(sorted(map(str, types)))}")
        values = _seen(ev, key)
        out = (values < box.low - 1e-6 * np.abs(box.low)) | (values > box.high + 1e-6 * np.abs(box.high))
        if out.any():
            worst = values[out][np.abs(values[out]).argmax()]
            bad.append(f"{key} left its bounds in {out.any(axis=1).mean():.1%} of all observations, up to {worst:.4g}")
    return warns("; ".join(bad)) if bad else holds(f"{len(ev.all):,} observations of the declared type, inside bounds")


def _seen(ev: Evidence, key: str) -> np.ndarray:
    """All values [n, size] of one of the three parts."""
    name = {"observation": "observation", "achieved_goal": "achieved", "desired_goal": "desired"}[key]
    return np.concatenate([getattr(ev.all, name), getattr(ev.all, f"next_{name}"), getattr(ev.resets, name)])


def own_arrays(ev: Evidence) -> Outcome:
    """Nothing that was handed out changes later, and nothing that is done to it reaches the environment."""
    actions, kept = ev.random_actions(12, TWIN_STEPS), []

    def keep(obs: Any) -> None:
        kept.extend((key, obs[key], np.array(obs[key])) for key in GOAL_KEYS)

    def spoil(obs: Any) -> None:
        for key in GOAL_KEYS:
            if obs[key].flags.writeable:
                obs[key][...] = 1e3

    expected = follow(ev.fresh(), actions, 1, keep)
    changed = {key for key, array, copy in kept if not np.array_equal(array, copy, equal_nan=True)}
    if changed:
        told = ", ".join(sorted(changed))
        return fails(f"{told} of earlier steps changed when the environment went on", changed=sorted(changed))
    if not np.array_equal(follow(ev.fresh(), actions, 1, spoil), expected):
        return fails("writing into an observation that was handed out changed the environment's own state")
    return holds(f"{len(kept)} arrays stayed what they were, and writing into them changed nothing")


def kept_actions(ev: Evidence) -> Outcome:
    """The action that is handed in is not written to."""
    env, actions = ev.fresh(), ev.random_actions(13, TWIN_STEPS)
    handed = actions.copy()
    env.reset(seed=1)
    for action in handed:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            break
    changed = int((handed != actions).any(axis=1).sum())
    return (
        warns(f"step wrote into {changed} of {len(actions)} actions") if changed else holds("no action was written to")
    )


def acting(ev: Evidence) -> Outcome:
    """Other actions lead to other observations; the components that do nothing are named."""
    space = ev.actions
    middle = ((space.high + space.low) / 2).astype(space.dtype)

    def after(component: int, bound: np.ndarray) -> np.ndarray:
        env, action = ev.fresh(), middle.copy()
        action[component] = bound[component]
        obs = env.reset(seed=3)[0]
        for _ in range(8):
            obs, _, terminated, truncated, _ = env.step(action.copy())
            if terminated or truncated:
                break
        env.close()
        return np.concatenate([obs["observation"], obs["achieved_goal"]])

    idle = [i for i in range(space.shape[0]) if np.allclose(after(i, space.low), after(i, space.high), 0, 1e-9)]
    if len(idle) == space.shape[0]:
        return fails("eight steps of the highest and of the lowest action led to the same observation", idle=idle)
    said = f"; components {idle} do nothing" if idle else ""
    return holds(
        f"{space.shape[0] - len(idle)} of {space.shape[0]} components of the action move something{said}", idle=idle
    )


CONDITIONS = (
    Condition(
        APART, "Goals stand apart from states.",
        "Without an achieved and a desired goal of their own, no transition can be given another goal afterwards.",
        "Make the observation a gymnasium.spaces.Dict with observation, achieved_goal and desired_goal.",
        goals_apart,
    ),
    Condition(
        FLAT, "Observation and goals are vectors of real numbers, both goals of one size.",
        "Goals that are no vectors of one space have no distance, so nothing is ever near a goal.",
        "Flatten them into gymnasium.spaces.Box vectors of a floating type; both goals in the same numbers and units.",
        flat_numbers, needs=(APART,),
    ),
    Condition(
        ACTIONS, "Actions are a vector of real numbers between finite bounds.",
        "The actor's output is squashed into a box; without bounds there is nothing to squash it into.",
        "Declare a gymnasium.spaces.Box with finite bounds and scale inside the environment.",
        bounded_actions,
    ),
    Condition(
        STEPS, "reset and step answer as Gymnasium's interface says.",
        "What is stored would be something else than what happened.",
        "Return (observation, info) and (observation, reward, terminated, truncated, info), as Gymnasium documents it.",
        steps, needs=(APART, FLAT, ACTIONS),
    ),
    Condition(
        "honest spaces", "Observations are of the declared type and inside the declared bounds.",
        "Whoever scales inputs by the declared bounds, or stores them in the declared type, distorts them.",
        "Declare what is returned: the type it has, and bounds it keeps (or infinite ones).",
        honest_spaces, needs=(*POSED, "finite numbers"),
    ),
    Condition(
        "own arrays", "Arrays that were handed out belong to whoever got them.",
        "A replay that keeps a reference then holds the present in place of the past, or rewrites the simulation.",
        "Return copies: obs = {key: value.copy() for ...}.",
        own_arrays, needs=(*POSED, "repeatable steps"),
    ),
    Condition(
        "kept actions", "step leaves the action that it is given as it is.",
        "The replay would hold the clipped or scaled action while the policy's density is of the one it drew.",
        "Copy the action before you clip or scale it: action = np.clip(action, low, high).",
        kept_actions, needs=POSED,
    ),
    Condition(
        "acting", "Actions have an effect.",
        "Where actions change nothing there is nothing to learn.",
        "See that step hands the action on to the simulation, with its scale.",
        acting, needs=(*POSED, "repeatable steps"),
    ),
)  # fmt: skip
