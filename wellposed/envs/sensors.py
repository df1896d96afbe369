"""What an imperfect sensor gives instead of the truth: a policy that sees noisy measurements of a Fetch task.

The noise stands between the environment and the policy, and nowhere else. So reward, success and every metric are
judged on the true state, whatever the policy believes; and the policy is shown nothing that went round the noise.
"""

from typing import Any

import numpy as np

from wellposed import seeding
from wellposed.envs import fetch_sim
from wellposed.envs.fetch_vec import FetchVecEnv
from wellposed.errors import UserError, require
from wellposed.types import GoalObs, Policy

_LEVER = 0.025  # metres from the object's centre to its faces, by which an angle is seen


class NoisySensors:
    """A policy that sees its observations through sensors whose errors are Gaussian, new at each step.

    A position (hand, fingers, object) is off by `noise` on each axis. A velocity is the difference of two positions,
    one step apart, and is off by sqrt(2) times as much a step. An angle is seen by points a lever of 2.5 cm away, and
    is off by noise / lever; an angular velocity again by sqrt(2) times that.

    One quantity is measured once. The way from hand to object is the difference of the two measurements, and the
    achieved goal is the measured position: had it an error of its own, the mean of the two would know better than the
    sensor, and had it none, the policy would see the truth. The desired goal is told, not measured.
    """

    def __init__(self, policy: Policy, env: Any, noise: float, seed: int):
        """The same `seed` gives the same errors.

        `noise`: standard deviation of a position's error, in metres; 0 changes nothing, to the last bit.

        Raises:
            UserError: if the noise is negative or not finite, or the environment does not say what its numbers measure.
        """
        require(0 <= noise < np.inf, "noise", "is a length in metres, 0 or more", noise)
        if noise and not isinstance(env, FetchVecEnv):
            raise UserError("--noise is for the Fetch tasks: others do not say what the numbers they observe measure.")
        self.policy, self.noise, self.rng = policy, noise, seeding.generator(seed, "sensors")
        self._geometry = env.geometry

    def act(self, obs: GoalObs, deterministic: bool = True) -> np.ndarray:
        """Actions [n, action_dim] of the policy for what the sensors give."""
        return self.policy.act(self.sense(obs), deterministic)

    def sense(self, obs: GoalObs) -> GoalObs:
        """One measurement of what `obs` holds; its arrays are new."""
        if not self.noise:
            return obs
        n, with_object = len(obs["observation"]), len(self._geometry.points) > 1
        draw = lambda width, scale: scale * self.noise * self.rng.standard_normal((n, width))  # noqa: E731
        turn, change = 1 / _LEVER, np.sqrt(2)
        errors = [draw(3, 1), draw(2, 1), draw(3, change), draw(2, change)]  # hand, fingers, velocities of both
        if with_object:  # position, angles, velocity, angular velocity
            errors += [draw(3, 1), draw(3, turn), draw(3, change), draw(3, turn * change)]
        observation = obs["observation"] + fetch_sim.assemble(*errors)
        measured = observation[:, self._geometry.points[-1]].copy()
        return {"observation": observation, "achieved_goal": measured, "desired_goal": obs["desired_goal"].copy()}
