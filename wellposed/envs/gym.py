"""Any other Gymnasium goal environment, through `gymnasium.vector`, as a `VecEnv`.

An environment qualifies if its observation is a dict with `achieved_goal` and `desired_goal` beside any vectors and
images, it has a `compute_reward` of the two goals and a time limit, and something says what success is. Where it does
not, it is refused with the reason (`Evidence.fault`): hindsight relabelling would fail silently on it.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

from contextlib import closing
from functools import partial
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np

from wellposed import plugin
from wellposed.arrays import Arrays, check_arrays
from wellposed.envs.episodes import EpisodeRecorder, recorded
from wellposed.envs.evidence import Evidence
from wellposed.envs.gymnasium_edge import successor
from wellposed.envs.physics.cpu import WarningCounters, sum_warnings
from wellposed.envs.physics.dynamics import ANY_MODEL, Place, Varied, chosen, control_rate
from wellposed.envs.rules import GoalRules, Measured, Subject, by_vector, episode_limit, fields_of
from wellposed.errors import UserError
from wellposed.types import GOAL_KEYS, Field, Metrics, Moment, Obs, Spec, Step, clipped_actions
from wellposed.units import goal_floor

_MEASURED: dict[tuple[Any, ...], Measured] = {}  # of this process, by what makes the environment and its arguments


class GymGoalVecEnv:
    """`num_envs` envs of a registered Gymnasium goal environment, stepped one after another, a `VecEnv`.

    Env i, reset with seed s, begins with the episode that `gymnasium.make(id)` plays for seed s + i; those that follow
    have seeds of their own (`episodes.EpisodeRecorder` says why).

    Actions are in [-1, 1] and scaled to the environment's own bounds; they are clipped before, so `applied_action` is
    what the environment received, in the units of [-1, 1].

    Numbers that float32 would not resolve are relative to the origin that their field of `spec` names, exactly: only
    the environment itself sees them as they were.
    """

    capabilities = frozenset({"state"})  # and "dynamics" of those that show the model and the data of MuJoCo
    now: Moment

    def __init__(self, env_id: str, num_envs: int = 1, *, threads: int = 1, **kwargs: Any):
        """`threads` is accepted and means nothing."""
        del threads
        first = make_one(env_id, **kwargs)
        try:
            found = _measured(env_id, first, kwargs)
        except UserError:
            first.close()
            raise
        mode = gym.vector.AutoresetMode.SAME_STEP
        makers = [lambda: EpisodeRecorder(first)]
        makers += [lambda: EpisodeRecorder(make_one(env_id, **kwargs))] * (num_envs - 1)
        self._envs = gym.vector.SyncVectorEnv(makers, autoreset_mode=mode)
        self._recorders: list[EpisodeRecorder] = list(self._envs.envs)  # type: ignore[arg-type]
        self._places = [place for recorder in self._recorders if (place := _place(recorder)) is not None]
        self._warnings = [WarningCounters(place.data) for place in self._places]
        self.capabilities = type(self).capabilities | ({"dynamics"} if self._places else set())
        self.env_id, self.num_envs, self.spec = env_id, num_envs, _spec(first, found)
        self._origin = {field.name: np.array(field.origin) for field in self.spec.obs if field.origin}
        self._told = found.told_radius is not None
        self._low, self._high = first.action_space.low, first.action_space.high  # type: ignore[attr-defined]
        self._unit = bool((self._low == -1.0).all() and (self._high == 1.0).all())
        # Rewards of other goals are asked for while the envs are stepped by another thread, so of one that is not.
        self._apart = make_one(env_id, **kwargs)
        self._apart.reset(seed=0)
        self._rules = GoalRules(self._apart, found)

    def vary(self, names: list[str]) -> Varied:
        """As `MujocoVecEnv.vary`; every env has its own model in any case."""
        known, own = dict(ANY_MODEL), self._places[0].simulation
        for attribute in ("frame_skip", "n_substeps"):
            if isinstance(substeps := getattr(own, attribute, None), int):
                known["rate"] = control_rate(attribute, substeps)
        varied = Varied(chosen(known, names), self._places)
        for i, recorder in enumerate(self._recorders):
            recorder.before_episode = partial(varied.begin, i)
        return varied

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As `VecEnv.reset`."""
        options = None if mask is None else {"reset_mask": np.asarray(mask, bool)}
        obs, _ = self._envs.reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self._stand(obs)

    def step(self, action: np.ndarray) -> Step:
        """As `VecEnv.step`."""
        before = self.now.obs
        applied = clipped_actions(action, (self.num_envs, self.spec.action_dim))
        native = applied
        if not self._unit:  # the sum may be off a bound by its last bit
            native = np.clip(self._low + (applied + 1.0) / 2.0 * (self._high - self._low), self._low, self._high)
        obs, reward, terminated, truncated, info = self._envs.step(native.astype(self._low.dtype))
        after = self._relative(successor(obs, info))
        self._stand(obs)
        return Step(
            obs=before,
            truth=before,
            action=np.array(action),
            applied_action=applied,
            reward=np.asarray(reward, np.float64),
            terminated=terminated,
            truncated=truncated,
            success=self._reached(after),
            next_obs=after,
            next_truth=after,
            warnings=sum_warnings(counters.take() for counters in self._warnings),
        )

    def _reached(self, after: Obs) -> np.ndarray:
        """Success of a step [n]: where nothing but info tells of it, what info told."""
        reached = self.is_success(after["achieved_goal"], after["desired_goal"])
        told = np.array([recorder.told for recorder in self._recorders])
        return np.where(self._told & np.isfinite(told), told > 0.5, reached)

    def compute_reward(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """The environment's own reward [n] for goals [n, goal_dim]."""
        return self._rules.reward(*self._absolute(achieved_goal, desired_goal))

    def compute_terminated(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """Whether an episode would end there, bool [n]."""
        return self._rules.terminated(*self._absolute(achieved_goal, desired_goal))

    def is_success(self, achieved_goal: np.ndarray, desired_goal: np.ndarray) -> np.ndarray:
        """True [n] where the goal counts as reached."""
        return self._rules.success(*self._absolute(achieved_goal, desired_goal))

    def goal_kinds(self, desired_goal: np.ndarray) -> list[str]:
        """Nothing is known of kinds of goals."""
        return [""] * len(desired_goal)

    def metrics(self) -> Metrics:
        """Nothing is known of it."""
        return {}

    def drawn(self) -> dict[str, np.ndarray]:
        """Nothing is known of it."""
        return {}

    def _stand(self, obs: Obs) -> Moment:
        """Take up that the envs stand there."""
        obs = self._relative(obs)
        self.now = Moment(obs, obs)
        return self.now

    def _relative(self, obs: Obs) -> Obs:
        """What the envs show, in double precision, relative to the origins; images stay as they are."""
        whole = {key: seen if seen.dtype == np.uint8 else seen.astype(np.float64) for key, seen in obs.items()}
        return {key: seen - self._origin[key] if key in self._origin else seen for key, seen in whole.items()}

    def _absolute(self, *goals: np.ndarray) -> list[np.ndarray]:
        """Goals as the environment has them."""
        return [goal + self._origin.get("desired_goal", 0.0) for goal in goals]

    @property
    def episode_seeds(self) -> list[int]:
        """The seed of each env's episode."""
        return [recorder.seed for recorder in self._recorders]

    def get_state(self) -> Arrays:
        """Everything the next step and the next reset depend on, as far as Gymnasium's promise goes: see `episodes`."""
        obs = {key: value.copy() for key, value in self.now.obs.items()}
        return recorded(self._recorders, self.spec.max_episode_steps) | obs

    def set_state(self, state: Arrays) -> Moment:
        """Play every env's episode up to where `get_state` was called. As `VecEnv.set_state`."""
        self.reset(seed=0)
        try:
            check_arrays(self.get_state(), state)
        except UserError as error:
            raise ValueError("this state belongs to another environment or another number of envs") from error
        moments = zip(state["seeds"], state["lengths"], state["actions"], state["streams"], strict=True)
        found = [
            recorder.play_again(int(seed), actions[:n], stream)
            for recorder, (seed, n, actions, stream) in zip(self._recorders, moments, strict=True)
        ]
        there = self._stand({key: np.stack([obs[key] for obs in found]) for key in self.now.obs})
        if any(not np.array_equal(seen, state[key]) for key, seen in there.obs.items()):
            raise UserError(
                f"{self.env_id} cannot be taken up where it was: the same seed and the same actions led elsewhere, so "
                "it carries something over from one episode to the next. Train it anew."
            )
        return there

    @property
    def frames_per_second(self) -> float:
        """At which it is drawn."""
        return float(self._recorders[0].metadata.get("render_fps") or 25)

    def render(self) -> np.ndarray:
        """The picture of the first env, uint8 [height, width, 3], of an environment made with "rgb_array".

        Raises:
            UserError: if it draws something else.
        """
        frame: Any = self._recorders[0].render()
        if (
            not isinstance(frame, np.ndarray)
            or frame.dtype != np.uint8
            or frame.ndim != 3
            or frame.shape[2] not in (3, 4)
        ):
            raise UserError(f"render() of {self.env_id} must give a uint8 array [height, width, 3], got {type(frame)}.")
        return frame[..., :3]

    def close(self) -> None:
        """Close all envs."""
        self._envs.close()
        self._apart.close()


def make_one(name: str, /, max_episode_steps: int | None = None, **kwargs: Any) -> gym.Env:
    """One environment by Gymnasium id, or by MODULE:NAME or FILE.py:NAME, where NAME is an id that the module registers
    or a function or class of it that returns the environment.

    Args:
        name: of the environment.
        max_episode_steps: after which an episode is cut; None for the environment's own number.
        kwargs: its arguments.

    Raises:
        UserError: if there is none, it may not be imported, or it cannot be made.
    """
    factory, own_name = None, name
    if plugin.imports(name):
        module, own_name = plugin.import_named(name)
        factory = getattr(module, own_name, None)
    try:
        if not callable(factory):
            return gym.make(own_name, max_episode_steps, disable_env_checker=True, **kwargs)
        env: Any = factory(**kwargs)
    except UserError:
        raise
    except gym.error.Error as error:
        raise UserError(f"Gymnasium could not make {name!r}: {error}") from error
    except Exception as error:  # a stranger's code: whatever it raises is told as a sentence
        raise UserError(f"{name} could not be made: {type(error).__name__}: {error}") from error
    if not isinstance(env, gym.Env):
        raise UserError(f"{name} returned a {type(env).__name__}, not a gymnasium.Env.")
    return env if max_episode_steps is None else _limited(env, max_episode_steps, name)


def _limited(env: gym.Env, steps: int, name: str) -> gym.Env:
    """The environment with its episodes cut after so many steps."""
    own = episode_limit(env)
    if own is not None and own < steps:
        raise UserError(f"--env.max-episode-steps {steps}: {name} cuts its episodes after {own} steps itself.")
    return gym.wrappers.TimeLimit(env, steps)


def _measured(env_id: str, env: gym.Env, kwargs: dict[str, Any]) -> Measured:
    """What was found of the environment that `env` is an instance of; found once in a process.

    Raises:
        UserError: if training cannot be done on it.
    """
    key = (env_id, type(env.unwrapped), repr(sorted(kwargs.items())))
    if key not in _MEASURED:
        with closing(Evidence(Subject(env_id, partial(make_one, env_id, **kwargs)))) as evidence:
            _MEASURED[key] = evidence.measured()
    return _MEASURED[key]


def _spec(env: gym.Env, found: Measured) -> Spec:
    """What agents and replay need to know of an environment that was measured."""
    units, fields = found.units, fields_of(env)
    floors = _by_vector(fields, units.observation_floor) | dict.fromkeys(GOAL_KEYS, (goal_floor(units.radius),))
    origins = _by_vector(fields, units.observation_origin) | dict.fromkeys(GOAL_KEYS, units.goal_origin)
    fields = [f._replace(floor=floors.get(f.name, ()), origin=origins.get(f.name, ())) for f in fields]
    shape: Any = env.action_space.shape
    range_ = units.reward_range if units.sparse else None  # of a dense reward only an estimate is known
    space: Any = env.action_space
    low, high = (tuple(float(bound) for bound in side) for side in (space.low, space.high))
    bounds = None if {*low, *(-one for one in high)} == {-1.0} else (low, high)
    known: Any = {"geometry": found.geometry, "radius": units.radius, "reward_range": range_, "action_bounds": bounds}
    return Spec(tuple(fields), shape[0], found.limit, **known)


def _by_vector(fields: tuple[Field, ...], numbers: tuple[float, ...]) -> dict[str, tuple[float, ...]]:
    """Numbers of all that is observed but goals and images, by the name of the vector that they are of."""
    return {key: tuple(map(float, part)) for key, part in by_vector(fields, np.array(numbers)).items() if part.size}


def _place(env: gym.Env) -> Place | None:
    """MuJoCo's model and data, where the environment has them and shows them."""
    own = env.unwrapped
    model, data = getattr(own, "model", None), getattr(own, "data", None)
    return Place(model, data, own) if isinstance(data, mujoco.MjData) and isinstance(model, mujoco.MjModel) else None
