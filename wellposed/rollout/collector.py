"""Behaviour while training, what its episodes come to, and a step as a checkpoint holds it."""

import numpy as np

from wellposed import seeding, units
from wellposed.arrays import Arrays, check_arrays, leaves, merged, part_of, reset_carry, scalars_of, with_leaves
from wellposed.envs.policies import RandomPolicy
from wellposed.types import Metrics, Moment, Obs, Policy, Spec, Step


class Explorer:
    """Uniform random actions at first, then the policy's own exploration with uniform actions mixed in.

    It holds all that is random in behaviour, and what the policy remembers of the episodes under way. During the first
    `random_steps` environment steps of the run the policy is not asked, so it remembers nothing of them; afterwards
    `random_share` of all actions are uniform.
    """

    def __init__(self, policy: Policy, num_envs: int, action_dim: int, seed: int, random_steps=0, random_share=0.0):
        self.policy, self.random_steps, self.random_share = policy, random_steps, random_share
        self.streams = {name: seeding.generator(seed, name) for name in ("random actions", "exploration")}
        self._uniform = RandomPolicy(action_dim, self.streams["random actions"])
        self.fresh = self.carry = policy.initial_carry(num_envs)

    def act(self, obs: Obs, step: int) -> np.ndarray:
        """Actions [n, action_dim] at environment step `step` of the run."""
        uniform, _ = self._uniform.act(obs)
        if step < self.random_steps:
            return uniform
        keep = self._uniform.rng.random((len(uniform), 1)) >= self.random_share
        own, self.carry = self.policy.act(obs, self.carry, self.streams["exploration"])
        return np.where(keep, own, uniform)

    def forget(self, ended: np.ndarray) -> None:
        """Reset the memory in the envs whose episode `ended` [n]."""
        self.carry = reset_carry(self.carry, self.fresh, ended)

    def state(self) -> Arrays:
        """Random streams and carry, as named arrays."""
        streams = {name: seeding.pack_generator(rng) for name, rng in self.streams.items()}
        return merged(streams=streams, carry=leaves(self.carry))

    def load_state(self, state: Arrays) -> None:
        """Take over what `state` returned. Raises UserError if it does not fit."""
        check_arrays(self.state(), state)
        for name, rng in self.streams.items():
            seeding.unpack_generator(rng, state[f"streams/{name}"])
        self.carry = with_leaves(self.carry, part_of(state, "carry"))


class EpisodeStatistics:
    """Means over the training episodes that ended since the last row. `now`: where they begin."""

    def __init__(self, spec: Spec, now: Moment):
        self._far = units.moved(spec.radius)
        self._start = now.truth["achieved_goal"].copy()
        self._returns, self._moved = np.zeros(len(self._start)), np.zeros(len(self._start), bool)
        self._ended: list[tuple[float, float, float]] = []
        self._peak = np.zeros(())  # largest component of the actions that reached the simulator since then

    def add(self, step: Step, now: Moment) -> None:
        """Take in one step; `now` is after it, in the next episode where one ended."""
        self._returns += step.reward
        self._peak = np.maximum(self._peak, np.abs(step.applied_action).max())
        self._moved |= np.linalg.norm(step.next_truth["achieved_goal"] - self._start, axis=1) > self._far
        for i in np.flatnonzero(step.ended):
            self._ended.append((float(step.success[i]), self._returns[i], float(self._moved[i])))
            self._start[i], self._returns[i], self._moved[i] = now.truth["achieved_goal"][i], 0.0, False

    def drain(self) -> Metrics:
        """Means over the ended episodes; {} if none ended. Motion is left out where no radius is known."""
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
        now = {"start": self._start, "returns": self._returns, "moved": self._moved, "peak": self._peak}
        return now | {"ended": ended}

    def load_state(self, state: Arrays) -> None:
        """Take over what `state` returned. Raises UserError if it does not fit."""
        ended = state["ended"] if "ended" in state else np.zeros((0, 3))
        check_arrays(self.state() | {"ended": ended.reshape(-1, 3)}, state)
        start, returns, moved, peak = (state[name].copy() for name in ("start", "returns", "moved", "peak"))
        self._start, self._returns, self._moved, self._peak = start, returns, moved, peak
        self._ended = [(row[0], row[1], row[2]) for row in ended.tolist()]


_FLAT = ("action", "applied_action", "reward", "terminated", "truncated", "success")


def pack_step(step: Step) -> Arrays:
    """A step as named arrays; the truth only where it differs from what is seen."""
    flat = {name: getattr(step, name) for name in _FLAT}
    truth = {} if step.truth is step.obs else step.truth
    next_truth = {} if step.next_truth is step.next_obs else step.next_truth
    warnings = {name: np.array(count) for name, count in step.warnings.items()}
    parts = merged(obs=step.obs, truth=truth, next_obs=step.next_obs, next_truth=next_truth, warnings=warnings)
    return flat | parts


def unpack_step(arrays: Arrays, now: Moment, action_dim: int) -> Step:
    """What `pack_step` returned for envs that see `now` and take actions [n, action_dim].

    Raises UserError if it is not a step of these envs.
    """
    n = len(now.truth["achieved_goal"])
    action, flag, warnings = np.zeros((n, action_dim), np.float32), np.zeros(n, bool), part_of(arrays, "warnings")
    counts = scalars_of(warnings, int)
    check_arrays(pack_step(Step(*now, action, action, np.zeros(n), flag, flag, flag, *now, counts)), arrays)
    obs, next_obs = part_of(arrays, "obs"), part_of(arrays, "next_obs")
    return Step(
        obs=obs,
        truth=part_of(arrays, "truth") or obs,
        **{name: arrays[name] for name in _FLAT},
        next_obs=next_obs,
        next_truth=part_of(arrays, "next_truth") or next_obs,
        warnings=counts,
    )
