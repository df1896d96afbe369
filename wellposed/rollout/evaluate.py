"""THE rollout loop of evaluation: the one definition of success and of every episode metric.

A policy plays one episode per seed, usually greedily: the same for a verdict, for evaluations during training and for
baselines.
"""

from collections.abc import Callable

import numpy as np

from wellposed import stats
from wellposed.config import AnyRunConfig
from wellposed.envs.gymnasium_edge import GymnasiumVecEnv
from wellposed.runs.record import MEANS, EpisodeRow, Estimate, EvaluationRow
from wellposed.types import Obs, Policy, Step, VecEnv

EVALUATION_ENVS = 25  # episodes at a time
TEST_ENVS = 10  # the same where a test says after each time whether it takes more


def play_episodes(
    policy: Policy,
    env: VecEnv | GymnasiumVecEnv,
    seeds: list[int],
    on_step: Callable[[], None] = lambda: None,
    rng: np.random.Generator | None = None,
    enough: Callable[[list[EpisodeRow]], bool] = lambda _: False,
) -> list[EpisodeRow]:
    """One episode per seed, as many at a time as `env` has environments; rows in the order of the seeds.

    The policy sees observations; everything is measured on the truth.

    Args:
        policy: what plays.
        env: a `VecEnv`, or the Gymnasium adapter of one that `make_vec` returns.
        seeds: one of each episode.
        on_step: called after every step (to record frames, to show progress).
        rng: with it the policy explores; without it plays greedily.
        enough: asked after each time with all rows so far; if it is so, no more are played.
    """
    inner = env.inner if isinstance(env, GymnasiumVecEnv) else env
    rows: list[EpisodeRow] = []
    for start in range(0, len(seeds), inner.num_envs):
        chunk = seeds[start : start + inner.num_envs]
        padded = chunk + [chunk[-1]] * (inner.num_envs - len(chunk))
        rows += _play_chunk(policy, inner, padded, on_step, rng)[: len(chunk)]
        if enough(rows):
            break
    return rows


def evaluation_envs(config: AnyRunConfig) -> int:
    """How many episodes of an evaluation during training are played at a time."""
    return min(EVALUATION_ENVS, config.eval_episodes) if config.tested_bar is None else TEST_ENVS


class _Tally:
    """Sums over the first episode of each env; all arrays [n]."""

    def __init__(self, env: VecEnv, truth: Obs):
        n = env.num_envs
        self.geometry, self.alive = env.spec.geometry, np.ones(n, bool)
        self.already_solved = env.is_success(truth["achieved_goal"], truth["desired_goal"])
        self.kinds, self.drawn = env.goal_kinds(truth["desired_goal"]), env.drawn()
        self.success, self.ever = np.zeros(n, bool), np.zeros(n, bool)
        # Episodes that are kept running end here at their goal all the same, and are watched up to their limit.
        self.kept, self.running, self.at_limit = "kept running" in env.capabilities, self.alive, self.success
        self._ends_there = env.compute_terminated
        self.length, self.first_success = np.zeros(n, int), np.full(n, -1)
        self.total_reward, self.distance, self.path = np.zeros(n), np.zeros(n), np.zeros(n)
        self.change, self.jerk, self.energy, self.peak = (np.zeros(n) for _ in range(4))
        self._last_action: np.ndarray | None = None
        self._last_change: np.ndarray | None = None
        self._position = self._effector(truth)

    def _effector(self, truth: Obs) -> np.ndarray:
        return truth["achieved_goal"] if self.geometry is None else truth["observation"][:, self.geometry.effector]

    def add(self, step: Step) -> None:
        """Take in one step. Envs whose episode is over do not count."""
        alive, action, after = self.alive, step.applied_action, step.next_truth
        position = self._effector(after)
        self.length += alive
        self.total_reward += np.where(alive, step.reward, 0.0)
        self.success = np.where(alive, step.success, self.success)
        newly = alive & step.success & ~self.ever
        self.first_success[newly] = self.length[newly]
        self.ever |= newly
        away = np.linalg.norm(after["achieved_goal"] - after["desired_goal"], axis=1)
        self.distance = np.where(alive, away, self.distance)
        self.path += np.where(alive, np.linalg.norm(position - self._position, axis=1), 0.0)
        self.peak = np.where(alive, np.maximum(self.peak, np.abs(action).max(axis=1)), self.peak)
        self.energy += np.where(alive, (action**2).mean(axis=1), 0.0)
        change = None if self._last_action is None else action - self._last_action
        if change is not None:
            self.change += np.where(alive, (change**2).mean(axis=1), 0.0)
        if change is not None and self._last_change is not None:
            self.jerk += np.where(alive, ((change - self._last_change) ** 2).mean(axis=1), 0.0)
        self._last_action, self._last_change, self._position = action, change, position
        self.at_limit = np.where(self.running, step.success, self.at_limit)
        self.running = self.running & ~step.ended
        self.alive = alive & self.running
        if self.kept:
            self.alive &= ~self._ends_there(after["achieved_goal"], after["desired_goal"])

    def row(self, i: int, seed: int) -> EpisodeRow:
        """The finished episode of env i."""
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
            action_jerk=float(self.jerk[i] / max(1, self.length[i] - 2)),
            action_energy=float(self.energy[i]),
            drawn={name: float(values[i]) for name, values in self.drawn.items()},
            success_at_limit=bool(self.at_limit[i]) if self.kept else None,
        )


def _play_chunk(
    policy: Policy, env: VecEnv, seeds: list[int], on_step: Callable[[], None], rng: np.random.Generator | None
) -> list[EpisodeRow]:
    """One episode in every env, each with its seed."""
    now, carry = env.reset(seed=seeds), policy.initial_carry(env.num_envs)
    tally = _Tally(env, now.truth)
    for _ in range(env.spec.max_episode_steps):
        action, carry = policy.act(now.obs, carry, rng)
        tally.add(env.step(action))
        now = env.now
        on_step()
        if not tally.running.any():
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
        success_at_limit=None if rows[0].success_at_limit is None else rate("success_at_limit"),
        success_by_kind={kind: rate("success", [row for row in rows if row.goal_kind == kind]) for kind in kinds},
        means={name: estimate for name in MEANS if (estimate := mean(name)) is not None},
    )
