"""The action interface: what becomes of a policy's action on its way to the simulator.

The stages stand in this order, each of them off by default: hold, scale, target (a position controller), smoothing,
rate, delay. Components of an action lie in [-1, 1] before and after each stage; their unit is the environment's own
(Fetch: 0.05 m of displacement that is asked for, or the width of the gripper).
"""

from dataclasses import dataclass, field
from typing import Literal, cast

import numpy as np

from wellposed.envs.vector import Drive
from wellposed.envs.wrappers.wrapper import MOST_DELAY, Wrapper, require_capability
from wellposed.errors import require
from wellposed.serialise import LATER
from wellposed.types import INTERFACE, Field, Moment, Step, VecEnv, clipped_actions

FREE = 2.0  # a rate that limits nothing: the whole range of a component


@dataclass(frozen=True)
class Control:
    """How actions reach the simulator: hold, scale, target, smoothing, rate, delay, in this order."""

    smoothing: float = 0.0
    """Share s of the action before that is kept, 0 up to but not 1: applied = (1 - s) commanded + s applied before."""
    delay: int = 0
    """Steps by which actions arrive late; an episode begins with as many steps without action."""
    scale: float = field(default=1.0, metadata=LATER)
    """Factor on all components of an action, which are clipped to -1..1 after it."""
    hold: int = field(default=1, metadata=LATER)
    """Steps for which an action is held. The policy is asked at every step; its answers in between are ignored."""
    rate: float = field(default=FREE, metadata=LATER)
    """Largest change of a component of the action from one step to the next; 2 is the whole range."""
    target: Literal["none", "relative", "absolute"] = field(default="none", metadata=LATER)
    """What an action means: itself, or a place to which a controller moves the end effector: relative to where the
    effector is when the action is taken, or to where it was when the episode began."""
    reach: float = field(default=0.0, metadata=LATER)
    """Distance on each axis that an action of 1 means as a target, in goal units (metres for Fetch)."""
    gain: float = field(default=1.0, metadata=LATER)
    """Share of the way to the target for which the controller asks in a step (P)."""
    damping: float = field(default=0.0, metadata=LATER)
    """Share of the effector's last displacement that the controller takes back (D)."""
    shown: bool = field(default=False, metadata=LATER)
    """Whether the observation has one more vector, "interface": the actions under way, what filter and rate limit gave
    last, the action that is held and for how long. With it an observation again tells all that the next depends on."""

    def __post_init__(self) -> None:
        require(0 <= self.smoothing < 1, "env.control.smoothing", "is a share from 0 up to but not 1", self.smoothing)
        require(0 <= self.delay <= MOST_DELAY, "env.control.delay", f"is 0 to {MOST_DELAY:,} steps", self.delay)
        require(0 < self.scale < np.inf, "env.control.scale", "is a factor greater than 0", self.scale)
        require(self.hold >= 1, "env.control.hold", "is a number of steps, at least 1", self.hold)
        require(0 < self.rate <= FREE, "env.control.rate", "is a change greater than 0, up to 2", self.rate)
        require(0 < self.gain < np.inf, "env.control.gain", "must be greater than 0", self.gain)
        require(0 <= self.damping < np.inf, "env.control.damping", "must not be negative", self.damping)
        rule = "is a distance in goal units, greater than 0 with a target and 0 without"
        require(
            (self.reach > 0) == (self.target != "none") and self.reach < np.inf, "env.control.reach", rule, self.reach
        )

        asked = "shows what hold, smoothing, rate or delay remember, and none of them is on"
        require(not self.shown or self.memory > 1, "env.control.shown", asked, self.shown)

    @property
    def memory(self) -> int:
        """How many actions, the newest among them, decide what arrives, but for less than 1 % of it.

        Under a rate limit, in nearly all cases: two pasts differ until a change of action is smaller than the limit.
        """
        lasting = np.ceil(np.log(0.01) / np.log(self.smoothing)) if self.smoothing else 0
        limited = 3 * np.ceil(FREE / self.rate) if self.rate < FREE else 0
        return self.hold + self.delay + int(lasting + limited)

    @property
    def spread(self) -> float:
        """The standard deviation of what arrives of independent uniform actions, as a share of theirs.

        0 with a target: what a controller asks for depends on where the effector is. Under a rate r the action drifts
        back by r times its own value and is moved by steps of r, so its variance is at most r / 2, where the uniform
        action's is 1 / 3.
        """
        filtered = np.sqrt((1 - self.smoothing) / (1 + self.smoothing))
        return (
            0.0
            if self.target != "none"
            else float(min(1.0, self.scale) * filtered * min(1.0, np.sqrt(1.5 * self.rate)))
        )

    @property
    def furthest(self) -> float:
        """The largest component that can arrive."""
        return 1.0 if self.target != "none" else min(1.0, self.scale)

    @property
    def steepest(self) -> float:
        """The largest change of a component of what arrives, from one step to the next."""
        whole = 2 * self.furthest
        return min(self.rate, whole) if self.rate < FREE else (1 - self.smoothing) * whole

    def arriving(self, actions: np.ndarray, time: np.ndarray) -> np.ndarray:
        """What reaches the simulator [n, a] after the last `memory` actions of an episode [n, memory, a].

        `time` [n] is the number of steps that came before the newest action. Where fewer were taken, the first of the
        actions are 0. A position controller is passed over: what it makes of a target is linear in the target and the
        observation, until it saturates.
        """
        place = np.arange(actions.shape[1])
        if self.hold > 1:
            since = (time[:, None] + place - place[-1]) % self.hold  # steps since the action in force was taken
            actions = np.take_along_axis(actions, np.maximum(place - since, 0)[..., None], axis=1)
        asked = np.clip(self.scale * np.clip(actions, -1, 1), -1, 1)
        filtered = sent = np.zeros_like(asked[:, 0])
        for t in place[: len(place) - self.delay]:
            filtered, sent = self.passed_on(asked[:, t], filtered, sent)
        return sent

    def passed_on(self, asked: np.ndarray, filtered: np.ndarray, sent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What the filter and the rate limit give for what is asked now, from what they gave a step before."""
        filtered = (1 - self.smoothing) * asked + self.smoothing * filtered
        return filtered, np.clip(filtered, sent - self.rate, sent + self.rate)

    def wrap(self, env: VecEnv, role: Literal["training", "evaluation"], seed: int) -> VecEnv:
        """The environment under this control, or unchanged if actions reach the simulator as they are.

        Raises UserError for a target if it lacks the capability "drive".
        """
        if self.target != "none":
            require_capability(env, "drive", "env.control.target", "that says how actions move its end effector")
        return env if self == Control() else cast(VecEnv, ControlledVecEnv(env, self))


class ControlledVecEnv(Wrapper):
    """Actions pass the stages of a control. Its state is what these remember, which is cleared when an episode begins.

    Unless the control is `shown`, an observation tells nothing of it: a policy has to remember what it asked for.
    """

    def __init__(self, env: VecEnv, control: Control):
        super().__init__(env)
        self.control = control
        n, size = env.num_envs, env.spec.action_dim
        self._filtered, self._sent = np.zeros((n, size)), np.zeros((n, size))
        self._queue = np.zeros((n, control.delay, size))  # the next to arrive first
        self._held, self._age = np.zeros((n, size)), np.zeros(n, np.int64)  # the action in force; steps of the episode
        if control.target != "none":
            self._drive: Drive = self.env.task.drive
            # Of the effector, goal units: its target, its place when the episode began, and that of one step ago.
            self._target, self._origin, self._before = (np.zeros((n, len(self._drive.axes))) for _ in range(3))
        if control.shown:
            own, spec = (Field(INTERFACE, self._interface().shape[1:]),), env.spec
            self.spec = spec._replace(obs=spec.obs + own, truth=spec.truth + own if spec.truth else ())
            self._now: Moment | None = None

    @property
    def now(self) -> Moment:
        """All envs at this moment, and what the interface remembers where that is shown."""
        return self._now if self.control.shown and self._now else self.env.now

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """As the environment's own."""
        self.env.reset(seed, mask)
        self._clear(np.ones(self.num_envs, bool) if mask is None else np.asarray(mask, bool))
        return self._look()

    def step(self, action: np.ndarray) -> Step:
        """As the environment's own; the step has the policy's action and the one that arrived."""
        asked, before = clipped_actions(action, self._held.shape), self.now
        kind = asked.dtype
        if self.control.hold > 1:
            taken = self._age % self.control.hold == 0
            self._held[taken] = asked[taken]
            asked, self._age = self._held.astype(kind), self._age + 1
        else:
            taken = np.ones(self.num_envs, bool)
        if self.control.scale != 1:
            asked = np.clip(self.control.scale * asked, -1, 1)
        if self.control.target != "none":
            asked = self._towards_target(asked, taken)
        self._filtered, self._sent = self.control.passed_on(asked, self._filtered, self._sent)
        waiting = np.concatenate([self._queue, self._sent[:, None]], axis=1)
        self._queue = waiting[:, 1:]
        step = self.env.step(waiting[:, 0].astype(kind))._replace(action=np.array(action))
        if self.control.shown:
            after = self._with_interface(step.after)
            step = step._replace(obs=before.obs, truth=before.truth, next_obs=after.obs, next_truth=after.truth)
        if (ended := step.ended).any():
            self._clear(ended)
        self._look()
        return step

    def get_state(self) -> dict[str, np.ndarray]:
        """That of the environment, and what each stage that is on remembers."""
        return self.env.get_state() | {f"control_{name}": array.copy() for name, array in self._memory().items()}

    def set_state(self, state: dict[str, np.ndarray]) -> Moment:
        """As the environment's own."""
        own = {name.removeprefix("control_"): array for name, array in state.items() if name.startswith("control_")}
        memory = self._memory()
        if {name: array.shape for name, array in own.items()} != {name: array.shape for name, array in memory.items()}:
            raise ValueError("this state belongs to another control or another number of envs")
        self.env.set_state({name: array for name, array in state.items() if not name.startswith("control_")})
        for name, array in memory.items():
            array[:] = own[name]
        return self._look()

    def _memory(self) -> dict[str, np.ndarray]:
        """What the stages remember, by name; those that are off remember nothing but the filter and the queue."""
        control, found = self.control, {"filter": self._filtered, "queue": self._queue}
        if control.rate < FREE:
            found["sent"] = self._sent
        if control.hold > 1:
            found |= {"held": self._held, "age": self._age}
        if control.target != "none" and control.hold > 1:
            found["target"] = self._target
        if control.target == "absolute":
            found["origin"] = self._origin
        if control.damping:
            found["before"] = self._before
        return found

    def _look(self) -> Moment:
        """Observe the envs as they are."""
        if self.control.shown:
            self._now = self._with_interface(self.env.now)
        return self.now

    def _with_interface(self, moment: Moment) -> Moment:
        """A moment with what the interface remembers now; one dict where observation and truth are one."""
        own = {INTERFACE: self._interface()}
        obs = moment.obs | own
        return Moment(obs, obs if moment.truth is moment.obs else moment.truth | own)

    def _interface(self) -> np.ndarray:
        """What hold, filter, rate limit and delay remember, [n, k action_dim]; with a hold, [n, k action_dim + 1]."""
        control, parts = self.control, [self._queue.reshape(self.num_envs, -1)]
        if control.smoothing:
            parts.append(self._filtered)
        if control.rate < FREE:
            parts.append(self._sent)
        if control.hold > 1:
            parts += [self._held, (self._age % control.hold / control.hold)[:, None]]
        return np.concatenate(parts, axis=1)

    def _towards_target(self, asked: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """The action [n, a] of the position controller, for envs that have `taken` [n] a new target or go on to theirs.

        Other components than those that move the effector pass unchanged.
        """
        control, drive, here = self.control, self._drive, self._effector()
        asked, axes = asked.copy(), list(drive.axes)
        base = here if control.target == "relative" else self._origin
        self._target[taken] = (base + control.reach * asked[:, axes])[taken]
        wish = control.gain * (self._target - here) - control.damping * (here - self._before)
        asked[:, axes] = np.clip(wish / drive.length, -1, 1)
        self._before[:] = here
        return asked

    def _effector(self) -> np.ndarray:
        """The end effector's place [n, axes] in goal units. A controller reads the truth, not the policy's sensors."""
        return self.env.now.truth["observation"][:, list(self.env.spec.geometry.effector)]

    def _clear(self, chosen: np.ndarray) -> None:
        """Episodes begin in the chosen envs [n]."""
        for array in (self._filtered, self._sent, self._queue, self._held, self._age):
            array[chosen] = 0
        if self.control.target != "none":
            here = self._effector()[chosen]
            for array in (self._target, self._origin, self._before):
                array[chosen] = here
