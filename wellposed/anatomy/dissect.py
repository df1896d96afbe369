"""Measures the anatomy of a goal environment: interface, components, reward, motion, gripper, floor, chance."""

from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed import envs
from wellposed.agents import SACConfig
from wellposed.anatomy import Anatomy, AnatomySettings, Field, Interface, Past, Rule, Space
from wellposed.anatomy.chance import measure_chance, measure_floor
from wellposed.anatomy.motion import measure_gripper, measure_motion
from wellposed.anatomy.rewards import agreement, find_rule
from wellposed.check import observation as observation_checks
from wellposed.check.subject import find_subject
from wellposed.envs.evidence import Evidence
from wellposed.envs.quantities import Quantities, Quantity
from wellposed.progress import Over, unwatched

DIGITS = 5  # decimals of a range: a hundredth of a millimetre


def dissect(settings: AnatomySettings, threads: int, over: Over = unwatched) -> Anatomy:
    """Measure the anatomy of an environment with so many native threads.

    Raises:
        UserError: if there is no such environment, or it is not a goal environment.
    """
    name, seed = settings.env, settings.seed
    quantities = envs.find(name).quantities
    with closing(envs.make_vec(name)) as env:  # raises unless it is a goal environment
        mode = env.metadata["autoreset_mode"].value
        knows_effector = env.geometry is not None
    with closing(Evidence(find_subject(name), seed, SACConfig().gamma)) as ev:
        interface, parts = _interface(ev, mode), _fields(ev, quantities)
        rule, formula = find_rule(ev, quantities.goal[0].unit if quantities else "")
        found, markov = agreement(ev, rule, formula), observation_checks.markov.ask(ev).evidence
        past = _past(ev)
    moving = quantities if knows_effector else None
    return Anatomy(
        env=name,
        interface=interface,
        fields=parts[0],
        goal_fields=parts[1],
        action_fields=parts[2],
        reward=rule,
        agreement=found,
        motion=measure_motion(name, moving, threads, seed) if moving else None,
        gripper=measure_gripper(name, moving, threads, seed) if moving else None,
        floor=measure_floor(name, settings.resets, seed, threads, over),
        chance=measure_chance(name, settings.episodes, seed, threads, over),
        markov=markov,
        unsaid=_unsaid(name, quantities is not None, moving is not None, rule),
        past=past,
    )


def _past(ev: Evidence) -> Past | None:
    """What the step before adds, in numbers: those behind the verdict in words."""
    if (result := observation_checks.history_helps(ev.random)) is None:
        return None
    opened, helped = result
    left = opened > observation_checks.LEFT_OPEN
    explained = np.maximum(helped[left], 0)
    return Past(int(left.sum()), float(explained.max(initial=0)), int((explained > 0.5).sum()))


def _space(space: Any) -> Space:
    """A box as data; infinite bounds become None."""
    assert isinstance(space, gym.spaces.Box)
    low, high = float(space.low.min()), float(space.high.max())
    finite = lambda bound: bound if np.isfinite(bound) else None  # noqa: E731
    return Space([int(n) for n in space.shape], str(space.dtype), finite(low), finite(high))


def _interface(ev: Evidence, autoreset_mode: str) -> Interface:
    """Spaces, episode length and autoreset mode."""
    spaces: Any = ev.env.observation_space
    assert ev.limit is not None  # envs.make_vec raises if it has none
    return Interface(
        **{key: _space(spaces[key]) for key in ("observation", "achieved_goal", "desired_goal")},
        action=_space(ev.env.action_space),
        max_episode_steps=ev.limit,
        autoreset_mode=autoreset_mode,
        terminates=bool(ev.all.terminated.any()),
    )


def _fields(ev: Evidence, quantities: Quantities | None) -> tuple[list[Field], list[Field], list[Field]]:
    """The components of observation, goal and action, each with its range during exploration."""
    seen, starts = ev.all, ev.resets
    parts = (
        ("observation", np.concatenate([starts.observation, seen.after.observation])),
        ("goal", np.concatenate([starts.desired, starts.achieved, seen.after.achieved])),
        ("action", seen.action),
    )
    observation, goal, action = (
        [_field(i, quantities and getattr(quantities, part)[i], column) for i, column in enumerate(values.T)]
        for part, values in parts
    )
    return observation, goal, action


def _field(number: int, quantity: Quantity | None, seen: np.ndarray) -> Field:
    """One component; without a name it is called by its index."""
    quantity = quantity or Quantity(f"number {number}", "", "")
    lowest, highest = (round(float(end), DIGITS) + 0.0 for end in (seen.min(), seen.max()))
    return Field(number, quantity.name, quantity.unit, quantity.frame, lowest, highest)


def _unsaid(name: str, named: bool, moving: bool, rule: Rule) -> list[str]:
    """What the environment does not tell, and what could not be measured, as sentences."""
    missing = [] if named else [f"{name} has no names for its components, so they are numbered."]
    if not moving:
        missing.append("The position of the end effector in the observation is not known, so motion was not measured.")
    if rule.threshold is None:
        missing.append("Success does not end at the same distance from every goal, so there is no threshold.")
    if not rule.formula:
        missing.append("The reward is neither minus the distance nor a step at a threshold, so there is no formula.")
    return missing
