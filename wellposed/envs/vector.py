"""n MuJoCo environments of one task that step together. A suite gives a `Task`; this file does the rest.

Here are autoreset, clocks, seeds, random streams, and what a state consists of.
"""

# mujoco's compiled half has no stubs:
# pyright: reportAttributeAccessIssue=false

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import mujoco
import numpy as np
from gymnasium.utils import seeding

from wellposed.envs.physics.cpu import Physics
from wellposed.envs.physics.dynamics import Parameter, Place, ThreadModels, Varied, chosen
from wellposed.seeding import pack_generator, unpack_generator
from wellposed.types import Goals, Metrics, Moment, Obs, Spec, Step, clipped_actions


@dataclass(frozen=True)
class GoalSpread:
    """How far goals lie from where the object starts, and how many are in the air."""

    reach: float  # share of the way to the task's own goals, 0 to 1
    air: float  # share of goals that are lifted, 0 to 1, in a task that lifts any


class Drive(NamedTuple):
    """How actions move the end effector of a task."""

    axes: tuple[int, ...]  # components of an action, one for each axis of the effector's position
    length: float  # displacement for which an action of 1 asks, in goal units
    response: float  # share of it by which the effector moves in the end, per step of a held action


class Simulation(Protocol):
    """The simulation of one env. It keeps its row of readings up to date."""

    def advance(self, control: np.ndarray) -> None:
        """One environment step under a row of what `Task.control` returns."""
        ...


