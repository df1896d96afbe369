"""The geometry that an environment declares of itself: read, checked, and completed by what is left to derive."""

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed import serialise
from wellposed.errors import UserError
from wellposed.types import Field, Geometry, Mirror

SAME = 1e-4  # of the spread of a difference: numbers that stay within it of each other are one quantity in float32


def geometry_of(env: gym.Env, fields: tuple[Field, ...], seen: np.ndarray) -> Geometry | None:
    """The geometry that an environment declares, complete; None where it declares none.

    Args:
        env: an instance.
        fields: what is observed of it.
        seen: observations [n, obs_dim] of it.

    Raises:
        UserError: if the declaration cannot be read or does not fit.
    """
    if (geometry := declared(env)) is None:
        return None
    require_one_vector(fields)
    require_fitting(geometry, seen.shape[1], env.observation_space["desired_goal"].shape[0], env.action_space.shape[0])  # type: ignore[index]
    return with_differences(geometry, seen)


def declared(env: gym.Env) -> Geometry | None:
    """What the attribute or method `geometry` of an environment or a wrapper says: a `Geometry`, or a dict of it.

    None where there is none, or where it is something else of that name.

    Raises:
        UserError: if it has keys or values that a geometry has not, or the method raises.
    """
    try:
        said: Any = env.get_wrapper_attr("geometry")
    except AttributeError:
        return None
    if callable(said):
        try:
            inspect.signature(said).bind()
            said = said()
        except TypeError:
            return None
        except Exception as error:  # a stranger's code may raise anything
            raise UserError(f"its method geometry() raised {type(error).__name__}: {error}") from error
    return read(said, "its geometry") if isinstance(said, Mapping) else said if isinstance(said, Geometry) else None


def read(data: Mapping[str, Any], where: str) -> Geometry:
    """A geometry from plain data; what is left out has its default.

    Raises:
        UserError: naming `where` and what is missing, unknown or of the wrong type.
    """
    defaults = {field.name: field.default for field in fields(Geometry) if field.name not in ("effector", "points")}
    try:
        return serialise.from_dict(Geometry, json.loads(json.dumps(defaults | dict(data), default=_plain)), where)
    except (TypeError, ValueError) as error:
        raise UserError(f"{error}. A geometry has the keys {', '.join(f.name for f in fields(Geometry))}.") from error


def require_one_vector(fields: tuple[Field, ...]) -> None:
    """Refuse what is observed in other vectors than one, named "observation": a geometry speaks of its numbers.

    Raises:
        UserError: naming the vectors.
    """
    if (vectors := [field.name for field in fields if field.kind == "vector"]) != ["observation"]:
        raise UserError(f"A geometry speaks of the numbers of one vector, observation; there are {', '.join(vectors)}.")


