"""A goal curriculum: training goals that begin near the object and on the table, and grow into the task's own.

The goal distributions form a path from an easy problem to the task, and `schedule` gives the place on it. One
`GoalSpread` holds for the whole vector environment. Evaluation always plays the task's own goals.
"""

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from wellposed.envs.vector import GoalSpread
from wellposed.envs.wrappers.wrapper import Wrapper, require_capability
from wellposed.errors import require
from wellposed.types import Metrics, Moment, Step, VecEnv

MOST_EPISODES = 100_000  # of a window


@dataclass(frozen=True)
class Curriculum:
    """How the goals of training grow."""

    kind: Literal["none", "linear", "success"] = "none"
    """What makes them grow: nothing (they are the task's own), environment steps, or success in training."""
    reach: float = 0.3
    """At first, how far goals lie from where the object starts, as a share of the way to the task's own."""
    air: float = 0.1
    """At first, the share of goals in the air, in a task that lifts any."""
    begin: int = 0
    """linear: environment step until which goals stay as they are at first."""
    finish: int = 60_000
    """linear: environment step from which on they are the task's own."""
    stages: int = 10
    """success: steps of growth from the first goals to the task's own."""
    bar: float = 0.5
    """success: share of episodes that must end at their goal before the next stage (0 to 1)."""
    window: int = 64
    """success: episodes of the stage over which that share is taken; those solved at reset do not count."""

    def __post_init__(self) -> None:
        for name in ("reach", "air", "bar"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"env.curriculum.{name}", "is a share between 0 and 1", value)
        require(self.stages >= 1, "env.curriculum.stages", "must be at least 1", self.stages)
        require(
            1 <= self.window <= MOST_EPISODES, "env.curriculum.window", f"must be 1 to {MOST_EPISODES:,}", self.window
        )
        require(self.begin >= 0, "env.curriculum.begin", "must not be negative", self.begin)
        rule = f"must not be below begin, {self.begin}"
        require(self.finish >= self.begin, "env.curriculum.finish", rule, self.finish)

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """With growing goals in training. Raises UserError if it lacks the capability "goal spread"."""
        if self.kind == "none":
            return env
        require_capability(env, "goal spread", "env.curriculum.kind", "whose goals can lie nearer")
        return env if role == "evaluation" else cast(VecEnv, CurriculumVecEnv(env, self))


def schedule(progress: float, start: float, end: float, begin: float, finish: float) -> float:
    """The value at `progress`: `start` up to `begin`, exactly `end` from `finish` on, a straight line between."""
    if progress >= finish:
        return end
    if progress <= begin:
        return start
    return start + (end - start) * (progress - begin) / (finish - begin)


class CurriculumVecEnv(Wrapper):
    """A task whose goals grow while it is stepped. Its state holds the stage, so a resumed run continues from it."""

    def __init__(self, env: VecEnv, curriculum: Curriculum):
        super().__init__(env)
        self.curriculum, self.capabilities = curriculum, env.capabilities | {"curriculum"}
        self._steps, self._stage = 0, 0
        self._counts = np.zeros(env.num_envs, bool)  # whether the episode began at this stage and not at its goal
        self._recent = np.full(curriculum.window, -1, np.int8)  # how the stage's newest episodes ended; -1: none yet

    @property
    def spread(self) -> GoalSpread:
        """How goals are drawn now."""
        first, own = self.curriculum, self.task.own_spread
        return GoalSpread(self.grown(first.reach, own.reach), self.grown(first.air, own.air))

    def grown(self, start: float, end: float) -> float:
        """A value on its way from `start` to `end`, at the curriculum's place."""
        settings = self.curriculum
        if settings.kind == "linear":
            return schedule(self._steps, start, end, settings.begin, settings.finish)
        return schedule(self._stage, start, end, 0, settings.stages)

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own, with goals of this moment."""
        self.task.goal_spread = self.spread
        self.env.reset(seed, mask)
        self._begin(np.ones(self.num_envs, bool) if mask is None else np.asarray(mask, bool))
        return self.now

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own; an episode that begins in this step has a goal of this moment."""
        self._steps += self.num_envs
        self.task.goal_spread = self.spread
        step = self.env.step(action)
        if step.ended.any():
            outcomes = step.success[step.ended & self._counts]
            self._begin(step.ended)
            if self.curriculum.kind == "success":
                self._judge(outcomes)
        return step

    def metrics(self) -> Metrics:
        """The place of the curriculum."""
        spread = self.spread
        return {
            "curriculum/progress": self.grown(0.0, 1.0),
            "curriculum/reach": spread.reach,
            "curriculum/air": spread.air,
        }

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, and the place of the curriculum."""
        place = np.array([self._steps, self._stage])
        own = {"curriculum": place, "curriculum_counts": self._counts, "curriculum_recent": self._recent}
        return self.env.get_state() | {name: array.copy() for name, array in own.items()}

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        place, counts, recent = (state[f"curriculum{name}"] for name in ("", "_counts", "_recent"))
        shapes = place.shape, counts.shape, recent.shape
        if shapes != ((2,), self._counts.shape, self._recent.shape) or counts.dtype != bool:
            raise ValueError("this state belongs to another curriculum or another number of envs")
        if min(place) < 0 or place[1] > self.curriculum.stages or not np.isin(recent, (-1, 0, 1)).all():
            raise ValueError("this state is of no stage of the curriculum")
        self.env.set_state({name: array for name, array in state.items() if not name.startswith("curriculum")})
        self._steps, self._stage = (int(number) for number in place)
        self._counts, self._recent = counts.copy(), recent.astype(np.int8)
        return self.now

    def _begin(self, chosen: np.ndarray) -> None:
        """Episodes begin in the chosen envs [n]; those already at their goal do not count."""
        truth = self.now.truth
        away = ~self.is_success(truth["achieved_goal"], truth["desired_goal"])
        self._counts = np.where(chosen, away, self._counts)

    def _judge(self, outcomes: np.ndarray) -> None:
        """Take in how episodes of this stage ended, and enter the next stage after enough successes.

        Episodes under way at that moment have goals of the stage before and do not count.
        """
        self._recent = np.concatenate([self._recent, outcomes.astype(np.int8)])[-len(self._recent) :]
        full = self._recent[0] >= 0
        if full and self._stage < self.curriculum.stages and self._recent.mean() >= self.curriculum.bar:
            self._stage += 1
            self._recent[:] = -1
            self._counts[:] = False
