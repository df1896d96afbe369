"""What is there before anything is learnt: goals already reached at reset, and what random actions come to."""

from typing import Any

import numpy as np

from wellposed import envs, seeding
from wellposed.envs.policies import RandomPolicy
from wellposed.measure.anatomy import Chance, Floor
from wellposed.measure.kinds import Over
from wellposed.rollout import EVALUATION_COPIES, play_episodes, summarise
from wellposed.rollout.statistics import moved_from
from wellposed.runs.record import Estimate
from wellposed.stats import clopper_pearson
from wellposed.types import Moment, Step

STIRRED = 0.001  # goal units in one step above which an achieved goal counts as having moved in it


def exact(flags: np.ndarray) -> Estimate:
    """The share of true ones among [n], with its exact interval."""
    rate = clopper_pearson(int(np.sum(flags)), len(flags))
    return Estimate(rate.estimate, (rate.low, rate.high))


def measure_floor(env_id: str, resets: int, seed: int, threads: int, over: Over) -> Floor:
    """Reset with seeds of held-out episodes, and count the goals that are reached there."""
    env = envs.make_vec(env_id, EVALUATION_COPIES, threads=threads)
    seeds = seeding.evaluation_env_seeds(seed, resets, "held-out")
    solved, kinds = [], []
    for start in over(range(0, resets, EVALUATION_COPIES), f"{env_id}: resets, {EVALUATION_COPIES} at a time"):
        chunk = seeds[start : start + EVALUATION_COPIES]
        obs, _ = env.reset(seed=chunk + chunk[-1:] * (EVALUATION_COPIES - len(chunk)))
        solved.append(env.is_success(obs["achieved_goal"], obs["desired_goal"])[: len(chunk)])
        kinds += env.goal_kinds(obs["desired_goal"])[: len(chunk)]
    env.close()
    reached, named = np.concatenate(solved), np.array(kinds)
    by_kind = {kind: exact(reached[named == kind]) for kind in sorted(set(kinds) - {""})}
    return Floor(resets, exact(reached), envs.find(env_id).solved_at_reset, by_kind)


class Watched:
    """A vector environment whose achieved goals are watched while somebody plays the first episode of each copy."""

    def __init__(self, env: Any):
        self._env = env
        self.farthest: list[np.ndarray] = []  # [copies] for each reset: how far it got from where it began
        self.ways: list[np.ndarray] = []  # of all steps of these episodes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def reset(self, **kwargs: Any) -> Moment:
        """Begin episodes."""
        now = self._env.reset(**kwargs)
        self._start = self._last = now.truth["achieved_goal"]
        self._alive = np.ones(len(self._start), bool)
        self.farthest.append(np.zeros(len(self._start)))
        return now

    def step(self, actions: np.ndarray) -> Step:
        """Take a step."""
        step = self._env.step(actions)
        now, alive = step.next_truth["achieved_goal"], self._alive
        away = np.linalg.norm(now - self._start, axis=1)
        self.farthest[-1] = np.where(alive, np.maximum(self.farthest[-1], away), self.farthest[-1])
        self.ways.append(np.linalg.norm(now - self._last, axis=1)[alive])
        self._last, self._alive = now, alive & ~step.ended
        return step


def measure_chance(env_id: str, episodes: int, seed: int, threads: int, over: Over) -> Chance:
    """Play held-out episodes with uniform random actions."""
    env: Any = Watched(envs.make_vec(env_id, EVALUATION_COPIES, threads=threads).inner)
    noise = RandomPolicy(env.spec.action_dim, seeding.generator(seed, "random baseline"))
    seeds, rows, farthest = seeding.evaluation_env_seeds(seed, episodes, "held-out"), [], []
    for start in over(range(0, episodes, EVALUATION_COPIES), f"{env_id}: episodes, {EVALUATION_COPIES} at a time"):
        chunk = seeds[start : start + EVALUATION_COPIES]
        rows += play_episodes(noise, env, chunk)
        farthest.append(env.farthest[-1][: len(chunk)])
    env.close()
    summary = summarise(rows, step=0, updates=0, seconds=0.0, seed=seed)
    return Chance(
        episodes=episodes,
        already_solved=exact(np.array([row.already_solved for row in rows])),
        success=exact(np.array([row.success for row in rows])),
        any_success=exact(np.array([row.any_success for row in rows])),
        episode_return=summary.means["episode_return"],
        moved=exact(np.concatenate(farthest) > moved_from(env.spec)),
        moved_steps=float((np.concatenate(env.ways) > STIRRED).mean()),
    )
