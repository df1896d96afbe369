"""The anatomy of a goal environment, measured: interface, numbers, reward, motion, gripper, floor, chance."""

from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed import envs
from wellposed.agents import SACConfig
from wellposed.check import observation
from wellposed.check.subject import find_subject
from wellposed.envs.evidence import Evidence
from wellposed.envs.quantities import Quantities, Quantity
from wellposed.measure.anatomy import Anatomy, AnatomySettings, Field, Interface, Rule, Space
from wellposed.measure.chance import measure_chance, measure_floor
from wellposed.measure.kinds import Context
from wellposed.measure.motion import measure_gripper, measure_motion
from wellposed.measure.rewards import agreement, find_rule

DIGITS = 5  # of a range that was seen: to a hundredth of a millimetre


def dissect(settings: AnatomySettings, context: Context) -> Anatomy:
    """Measure an environment.

    Raises:
        UserError: if there is no such environment, or it is no goal environment.
    """
    name, threads, seed = settings.env, context.threads, settings.seed
    quantities = envs.find(name).quantities
    with closing(envs.make_vec(name)) as env:  # refuses what is no goal environment
        mode = env.metadata["autoreset_mode"].value
        knows_effector = env.geometry is not None
    with closing(Evidence(find_subject(name), seed, SACConfig().gamma)) as ev:
        interface, parts = _interface(ev, mode), _fields(ev, quantities)
        rule, formula = find_rule(ev, quantities.goal[0].unit if quantities else "")
        found, markov = agreement(ev, rule, formula), observation.markov(ev).evidence
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
        floor=measure_floor(name, settings.resets, seed, threads, context.over),
        chance=measure_chance(name, settings.episodes, seed, threads, context.over),
        markov=markov,
        unsaid=_unsaid(name, quantities is not None, moving is not None, rule),
    )


def _space(space: Any) -> Space:
    """A box as data; infinite bounds are none."""
    assert isinstance(space, gym.spaces.Box)
    low, high = float(space.low.min()), float(space.high.max())
    finite = lambda bound: bound if np.isfinite(bound) else None  # noqa: E731
    return Space([int(n) for n in space.shape], str(space.dtype), finite(low), finite(high))


def _interface(ev: Evidence, autoreset_mode: str) -> Interface:
    """What goes in and out."""
    spaces: Any = ev.env.observation_space
    assert ev.limit is not None  # envs.make_vec has refused what has none
    return Interface(
        **{key: _space(spaces[key]) for key in ("observation", "achieved_goal", "desired_goal")},
        action=_space(ev.env.action_space),
        max_episode_steps=ev.limit,
        autoreset_mode=autoreset_mode,
        terminates=bool(ev.all.terminated.any()),
    )


def _fields(ev: Evidence, quantities: Quantities | None) -> tuple[list[Field], list[Field], list[Field]]:
    """The numbers of observation, goal and action, with the range in which each was seen."""
    seen, starts = ev.all, ev.resets
    parts = (
        ("observation", np.concatenate([starts.observation, seen.next_observation])),
        ("goal", np.concatenate([starts.desired, starts.achieved, seen.next_achieved])),
        ("action", seen.action),
    )
    one, two, three = (
        [_field(i, quantities and getattr(quantities, part)[i], column) for i, column in enumerate(values.T)]
        for part, values in parts
    )
    return one, two, three


def _field(number: int, quantity: Quantity | None, seen: np.ndarray) -> Field:
    """One number; without a name it is called by its place."""
    quantity = quantity or Quantity(f"number {number}", "", "")
    lowest, highest = (round(float(end), DIGITS) + 0.0 for end in (seen.min(), seen.max()))
    return Field(number, quantity.name, quantity.unit, quantity.frame, lowest, highest)


def _unsaid(name: str, named: bool, moving: bool, rule: Rule) -> list[str]:
    """What nobody says of an environment, and what was not measured therefore."""
    told = [] if named else [f"Nobody says what the numbers of {name} are, so they are called by their places."]
    if not moving:
        told.append("Nobody says where an observation holds the end effector, so what an action does was not measured.")
    if rule.threshold is None:
        told.append("Success does not end at one distance from a goal, so no threshold is given.")
    if not rule.formula:
        told.append("The reward is neither minus a distance nor a step at one, so no formula is given.")
    return told
