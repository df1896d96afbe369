"""Any other Gymnasium goal environment as a `VecEnv`.

An environment qualifies if its observation is a dict with `achieved_goal` and `desired_goal` beside any vectors and
images, it has a `compute_reward` of the two goals and a time limit, and something says what success is. Where it does
not, it is refused with the reason (`Evidence.fault`): hindsight relabelling would fail silently on it.
"""

import warnings
from contextlib import closing
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np

from wellposed.arrays import Arrays, check_arrays
from wellposed.envs.episodes import Episodes
from wellposed.envs.evidence import Evidence
from wellposed.envs.group import Group, board_bytes, board_in, columns_of, make_one, place_of
from wellposed.envs.physics.cpu import put_into, state_of, sum_warnings
from wellposed.envs.physics.dynamics import ANY_MODEL, Place, Varied, chosen, control_rate
from wellposed.envs.rules import GoalRules, Measured, Subject, by_vector, fields_of
from wellposed.envs.vector import seeds_of_envs
from wellposed.envs.workers import WorkerDiedError, Workers, confined
from wellposed.errors import UserError
from wellposed.types import GOAL_KEYS, Field, Metrics, Moment, Obs, Spec, Step, clipped_actions
from wellposed.units import goal_floor

WORTH_A_PROCESS = 3e-4  # seconds of a step from which starting Python twice is soon made up for
_MEASURED: dict[tuple[Any, ...], Measured] = {}  # of this process, by what makes the environment and its arguments


