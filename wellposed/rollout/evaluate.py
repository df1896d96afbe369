"""THE rollout loop of evaluation: the one definition of success and of every episode metric.

A greedy policy plays one episode per seed. It is the same whether a person asks for it, a training run
evaluates itself, or a baseline is measured.
"""

from collections.abc import Callable

import numpy as np

from wellposed import stats
from wellposed.runs.record import MEANS, EpisodeRow, Estimate, EvaluationRow
from wellposed.types import GoalVecEnv, Policy, successor

EVALUATION_COPIES = 25  # episodes at a time


def play_episodes(
    policy: Policy,
    env: GoalVecEnv,
    seeds: list[int],
    deterministic: bool = True,
    on_step: Callable[[], None] = lambda: None,
) -> list[EpisodeRow]:
    """One episode per seed, as many at a time as `env` has copies; rows in the order of the seeds.

    `on_step` is called after every step of the copies (to record frames, to show progress).
    """
    rows: list[EpisodeRow] = []
    for start in range(0, len(seeds), env.num_envs):
        chunk = seeds[start : start + env.num_envs]
        padded = chunk + [chunk[-1]] * (env.num_envs - len(chunk))
        rows += _play_chunk(policy, env, padded, deterministic, on_step)[: len(chunk)]
    return rows


class _Tally:
    """What is summed up over the first episode of each copy; all arrays [n]."""

    def __init__(self, env: GoalVecEnv, obs: dict[str, np.ndarray]):
        n = env.num_envs
        self.env, self.alive = env, np.ones(n, bool)
        self.already_solved = env.is_success(obs["achieved_goal"], obs["desired_goal"])
        self.kinds = env.goal_kinds(obs["desired_goal"])
        self.success, self.ever = np.zeros(n, bool), np.zeros(n, bool)
        self.length, self.first_success = np.zeros(n, int), np.full(n, -1)
        self.total_reward, self.distance, self.path = np.zeros(n), np.zeros(n), np.zeros(n)
        self.change, self.peak = np.zeros(n), np.zeros(n)
        self._last_action: np.ndarray | None = None
        self._position = self._effector(obs)

    def _effector(self, obs: dict[str, np.ndarray]) -> np.ndarray:
        geometry = self.env.geometry
        return obs["achieved_goal"] if geometry is None else obs["observation"][:, geometry.effector]

    def add(self, reward: np.ndarray, after: dict[str, np.ndarray], ended: np.ndarray, info: dict) -> None:
        """Take in one step; `after` is the true successor. Copies whose episode is over do not count."""
        alive, action, position = self.alive, info["applied_action"], self._effector(after)
        self.length += alive
        self.total_reward += np.where(alive, reward, 0.0)
        self.success = np.where(alive, info["is_success"], self.success)
        newly = alive & info["is_success"] & ~self.ever
        self.first_success[newly] = self.length[newly]
        self.ever |= newly
        away = np.linalg.norm(after["achieved_goal"] - after["desired_goal"], axis=1)
        self.distance = np.where(alive, away, self.distance)
        self.path += np.where(alive, np.linalg.norm(position - self._position, axis=1), 0.0)
        self.peak = np.where(alive, np.maximum(self.peak, np.abs(action).max(axis=1)), self.peak)
        if self._last_action is not None:
            self.change += np.where(alive, ((action - self._last_action) ** 2).mean(axis=1), 0.0)
        self._last_action, self._position = action, position
        self.alive = alive & ~ended

    def row(self, i: int, seed: int) -> EpisodeRow:
        """The finished episode of copy i."""
        first = 0 if self.already_solved[i] else int(self.first_success[i])
        return EpisodeRow(
            seed=seed,
            length=int(self.length[i]),
            success=bool(self.success[i]),
            any_success=bool(self.ever[i] or self.already_solved[i]),
            episode_return=float(self.total_reward[i]),
            final_distance=float(self.distance[i]),
            time_to_success=None if first < 0 else first,
            action_change=float(self.change[i] / max(1, self.length[i] - 1)),
            peak_action=float(self.peak[i]),
            path_length=float(self.path[i]),
            already_solved=bool(self.already_solved[i]),
            goal_kind=self.kinds[i],
        )


def _play_chunk(
    policy: Policy, env: GoalVecEnv, seeds: list[int], deterministic: bool, on_step: Callable[[], None]
) -> list[EpisodeRow]:
    """One episode of every copy, each with its seed."""
    obs, _ = env.reset(seed=seeds)
    tally = _Tally(env, obs)
    for _ in range(env.max_episode_steps):
        obs, reward, terminated, truncated, info = env.step(policy.act(obs, deterministic))
        tally.add(reward, successor(obs, info), terminated | truncated, info)
        on_step()
        if not tally.alive.any():
            break
    return [tally.row(i, seed) for i, seed in enumerate(seeds)]


def summarise(rows: list[EpisodeRow], *, step: int, updates: int, seconds: float, seed: int = 0) -> EvaluationRow:
    """Aggregate episodes: Wilson intervals for rates, bootstrap intervals (seeded) for means, all at 95 %."""

    def rate(name: str, among: list[EpisodeRow] = rows) -> Estimate:
        p = stats.wilson(sum(getattr(row, name) for row in among), len(among))
        return Estimate(p.estimate, (p.low, p.high))

    def mean(name: str) -> Estimate | None:
        known = [getattr(row, name) for row in rows if getattr(row, name) is not None]
        if not known:
            return None
        m = stats.bootstrap_mean(np.array(known), seed)
        return Estimate(m.estimate, (m.low, m.high))

    success, solved = rate("success"), rate("already_solved")
    kinds = sorted({row.goal_kind for row in rows} - {""})
    return EvaluationRow(
        step=step,
        updates=updates,
        seconds=seconds,
        episodes=len(rows),
        success_rate=success.value,
        success_ci95=success.ci95,
        already_solved_rate=solved.value,
        already_solved_ci95=solved.ci95,
        any_success=rate("any_success"),
        success_by_kind={kind: rate("success", [row for row in rows if row.goal_kind == kind]) for kind in kinds},
        means={name: estimate for name in MEANS if (estimate := mean(name)) is not None},
    )