class Task(Goals, Protocol):
    """A task in the words of its domain.

    `readings` [n, width] are the numbers read from each env after a step; observations, rewards and success come from
    them alone.

    A task with the capability "goal spread" has `goal_spread`, how goals of new episodes are drawn, and `own_spread`,
    the task's own; both are a `GoalSpread`. One with "sensors" has `sensed` and `measurement_errors` (see
    `envs.suites.fetch.task`). One with "pixels" has `view`, a `View`. One with "drive" has `drive`, a `Drive`, and a
    geometry that names the effector. One with "dynamics" has `dynamics`, the parameters that can vary, by name; its
    simulations step what `model` names.
    """

    model: mujoco.MjModel  # shared by all envs, unless their dynamics vary
    readings: int  # width
    capabilities: frozenset[str]

    @property
    def spec(self) -> Spec:
        """What is observed and done, and how long an episode of the task takes."""
        ...

    def simulate(self, data: mujoco.MjData, readings: np.ndarray) -> Any:
        """The simulation of one env in `data`, which fills the row `readings` [width]."""
        ...

    def restart(self, env: Any, rng: np.random.Generator) -> np.ndarray:
        """Begin an episode in one env, drawing from `rng`; returns its goal [goal_dim]."""
        ...

    def control(self, readings: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Actions [n, action_dim] in [-1, 1] as controls of each env [n, any width]."""
        ...

    def observe(self, readings: np.ndarray, desired_goal: np.ndarray) -> Obs:
        """All that is true, `spec.goals`, as new arrays. The policy sees the fields that `spec.obs` names."""
        ...

    def failed(self, readings: np.ndarray) -> np.ndarray:
        """Whether something other than the goal ends the episode, bool [n]."""
        ...


class MujocoVecEnv:
    """`num_envs` environments of a task, a `VecEnv`.

    Env i, reset with seed s, plays the episodes that its own stream draws, begun by s + i. They do not depend on the
    number of threads or envs.
    """

    now: Moment

    def __init__(self, task: Task, num_envs: int = 1, *, threads: int = 1, max_episode_steps: int | None = None):
        spec = task.spec
        self.spec = spec._replace(max_episode_steps=max_episode_steps or spec.max_episode_steps)
        self.task, self.num_envs, self.capabilities = task, num_envs, task.capabilities
        self.compute_reward, self.compute_terminated = task.compute_reward, task.compute_terminated
        self.is_success, self.goal_kinds = task.is_success, task.goal_kinds
        self._kept_running = False
        # What the last step left behind. Some of it cannot be recomputed from a restored physics state (with a free
        # gripper Fetch's lags `qpos` by one substep), so it belongs to the state itself.
        self.readings = np.zeros((num_envs, task.readings))
        self._varied: Varied | None = None
        self._models: ThreadModels | None = None
        self._simulate([task.model] * num_envs, threads)
        self.goals = np.zeros((num_envs, spec.size("desired_goal")))
        self.ended_at: dict[int, np.ndarray] = {}  # joint positions where episodes ended at the last step, by env
        self._elapsed = np.zeros(num_envs, np.int64)
        self._rngs = [seeding.np_random(None)[0] for _ in range(num_envs)]

    def _simulate(self, models: list[mujoco.MjModel], threads: int) -> None:
        """One simulation of each model."""
        self.physics = Physics(models, threads)
        pairs = zip(self.physics.data, self.readings, strict=True)
        self.simulations: list[Simulation] = [self.task.simulate(data, row) for data, row in pairs]

    def vary(self, names: list[str]) -> Varied:
        """Let these parameters of the dynamics vary: each env gets a model of its own. A reset must follow.

        Raises:
            UserError: if the task cannot vary one of them.
        """
        known: dict[str, Parameter] = self.task.dynamics  # type: ignore[attr-defined]
        parameters = chosen(known, names)
        self.physics.close()
        self._simulate([copy.copy(self.task.model) for _ in range(self.num_envs)], self.physics.threads)
        parts = zip(self.physics.models, self.physics.data, self.simulations, strict=True)
        places = [Place(*part) for part in parts]
        self._varied, self._models = Varied(parameters, places), ThreadModels(self.task.model, parameters, places)
        return self._varied

    @property
    def stepping(self) -> str:
        """Where the envs are stepped, in words."""
        return f"in this process, on {self.physics.threads} threads" if self.physics.threads > 1 else "in this process"

    def keep_running(self) -> None:
        """From now on success ends no episode: it goes on to its limit."""
        self._kept_running = True
        self.capabilities |= {"kept running"}

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As `VecEnv.reset`; a None in a list of seeds continues that env's stream."""
        chosen = np.arange(self.num_envs) if mask is None else np.flatnonzero(mask)
        seeds = seeds_of_envs(seed, self.num_envs)
        for i in chosen:
            if seeds[i] is not None:
                self._rngs[i] = seeding.np_random(seeds[i])[0]
        return self._restart(chosen)

    def step(self, action: np.ndarray) -> Step:
        """As `VecEnv.step`."""
        before = self.now
        applied = clipped_actions(action, (self.num_envs, self.spec.action_dim))
        control, simulations, models = self.task.control(self.readings, applied), self.simulations, self._models
        if models is None:
            self.physics.for_each(lambda i: simulations[i].advance(control[i]))
        else:
            self.physics.for_each(lambda i: models.advance(i, control[i]))
        self._elapsed += 1
        after = self.task.observe(self.readings, self.goals)
        achieved, desired = after["achieved_goal"], after["desired_goal"]
        success, terminated = self.is_success(achieved, desired), self.compute_terminated(achieved, desired)
        if self._kept_running:
            terminated = terminated & ~success
        terminated = terminated | self.task.failed(self.readings)
        step = Step(
            obs=before.obs,
            truth=before.truth,
            action=np.array(action),
            applied_action=applied,
            reward=self.compute_reward(achieved, desired).astype(np.float64),
            terminated=terminated,
            truncated=(self._elapsed >= self.spec.max_episode_steps) & ~terminated,
            success=success,
            next_obs=self._seen(after),
            next_truth=after,
            warnings=self.physics.take_warnings(),  # before a reset clears them
        )
        self.now, ended = step.after, np.flatnonzero(step.ended)
        self.ended_at = {int(i): self.physics.data[i].qpos.copy() for i in ended}
        if ended.size:
            self._restart(ended)
        return step

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything the next step and the next reset depend on: physics, goals, clocks, random streams."""
        return {
            "physics": self.physics.get_state(),
            "readings": self.readings.copy(),
            "desired_goal": self.goals.copy(),
            "elapsed": self._elapsed.copy(),
            "rng": np.stack([pack_generator(rng) for rng in self._rngs]),
        }

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As `VecEnv.set_state`."""
        current = self.get_state()
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in current.items()}:
            raise ValueError("this state belongs to another task or another number of envs")
        if not ((state["elapsed"] >= 0) & (state["elapsed"] < self.spec.max_episode_steps)).all():
            raise ValueError("this state is of episodes that were over")
        self.physics.set_state(state["physics"])
        self.readings[:] = state["readings"]
        self.goals[:] = state["desired_goal"]
        self._elapsed[:] = state["elapsed"]
        for rng, packed in zip(self._rngs, state["rng"], strict=True):
            unpack_generator(rng, packed)
        return self.observe()

    def snapshot(self) -> dict[str, np.ndarray]:
        """What the physics of the next step depends on beside the model, [n, ...]: no goals, clocks or seeds."""
        return {"physics": self.physics.get_state(), "readings": self.readings.copy()}

    def restore(self, snapshot: dict[str, np.ndarray]) -> None:
        """Go on from a `snapshot` of other models of the task, as at the beginning of an episode.

        Raises ValueError if it is of another task or another number of envs.
        """
        if snapshot.keys() != {"physics", "readings"} or snapshot["readings"].shape != self.readings.shape:
            raise ValueError("this snapshot is of another task or another number of envs")
        self.physics.set_state(snapshot["physics"])
        self.readings[:], self._elapsed[:] = snapshot["readings"], 0
        self.observe()

    def observe(self) -> Moment:
        """Observe the envs as they are."""
        truth = self.task.observe(self.readings, self.goals)
        self.now = Moment(self._seen(truth), truth)
        return self.now

    def _seen(self, truth: Obs) -> Obs:
        """What the policy sees of what is true."""
        return {field.name: truth[field.name] for field in self.spec.obs} if self.spec.truth else truth

    def metrics(self) -> Metrics:
        """Nothing of its own."""
        return {}

    def drawn(self) -> dict[str, np.ndarray]:
        """Nothing beside the episode's own start and goal."""
        return {}

    def close(self) -> None:
        """Stop the physics threads."""
        self.physics.close()

    def _restart(self, indices: Iterable[int]) -> Moment:
        """Begin an episode in the given envs, each from its own stream."""

        def restart(i: int) -> None:
            if self._varied is not None:
                self._varied.begin(i)
            self.goals[i] = self.task.restart(self.simulations[i], self._rngs[i])
            self._elapsed[i] = 0

        self.physics.for_each(restart, indices)
        return self.observe()


def seeds_of_envs(seed: int | list[int] | None, num_envs: int) -> list[Any]:
    """One seed for each env: seed + i, its own of a list, or None. Raises ValueError if a list has another length."""
    if seed is None:
        return [None] * num_envs
    seeds = seed if isinstance(seed, list) else [int(seed) + i for i in range(num_envs)]
    if len(seeds) != num_envs:
        raise ValueError(f"{num_envs} envs need {num_envs} seeds, got {len(seeds)}")
    return seeds
