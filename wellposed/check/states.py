"""Physics by state: the numbers behind an environment, where it lets them be read and written.

Three kinds of environments do: those of this package that have the capability "state", any that shows MuJoCo's `data`,
and those that keep their state as floats in attributes, as one written in numpy does.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from wellposed.check.subject import OneEnv
from wellposed.types import VecEnv

EXACT = 1e-2  # relative: a number moves a position if it moves it by what it is moved by itself


@dataclass(frozen=True)
class State:
    """The floating-point numbers of an environment's state as one vector [k]."""

    read: Callable[[], np.ndarray]
    write: Callable[[np.ndarray], None]


def state_of(env: gym.Env) -> State | None:
    """How to read and write what the next step of an environment depends on; None where nobody knows."""
    base: Any = env.unwrapped
    if isinstance(base, OneEnv):
        return _of_one_env(base.inner)
    if isinstance(getattr(base, "data", None), mujoco.MjData):
        return _of_mujoco(base.model, base.data)
    return _of_attributes(base)


def _of_one_env(env: VecEnv) -> State | None:
    """All floats in the state of one env; its clock and its random stream stay what they are."""
    if "state" not in env.capabilities:
        return None
    floats = lambda state: {key: value for key, value in state.items() if value.dtype.kind == "f"}  # noqa: E731

    def write(numbers: np.ndarray) -> None:
        state, at = env.get_state(), 0
        for key, value in floats(state).items():
            state[key] = numbers[at : at + value.size].reshape(value.shape)
            at += value.size
        env.set_state(state)

    return State(lambda: np.concatenate([np.ravel(value) for value in floats(env.get_state()).values()]), write)


def _of_mujoco(model: Any, data: Any) -> State:
    """Positions and velocities of joints."""

    def write(numbers: np.ndarray) -> None:
        data.qpos[:], data.qvel[:] = numbers[: model.nq], numbers[model.nq :]
        mujoco.mj_forward(model, data)

    return State(lambda: np.concatenate([data.qpos, data.qvel]), write)


def _of_attributes(base: Any) -> State | None:
    """Floats and arrays of floats among the attributes, but for those of Gymnasium itself."""

    def is_number(value: Any) -> bool:
        return type(value) is float or (isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.size > 0)

    names = [name for name, value in vars(base).items() if is_number(value)]
    if not names:
        return None

    def write(numbers: np.ndarray) -> None:
        at = 0
        for name in names:
            old = np.asarray(getattr(base, name))
            new = numbers[at : at + old.size].reshape(old.shape).astype(old.dtype)
            setattr(base, name, new if old.ndim else float(new))
            at += old.size

    return State(lambda: np.concatenate([np.ravel(getattr(base, name)) for name in names]).astype(np.float64), write)


@dataclass(frozen=True)
class Handles:
    """Which number of the state moves which coordinate of a point, and no other coordinate of any point."""

    number: np.ndarray  # [points, g]: its place in the state, -1 where there is none
    factor: np.ndarray  # [points, g]: how far the coordinate goes when the number grows by 1


def handles(state: State, look: Callable[[], np.ndarray], by: np.ndarray) -> Handles:
    """Find the handles of points where an environment stands now, by moving every number a little.

    A velocity is none: a point that has one is elsewhere a step later.

    Args:
        state: of an environment that stands somewhere.
        look: takes a step without an action; returns where points are then [points, g].
        by: how far each number is moved [k]; 0 for what never varies and so is no state.
    """
    start = state.read()
    state.write(start)
    first, second = look(), look()
    number, factor = np.full(first.shape, -1), np.zeros(first.shape)
    for k in np.flatnonzero(by):
        state.write(start + by * (np.arange(len(start)) == k))
        response, later = ((look() - rest) / by[k] for rest in (first, second))
        moved = np.argwhere(np.abs(response) > EXACT * np.abs(response).max(initial=1e-9))
        if len(moved) == 1 and np.allclose(response, later, atol=EXACT * np.abs(response).max()):
            number[tuple(moved[0])], factor[tuple(moved[0])] = k, response[tuple(moved[0])]
    state.write(start)
    return Handles(number, factor)


def any_of(found: list[Handles]) -> Handles:
    """The handles that were found anywhere: at a wall, as one place may be, nothing moves."""
    number, factor = found[0].number.copy(), found[0].factor.copy()
    for one in found[1:]:
        missing = number < 0
        number[missing], factor[missing] = one.number[missing], one.factor[missing]
    return Handles(number, factor)