class GymGoalVecEnv:
    """`num_envs` envs of a registered Gymnasium goal environment, a `VecEnv`.

    They are stepped one after another in this process, or side by side in worker processes (`stepping` says which and
    why); every number is the same in both.

    Env i, reset with seed s, begins with the episode that `gymnasium.make(id)` plays for seed s + i; those that follow
    have seeds of their own (`episodes.Episodes` says why).

    Actions are in [-1, 1] and scaled to the environment's own bounds; they are clipped before, so `applied_action` is
    what the environment received, in the units of [-1, 1].

    Numbers that float32 would not resolve are relative to the origin that their field of `spec` names, exactly: only
    the environment itself sees them as they were.
    """

    capabilities = frozenset({"state"})  # and what `EnvEntry` calls "dynamics" and "ends at goals", where it has them
    now: Moment

    def __init__(self, env_id: str, num_envs: int = 1, *, threads: int = 1, **kwargs: Any):
        """`threads`: worker processes, where it takes the environment long enough to step; none with 1."""
        first = make_one(env_id, **kwargs)
        try:
            found = _measured(env_id, first, kwargs)
        except UserError:
            first.close()
            raise
        self.env_id, self.num_envs, self.spec = env_id, num_envs, _spec(first, found)
        self._made = env_id, kwargs
        self._columns = columns_of(first, num_envs, self.spec.max_episode_steps)
        self.workers, self.stepping = _workers(env_id, kwargs, found, min(threads, num_envs))
        self._autoreset, self._group = True, self._fresh_group()
        self._episodes = Episodes(self._group.board)
        self._origin = {field.name: np.array(field.origin) for field in self.spec.obs if field.origin}
        self._told = found.told_radius is not None
        self._low, self._high = first.action_space.low, first.action_space.high  # type: ignore[attr-defined]
        self._unit = bool((self._low == -1.0).all() and (self._high == 1.0).all())
        # Rewards of other goals are asked for while the envs are stepped by another thread, so of one that is not.
        self._apart, goal = first, first.reset(seed=0)[0]["desired_goal"][None]
        self._rules = GoalRules(self._apart, found)
        able = {"dynamics": place_of(first) is not None, "ends at goals": bool(self._rules.terminated(goal, goal)[0])}
        self.capabilities = type(self).capabilities | {name for name, has in able.items() if has}

    def _fresh_group(self) -> Group | Workers:
        name, kwargs = self._made
        if self.workers:
            return Workers(name, kwargs, self._columns, self.workers)
        board = board_in(self._columns, np.zeros(board_bytes(self._columns), np.uint8))
        return Group(partial(make_one, name, **kwargs), board)

    def vary(self, names: list[str]) -> Varied:
        """As `MujocoVecEnv.vary`; every env has its own model in any case. Models are written in this process."""
        if self.workers:
            self._group.close()
            self.workers, self.stepping = 0, "in this process, which varies their dynamics"
            self._group = self._fresh_group()
            self._episodes = Episodes(self._group.board)
        assert isinstance(self._group, Group)
        places = self._places()
        known, own = dict(ANY_MODEL), places[0].simulation
        for attribute in ("frame_skip", "n_substeps"):
            if isinstance(substeps := getattr(own, attribute, None), int):
                known["rate"] = control_rate(attribute, substeps)
        varied = Varied(chosen(known, names), places)
        self._group.before_episode = varied.begin
        return varied

    def snapshot(self) -> Arrays:
        """As `MujocoVecEnv.snapshot`, where dynamics can be varied."""
        return {"physics": np.stack([state_of(place.model, place.data) for place in self._places()])}

    def restore(self, snapshot: Arrays) -> None:
        """As `MujocoVecEnv.restore`; what an env keeps outside MuJoCo stays."""
        if {name: array.shape for name, array in snapshot.items()} != {"physics": self.snapshot()["physics"].shape}:
            raise ValueError("this snapshot is of another environment or another number of envs")
        for place, state in zip(self._places(), snapshot["physics"], strict=True):
            put_into(place.model, place.data, state)

    def _places(self) -> list[Place]:
        """The model and the state of each env. Raises UserError where they are in other processes."""
        if not isinstance(self._group, Group):
            raise UserError(f"{self.env_id} is stepped in other processes; its states are at hand with threads=1.")
        return [place for place in self._group.places if place is not None]

    def keep_running(self) -> None:
        """From now on success ends no episode: it goes on to its limit."""
        self._autoreset = False
        self.capabilities |= {"kept running"}

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As `VecEnv.reset`."""
        envs = np.arange(self.num_envs) if mask is None else np.flatnonzero(mask)
        seeds = seeds_of_envs(seed, self.num_envs)
        for i in envs.tolist():
            self._episodes.begin(i, seeds[i])
        self._group.begin(envs.tolist())
        return self._stand()

    def step(self, action: np.ndarray) -> Step:
        """As `VecEnv.step`. Raises EnvFailedError if an env raises an error, or its process dies twice."""
        before = self.now.obs
        applied = clipped_actions(action, (self.num_envs, self.spec.action_dim))
        native = applied
        if not self._unit:  # the sum may be off a bound by its last bit
            native = np.clip(self._low + (applied + 1.0) / 2.0 * (self._high - self._low), self._low, self._high)
        warned = self._advance(native.astype(self._low.dtype))
        board = self._group.board
        after = self._seen("after")
        terminated, truncated, success = board["terminated"].copy(), board["truncated"].copy(), self._reached(after)
        if not self._autoreset:
            terminated &= ~success
        self._episodes.advance(terminated | truncated)
        if not self._autoreset:
            self._group.begin(np.flatnonzero(terminated | truncated).tolist())
        self._stand()
        return Step(
            obs=before,
            truth=before,
            action=np.array(action),
            applied_action=applied,
            reward=board["reward"].copy(),
            terminated=terminated,
            truncated=truncated,
            success=success,
            next_obs=after,
            next_truth=after,
            warnings=sum_warnings(warned.get(i, {}) for i in range(self.num_envs)),
        )

    def _advance(self, native: np.ndarray) -> dict[int, dict[str, int]]:
        """Let every env take its step; returns MuJoCo's warnings by env.

        If a worker died, all are started anew and brought to where they were: seeds and actions are known here. If one
        dies at the same step again, the environment is what kills it.
        """
        self._episodes.choose(native)
        try:
            return dict(self._group.step(self._autoreset))
        except WorkerDiedError as death:
            here = self.get_state()
            self._group.close()
            warnings.warn(f"{death} It is started anew, and the run goes on as if nothing had happened.", stacklevel=2)
            self._group = self._fresh_group()
            self._episodes = Episodes(self._group.board)
            self.set_state(here)
            self._episodes.choose(native)
            return dict(self._group.step(self._autoreset))

    def _reached(self, after: Obs) -> np.ndarray:
        """Success of a step [n]: where nothing but info tells of it, what info told."""
        reached, told = self.is_success(after["achieved_goal"], after["desired_goal"]), self._group.board["told"]
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

    def _stand(self) -> Moment:
        """Take up that the envs stand where they are."""
        obs = self._seen("now")
        self.now = Moment(obs, obs)
        return self.now

    def _seen(self, when: str) -> Obs:
        """What the envs show, in double precision, relative to the origins; images stay as they are. Copies."""
        raw = {field.name: self._group.board[f"{when}/{field.name}"] for field in self.spec.obs}
        whole = {key: seen.copy() if seen.dtype == np.uint8 else seen.astype(np.float64) for key, seen in raw.items()}
        return {key: seen - self._origin[key] if key in self._origin else seen for key, seen in whole.items()}

    def _absolute(self, *goals: np.ndarray) -> list[np.ndarray]:
        """Goals as the environment has them."""
        return [goal + self._origin.get("desired_goal", 0.0) for goal in goals]

    @property
    def episode_seeds(self) -> list[int]:
        """The seed of each env's episode."""
        return self._group.board["seed"].tolist()

    def get_state(self) -> Arrays:
        """Everything the next step and the next reset depend on, as far as Gymnasium's promise goes: see `episodes`."""
        obs = {key: value.copy() for key, value in self.now.obs.items()}
        return self._episodes.state() | obs

    def set_state(self, state: Arrays) -> Moment:
        """Play every env's episode up to where `get_state` was called. As `VecEnv.set_state`."""
        self.reset(seed=0)
        try:
            check_arrays(self.get_state(), state)
        except UserError as error:
            raise ValueError("this state belongs to another environment or another number of envs") from error
        self._episodes.load_state(state)
        self._group.play(list(range(self.num_envs)))
        there = self._stand()
        if any(not np.array_equal(seen, state[key]) for key, seen in there.obs.items()):
            raise UserError(
                f"{self.env_id} cannot be taken up where it was: the same seed and the same actions led elsewhere, so "
                "it carries something over from one episode to the next. Train it anew."
            )
        return there

    @property
    def frames_per_second(self) -> float:
        """At which it is drawn."""
        return float(self._apart.metadata.get("render_fps") or 25)

    def render(self) -> np.ndarray:
        """The picture of the first env, uint8 [height, width, 3], of an environment made with "rgb_array".

        Raises:
            UserError: if it draws something else, or nothing.
        """
        if not isinstance(self._group, Group):
            raise UserError(f"{self.env_id} is stepped in other processes; only envs of this one are drawn: threads=1.")
        try:
            frame: Any = self._group.envs[0].render()
        except Exception as error:  # a stranger's code may raise anything
            raise UserError(f"{self.env_id} was not drawn: render() raised {type(error).__name__}: {error}") from error
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
        self._group.close()
        self._apart.close()


def _workers(name: str, arguments: dict[str, Any], found: Measured, most: int) -> tuple[int, str]:
    """In how many processes at most `most` step the envs, 0 for this one, and why, in words."""
    takes = f"a step takes {1e3 * found.step_seconds:.2g} ms"
    if found.step_seconds < WORTH_A_PROCESS:
        return 0, f"in this process ({takes}; worker processes pay from {1e3 * WORTH_A_PROCESS:.2g} ms on)"
    if most == 1:
        return 0, f"in this process ({takes}, and no second thread or env is there for a worker process)"
    if why := confined(name, arguments):
        return 0, f"in this process ({why})"
    return most, f"in {most} worker processes ({takes})"


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
