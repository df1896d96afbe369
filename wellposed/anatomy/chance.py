"""Baselines without learning: the share of goals already reached at reset, and statistics of random actions."""

from typing import cast

import numpy as np

from wellposed import envs, seeding, units
from wellposed.anatomy import Chance, Floor
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.policies import RandomPolicy
from wellposed.envs.wrappers.wrapper import Wrapper
from wellposed.progress import Over
from wellposed.rollout.evaluate import EVALUATION_ENVS, play_episodes, summarise
from wellposed.runs.record import Estimate
from wellposed.stats import clopper_pearson
from wellposed.types import Moment, Step, VecEnv


def exact_share(flags: np.ndarray) -> Estimate:
    """The share of true flags [n], with its exact (Clopper-Pearson) interval."""
    rate = clopper_pearson(int(np.sum(flags)), len(flags))
    return Estimate(rate.estimate, (rate.low, rate.high))


def measure_floor(env_id: str, resets: int, seed: int, threads: int, over: Over) -> Floor:
    """Reset with the seeds of held-out episodes and count the goals that are already reached."""
    env = envs.make_vec(env_id, EVALUATION_ENVS, threads=threads).inner
    seeds = seeding.evaluation_env_seeds(seed, resets, "held-out")
    solved, kinds = [], []
    for start in over(range(0, resets, EVALUATION_ENVS), f"{env_id}: resets, {EVALUATION_ENVS} at a time"):
        chunk = seeds[start : start + EVALUATION_ENVS]
        truth = env.reset(seed=chunk + chunk[-1:] * (EVALUATION_ENVS - len(chunk))).truth
        solved.append(env.is_success(truth["achieved_goal"], truth["desired_goal"])[: len(chunk)])
        kinds += env.goal_kinds(truth["desired_goal"])[: len(chunk)]
    env.close()
    reached, named = np.concatenate(solved), np.array(kinds)
    by_kind = {kind: exact_share(reached[named == kind]) for kind in sorted(set(kinds) - {""})}
    return Floor(resets, exact_share(reached), envs.find(env_id).solved_at_reset, by_kind)


class MotionRecorder(Wrapper):
    """An environment that records how far achieved goals move in the first episode of each env."""

    def __init__(self, env: VecEnv):
        super().__init__(env)
        self.farthest: list[np.ndarray] = []  # for each reset [envs]: the largest distance from the start
        self.step_distances: list[np.ndarray] = []  # of all steps of these episodes

    def reset(self, seed: int | list[int] | None = None, mask: np.ndarray | None = None) -> Moment:
        """Start episodes."""
        now = self.env.reset(seed, mask)
        self._start = self._last = now.truth["achieved_goal"]
        self._alive = np.ones(len(self._start), bool)
        self.farthest.append(np.zeros(len(self._start)))
        return now

    def step(self, action: np.ndarray) -> Step:
        """Take a step."""
        step = self.env.step(action)
        now, alive = step.next_truth["achieved_goal"], self._alive
        away = np.linalg.norm(now - self._start, axis=1)
        self.farthest[-1] = np.where(alive, np.maximum(self.farthest[-1], away), self.farthest[-1])
        self.step_distances.append(np.linalg.norm(now - self._last, axis=1)[alive])
        self._last, self._alive = now, alive & ~step.ended
        return step


def measure_chance(env_id: str, episodes: int, seed: int, threads: int, over: Over) -> Chance:
    """Play held-out episodes with uniform random actions."""
    env = MotionRecorder(make_env(EnvConfig(env_id), EVALUATION_ENVS, "evaluation", threads=threads))
    policy = RandomPolicy(env.spec.action_dim, seeding.generator(seed, "random baseline"))
    seeds, rows, farthest = seeding.evaluation_env_seeds(seed, episodes, "held-out"), [], []
    for start in over(range(0, episodes, EVALUATION_ENVS), f"{env_id}: episodes, {EVALUATION_ENVS} at a time"):
        chunk = seeds[start : start + EVALUATION_ENVS]
        rows += play_episodes(policy, cast(VecEnv, env), chunk)
        farthest.append(env.farthest[-1][: len(chunk)])
    env.close()
    summary = summarise(rows, step=0, updates=0, seconds=0.0, seed=seed)
    return Chance(
        episodes=episodes,
        already_solved=exact_share(np.array([row.already_solved for row in rows])),
        success=exact_share(np.array([row.success for row in rows])),
        any_success=exact_share(np.array([row.any_success for row in rows])),
        episode_return=summary.means["episode_return"],
        moved=exact_share(np.concatenate(farthest) > units.moved(env.spec.radius)),
        moved_steps=float((np.concatenate(env.step_distances) > units.still(env.spec.radius)).mean()),
    )
