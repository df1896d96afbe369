"""On-policy storage: the steps that one policy took, and their advantages.

They are learnt from once and then overwritten, because they are data of the policy that took them alone.
"""

import numpy as np

from wellposed.arrays import Arrays, check_arrays, merged, part_of
from wellposed.errors import UserError
from wellposed.types import Batch, Field, Moment, Rollout, Spec, Step


def gae(
    rewards: np.ndarray,
    values: np.ndarray,
    next_values: np.ndarray,
    terminated: np.ndarray,
    ended: np.ndarray,
    gamma: float,
    lam: float,
) -> np.ndarray:
    """Generalised advantage estimates A_t = sum_l (gamma lam)^l delta_{t+l}, within each episode, [t, n].

    delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t). The sum ends with the episode. If a time limit ended
    it, its last state has a future, so the value of that state stays in delta; so it does in the last row, where the
    rollout ends and the episode continues.

    Source: Schulman et al. (2016), "High-Dimensional Continuous Control Using Generalized Advantage Estimation", arXiv
    1506.02438, equations 11 and 16; time limits: Pardo et al. (2018), arXiv 1712.00378.

    Args:
        rewards: [t, n], of t steps of n envs.
        values: [t, n], V(s_t).
        next_values: [t, n], V of each step's true successor, never of the first state of the next episode.
        terminated: [t, n], whether the successor has no future.
        ended: [t, n], whether the episode ended there, for whatever reason.
        gamma: discount.
        lam: weight of later terms: 0 trusts the value function, 1 the rewards.
    """
    delta = rewards + gamma * np.where(terminated, 0.0, next_values) - values
    advantages, ahead = np.zeros_like(delta), np.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        ahead = delta[t] + gamma * lam * np.where(ended[t], 0.0, ahead)
        advantages[t] = ahead
    return advantages


def rollout_arrays(spec: Spec, steps: int, num_envs: int) -> Arrays:
    """Empty arrays [steps, num_envs, ...] of all that is kept of a step, by key."""
    seen, true = ("obs", "next_obs"), ("truth", "next_truth")
    fields = {f"{part}/{field.name}": field for part in seen for field in spec.obs}
    fields |= {f"{part}/{field.name}": field for part in true for field in spec.truth}
    fields["action"] = Field("action", (spec.action_dim,))
    fields["reward"] = Field("reward", (), dtype="float64")
    fields |= {name: Field(name, (), dtype="bool") for name in ("terminated", "truncated")}
    return {key: np.zeros((steps, num_envs, *field.shape), field.dtype) for key, field in fields.items()}


def rollout_bytes(steps: int, spec: Spec, num_envs: int) -> int:
    """Bytes of a rollout, as `RolloutBuffer.nbytes`."""
    return steps * num_envs * sum(array.nbytes for array in rollout_arrays(spec, 1, 1).values())


