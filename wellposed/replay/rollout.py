"""On-policy storage: the steps that one policy took, and how much better than expected each of them was.

What is stored here is learnt from once and then written over: it speaks of the policy that collected it, of no other.
"""

import numpy as np

from wellposed.arrays import Arrays, check_arrays, merged, part_of
from wellposed.errors import UserError
from wellposed.types import Batch, Dims, GoalObs, Rollout


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

    delta_t = r_t + gamma (1 - terminated_t) V(s_{t+1}) - V(s_t). Where an episode ends the sum ends with it. Where it
    ended by a time limit its last state has a future, so the value of that state stays in delta; and so it does in the
    last row, where the rollout ends and the episode goes on.

    Source: Schulman et al. (2016), "High-Dimensional Continuous Control Using Generalized Advantage Estimation", arXiv
    1506.02438, equations 11 and 16; time limits: Pardo et al. (2018), arXiv 1712.00378.

    Args:
        rewards: [t, n], of t steps of n copies.
        values: [t, n], V(s_t).
        next_values: [t, n], V of each step's true successor, never of the first state of the next episode.
        terminated: [t, n], whether the successor has no future.
        ended: [t, n], whether the episode ended there, for whatever reason.
        gamma: discount.
        lam: weight of what lies further ahead: 0 trusts the value function, 1 the rewards.
    """
    delta = rewards + gamma * np.where(terminated, 0.0, next_values) - values
    advantages, ahead = np.zeros_like(delta), np.zeros_like(delta[0])
    for t in range(len(delta) - 1, -1, -1):
        ahead = delta[t] + gamma * lam * np.where(ended[t], 0.0, ahead)
        advantages[t] = ahead
    return advantages


class RolloutBuffer:
    """`steps` steps of `num_envs` copies in the order they were taken; when it is full the next step begins it anew."""

    def __init__(self, steps: int, dims: Dims, num_envs: int):
        self.steps, self.dims, self.filled = steps, dims, 0
        obs = (("observation", dims.observation), ("achieved_goal", dims.goal), ("desired_goal", dims.goal))
        widths = {f"{when}/{key}": width for when in ("obs", "after") for key, width in obs} | {"action": dims.action}
        self._arrays = {name: np.zeros((steps, num_envs, width), np.float32) for name, width in widths.items()}
        self._arrays |= {name: np.zeros((steps, num_envs), kind) for name, kind in _FLAT.items()}

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
        """Whether it was begun and is not full."""
        return 0 < self.filled < self.steps

    @property
    def obs(self) -> GoalObs:
        """The observations before each step, [t * n, ...]."""
        return part_of(self._rows(), "obs")

    @property
    def after(self) -> GoalObs:
        """The true successors, [t * n, ...]."""
        return part_of(self._rows(), "after")

    def add(
        self,
        obs: GoalObs,
        action: np.ndarray,
        reward: np.ndarray,
        after: GoalObs,
        terminated: np.ndarray,
        truncated: np.ndarray,
    ) -> None:
        """Take in one step of all copies; `action` is what the policy drew, `after` holds the true successors."""
        t = self.filled % self.steps
        step = merged(obs=obs, after=after) | {"action": action, "reward": reward}
        step |= {"terminated": terminated, "ended": terminated | truncated}
        for name, values in step.items():
            self._arrays[name][t] = values
        self.filled = t + 1

    def with_advantages(self, values: np.ndarray, next_values: np.ndarray, gamma: float, lam: float) -> Rollout:
        """What the policy learns from, given the values [t * n] of `obs` and of `after`.

        The value function is drawn to advantage + value, the lambda-return. Source: Schulman et al. (2016), section 5.
        """
        there, rows = self._arrays, self._rows()
        here, ahead = (array.astype(np.float64).reshape(there["reward"].shape) for array in (values, next_values))
        advantage = gae(there["reward"], here, ahead, there["terminated"], there["ended"], gamma, lam)
        as32 = lambda array: array.reshape(-1).astype(np.float32)  # noqa: E731
        return Rollout(
            rows["obs/observation"], rows["obs/achieved_goal"], rows["obs/desired_goal"], rows["action"],
            as32(advantage), as32(advantage + here),
        )  # fmt: skip

    def transitions(self) -> Batch:
        """All steps that it holds as transitions [t * n, ...], with the actions as they were applied."""
        rows = self._rows()
        return Batch(
            rows["obs/observation"], rows["obs/achieved_goal"], np.clip(rows["action"], -1, 1),
            rows["reward"].astype(np.float32), rows["after/observation"], rows["after/achieved_goal"],
            rows["obs/desired_goal"], rows["terminated"].astype(np.float32),
        )  # fmt: skip

    def state(self) -> Arrays:
        """Everything as named arrays; rows that are about to be written over are still told of by probes."""
        return self._arrays | {"filled": np.array(self.filled)}

    def load_state(self, state: Arrays) -> None:
        """Take over what `state` returned.

        Raises:
            UserError: if it is of another size.
        """
        check_arrays(self.state(), state)
        if not 0 <= state["filled"] <= self.steps:
            raise UserError("The saved rollout is none; it was edited by hand or is damaged.")
        self._arrays = {name: state[name].copy() for name in self._arrays}
        self.filled = int(state["filled"])

    def _rows(self) -> Arrays:
        """All arrays with the axes of steps and copies made one."""
        return {name: array.reshape(-1, *array.shape[2:]) for name, array in self._arrays.items()}


_FLAT = {"reward": np.float64, "terminated": bool, "ended": bool}
