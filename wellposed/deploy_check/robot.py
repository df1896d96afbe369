"""What a robot is like, as data: a `robot.toml`, and what was recorded on it (docs/deploy_check.md)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wellposed import serialise
from wellposed.arrays import Arrays, parse_npz
from wellposed.envs.wrappers.control import Control
from wellposed.envs.wrappers.filter import Filter
from wellposed.errors import UserError
from wellposed.portable import Seen
from wellposed.runs.files import read_bytes, read_lines, read_toml
from wellposed.serialise import LATER

MAX_BYTES = 2**30
LARGEST = 1e12  # far beyond what a number of a robot is; what is computed of it stays finite
ORDERS = {"position": 0, "displacement": 1, "velocity": 1}  # which derivative of a place a command is
LIMITS = ("speed", "acceleration", "jerk")  # on the first, second and third derivative


@dataclass(frozen=True)
class Delay:
    """How late readings are when the policy gets them, and commands when they act."""

    sensing: float
    actuation: float
    unit: Literal["s", "periods"] = field(default="s", metadata=LATER)

    def __post_init__(self) -> None:
        if min(self.sensing, self.actuation) < 0:
            raise ValueError("delays are 0 or more")


@dataclass(frozen=True)
class Sense:
    """Numbers of an observation that the robot measures, or is told."""

    key: str
    name: str
    numbers: list[int] | None = field(default=None, metadata=LATER)  # of that key; None: all of them
    unit: str = field(default="", metadata=LATER)
    noise: float | None = field(default=None, metadata=LATER)  # standard deviation, in the unit; None: not measured
    low: float | None = field(default=None, metadata=LATER)  # the least reading that it can give
    high: float | None = field(default=None, metadata=LATER)


@dataclass(frozen=True)
class Command:
    """What a component of an action becomes on the robot, in control periods of `1 / Robot.rate`."""

    name: str
    means: Literal["position", "displacement", "velocity", "effort"]  # a displacement is that of one control period
    unit: str
    scale: float  # what 1 of the environment's action is, in the unit
    low: float  # the least and the greatest command that the robot takes
    high: float
    speed: float | None = field(default=None, metadata=LATER)  # unit/s, unit/s^2, unit/s^3 of the commanded motion
    acceleration: float | None = field(default=None, metadata=LATER)
    jerk: float | None = field(default=None, metadata=LATER)
    axis: int | None = field(default=None, metadata=LATER)  # of the workspace, along which it moves the effector

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.low >= self.high:
            raise ValueError("scale must be greater than 0, and low less than high")
        limits = [limit for name in LIMITS if (limit := self.limit(name)) is not None]
        if limits and min(limits) <= 0:
            raise ValueError("limits must be greater than 0")
        if self.means == "effort" and (self.axis is not None or limits):
            raise ValueError("an effort has no axis, speed, acceleration or jerk")

    def limit(self, name: str) -> float | None:
        """The limit of that name, one of LIMITS."""
        return getattr(self, name)

    def derivative(self, commands: np.ndarray, limit: str, rate: float) -> float:
        """The largest speed, acceleration or jerk of consecutive commands [T], for a rate of control."""
        order = LIMITS.index(limit) + 1 - ORDERS[self.means]
        change = np.diff(commands, n=order) * rate ** (order + (self.means == "displacement"))
        return float(np.abs(change).max(initial=0.0))


@dataclass(frozen=True)
class Box:
    """A box in the frame of goals."""

    low: list[float]
    high: list[float]

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or any(a >= b for a, b in zip(self.low, self.high, strict=True)):
            raise ValueError("a box has as many high as low ends, and each is greater")

    def depth(self, points: np.ndarray) -> np.ndarray:
        """How far points [n, d] lie inside, [n]; below 0 outside."""
        return np.minimum(points - np.array(self.low), np.array(self.high) - points).min(axis=1)


@dataclass(frozen=True)
class Workspace:
    """Where the effector may be, in the frame of goals."""

    unit: str
    low: list[float]
    high: list[float]
    effector: list[int]  # the numbers of "observation" that are its place
    keep_out: list[Box] = field(default_factory=list, metadata=LATER)

    def __post_init__(self) -> None:
        if {len(self.box.low), *(len(one.low) for one in self.keep_out)} != {len(self.effector)}:
            raise ValueError("effector, the box and what is kept out of have the same number of axes")

    @property
    def box(self) -> Box:
        """The whole of it."""
        return Box(self.low, self.high)


@dataclass(frozen=True)
class Robot:
    """A robot as a policy meets it."""

    rate: float  # control periods in a second
    delay: Delay
    sense: list[Sense]
    action: list[Command]  # one for each component of an action, in their order
    workspace: Workspace | None = field(default=None, metadata=LATER)
    # What the driver does with actions and readings, by the names of --env.control and --env.filter.
    control: dict[str, Any] = field(default_factory=dict, metadata=LATER)
    filter: dict[str, Any] = field(default_factory=dict, metadata=LATER)
    recording: str = field(default="", metadata=LATER)  # a file beside this one

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError("rate must be greater than 0")
        if "delay" in self.control:
            raise ValueError("the delay of commands is said in [delay], not in [control]")
        axes = [one.axis for one in self.action if one.axis is not None]
        known = range(len(self.workspace.effector) if self.workspace else 0)
        if len({*axes}) != len(axes) or not {*axes} <= {*known}:
            raise ValueError("each axis of an action is one of the workspace, and no other action has it")
        for one in self.action:
            due = self.workspace.unit + ("/s" if one.means == "velocity" else "") if self.workspace else one.unit
            if one.axis is not None and one.unit != due:
                raise ValueError(
                    f"the action {one.name!r} moves along an axis of the workspace, so its unit is {due!r}"
                )

    @property
    def driver(self) -> tuple[Control, Filter]:
        """What the driver does. Raises ValueError, naming a setting that does not exist or cannot take its value."""
        control, smoothing = (
            serialise.override(serialise.whole(kind()), given)
            for kind, given in ((Control, self.control), (Filter, self.filter))
        )
        return serialise.from_dict(Control, control, "[control]"), serialise.from_dict(Filter, smoothing, "[filter]")

    def senses(self, fields: list[Seen]) -> dict[tuple[str, int], Sense]:
        """What gives each number, by key and place, of what a policy of these fields reads.

        Raises:
            UserError: for a number that the policy does not have, or one that is given twice.
        """
        sizes = {one.name: one.size for one in fields}
        found = [
            ((one.key, i), one)
            for one in self.sense
            for i in (range(sizes.get(one.key, 0)) if one.numbers is None else one.numbers)
        ]
        twice = [place for place, times in Counter(place for place, _ in found).items() if times > 1]
        unknown = [one.key for one in self.sense if one.key not in sizes]
        beyond = [(key, i) for (key, i), _ in found if not 0 <= i < sizes.get(key, 0)]
        if unknown:
            raise UserError(f"[[sense]] {unknown[0]!r}: the policy reads {', '.join(sizes)}.")
        if beyond or twice:
            (key, i), what = (*beyond, *twice)[0], "that is not there" if beyond else "more than once"
            raise UserError(f"[[sense]] gives the number {i} of {key!r} {what}; it has {sizes[key]}, from 0 on.")
        return dict(found)


def read_robot(path: Path) -> Robot:
    """Read a `robot.toml`. Raises UserError, naming what is missing, unknown or out of its range."""
    try:
        data = read_toml(path)[1]
        if (most := max(map(abs, _numbers(data)), default=0.0)) > LARGEST:
            raise ValueError(f"{path}: {most:g} is beyond any number of a robot")
        robot = serialise.from_dict(Robot, data, str(path))
        _ = robot.driver
    except ValueError as error:
        raise UserError(f"{error}. docs/deploy_check.md explains every key of such a file.") from error
    return robot


def _numbers(data: Any) -> Iterator[float]:
    """All numbers in JSON data."""
    if isinstance(data, dict | list):
        for part in data.values() if isinstance(data, dict) else data:
            yield from _numbers(part)
    elif isinstance(data, int | float):
        yield data


@dataclass(frozen=True)
class Recording:
    """What was observed on a robot, moment by moment, and what was done there."""

    obs: Arrays  # by key, [rows, *shape], in the environment's frame
    action: np.ndarray | None  # [rows, action_dim], in the environment's units
    episodes: list[slice]

    @property
    def rows(self) -> int:
        """How many moments."""
        return self.episodes[-1].stop


def read_recording(path: Path, fields: list[Seen], action_dim: int) -> Recording:
    """A recording: an npz with arrays by key, or JSON lines with a moment each.

    An npz may have `action`, and `length` as a file of demonstrations has it: L + 1 rows of each episode of L actions.
    A line may have `action` and `episode`, a number that changes where an episode begins.

    Raises:
        UserError: if it is neither, a key is missing or of another shape, or a number is not finite.
    """
    arrays = _read_lines(path) if path.suffix == ".jsonl" else _read_npz(path)
    shapes = {one.name: tuple(one.shape) for one in fields}
    if missing := [name for name in shapes if name not in arrays]:
        raise UserError(f"{path.name} lacks {', '.join(missing)}; it has {', '.join(arrays)}.")
    rows, shapes = (
        len(np.atleast_1d(arrays[fields[0].name])),
        shapes | ({"action": (action_dim,)} if "action" in arrays else {}),
    )
    if not rows:
        raise UserError(f"{path.name} holds no moment.")
    for name, shape in shapes.items():
        if arrays[name].shape != (rows, *shape):
            raise UserError(f"{path.name}: {name} must be {[rows, *shape]}, got {[*arrays[name].shape]}.")
        good = np.abs(arrays[name]) < LARGEST
        if bad := int((~good).reshape(rows, -1).any(axis=1).sum()):
            raise UserError(f"{path.name}: {name} holds a NaN, an infinity or the like in {bad} of {rows} moments.")
    ends = _ends(arrays, rows)
    if ends[-1] != rows or (np.diff(ends, prepend=0) < 1).any():
        raise UserError(f"{path.name}: the lengths of its episodes do not add up to its {rows} rows.")
    episodes = [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    return Recording({one.name: arrays[one.name] for one in fields}, arrays.get("action"), episodes)


def _ends(arrays: Arrays, rows: int) -> np.ndarray:
    """The row after the last of each episode."""
    if "length" in arrays and arrays["length"].size:
        length = arrays["length"].reshape(-1)
        known = np.where(np.abs(length) < LARGEST, length, -1)  # a NaN or an infinity is no length
        return np.cumsum(known.astype(int) + 1)
    if "episode" in arrays:
        return np.append(np.flatnonzero(np.diff(arrays["episode"].reshape(-1))) + 1, rows)
    return np.array([rows])


def _read_npz(path: Path) -> Arrays:
    """Arrays of numbers."""
    try:
        arrays = parse_npz(read_bytes(path, MAX_BYTES), MAX_BYTES)
        return {name: array if array.dtype == np.uint8 else array.astype(float) for name, array in arrays.items()}
    except ValueError as error:
        raise UserError(f"{path.name} is no recording: {error}.") from error


def _read_lines(path: Path) -> Arrays:
    """The same of JSON lines."""
    lines = read_lines(path)
    if not lines or not all(isinstance(line, dict) and line.keys() == lines[0].keys() for line in lines):
        raise UserError(f"{path.name} is no recording: each line is an object, all with the same keys.")
    try:
        return {name: np.array([line[name] for line in lines], float) for name in lines[0]}
    except (ValueError, TypeError) as error:
        raise UserError(f"{path.name} is no recording: {error}.") from error