def _plain(value: Any) -> Any:
    """What JSON does not know of a declaration, as lists, dicts and numbers."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"a geometry cannot hold {value!r}")


def require_fitting(geometry: Geometry, size: int, goal: int, action: int) -> None:
    """Refuse a geometry that cannot be that of an environment with so many numbers in observation, goal and action.

    Raises:
        UserError: saying why.
    """
    if fault := _points_fault(geometry, size, goal) or _mirror_fault(geometry.mirror, size, goal, action):
        raise UserError(f"The geometry does not fit the environment: {fault}.")


def _points_fault(geometry: Geometry, size: int, goal: int) -> str:
    """What is wrong with the places that a geometry names; "" if nothing is."""
    places = [i for point in geometry.goal_points for i in point]
    if len({*map(len, geometry.goal_points)}) > 1 or len({*places} & {*range(goal)}) < len(places):
        return (
            f"goal_points {[*map(list, geometry.goal_points)]} should be as many of the {goal} numbers of a goal each"
        )
    wide = len(geometry.goal_points[0]) if geometry.goal_points else goal
    for point in (geometry.effector, *geometry.points):
        if len(point) != wide or not all(0 <= i < size for i in point):
            several = "" if geometry.goal_points else "; goal_points says of a goal of several points where they are"
            return f"{list(point)} should be {wide} places in an observation of {size} numbers{several}"
    if geometry.effector not in geometry.points:
        return f"the effector {list(geometry.effector)} is not among the points"
    if not all(0 <= axis < wide for axis in geometry.shift_axes):
        return f"shift axes {list(geometry.shift_axes)} should be numbers of the {wide} axes of points"
    if not all(0 <= i < len(geometry.points) for pair in geometry.differences for i in pair):
        return (
            f"differences {list(geometry.differences)} should be pairs of numbers of the {len(geometry.points)} points"
        )
    pairs = (geometry.turn.axes, *geometry.turn.pairs) if geometry.turn else ()
    if not all(0 <= i < (size if place else wide) for place, pair in enumerate(pairs) for i in pair):
        return "its turn names places that there are not"
    return ""


def _mirror_fault(mirror: Mirror | None, size: int, goal: int, action: int) -> str:
    """Why a mirror is none: sizes, or twice mirrored is not what it was; "" if nothing is wrong."""
    if mirror is None:
        return ""
    order, sign, offset = (
        np.array(part) for part in (mirror.observation_order, mirror.observation_sign, mirror.observation_offset)
    )
    sizes = [
        len(order),
        len(sign),
        len(offset),
        len(mirror.goal_sign),
        len(mirror.goal_offset),
        len(mirror.action_sign),
    ]
    if sizes != [size, size, size, goal, goal, action]:
        return f"its mirror has {sizes} numbers, not {[size, size, size, goal, goal, action]}"
    rest = {*sign.tolist(), *mirror.goal_sign, *mirror.action_sign} - {-1, 1}
    if rest or sorted(order.tolist()) != list(range(size)):
        return "the signs of a mirror are 1 or -1, its order is a permutation"
    goal_sign, goal_offset = np.array(mirror.goal_sign), np.array(mirror.goal_offset)
    back = np.allclose(offset + sign * offset[order], 0) and np.allclose(goal_offset + goal_sign * goal_offset, 0)
    if (order[order] != np.arange(size)).any() or (sign * sign[order] != 1).any() or not back:
        return "what is mirrored twice is not what it was"
    return ""


def with_differences(geometry: Geometry, seen: np.ndarray) -> Geometry:
    """The geometry with every way from its effector to another point that the observation does not hold itself.

    Args:
        geometry: what is declared or found; differences that it names stay as they are.
        seen: observations [n, obs_dim] of the environment.
    """
    if geometry.differences:
        return geometry
    start = geometry.points.index(geometry.effector)
    ways = [(start, to) for to in range(len(geometry.points)) if to != start]
    return replace(geometry, differences=tuple(way for way in ways if not _held(geometry, way, seen)))


def _held(geometry: Geometry, way: tuple[int, int], seen: np.ndarray) -> bool:
    """Whether on every axis some number of the observation is the difference between two points."""
    start, to = (seen[:, geometry.points[i]] for i in way)
    return all(same_as(seen, difference).any() for difference in (to - start).T)


def same_as(seen: np.ndarray, quantity: np.ndarray) -> np.ndarray:
    """Which numbers of observations [n, obs_dim] equal a quantity [n] that varies, bool [obs_dim]."""
    apart = np.abs(seen - quantity[:, None]).max(axis=0)
    return apart <= SAME * max(float(np.ptp(quantity)), 1e-3 * float(np.abs(quantity).max()))


def mirror_signs(kinds: Sequence[str], axis: int) -> np.ndarray:
    """The sign of each number of an observation in a mirror that stands across an axis of space, [numbers].

    Args:
        kinds: what the observation holds, in order: "vector" is a position, way or velocity, "turning" an angular
            velocity or angles about the axes, three numbers each; "number" is one that has no direction, as a width.
        axis: 0 to 2; a vector along it is turned round. What turns about it turns on, and about the other two the
            other way: a cross product of two vectors is no vector.

    Raises:
        KeyError: for another kind.
    """
    vector = np.where(np.arange(3) == axis, -1, 1)
    signs = {"vector": vector, "turning": -vector, "number": np.ones(1, int)}
    return np.concatenate([signs[kind] for kind in kinds])


def relative(mirror: Mirror, observation: np.ndarray, goal: np.ndarray) -> Mirror:
    """The mirror of observations and goals that are shown relative to these origins, [obs_dim] and [goal_dim]."""
    order, sign = np.array(mirror.observation_order), np.array(mirror.observation_sign)
    seen = mirror.observation_offset + sign * observation[order] - observation
    goals = np.array(mirror.goal_offset) + np.array(mirror.goal_sign) * goal - goal
    return replace(mirror, observation_offset=tuple(map(float, seen)), goal_offset=tuple(map(float, goals)))
