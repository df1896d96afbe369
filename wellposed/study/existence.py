"""Existence: a controller that solves the task, and a network of the recipe's width that imitates it.

The controller is the one written by hand for the task, or else a linear map from actions to the motion of the achieved
goal, fitted to random actions. The network imitates it by DAgger: the network acts, the controller labels the
observations with its own actions, and the network is fitted to all labels so far. Success shows what this class of
policies can express. Failure shows less: another network of the class might succeed.

Source: Ross, Gordon & Bagnell (2011), arXiv 1011.0686, algorithm 3.1 with beta_1 = 1 and 0 afterwards.
"""

import time
from contextlib import closing
from typing import Any

import numpy as np

from wellposed import envs, seeding
from wellposed.agents import make_agent
from wellposed.agents.bc import imitate, not_cloned
from wellposed.analysis.study import Existence
from wellposed.arrays import map_leaves
from wellposed.check.subject import OneEnv
from wellposed.config import AnyRunConfig
from wellposed.envs.explore import directed, held, play
from wellposed.envs.make import EnvConfig, make_env
from wellposed.envs.policies import Memoryless, RandomPolicy
from wellposed.rollout.evaluate import EVALUATION_ENVS, play_episodes, summarise
from wellposed.runs.record import EvaluationRow
from wellposed.types import Carry, Moment, Obs, Policy

EPISODES = 100  # held-out episodes for each policy
ROUNDS = 12  # of DAgger, of EVALUATION_ENVS episodes each
UPDATES = 500  # after each round
FIT_EPISODES = 20  # to which the linear controller is fitted
SEED = 0


class RowByRow(Memoryless):
    """A controller of single goal observations as a policy for many environments."""

    def __init__(self, act: Any):
        self._act = act

    def act(self, obs: Obs, carry: Carry = (), rng: np.random.Generator | None = None) -> tuple[np.ndarray, Carry]:
        """Actions [n, action_dim]."""
        rows = [{key: value[i] for key, value in obs.items()} for i in range(len(obs["desired_goal"]))]
        return np.stack([self._act(row, 0) for row in rows]).astype(np.float32), ()


def controller(env: EnvConfig) -> tuple[str, Policy]:
    """The controller for an environment: a description and the policy."""
    oracle = envs.find(env.id).oracle
    if oracle is not None:
        return f"{oracle.__name__}, written by hand", oracle()
    one = OneEnv(env)
    space: Any = one.action_space
    rng = seeding.generator(SEED, "linear controller")
    start = seeding.training_env_seed(SEED)
    seen = play(one, held(space, rng), range(start, start + FIT_EPISODES))
    return "a linear controller, fitted to random actions", RowByRow(directed(space, seen, rng, env.control.delay))


def existence_of(config: AnyRunConfig, threads: int) -> Existence:
    """Evaluate the controller, random actions, and a network that imitates the controller on held-out episodes."""
    words, expert = controller(config.env)
    with closing(make_env(config.env, EVALUATION_ENVS, "evaluation", threads=threads, seed=config.seed)) as env:
        noise = RandomPolicy(env.spec.action_dim, seeding.generator(SEED, "random baseline"))
        found, random = _judge(expert, env), _judge(noise, env)
        known = found.success_ci95[0] > random.success_ci95[1]
        clone = _clone(config, expert, env) if known else None
    return Existence(words, known, found, random, clone, ROUNDS, list(config.agent.hidden))


def _judge(policy: Policy, env: Any, step: int = 0, updates: int = 0, seconds: float = 0.0) -> EvaluationRow:
    """The evaluation of a policy on the held-out episodes."""
    seeds = seeding.evaluation_env_seeds(SEED, EPISODES, "held-out")
    return summarise(play_episodes(policy, env, seeds), step=step, updates=updates, seconds=seconds)


def _clone(config: AnyRunConfig, expert: Policy, env: Any) -> EvaluationRow | None:
    """The evaluation of a new network of the recipe after DAgger; None if single moments cannot train it."""
    began = time.perf_counter()
    agent = make_agent(config.algo, config.agent, env.spec, config.seed)
    if not_cloned(agent):
        return None
    rng = seeding.generator(config.seed, "imitation")
    start = seeding.training_env_seed(config.seed)
    parts: list[tuple[Moment, np.ndarray]] = []
    for number in range(ROUNDS):
        seeds = [start + number * env.num_envs + i for i in range(env.num_envs)]
        parts.append(labelled(env, expert if number == 0 else agent, expert, seeds))
        agent.observe(parts[-1][0])
        obs = map_leaves(lambda *same: np.concatenate(same), *(met.obs for met, _ in parts))
        imitate(agent, obs, np.concatenate([labels for _, labels in parts]), UPDATES, rng)
    steps = sum(len(labels) for _, labels in parts)
    return _judge(agent, env, steps, ROUNDS * UPDATES, time.perf_counter() - began)


def labelled(env: Any, driver: Policy, expert: Policy, seeds: list[int]) -> tuple[Moment, np.ndarray]:
    """The observations of one episode of every env driven by `driver`, and the expert's actions for them.

    Returns:
        Moments [steps * envs, ...] and actions [steps * envs, action_dim].
    """
    now, carry = env.reset(seed=seeds), driver.initial_carry(env.num_envs)
    met: list[Moment] = []
    labels, known = [], expert.initial_carry(env.num_envs)
    for _ in range(env.spec.max_episode_steps):
        met.append(now)
        action, carry = driver.act(now.obs, carry)
        label, known = expert.act(now.obs, known)
        labels.append(label)
        env.step(action)
        now = env.now
    return map_leaves(lambda *same: np.concatenate(same), *met), np.concatenate(labels)
