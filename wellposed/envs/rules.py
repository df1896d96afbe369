"""An environment's own rules for goals: reward, termination, success, asked of one pair of goals or of many.

`Rules` is what an instance answers of one pair of goals. `evidence.Evidence` finds out what it means: where success
comes from, whether batches may be asked. `GoalRules` asks accordingly: training, evaluation and diagnosis see it. The
certificate judges the same `Evidence`, so the two cannot differ.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from wellposed.errors import UserError
from wellposed.types import GOAL_KEYS, Field, Geometry, Policy
from wellposed.units import Units

TOLERANCE = 1e-5  # of an answer, and of the mean size of all answers: float32 arithmetic passes, in any unit

RuleName = Literal["reward", "terminated", "success"]
Endings = Literal["said", "never", "at the goal", "elsewhere"]  # said: by compute_terminated
Test = Callable[[np.ndarray, np.ndarray], bool]


@dataclass(frozen=True)
class Subject:
    """An environment by name, and how to make a fresh instance of it."""

    name: str
    make: Callable[[], gym.Env]
    oracle: Callable[[], Policy] | None = None
    """A policy written by hand that makes the achieved goal move, where there is one."""
    module: str | None = None
    """The module that defines it, where that is known without making it."""


# --- what can be read off the spaces


def fields_of(env: gym.Env) -> tuple[Field, ...]:
    """What an environment shows, by kind: vectors and images in the order of their names, then the goals."""
    spaces: Any = env.observation_space
    names = [*sorted(spaces.spaces.keys() - set(GOAL_KEYS)), *GOAL_KEYS]
    fields = [Field(name, spaces[name].shape, "goal" if name in GOAL_KEYS else "vector") for name in names]
    return tuple(f._replace(kind="image", dtype="uint8") if _is_image(spaces[f.name]) else f for f in fields)


def _is_image(space: gym.Space) -> bool:
    return isinstance(space, gym.spaces.Box) and len(space.shape) == 3 and space.dtype == np.uint8


def by_vector(seen: tuple[Field, ...], observation: np.ndarray) -> dict[str, np.ndarray]:
    """The numbers [..., obs_dim] of all vectors side by side, as arrays by name."""
    vectors = [field for field in seen if field.kind == "vector"]
    parts = np.split(observation, np.cumsum([field.shape[0] for field in vectors])[:-1], axis=-1)
    return {field.name: part for field, part in zip(vectors, parts, strict=False)}


def goals_fault(env: gym.Env) -> str:
    """What is wrong with the keys of the observation; "" if nothing is."""
    space, asked = env.observation_space, " and ".join(GOAL_KEYS)
    if not isinstance(space, gym.spaces.Dict):
        return f"the observation is a {type(space).__name__}, not a dict with {asked}"
    if missing := [key for key in GOAL_KEYS if key not in space.spaces]:
        return f"the observation has no {' and no '.join(missing)}; it has {', '.join(space.spaces)}"
    return ""


def vectors_fault(env: gym.Env) -> str:
    """What is neither a vector of real numbers nor an image, or no goal of one size with the other; "" if nothing."""
    spaces: Any = env.observation_space
    image = " or an image, uint8 [height, width, channels]"
    for key, space in spaces.items():
        if key not in GOAL_KEYS and _is_image(space):
            continue
        if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1 or not space.shape[0]:
            return f"{key} is {space}, not a vector of numbers{'' if key in GOAL_KEYS else image}"
        if not np.issubdtype(space.dtype, np.floating):
            return f"{key} is declared as {space.dtype}, which cannot hold a place between two numbers"
    achieved, desired = (spaces[key].shape[0] for key in GOAL_KEYS)
    return "" if achieved == desired else f"an achieved goal has {achieved} numbers, a desired one {desired}"


def actions_fault(env: gym.Env) -> str:
    """What keeps actions from being a vector of real numbers between finite bounds; "" if nothing."""
    space = env.action_space
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 1 or not np.issubdtype(space.dtype, np.floating):
        return f"actions are {space}, not a vector of real numbers"
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        return f"actions are unbounded: {space}"
    if not (space.low < space.high).all():
        return f"a component of the actions has no room between its bounds: {space}"
    return ""


def spaces_fault(env: gym.Env) -> str:
    """The first thing that is wrong with the spaces; "" if nothing is."""
    return goals_fault(env) or vectors_fault(env) or actions_fault(env)


def episode_limit(env: gym.Env) -> int | None:
    """The number of steps after which an environment, or a wrapper around it, says that it cuts an episode."""
    own = getattr(env.unwrapped, "max_episode_steps", None)
    limits = [own if env.spec is None or env.spec.max_episode_steps is None else env.spec.max_episode_steps]
    while isinstance(env, gym.Wrapper):
        limits += [env._max_episode_steps] if isinstance(env, gym.wrappers.TimeLimit) else []
        env = env.env
    return min((steps for steps in limits if steps is not None), default=None)


# --- what an instance answers


def _method(env: gym.Env, *names: str, arguments: int = 0) -> Callable[..., Any] | None:
    """The first of the named methods that env, a wrapper or its task has; with `arguments`, one that takes so many."""
    for owner, name in product((env, getattr(env.unwrapped, "task", None)), names):
        with contextlib.suppress(AttributeError, TypeError, ValueError):  # it has none, or one of another signature
            found: Any = owner.get_wrapper_attr(name) if isinstance(owner, gym.Env) else getattr(owner, name)
            if arguments:
                inspect.signature(found).bind(*range(arguments))
            if callable(found):
                return found
    return None


def number(answer: Any, rule: str) -> float:
    """The answer of a rule to one pair of goals, as a number.

    Raises:
        UserError: if it holds more numbers, or none.
    """
    if np.size(answer) != 1:
        raise UserError(f"for one pair of goals {rule} gave an answer of shape {np.shape(answer)}, not one number")
    return float(np.asarray(answer).item())


@dataclass(frozen=True)
class Rules:
    """What an instance of the environment answers, one pair of goals [g] at a time; None where it has no such rule."""

    reward: Callable[..., float] | None  # (achieved, desired, info)
    terminated: Callable[..., bool] | None  # (achieved, desired, info)
    success: Callable[..., bool] | None  # (achieved, desired)
    together: dict[RuleName, Callable[..., Any]]  # the methods as they are, by the names above, for many pairs at once


def rules_of(env: gym.Env, dtype: Any) -> Rules:
    """The rules of one instance; it is handed copies of goals, of the type `dtype`, and may write into them."""
    methods: dict[RuleName, Callable[..., Any] | None] = {
        "reward": _method(env, "compute_reward"),
        "terminated": _method(env, "compute_terminated"),
        "success": _method(env, "_is_success", "is_success", arguments=2),
    }

    def asked(name: RuleName, kind: type) -> Any:
        if (rule := methods[name]) is None:
            return None
        called = rule.__name__ if hasattr(rule, "__name__") else name
        return lambda a, d, *rest: kind(number(rule(np.array(a, dtype), np.array(d, dtype), *rest), called))

    known: dict[RuleName, Callable[..., Any]] = {name: rule for name, rule in methods.items() if rule is not None}
    return Rules(asked("reward", float), asked("terminated", bool), asked("success", bool), known)


def rewards(rules: Rules, achieved: np.ndarray, desired: np.ndarray, infos: Iterable[dict] | None = None) -> np.ndarray:
    """Rewards [n] of pairs of goals [n, g], asked for one by one."""
    assert rules.reward is not None
    infos = [{} for _ in achieved] if infos is None else infos
    return np.array([rules.reward(a, d, i) for a, d, i in zip(achieved, desired, infos, strict=True)])


def size_of(answers: np.ndarray) -> float:
    """The mean size of answers; those that are not finite do not count."""
    found = np.abs(answers[np.isfinite(answers)])
    return float(found.mean()) if found.size else 0.0


def same(left: np.ndarray, right: np.ndarray, size: float | None = None) -> np.ndarray:
    """Where two arrays of answers agree to the precision of float32, elementwise; NaN agrees with NaN.

    `size`: of answers to more questions of this kind; that of `left` if not given.
    """
    size = size_of(left) if size is None else size
    return np.isclose(left, right, rtol=TOLERANCE, atol=TOLERANCE * size, equal_nan=True)


def is_sparse(values: np.ndarray) -> bool:
    """Whether rewards take two values only, apart from rounding."""
    ordered = np.sort(values)
    return int((np.diff(ordered) > TOLERANCE * np.ptp(ordered)).sum()) == 1


def like_the_goal(reward: Any, best: Any, reward_range: tuple[float, float]) -> Any:
    """Where a sparse reward with this range is that of a goal achieved exactly, which is success."""
    return 2 * abs(reward - best) < reward_range[1] - reward_range[0]


def batch_fault(rule: Callable[..., Any], achieved: np.ndarray, desired: np.ndarray, expected: np.ndarray) -> str:
    """How a rule's answers to batches differ from those to their pairs; "" where they do not.

    Some environments take the norm or decide with `any` over the whole batch, and some compute all rows with what is
    the first one's (Gymnasium-Robotics' HandManipulatePenRotate). So small batches are asked too, of the pairs with the
    lowest and the highest answers in turn, some of them as many as a goal has numbers.

    Args:
        rule: (achieved, desired) of many pairs at once.
        achieved: [n, g], near to `desired`, equal to it and far from it.
        desired: [n, g].
        expected: the answers [n] to each pair alone.
    """
    n, size = achieved.shape
    order = np.argsort(expected, kind="stable")
    mixed = np.column_stack([order, order[::-1]]).ravel()
    for chosen in (np.arange(n), mixed[:1], mixed[1:2], mixed[:2], mixed[:size], mixed[: 2 * size + 1]):
        try:
            together = np.asarray(rule(achieved[chosen], desired[chosen]), np.float64)
        except Exception as error:  # a stranger's code: whatever it raises says that it takes no batch
            return f"for {len(chosen)} pairs at once it raised {type(error).__name__}: {error}"
        if together.shape != (len(chosen),):
            return f"for {len(chosen)} pairs at once it gave an answer of shape {together.shape}"
        if differ := int((~same(together, expected[chosen], size_of(expected))).sum()):
            return f"asked together, {differ} of {len(chosen)} pairs got another answer than asked one by one"
    return ""


@dataclass(frozen=True)
class Measured:
    """What `evidence.Evidence` found of an environment that training must know."""

    units: Units
    limit: int  # steps of an episode
    endings: Endings
    told_radius: float | None  # distance up to which info tells of success, where nothing else does
    together: frozenset[RuleName]  # rules that give batches what they give their pairs
    geometry: Geometry | None  # what it declares of its symmetries, complete
    step_seconds: float  # of a processor, that a step takes with its share of a reset


class GoalRules:
    """Reward, termination and success of any pairs of goals [n, g], of one instance that is not stepped."""

    def __init__(self, env: gym.Env, found: Measured):
        """`env` was reset once; it is handed copies of goals, of the type that it declares."""
        self._dtype = env.observation_space["desired_goal"].dtype  # type: ignore[index]
        self._rules, self._found = rules_of(env, self._dtype), found

    def _ask(self, name: RuleName, achieved: np.ndarray, desired: np.ndarray, *rest: Any) -> np.ndarray:
        if name in self._found.together:
            return np.asarray(
                self._rules.together[name](np.array(achieved, self._dtype), np.array(desired, self._dtype), *rest)
            )
        alone = getattr(self._rules, name)
        return np.array([alone(a, d, *rest) for a, d in zip(achieved, desired, strict=True)])

    def reward(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Rewards [n]."""
        return self._ask("reward", achieved, desired, {})

    def success(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Whether the goal counts as reached, bool [n]; `Evidence.success_test` says by what."""
        if self._rules.success is not None:
            return self._ask("success", achieved, desired).astype(bool)
        if (radius := self._found.told_radius) is not None:
            return np.linalg.norm(achieved - desired, axis=-1) <= radius
        at_goal = self.reward(desired, desired)
        return like_the_goal(self.reward(achieved, desired), at_goal, self._found.units.reward_range)

    def terminated(self, achieved: np.ndarray, desired: np.ndarray) -> np.ndarray:
        """Whether an episode would end there, bool [n]."""
        if self._found.endings == "said":
            return self._ask("terminated", achieved, desired, {}).astype(bool)
        if self._found.endings == "at the goal":
            return self.success(achieved, desired)
        return np.zeros(len(achieved), bool)
