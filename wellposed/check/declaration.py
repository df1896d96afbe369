"""A geometry that a person declares: what is left to derive, the text to paste, and a found one as people read it."""

import json
from contextlib import closing
from dataclasses import fields, replace
from typing import Any

import numpy as np

from wellposed import serialise
from wellposed.arrays import turned
from wellposed.check.geometry import Found
from wellposed.check.subject import find_subject
from wellposed.check.symmetry import TOLERANCE, Tried
from wellposed.envs.evidence import Evidence
from wellposed.envs.geometry import require_fitting, require_one_vector, with_differences
from wellposed.envs.make import EnvConfig
from wellposed.types import Geometry


def with_ways(env: EnvConfig) -> EnvConfig:
    """The environment with the ways that its configured geometry leaves to be derived, see `with_differences`.

    Raises:
        UserError: if the geometry does not fit, or training cannot be done on the environment.
    """
    if (geometry := env.geometry) is None or geometry.differences or len(geometry.points) < 2:
        return env
    with closing(Evidence(find_subject(env.id, env.arguments))) as evidence:
        evidence.measured()
        require_one_vector(evidence.fields)
        seen = np.concatenate([evidence.resets.observation, evidence.random.after.observation])
        require_fitting(geometry, seen.shape[1], evidence.resets.desired.shape[1], evidence.actions.shape[0])
    if geometry.turn is not None:
        seen = turned(seen, geometry.turn.pairs, geometry.turn.angle)
    return replace(env, geometry=with_differences(geometry, seen))


def declaration(geometry: Geometry) -> str:
    """Python text that declares a geometry as an attribute of an environment's class."""
    data = serialise.whole(geometry)
    rest = {field.name: field.default for field in fields(Geometry) if field.name not in ("effector", "points")}
    lines = [f'    "{name}": {_text(value)},' for name, value in data.items() if value != _plain(rest.get(name, ...))]
    return "\n".join(["geometry = {", *lines, "}"])


def _plain(default: Any) -> Any:
    return list(default) if isinstance(default, tuple) else default


def _text(value: Any) -> str:
    """JSON on one line for each key of a dict; what it holds of JSON is Python as well."""
    if isinstance(value, dict):
        inner = "".join(f'\n        "{name}": {json.dumps(part)},' for name, part in value.items())
        return f"{{{inner}\n    }}"
    return json.dumps(value)


def describe(found: Found) -> str:
    """What was found, with the evidence, what to paste and how to train with it."""
    how = "from states that were written" if found.by_state else "from resets and places that fit together"
    lines = [f"{found.env}: positions and symmetries, measured in {found.seconds:.0f} s."]
    if found.geometry is None:
        return "\n".join([*lines, f"No geometry was found: {found.why}."])
    geometry = found.geometry
    lines.append(f"The effector's position is in numbers {list(geometry.effector)} of the observation.")
    others = [list(point) for point in geometry.points if point != geometry.effector]
    goal = "a point of the achieved goal" if geometry.goal_points else "the achieved goal"
    lines += [f"A position of the same frame is in {point}; it is {goal}." for point in others]
    if geometry.differences:
        lines.append("The way between them is not in the observation; networks are shown it all the same.")
    if geometry.turn is not None:
        i, j = geometry.turn.axes
        degrees = f"{geometry.turn.angle * 57.29578:.1f}"
        lines.append(f"Actions act along axes that are turned by {degrees} degrees in the plane of axes {i} and {j}.")
    if found.tried:
        lines.append(f"Pairs of rollouts, {how}; twins agree within {TOLERANCE:g} of the radius {found.radius:.3g}:")
        lines += [_line(one) for one in found.tried]
    else:
        lines.append("No symmetry could be tried: things move by themselves, and their state cannot be written.")
    lines += ["To declare it, paste this into the environment's class:", "", declaration(geometry), ""]
    return "\n".join([*lines, f"To train with it: wellposed train {found.env} --geometry found"])


def _line(one: Tried) -> str:
    """A symmetry in one line."""
    symmetry = one.symmetry
    what = f"shift along axis {symmetry.axis}"
    if symmetry.kind == "mirror":
        what = f"mirror on axis {symmetry.axis} at {symmetry.offset / 2:.4g}"
    mark = "holds" if one.holds else "no   "
    share = f"{one.within:.1%} of {one.steps} steps agree (needed {one.needed:.1%})"
    told = f"{share}, largest error {one.error:.3g}, {one.tested:.0%} tested"
    return f"  {mark} {what:<28} {told}" + ("" if one.rewarded else "; rewards differ")
