"""n MuJoCo simulations, one for each env, stepped on native threads.

`mujoco`'s bindings release the GIL while physics runs, so Python threads run it in parallel. Each env has its own
`MjData`. The model is shared and never written after construction, unless each env has its own (`physics.dynamics`).
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import mujoco
import numpy as np

from wellposed.errors import NotFiniteError

# Everything `mj_step` reads: time, positions, velocities, warm start, control, applied forces, mocap.
# Restoring less (MuJoCo's FULLPHYSICS leaves out warm start, control and mocap) changes the last bits.
INTEGRATION = int(mujoco.mjtState.mjSTATE_INTEGRATION)


# A NaN, an infinity or a huge number. MuJoCo resets the env to its initial state and goes on; only the warning tells.
BROKEN = ("mjWARN_BADQPOS", "mjWARN_BADQVEL", "mjWARN_BADQACC")
_KINDS = {int(kind): name for name, kind in mujoco.mjtWarning.__members__.items()}
mujoco.set_mju_user_warning(lambda _: None)  # else MuJoCo writes MUJOCO_LOG.TXT into the current directory


class WarningCounters:
    """MuJoCo's warnings in one env since they were last taken, by name."""

    def __init__(self, data: mujoco.MjData):
        self._numbers = data.warning.number  # a view: MuJoCo counts in it

    def take(self) -> dict[str, int]:
        """The counts, which start again from zero; empty if there was none."""
        if not any(self._numbers.tolist()):  # faster than `any` of an array of eight numbers
            return {}
        found = {_KINDS[i]: int(n) for i, n in enumerate(self._numbers) if n}
        self._numbers[:] = 0
        return found


class Physics:
    """Simulations, one of each of `models`, that advance together on `threads` threads. A model may come many times."""

    def __init__(self, models: list[mujoco.MjModel], threads: int):
        self.models, num_envs = models, len(models)
        self.data = [mujoco.MjData(model) for model in models]
        self._warnings = [WarningCounters(data) for data in self.data]
        self.threads = max(1, min(threads, num_envs))
        self._pool = ThreadPoolExecutor(self.threads - 1, "physics") if self.threads > 1 else None
        self._cost = [0.0] * num_envs  # seconds that each env's last task took
        self.state_size = mujoco.mj_stateSize(models[0], INTEGRATION)

    def for_each(self, task: Callable[[int], None], envs: Iterable[int] | None = None) -> None:
        """Call `task(i)` for every env i (or those named), spread over the threads and the caller's own.

        Envs share nothing, so the result does not depend on which thread takes which.
        """
        # The envs that took longest in the last call (those in contact) first, so that all threads end at about the
        # same time. One iterator shared by all threads; its `next` is atomic.
        cost, clock = self._cost, time.perf_counter
        todo = iter(sorted(range(len(cost)) if envs is None else envs, key=cost.__getitem__, reverse=True))

        def drain() -> None:
            for i in todo:
                began = clock()
                task(i)
                cost[i] = clock() - began

        helpers = [self._pool.submit(drain) for _ in range(self.threads - 1)] if self._pool else []
        drain()
        for helper in helpers:
            helper.result()

    def take_warnings(self) -> dict[str, int]:
        """The warnings of all envs since the last call, by name; see `sum_warnings`."""
        return sum_warnings(counters.take() for counters in self._warnings)

    def get_state(self) -> np.ndarray:
        """The full integration state of every env, float64 [num_envs, state_size]."""
        return np.stack(list(map(state_of, self.models, self.data)))

    def set_state(self, states: np.ndarray) -> None:
        """Put every env into the state that `get_state` returned, and recompute what depends on it.

        Raises ValueError if `states` is not [num_envs, state_size].
        """
        expected = (len(self.data), self.state_size)
        if states.shape != expected:
            raise ValueError(f"physics state must have shape {expected}, got {states.shape}")
        for row, model, data in zip(states, self.models, self.data, strict=True):
            put_into(model, data, row)

    def close(self) -> None:
        """Stop the threads. The data stay readable."""
        if self._pool:
            self._pool.shutdown()


def state_of(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """The full integration state of one simulation, float64 [state_size]."""
    state = np.empty(mujoco.mj_stateSize(model, INTEGRATION))
    mujoco.mj_getState(model, data, state, INTEGRATION)
    return state


def put_into(model: mujoco.MjModel, data: mujoco.MjData, state: np.ndarray) -> None:
    """Put one simulation into the state that `state_of` returned, and recompute what depends on it."""
    mujoco.mj_setState(model, data, state, INTEGRATION)
    mujoco.mj_forward(model, data)
    # mj_forward leaves its own warm start behind in some MuJoCo versions; the recorded one counts.
    mujoco.mj_setState(model, data, state, INTEGRATION)


def sum_warnings(of_envs: Iterable[dict[str, int]]) -> dict[str, int]:
    """The warnings of all envs, added up by name.

    Raises NotFiniteError if a state broke, after which MuJoCo silently starts that env again.
    """
    total: dict[str, int] = {}
    for i, counts in enumerate(of_envs):
        if counts and (broken := ", ".join(name for name in BROKEN if name in counts)):
            met = f"MuJoCo met a NaN, an infinity or a huge number in env {i} and started over: {broken}."
            raise NotFiniteError("physics", met)
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total