class RolloutBuffer:
    """`steps` steps of `num_envs` envs in the order they were taken; when it is full the next step starts it again."""

    def __init__(self, steps: int, spec: Spec, num_envs: int):
        self.steps, self.spec, self.filled = steps, spec, 0
        self._arrays = rollout_arrays(spec, steps, num_envs)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(array.nbytes for array in self._arrays.values())

    @property
    def full(self) -> bool:
        """Whether the policy can learn from it now."""
        return self.filled == self.steps

    @property
    def under_way(self) -> bool:
        """Whether it is neither empty nor full."""
        return 0 < self.filled < self.steps

    @property
    def before(self) -> Moment:
        """The moments before each step, [t * n, ...]."""
        return self._moments("obs", "truth")

    @property
    def after(self) -> Moment:
        """The true successors, [t * n, ...]."""
        return self._moments("next_obs", "next_truth")

    @property
    def ended_in_time(self) -> np.ndarray:
        """Which steps ended their episode at the goal or by failure, not by a time limit, [t * n]."""
        return (self._arrays["terminated"] & ~self._arrays["truncated"]).reshape(-1)

    def add(self, step: Step) -> None:
        """Store one step of all envs; its `action` is what the policy drew."""
        t = self.filled % self.steps
        parts = {name: getattr(step, name) for name in ("obs", "truth", "next_obs", "next_truth")}
        given = merged(**parts) | step._asdict()
        for key, array in self._arrays.items():
            array[t] = given[key]
        self.filled = t + 1

    def with_advantages(self, values: np.ndarray, next_values: np.ndarray, gamma: float, lam: float) -> Rollout:
        """What the policy learns from, given the values [t * n] of `before` and of `after`.

        The target of the value function is advantage + value, the lambda-return. Source: Schulman et al. (2016),
        section 5.
        """
        there, rows = self._arrays, self._rows()
        here, ahead = (array.astype(np.float64).reshape(there["reward"].shape) for array in (values, next_values))
        terminated = there["terminated"]
        advantage = gae(there["reward"], here, ahead, terminated, terminated | there["truncated"], gamma, lam)
        as32 = lambda array: array.reshape(-1).astype(np.float32)  # noqa: E731
        return Rollout(
            obs=part_of(rows, "obs"),
            truth=part_of(rows, "truth"),
            action=rows["action"],
            advantage=as32(advantage),
            value_target=as32(advantage + here),
        )

    def transitions(self) -> Batch:
        """All stored steps as transitions [t * n, ...], with the actions as they were applied."""
        rows = self._rows()
        return Batch(
            obs=part_of(rows, "obs"),
            action=np.clip(rows["action"], -1, 1),
            reward=rows["reward"].astype(np.float32),
            next_obs=part_of(rows, "next_obs"),
            terminated=rows["terminated"].astype(np.float32),
            truth=part_of(rows, "truth"),
            next_truth=part_of(rows, "next_truth"),
        )

    def actions_until(self, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The last `length` actions up to each step, 0 before its episode: [t * n, length, a].

        How many steps of the episode came before, [t * n]: -1 where it began before the oldest step. And of which steps
        the actions are known, bool [t * n].
        """
        order = (np.arange(self.steps) + self.filled) % self.steps  # the oldest step first
        action, ended = self._arrays["action"][order], (self._arrays["terminated"] | self._arrays["truncated"])[order]
        step, ago = np.arange(self.steps), np.arange(length)[::-1]
        begun = np.vstack([np.full(ended.shape[1], False), ended[:-1]])
        first = np.maximum.accumulate(np.where(begun, step[:, None], -1), axis=0)  # of the episode; -1: not known
        at = step[:, None] - ago
        known = (first >= 0) | (step >= length - 1)[:, None]
        inside = at[:, None] >= np.maximum(first, 0)[..., None]
        found = np.where(inside[..., None], action[np.maximum(at, 0)].swapaxes(1, 2), 0)
        time, back = np.where(first < 0, -1, step[:, None] - first), np.argsort(order)
        return found[back].reshape(-1, *found.shape[2:]), time[back].reshape(-1), known[back].reshape(-1)

    def state(self) -> Arrays:
        """Everything as named arrays; probes still read rows that will be overwritten."""
        return self._arrays | {"filled": np.array(self.filled)}

    def load_state(self, state: Arrays) -> None:
        """Take over what `state` returned. Raises UserError if it is of another size."""
        check_arrays(self.state(), state)
        if not 0 <= state["filled"] <= self.steps:
            raise UserError("The saved rollout is invalid; it was edited by hand or is damaged.")
        self._arrays = {name: state[name].copy() for name in self._arrays}
        self.filled = int(state["filled"])

    def _moments(self, seen: str, true: str) -> Moment:
        rows = self._rows()
        obs = part_of(rows, seen)
        return Moment(obs, part_of(rows, true) or obs)

    def _rows(self) -> Arrays:
        """All arrays with the axes of steps and envs joined."""
        return {name: array.reshape(-1, *array.shape[2:]) for name, array in self._arrays.items()}
