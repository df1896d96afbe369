"""Whether the trained policies of a recipe are one solution or several: their paths on the same held-out episodes."""

from contextlib import closing
from pathlib import Path

import numpy as np

from wellposed import seeding
from wellposed.analysis.behaviour import Behaviours, behaviours
from wellposed.envs.make import make_env
from wellposed.types import Obs, Policy, VecEnv
from wellposed.verdict import load_run

EPISODES, SEED, POINTS = 25, 0, 25  # episodes of each policy, their seed, and moments of a path that are compared


def behaviours_of(runs: list[Path], threads: int) -> Behaviours | None:
    """How many ways finished runs of one recipe have to solve their task; None of fewer than two, or without a radius.

    Raises:
        UserError: if a run cannot be loaded.
    """
    if len(runs) < 2:
        return None
    configs, agents, _ = zip(*map(load_run, runs), strict=True)
    seeds = seeding.evaluation_env_seeds(SEED, EPISODES, "held-out")
    with closing(make_env(configs[0].env, EPISODES, "evaluation", threads=threads, seed=SEED)) as env:
        if (radius := env.spec.radius) is None:
            return None
        paths = np.array([paths_of(agent, env, seeds) for agent in agents])
    return behaviours(paths, [config.seed for config in configs], radius)


def paths_of(policy: Policy, env: VecEnv, seeds: list[int]) -> np.ndarray:
    """Where effector and achieved goal were in one episode of each env, [n, points, POINTS, d].

    An episode that ends early stays where it ended. Without a known effector there is the achieved goal alone.
    """
    now, carry = env.reset(seed=seeds), policy.initial_carry(env.num_envs)
    places, alive = [_places(env, now.truth)], np.ones(env.num_envs, bool)
    for _ in range(env.spec.max_episode_steps):
        action, carry = policy.act(env.now.obs, carry)
        step = env.step(action)
        places.append(np.where(alive[:, None, None], _places(env, step.next_truth), places[-1]))
        alive &= ~step.ended
        if not alive.any():
            break
    whole = np.stack(places, axis=2)
    return whole[:, :, np.linspace(0, whole.shape[2] - 1, POINTS).round().astype(int)]


def _places(env: VecEnv, truth: Obs) -> np.ndarray:
    """What is compared at one moment, [n, points, d]."""
    if (geometry := env.spec.geometry) is None:
        return truth["achieved_goal"][:, None]
    points = [truth["achieved_goal"][:, list(point)] for point in geometry.targets]
    points.append(truth["observation"][:, list(geometry.effector)])
    return np.stack(points, axis=1)
