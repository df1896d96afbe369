"""The action interface: how a policy's action reaches the simulator."""

from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from wellposed.envs.wrappers.wrapper import Wrapper
from wellposed.errors import require
from wellposed.types import Moment, Step, VecEnv, clipped_actions

MOST_DELAY = 10_000  # steps, far beyond use; asked before the actions on their way are made in memory


@dataclass(frozen=True)
class Control:
    """How actions reach the simulator."""

    smoothing: float = 0.0
    """Share s of the action before that is kept, 0 up to but not 1: applied = (1 - s) commanded + s applied before."""
    delay: int = 0
    """Steps by which actions arrive late; an episode begins with as many steps without action."""

    def __post_init__(self) -> None:
        require(0 <= self.smoothing < 1, "env.control.smoothing", "is a share from 0 up to but not 1", self.smoothing)
        require(0 <= self.delay <= MOST_DELAY, "env.control.delay", f"is 0 to {MOST_DELAY:,} steps", self.delay)

    @property
    def memory(self) -> int:
        """How many actions, the newest among them, decide what arrives, but for less than 1 % of it."""
        lasting = np.ceil(np.log(0.01) / np.log(self.smoothing)) if self.smoothing else 0
        return 1 + self.delay + int(lasting)

    @property
    def spread(self) -> float:
        """The standard deviation of what arrives of independent actions, as a share of theirs."""
        return float(np.sqrt((1 - self.smoothing) / (1 + self.smoothing)))

    def arriving(self, actions: np.ndarray) -> np.ndarray:
        """What reaches the simulator [n, a] after the last `memory` actions of an episode [n, memory, a].

        Where fewer were taken, the first of these are 0.
        """
        age = np.arange(actions.shape[1])[::-1] - self.delay
        weights = np.where(age >= 0, (1 - self.smoothing) * self.smoothing ** np.maximum(age, 0), 0)
        return np.einsum("t,nta->na", weights, np.clip(actions, -1, 1))

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """The environment under this control, or unchanged if actions reach the simulator as they are."""
        return env if self == Control() else cast(VecEnv, ControlledVecEnv(env, self))


class ControlledVecEnv(Wrapper):
    """Actions are filtered (first order) and delayed. Its state holds the filter and the actions on their way.

    Both start at zero in each episode. An observation does not show actions on their way: a policy has to remember
    them.
    """

    def __init__(self, env: VecEnv, control: Control):
        super().__init__(env)
        self.control = control
        shape = env.num_envs, env.spec.action_dim
        self._filtered = np.zeros(shape)
        self._queue = np.zeros((shape[0], control.delay, shape[1]))  # the next to arrive first

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own."""
        moment = self.env.reset(seed, mask)
        self._clear(np.ones(self.num_envs, bool) if mask is None else np.asarray(mask, bool))
        return moment

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own; the step has the policy's action and the one that arrived."""
        commanded, keep = clipped_actions(action, self._filtered.shape), self.control.smoothing
        self._filtered = (1 - keep) * commanded + keep * self._filtered
        waiting = np.concatenate([self._queue, self._filtered[:, None]], axis=1)
        self._queue = waiting[:, 1:]
        step = self.env.step(waiting[:, 0].astype(commanded.dtype))
        self._clear(step.ended)
        return step._replace(action=np.array(action))

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, the filter, and the actions on their way."""
        return self.env.get_state() | {"control_filter": self._filtered.copy(), "control_queue": self._queue.copy()}

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        filtered, queue = state["control_filter"], state["control_queue"]
        if (filtered.shape, queue.shape) != (self._filtered.shape, self._queue.shape):
            raise ValueError("this state belongs to another control or another number of envs")
        moment = self.env.set_state({name: array for name, array in state.items() if not name.startswith("control_")})
        self._filtered, self._queue = filtered.copy(), queue.copy()
        return moment

    def _clear(self, chosen: np.ndarray) -> None:
        """Episodes begin in the chosen envs [n]."""
        self._filtered[chosen], self._queue[chosen] = 0.0, 0.0
