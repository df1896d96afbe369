"""Statistics of the episodes that are played while training; exploration noise included."""

import numpy as np

from wellposed.arrays import Arrays, check_arrays
from wellposed.types import Metrics, Moment, Spec, Step
from wellposed.units import moved


def moved_from(spec: Spec) -> float:
    """How far an achieved goal has to be from its start to count as moved, in goal units: 1 cm on Fetch.

    NaN, which nothing is beyond, where nobody knows how near a goal is near enough.
    """
    return np.nan if spec.radius is None else moved(spec.radius)


class EpisodeStatistics:
    """What the training episodes that ended since the last row came to. `now`: where they begin."""

    def __init__(self, spec: Spec, now: Moment):
        self._far = moved_from(spec)
        self._start = now.truth["achieved_goal"].copy()
        self._returns, self._moved = np.zeros(len(self._start)), np.zeros(len(self._start), bool)
        self._ended: list[tuple[float, float, float]] = []
        self._peak = np.zeros(())  # largest component of the actions that reached the simulator since then

    def add(self, step: Step, now: Moment) -> None:
        """Take in one step; `now` is where the copies stand after it, in the next episode where one ended."""
        self._returns += step.reward
        self._peak = np.maximum(self._peak, np.abs(step.applied_action).max())
        self._moved |= np.linalg.norm(step.next_truth["achieved_goal"] - self._start, axis=1) > self._far
        for i in np.flatnonzero(step.ended):
            self._ended.append((float(step.success[i]), self._returns[i], float(self._moved[i])))
            self._start[i], self._returns[i], self._moved[i] = now.truth["achieved_goal"][i], 0.0, False

    def drain(self) -> Metrics:
        """Means over the ended episodes; empty if none ended. Without a radius it is not known what has moved."""
        if not self._ended:
            return {}
        success, returned, moved = np.mean(self._ended, axis=0).tolist()
        found = {"rollout/success_rate": success, "rollout/return": returned, "rollout/action_max": float(self._peak)}
        self._ended.clear()
        self._peak = np.zeros(())
        return found if np.isnan(self._far) else found | {"rollout/moved_rate": moved}

    def state(self) -> Arrays:
        """Everything as named arrays; `ended` is [episodes, 3]."""
        ended = np.array(self._ended).reshape(-1, 3)
        return {
            "start": self._start,
            "returns": self._returns,
            "moved": self._moved,
            "ended": ended,
            "peak": self._peak,
        }

    def load_state(self, state: Arrays) -> None:
        """Take over what `state` returned.

        Raises:
            UserError: if it is of another number of copies or another goal.
        """
        ended = state["ended"] if "ended" in state else np.zeros((0, 3))
        check_arrays(self.state() | {"ended": ended.reshape(-1, 3)}, state)
        start, returns, moved, peak = (state[name].copy() for name in ("start", "returns", "moved", "peak"))
        self._start, self._returns, self._moved, self._peak = start, returns, moved, peak
        self._ended = [(row[0], row[1], row[2]) for row in ended.tolist()]
